"""The .tflite reader and writer: round trips, files from elsewhere, named errors, and damage of every kind."""

import json
import struct
import time
from dataclasses import replace

import flatbuffers
import numpy as np
import pytest
import sample_models
from ai_edge_litert import schema_py_generated as schema

from lenet_edge.errors import BadInputError
from lenet_edge.formats.tflite import from_bytes, operator_names, read, to_bytes
from lenet_edge.quantized.meaning import meaning_of
from lenet_edge.quantized.model import Flatten, FullyConnected, QTensor, QuantizedModel
from lenet_edge.quantized.verify import verify

MODELS = {
    f"{make.__name__} {grid}": make(grid=grid)
    for make in (sample_models.lenet5, sample_models.lenet5_sigmoid, sample_models.every_layer)
    for grid in ("tie-free", "ordinary")
} | {"average_pool_softmax": sample_models.average_pool_softmax()}


# --- round trip ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(MODELS))
def test_round_trip(name, tmp_path):
    model = MODELS[name]
    data = to_bytes(model)
    assert data[4:8] == b"TFL3"
    again = from_bytes(data)
    assert again == model
    assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]
    assert to_bytes(again) == data == to_bytes(model)
    (tmp_path / "model.tflite").write_bytes(data)
    assert read(tmp_path / "model.tflite") == model


@pytest.mark.parametrize("seed", range(1, 8))
def test_round_trip_of_random_models(seed):
    model = sample_models.every_layer(seed, "ordinary" if seed % 2 else "tie-free")
    assert from_bytes(to_bytes(model)) == model


def test_metadata_is_kept():
    model = sample_models.every_layer().with_metadata(
        arch="every", classes=["α", "b", "c", "d", "e"], nested={"a": [1]}
    )
    again = from_bytes(to_bytes(model))
    assert {key: again.metadata[key] for key in model.metadata} == dict(model.metadata)
    assert meaning_of(again).classes == ("α", "b", "c", "d", "e")
    assert again.metadata["fingerprint"] == model.fingerprint


@pytest.mark.parametrize(("clamp_min", "zero_point", "scale"), [(-128, -128, 0.1), (-3, -3, 0.05), (-128, 5, 0.05)])
def test_fused_relu_is_a_clamp(clamp_min, zero_point, scale):
    model = hand_made(zero_point=zero_point, scale=scale, clamp_min=clamp_min)
    assert from_bytes(to_bytes(model)) == model


def test_relu6_and_relu_n1_to_1():
    for clamp in ((-10, 50), (-20, 0)):
        model = hand_made(zero_point=-10, scale=0.1, clamp_min=clamp[0], clamp_max=clamp[1])
        assert from_bytes(to_bytes(model)) == model


def test_a_clamp_that_no_activation_gives_is_refused():
    with pytest.raises(BadInputError, match=r"layer fc: no fused activation .* -7\.\.99"):
        to_bytes(hand_made(clamp_min=-7, clamp_max=99))


def hand_made(zero_point=0, scale=0.1, *, channels=2, per_channel=True, **clamp):
    source, target = QTensor((3,), 0.5, 0), QTensor((channels,), float(np.float32(scale)), zero_point)
    weights, bias = np.arange(3 * channels, dtype=np.int8).reshape(channels, 3), np.arange(channels, dtype=np.int32)
    scales = np.full(channels, 0.25, np.float32)
    return verify(
        QuantizedModel((FullyConnected("fc", source, target, weights, bias, scales, **clamp, per_channel=per_channel),))
    )


def test_one_scale_for_a_fully_connected():
    model = hand_made(per_channel=False)
    again = from_bytes(to_bytes(model))
    assert again == model
    assert not again.layers[0].per_channel


def test_operator_names_are_each_once_in_order():
    names = ["CONV_2D", "DEPTHWISE_CONV_2D", "TANH", "MAX_POOL_2D", "RESHAPE", "FULLY_CONNECTED", "LOGISTIC"]
    assert operator_names(sample_models.every_layer()) == names


