"""Files that were accepted although TFLM, LiteRT and lenet-edge read different networks from them, or one refuses.

The fingerprint of most was that of the file before the change. The runtimes themselves are the judges: of each change
that is marked so they do not all compute the same integers.
"""

import flatbuffers
import numpy as np
import pytest
import sample_models
import tflite_runtimes
from ai_edge_litert import schema_py_generated as schema

from lenet_edge.errors import BadInputError
from lenet_edge.formats.tflite import from_bytes, to_bytes

CONV, DEPTHWISE, TANH, POOL, RESHAPE, HIDDEN = range(6)  # of sample_models.every_layer
MODEL = sample_models.every_layer()


def read(graph, operator, position):
    return graph.tensors[graph.operators[operator].inputs[position]]


def written(graph, operator):
    return graph.tensors[graph.operators[operator].outputs[0]]


def options_of_another_type(_, graph):
    graph.operators[CONV].builtinOptionsType = schema.BuiltinOptions.SoftmaxOptions
    graph.operators[CONV].builtinOptions = schema.SoftmaxOptionsT()


def options_missing(_, graph):
    graph.operators[POOL].builtinOptionsType, graph.operators[POOL].builtinOptions = 0, None


def zero_points_missing(_, graph):
    read(graph, CONV, 1).quantization.zeroPoint = None


def zero_points_of_another_length(_, graph):
    read(graph, HIDDEN, 1).quantization.zeroPoint = [0]


def depth_multiplier_of_another_model(_, graph):
    graph.operators[DEPTHWISE].builtinOptions.depthMultiplier = 3


def output_that_is_the_input(_, graph):
    hidden, following = graph.operators[6], graph.operators[7]
    hidden.outputs = [hidden.inputs[0]]
    following.inputs = [hidden.inputs[0], *following.inputs[1:]]


def variable(position):
    def change(_, graph):
        read(graph, CONV, position).isVariable = True

    return change


def bias_with_a_zero_point(_, graph):
    quantization = read(graph, CONV, 2).quantization
    quantization.zeroPoint = [5] * len(quantization.scale)


def bias_without_scales(_, graph):
    read(graph, HIDDEN, 2).quantization = None
    written(graph, HIDDEN).quantization.scale = [written(graph, HIDDEN).quantization.scale[0] / 100]
    for quantization in (read(graph, HIDDEN, 1).quantization,):
        quantization.scale, quantization.zeroPoint = quantization.scale[:1], [0]


def no_bias(operator, *index):
    def change(_, graph):
        graph.operators[operator].inputs = [*graph.operators[operator].inputs[:2], *index]

    return change


def one_input_more(_, graph):
    inputs = graph.operators[CONV].inputs
    graph.operators[CONV].inputs = [*inputs, inputs[2]]


def dilation_of_zero(_, graph):
    graph.operators[CONV].builtinOptions.dilationHFactor = 0


def unknown_padding(_, graph):
    graph.operators[DEPTHWISE].builtinOptions.padding = 2


def custom_options(_, graph):
    graph.operators[CONV].customOptions = [1]


def stride_beyond_int16(tree, graph):
    graph.operators[POOL].builtinOptions.strideH = 40_000
    written(graph, POOL).shape = [1, 1, *written(graph, POOL).shape[2:]]
    written(graph, RESHAPE).shape = [1, int(np.prod(written(graph, POOL).shape))]
    tree.buffers[read(graph, RESHAPE, 1).buffer].data = np.array([1, -1], "<i4").view(np.uint8)


def nine_axes_in_the_options_of_reshape(_, graph):
    graph.operators[RESHAPE].builtinOptions.newShape = [1] * 9


def reshape_to_another_shape(tree, graph):
    buffer = tree.buffers[read(graph, RESHAPE, 1).buffer]
    buffer.data = np.array([-1, 4], "<i4").view(np.uint8)


def schema_version_4(tree, _):
    tree.version = 4


def operator_version(tree, _):
    tree.operatorCodes[0].version = 99


def name_that_is_not_utf8(_, graph):
    graph.tensors[0].name = b"\xff\xfe"


def shared_buffer(_, graph):
    written(graph, CONV).buffer = read(graph, CONV, 1).buffer


def output_with_an_empty_constant(tree, graph):
    tree.buffers.append(schema.BufferT())
    tree.buffers[-1].data = []
    written(graph, CONV).buffer = len(tree.buffers) - 1


def first_buffer_with_data(tree, _):
    tree.buffers[0].data = [1, 2, 3, 4]


def memory_plan(tree, graph):
    """TFLM puts all tensors at one address then."""
    plan = np.array([1, 0, len(graph.tensors)] + [0] * len(graph.tensors), "<i4")
    entry, buffer = schema.MetadataT(), schema.BufferT()
    buffer.data = plan.view(np.uint8)
    tree.buffers.append(buffer)
    entry.name, entry.buffer = "OfflineMemoryAllocation", len(tree.buffers) - 1
    tree.metadata = [entry]


