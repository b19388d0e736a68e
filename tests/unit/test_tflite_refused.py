"""A .tflite that is refused: the message names why; memory and time do not follow from what the file claims."""

import json

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from tflite_trees import rebuilt

from lenet_edge.errors import BadInputError
from lenet_edge.formats.tflite import from_bytes, read
from lenet_edge.quantized.model import FullyConnected, QTensor, QuantizedModel


def unknown_operator(tree, graph):
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.SPACE_TO_DEPTH
    tree.operatorCodes.append(code)
    graph.operators[3].opcodeIndex = len(tree.operatorCodes) - 1


def new_builtin_operator(tree, graph):
    """Codes above 127 are in the new field only."""
    tree.operatorCodes[graph.operators[3].opcodeIndex].builtinCode = schema.BuiltinOperator.STABLEHLO_ADD


def number_without_a_name(tree, graph):
    tree.operatorCodes[graph.operators[3].opcodeIndex].builtinCode = 9999


def all_float(_, graph):
    for tensor in graph.tensors:
        tensor.type, tensor.quantization = schema.TensorType.FLOAT32, None


def tensor_of(operator, position):
    """(graph -> the tensor that an operator reads at that position)."""
    return lambda graph: graph.tensors[graph.operators[operator].inputs[position]]


def change_tensor(pick, **changes):
    """A change of the tensor's fields; the scales of a bias follow, unless they are what is changed."""

    def change(_, graph):
        for name, value in changes.items():
            target = pick(graph)
            *path, last = name.split("__")
            for step in path:
                target = getattr(target, step)
            setattr(target, last, value)
        if pick is not BIAS and IMAGE(graph).quantization and len(WEIGHTS(graph).quantization.scale) < 65537:
            scales = np.float32(IMAGE(graph).quantization.scale[0]) * np.float32(WEIGHTS(graph).quantization.scale)
            BIAS(graph).quantization.scale = scales.tolist()
            for weighted in (WEIGHTS(graph).quantization, BIAS(graph).quantization):
                if len(weighted.zeroPoint) != len(weighted.scale):
                    weighted.zeroPoint = [0] * len(weighted.scale)

    return change


def two_inputs(_, graph):
    graph.inputs = [*graph.inputs, graph.inputs[0]]


def two_outputs(_, graph):
    graph.outputs = [*graph.outputs, 1]


def two_subgraphs(tree, graph):
    tree.subgraphs.append(graph)


def no_operators(_, graph):
    graph.operators = []


def reads_nothing_of_the_layer_before(_, graph):
    """Of the image again: TANH of an image is fine, the convolutions are for nothing."""
    graph.operators[2].inputs = [graph.inputs[0]]


def an_output_before_the_end(_, graph):
    graph.outputs = [graph.operators[1].outputs[0]]


def reads_what_comes_later(_, graph):
    graph.operators[2].inputs = [graph.operators[3].outputs[0]]


def no_options(_, graph):
    graph.operators[0].builtinOptions, graph.operators[0].builtinOptionsType = None, 0


def fused_tanh(_, graph):
    graph.operators[0].builtinOptions.fusedActivationFunction = schema.ActivationFunctionType.TANH


def shuffled(_, graph):
    graph.operators[-1].builtinOptions.weightsFormat = 1


def truncated_weights(tree, graph):
    buffer = tree.buffers[graph.tensors[graph.operators[0].inputs[1]].buffer]
    buffer.data = buffer.data[:-1]


def no_such_tensor(_, graph):
    graph.operators[0].inputs = [graph.inputs[0], 4711, graph.operators[0].inputs[2]]


IMAGE, WEIGHTS, BIAS = tensor_of(0, 0), tensor_of(0, 1), tensor_of(0, 2)