def test_constants_are_aligned_to_16_bytes():
    model = sample_models.lenet5()
    data = to_bytes(model)
    for layer in model.layers:
        if hasattr(layer, "weights"):
            assert data.index(layer.weights.tobytes()) % 16 == 0
            assert data.index(layer.bias.tobytes()) % 16 == 0


# --- files from elsewhere and named errors: the object tree of a good file, changed ------------------


def rebuilt(change, model=None):
    """The bytes of a sample model after `change(model tree, graph)`, without lenet-edge's metadata."""
    tree = schema.ModelT.InitFromPackedBuf(to_bytes(model or sample_models.every_layer()), 0)
    tree.metadata = []
    change(tree, tree.subgraphs[0])
    return packed(tree)


def packed(tree):
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(tree.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def test_a_file_without_our_metadata_is_read():
    assert from_bytes(rebuilt(lambda tree, graph: None)) == sample_models.every_layer()


def test_one_scale_of_a_convolution_is_for_all_channels():
    def change(_, graph):
        for index in graph.operators[0].inputs[1:]:
            quantization = graph.tensors[index].quantization
            quantization.scale, quantization.zeroPoint = quantization.scale[:1], [0]

    scales = from_bytes(rebuilt(change)).layers[0].weight_scales
    assert scales.shape == (4,)
    assert np.ptp(scales) == 0


def test_no_bias_is_a_bias_of_zeros():
    def change(_, graph):
        graph.operators[-1].inputs = [*graph.operators[-1].inputs[:2], -1]

    assert not from_bytes(rebuilt(change)).layers[-1].bias.any()


def test_fully_connected_flattens_by_itself():
    def change(_, graph):
        reshape, following = graph.operators[4:6]
        following.inputs = [reshape.inputs[0], *following.inputs[1:]]
        del graph.operators[4]

    model, original = from_bytes(rebuilt(change)), sample_models.every_layer()
    assert [type(layer) for layer in model.layers] == [type(layer) for layer in original.layers]
    assert isinstance(model.layers[4], Flatten)
    assert model == original


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


def set_type(index, kind):
    def change(_, graph):
        graph.tensors[graph.operators[0].inputs[0] if index is None else index].type = kind

    return change


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


def not_a_chain(_, graph):
    graph.operators[2].inputs = [graph.inputs[0]]


def another_output(_, graph):
    graph.outputs = [graph.operators[1].outputs[0]]


def dilated(_, graph):
    graph.operators[0].builtinOptions.dilationWFactor = 2


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
    "tensor image is FLOAT32, not INT8: only models that are int8 throughout": all_float,
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
    "its input scale is nan": change_tensor(IMAGE, quantization__scale=[float("nan")]),
    "its input scale is inf": change_tensor(IMAGE, quantization__scale=[float("inf")]),
    "its input scale is 0.0": change_tensor(IMAGE, quantization__scale=[0.0]),
    "its input zero point is 4000000000": change_tensor(IMAGE, quantization__zeroPoint=[4 * 10**9]),
    "one input and one output": two_inputs,
    "must have one input and one output": two_outputs,
    "the model has 2 subgraphs": two_subgraphs,
    "the model has 0 operators": no_operators,
    r"operator 2 \(TANH\) does not read the operator before": not_a_chain,
    "last operator does not write the model's output": another_output,
    "dilated convolutions": dilated,
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


def test_shared_names_and_long_vtables_do_not_multiply_time():
    """60,000 tables that share one name of megabytes, or one vtable of 64 KB."""
    for vtable, content in ((8, b"a" * (8 << 20)), (65_534, bytes(65_534))):
        start = time.monotonic()
        with pytest.raises(BadInputError, match=r"names in the .tflite are more than|fields that are not known"):
            from_bytes(_many_metadata(60_000, vtable, content))
        assert time.monotonic() - start < 2


def _many_metadata(count, vtable_length, content):
    """A file whose root has `count` times the same table Metadata, with a name of that content."""
    table = 112 + 4 * count
    data = bytearray(table + 16)
    struct.pack_into("<I4s", data, 0, 64, b"TFL3")
    struct.pack_into("<HH7H", data, 32, 18, 8, 0, 0, 0, 0, 0, 0, 4)  # the root's vtable: metadata alone
    struct.pack_into("<iIHHHH", data, 64, 32, 28, 8, 8, 4, 0)  # the root, and from 72 on another vtable
    struct.pack_into("<I", data, 96, count)
    for index in range(count):
        struct.pack_into("<I", data, 100 + 4 * index, table - (100 + 4 * index))
    struct.pack_into("<HH", data, 72, vtable_length, 8)
    struct.pack_into("<iI", data, table, table - 72, 12)
    return bytes(data) + struct.pack("<I", len(content)) + content + bytes(8)


# --- fuzzing -------------------------------------------------------------------------------------

FILES = [to_bytes(make()) for make in (sample_models.every_layer, sample_models.average_pool_softmax)]
# Without the fingerprint a changed file is not refused at once, as one from elsewhere would not be.
FILES += [data.replace(b"lenet_edge\0", b"xenet_edge\0") for data in FILES]
WORDS = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x10000, 0x7F800000)