def unused(kind, shape):
    def change(_, graph):
        tensor = schema.TensorT()
        tensor.name, tensor.type, tensor.shape = "unused", kind, shape
        graph.tensors.append(tensor)

    return change


def axis_beyond_the_shape(_, graph):
    written(graph, CONV).quantization.quantizedDimension = 9


def sparse(_, graph):
    read(graph, CONV, 1).sparsity = schema.SparsityParametersT()


def outside_the_file(tree, graph):
    buffer = tree.buffers[read(graph, CONV, 1).buffer]
    buffer.offset, buffer.size = 64, len(buffer.data)


# The message, the change, and whether the runtimes are to be seen to differ.
TRAPS = {
    "has options of type 9, not 1": (options_of_another_type, True),
    "has options of type 0, not 5": (options_missing, True),
    "has 4 scales and 0 zero points": (zero_points_missing, True),
    "has 9 scales and 1 zero points": (zero_points_of_another_length, True),
    "depth_multiplier 3 contradicts 4 output channels": (depth_multiplier_of_another_model, True),
    "writes tensor .*, which was written before": (output_that_is_the_input, False),
    r"tensor 1 \(conv/weights\) is variable": (variable(1), True),
    r"tensor 2 \(conv/bias\) is variable": (variable(2), True),
    "bias conv/bias has a zero point that is not 0": (bias_with_a_zero_point, True),
    "bias hidden/bias has 0 scales, not 1": (bias_without_scales, True),
    r"operator 0 \(CONV_2D\) has 2 inputs, not 3": (no_bias(CONV), True),
    r"operator 0 \(CONV_2D\) needs its input 2, the file has tensor -1": (no_bias(CONV, -1), True),
    r"operator 1 \(DEPTHWISE_CONV_2D\) has 2 inputs, not 3": (no_bias(DEPTHWISE), True),
    r"operator 5 \(FULLY_CONNECTED\) needs its input 2, the file has tensor -2": (no_bias(HIDDEN, -2), True),
    r"operator 0 \(CONV_2D\) has 4 inputs, not 3": (one_input_more, True),
    r"its dilation factors are \(0, 1\)": (dilation_of_zero, True),
    "padding 2 is not known": (unknown_padding, True),
    "has custom options": (custom_options, True),
    "its window and stride are .*; runtimes take 1 to 32767": (stride_beyond_int16, False),
    "has 9 axes in its options": (nine_axes_in_the_options_of_reshape, True),
    r"asks for shape \(-1, 4\) of": (reshape_to_another_shape, False),
    "its schema has version 4": (schema_version_4, True),
    "its CONV_2D has version 99; LiteRT knows 1 to 8": (operator_version, True),
    "has a name that is not UTF-8": (name_that_is_not_utf8, True),
    "tensor conv is an operator's input or output and has constant data": (shared_buffer, True),
    "tensor conv is an operator's input or output and has constant data as well": (output_with_an_empty_constant, True),
    "its buffer 0 has data": (first_buffer_with_data, True),
    "its metadata OfflineMemoryAllocation changes how": (memory_plan, True),
    "has type 5, which TFLM or LiteRT does not know": (unused(schema.TensorType.STRING, [2]), True),
    "is used by no operator and takes 4194304 bytes": (unused(schema.TensorType.INT8, [1 << 22]), True),
    "has scales along axis 9 of 4": (axis_beyond_the_shape, True),
    "is sparse": (sparse, True),
    "a buffer lies outside the tables of the file": (outside_the_file, False),
}


def changed(change):
    tree = schema.ModelT.InitFromPackedBuf(to_bytes(MODEL), 0)
    tree.metadata = []
    change(tree, tree.subgraphs[0])
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(tree.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize("message", TRAPS)
def test_it_is_refused(message):
    with pytest.raises(BadInputError, match=message):
        from_bytes(changed(TRAPS[message][0]))


def test_the_runtimes_do_not_read_them_alike():
    images = np.random.default_rng(0).integers(-128, 128, (5, *MODEL.input.shape), dtype=np.int8)
    items = [(changed(lambda *_: None), images), *((changed(change), images) for change, _ in TRAPS.values())]
    original, *found = tflite_runtimes.judged(items)
    assert [original[name] for name in tflite_runtimes.RUNTIMES] == [original["tflm"]] * 4  # it is tie-free
    alike = [
        message
        for (message, (_, differs)), computed in zip(TRAPS.items(), found, strict=True)
        if differs and all(computed.get(name) == original["tflm"] for name in tflite_runtimes.RUNTIMES)
    ]
    assert alike == []
