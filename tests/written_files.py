"""Small .tflite files with ends of any type and number, written with LiteRT's own schema classes."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from tflite_trees import packed

TYPES = {"int8": schema.TensorType.INT8, "uint8": schema.TensorType.UINT8, "float32": schema.TensorType.FLOAT32}
TYPES["int32"] = schema.TensorType.INT32


class File:
    """A file under construction; tensors and operators are added in the order of the calls."""

    def __init__(self):
        self.tree, self.graph = schema.ModelT(), schema.SubGraphT()
        self.tree.version, self.tree.operatorCodes, self.tree.subgraphs = 3, [], [self.graph]
        self.tree.buffers = [schema.BufferT()]
        self.graph.tensors, self.graph.operators = [], []

    def tensor(self, name, shape, kind="int8", scale=None, zero_point=0, data=None):
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name, list(shape), TYPES[kind], 0
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
            self.tree.buffers.append(buffer)
            tensor.buffer = len(self.tree.buffers) - 1
        if scale is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = [scale], [zero_point]
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def operator(self, name, inputs, outputs, options=None, version=1):
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), version
        self.tree.operatorCodes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self.tree.operatorCodes) - 1
        operator.inputs, operator.outputs = inputs, outputs
        if options is not None:
            operator.builtinOptions = options
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
        self.graph.operators.append(operator)

    def reshape(self, source, target, shape):
        options = schema.ReshapeOptionsT()
        options.newShape = list(shape)
        sizes = np.array(shape, np.int32)
        constant = self.tensor(f"shape {target}", sizes.shape, "int32", data=sizes)
        self.operator("RESHAPE", [source, constant], [target], options)

    def to_bytes(self, inputs, outputs):
        self.graph.inputs, self.graph.outputs = inputs, outputs
        return packed(self.tree)


def with_ends(kind, scale=0.05, zero_point=-3):
    """One MAX_POOL_2D of 2x2 on int8 ``[1, 4, 4, 1]``, with ends of `kind`."""
    file = File()
    within = [
        file.tensor("a", (1, 4, 4, 1), "int8", scale, zero_point),
        file.tensor("b", (1, 2, 2, 1), "int8", scale, zero_point),
    ]
    options = schema.Pool2DOptionsT()
    options.filterHeight = options.filterWidth = options.strideH = options.strideW = 2
    options.padding = schema.Padding.VALID
    ends = within
    if kind != "int8":
        scaling = (scale, zero_point + 128) if kind == "uint8" else ()
        ends = [file.tensor("in", (1, 4, 4, 1), kind, *scaling), file.tensor("out", (1, 2, 2, 1), kind, *scaling)]
        file.operator("QUANTIZE", [ends[0]], [within[0]], schema.QuantizeOptionsT())
    file.operator("MAX_POOL_2D", [within[0]], [within[1]], options, version=2)
    if kind == "uint8":
        file.operator("QUANTIZE", [within[1]], [ends[1]], schema.QuantizeOptionsT())
    elif kind == "float32":
        file.operator("DEQUANTIZE", [within[1]], [ends[1]], schema.DequantizeOptionsT(), version=2)
    return file.to_bytes([ends[0]], [ends[1]])


def with_two_ends():
    """Inputs ``[1, 2, 3]`` and ``[1, 4]``; outputs the second as ``[1, 2, 2]``, then the first as ``[1, 6]``.

    Their tensors' numbers run against the order of the inputs and outputs.
    """
    file = File()
    out_first = file.tensor("out first", (1, 6), scale=0.5)
    out_second = file.tensor("out second", (1, 2, 2), scale=0.25)
    second = file.tensor("second", (1, 4), scale=0.25)
    first = file.tensor("first", (1, 2, 3), scale=0.5)
    file.reshape(first, out_first, (1, 6))
    file.reshape(second, out_second, (1, 2, 2))
    return file.to_bytes([first, second], [out_second, out_first])


def names_twice():
    """Two RESHAPE whose outputs have one name, then a third with its own."""
    file = File()
    tensors = [file.tensor(name, shape, scale=0.5) for name, shape in (("in", (1, 6)), ("x", (1, 2, 3)))]
    tensors += [file.tensor(name, shape, scale=0.5) for name, shape in (("x", (1, 3, 2)), ("y", (1, 6)))]
    for source, target, shape in zip(tensors, tensors[1:], ((1, 2, 3), (1, 3, 2), (1, 6)), strict=False):
        file.reshape(source, target, shape)
    return file.to_bytes(tensors[:1], tensors[-1:])