def survives(data):
    """Reading gives BadInputError or a model that verifies, within a second; returns whether a model."""
    start = time.monotonic()
    try:
        model = from_bytes(bytes(data))
    except BadInputError as error:
        assert str(error)  # noqa: PT017 - every other exception is the failure
        return False
    finally:
        assert time.monotonic() - start < 1
    verify(model)
    return True


def mutated(data, random):
    """The data after one of five kinds of damage."""
    data = bytearray(data)
    position = int(random.integers(len(data)))
    kind = random.integers(5)
    if kind == 0:
        for place in random.integers(len(data), size=3):
            data[place] ^= 1 << random.integers(8)
    elif kind == 1:
        for place in random.integers(len(data), size=5):
            data[place] = random.integers(256)
    elif kind == 2:
        position = position // 4 * 4
        data[position : position + 4] = int(random.choice(WORDS)).to_bytes(4, "little")
    elif kind == 3:
        del data[position : position + int(random.integers(1, 9))]
    else:
        other = int(random.integers(len(data)))
        data[position : position + 32] = data[other : other + 32]
    return data


@pytest.mark.parametrize("index", range(len(FILES)))
def test_fuzz_mutations(index):
    random = np.random.default_rng(index)
    outcomes = {survives(mutated(FILES[index], random)) for _ in range(350)}
    assert outcomes == {True, False}  # the damage reaches deep: some is in a weight, some in an offset


@pytest.mark.parametrize("index", range(len(FILES)))
def test_fuzz_truncation(index):
    data = FILES[index]
    lengths = {*range(0, len(data), 29), *range(40), *range(len(data) - 40, len(data))}
    # The end of the file holds no more than padding, so the last few bytes may not be missed.
    assert sum(survives(data[:length]) for length in lengths) <= 16


def test_fuzz_single_bytes():
    """Single bytes set to 0, to 255 and with the lowest bit flipped."""
    data = FILES[2]
    random = np.random.default_rng(0)
    for position in random.choice(len(data), 80, replace=False):
        for value in (0, 255, data[position] ^ 1):
            survives(data[:position] + bytes([value]) + data[position + 1 :])


def test_fuzz_random_bytes():
    random = np.random.default_rng(0)
    for length in range(300):
        body = random.integers(256, size=length, dtype=np.uint8).tobytes()
        assert not survives(body)
        assert not survives(b"\x1c\0\0\0TFL3" + body)


def test_names_do_not_have_to_be_unique():
    model = sample_models.every_layer()
    same = QuantizedModel(tuple(replace(layer, name="same") for layer in model.layers))
    assert from_bytes(to_bytes(same)) == model