REFUSED = {
    r"an operator is not supported: SPACE_TO_DEPTH \(operator 3\); known: CONV_2D": unknown_operator,
    r"STABLEHLO_ADD \(operator 3\)": new_builtin_operator,
    r"builtin operator 9999 \(operator 3\)": number_without_a_name,
    "it is a float model, which computes no int8 .*quantize --epochs 0": all_float,
    "tensor image is UINT8, not INT8": change_tensor(IMAGE, type=schema.TensorType.UINT8),
    "tensor conv is INT16, not INT8": change_tensor(tensor_of(1, 0), type=schema.TensorType.INT16),
    "tensor conv/weights is INT4, not INT8": change_tensor(WEIGHTS, type=schema.TensorType.INT4),
    "tensor conv/bias is INT64, not INT32": change_tensor(BIAS, type=schema.TensorType.INT64),
    r"tensor 0 \(image\) has shape \(-1, 13, 11, 2\)": change_tensor(IMAGE, shape=[-1, 13, 11, 2]),
    r"tensor 0 \(image\) has shape \(1, -1, 11, 2\)": change_tensor(IMAGE, shape=[1, -1, 11, 2]),
    r"has shape \(0, 11, 2\); it must be .* at least 1": change_tensor(IMAGE, shape=[1, 0, 11, 2]),
    r"tensor image has shape \(2, 13, 11, 2\)": change_tensor(IMAGE, shape=[2, 13, 11, 2]),
    r"tensor image has shape \(13, 11, 2\)": change_tensor(IMAGE, shape=[13, 11, 2]),
    "a tensor has 9 axes": change_tensor(IMAGE, shape=[1] * 9),
    "tensor image must have one scale and one zero point": change_tensor(IMAGE, quantization=None),
    "tensor image has the scale nan": change_tensor(IMAGE, quantization__scale=[float("nan")]),
    "tensor image has the scale inf": change_tensor(IMAGE, quantization__scale=[float("inf")]),
    "tensor image has the scale 0.0": change_tensor(IMAGE, quantization__scale=[0.0]),
    "its input zero point is 4000000000": change_tensor(IMAGE, quantization__zeroPoint=[4 * 10**9]),
    r"the model has the input tensor \(0, 0\) twice": two_inputs,
    "tensor conv/weights is the model's input or output and has constant data": two_outputs,
    "the model has 2 subgraphs": two_subgraphs,
    "the model has 0 operators": no_operators,
    "nothing reads the output of layer depthwise": reads_nothing_of_the_layer_before,
    "nothing reads the output of layer out": an_output_before_the_end,
    "tensor pool is read before an operator writes it": reads_what_comes_later,
    r"operator 0 \(CONV_2D\) has options of type 0, not 1": no_options,
    "fused activation 4 is not supported; known: NONE, RELU": fused_tanh,
    "shuffled weights": shuffled,
    "tensor 4711 does not exist": no_such_tensor,
    "tensor conv/weights is not a constant": change_tensor(WEIGHTS, buffer=0),
    "tensor conv/bias has buffer 999, which does not exist": change_tensor(BIAS, buffer=999),
    "tensor conv/weights has 71 bytes, its shape .* needs 72": truncated_weights,
    "conv/weights have a zero point that is not 0": change_tensor(WEIGHTS, quantization__zeroPoint=[0, 0, 1, 0]),
    "conv/weights have 3 scales for 4 channels": change_tensor(
        WEIGHTS, quantization__scale=[1.0] * 3, quantization__zeroPoint=[0] * 3
    ),
    "conv/weights have scales along axis 3": change_tensor(WEIGHTS, quantization__quantizedDimension=3),
    "bias conv/bias has not the scale": change_tensor(BIAS, quantization__scale=[1.0] * 4),
    "a weight scale is not a positive number": change_tensor(WEIGHTS, quantization__scale=[-1.0] * 4),
    "an int8 tanh has output scaling": change_tensor(tensor_of(3, 0), quantization__scale=[0.5]),
    "a tensor has 65537 scales": change_tensor(
        WEIGHTS, quantization__scale=[1.0] * 65537, quantization__zeroPoint=[0] * 65537
    ),
    "a tensor has a name of 5000 bytes": change_tensor(IMAGE, name="x" * 5000),
}


@pytest.mark.parametrize("message", sorted(REFUSED))
def test_what_is_refused_is_named(message):
    change = REFUSED[message]
    with pytest.raises(BadInputError, match=message):
        from_bytes(rebuilt(change))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a .tflite file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "not a .tflite file"),
        (b"\x00\x00\x00\x00TFL3", "not a .tflite file"),
        (b"\x00\x00\x00\x00TFL3" + bytes(100), "damaged|subgraphs"),
        (b"\xff\xff\xff\xffTFL3" + b"\xff" * 100, "damaged"),
    ],
)
def test_what_is_no_model(content, message, tmp_path):
    path = tmp_path / "a.tflite"
    path.write_bytes(content)
    with pytest.raises(BadInputError, match=message) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_file_that_is_missing_or_a_folder(tmp_path):
    with pytest.raises(BadInputError, match=r"the model .*none\.tflite does not exist"):
        read(tmp_path / "none.tflite")
    with pytest.raises(BadInputError, match="cannot be read: Is a directory"):
        read(tmp_path)


def with_metadata(content):
    def change(tree, _):
        entry, buffer = schema.MetadataT(), schema.BufferT()
        buffer.data = np.frombuffer(content, np.uint8)
        tree.buffers.append(buffer)
        entry.name, entry.buffer = "lenet_edge", len(tree.buffers) - 1
        tree.metadata = [entry]

    return rebuilt(change)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[" * 200_000, "damaged"),
        (b"[1]", "not a JSON object"),
        (b"{", "damaged"),
        (b'"\xff"', "damaged"),
        (b" " * (1 << 20) + b"{}", "its lenet_edge metadata has 1048578 bytes"),
        (json.dumps({"fingerprint": "0" * 64}).encode(), "damaged or changed after lenet-edge wrote it"),
        (b'{"fingerprint": 5}', "the file says '5'"),
    ],
)
def test_bad_metadata(content, message):
    with pytest.raises(BadInputError, match=message):
        from_bytes(with_metadata(content))


def test_shared_constants_do_not_multiply_memory():
    """A chain of many layers that all name one large buffer: a small file, gigabytes of weights."""
    size = 2048
    source = QTensor((size,), 0.5, 0)
    weights = np.zeros((size, size), np.int8)
    bias, scales = np.zeros(size, np.int32), np.ones(size, np.float32)
    layer = FullyConnected("fc", source, source, weights, bias, scales)

    def change(_, graph):
        (operator,) = graph.operators
        for _ in range(40):
            following = schema.OperatorT()
            vars(following).update(vars(operator))
            output = schema.TensorT()
            vars(output).update(vars(graph.tensors[graph.outputs[0]]))
            graph.tensors.append(output)
            following.inputs = [graph.outputs[0], *list(operator.inputs)[1:]]
            graph.outputs = following.outputs = [len(graph.tensors) - 1]
            graph.operators.append(following)

    with pytest.raises(BadInputError, match="its constants are more than"):
        from_bytes(rebuilt(change, QuantizedModel((layer,))))
