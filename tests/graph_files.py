"""Small .tflite files of any operators, written with LiteRT's own schema classes."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from tflite_trees import packed

INT8, UINT8, INT32, FLOAT32 = (getattr(schema.TensorType, name) for name in ("INT8", "UINT8", "INT32", "FLOAT32"))


class GraphFile:
    """Tensors and operators, added one by one; `data` is the file."""

    def __init__(self):
        self.tree = schema.ModelT()
        self.tree.version = 3
        self.tree.buffers, self.tree.operatorCodes, self.graph = [schema.BufferT()], [], schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.tree.subgraphs = [self.graph]

    def tensor(self, shape, scale=0.5, zero_point=0, kind=INT8, values=None, name=None):
        """The index of a new tensor; with `values` it is a constant."""
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type = name or f"t{len(self.graph.tensors)}", list(shape), kind
        tensor.buffer = 0
        if values is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.asarray(values).tobytes(), np.uint8)
            self.tree.buffers.append(buffer)
            tensor.buffer = len(self.tree.buffers) - 1
        if scale is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = [float(each) for each in np.atleast_1d(scale)]
            tensor.quantization.zeroPoint = [zero_point] * len(tensor.quantization.scale)
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def integers(self, values):
        """A constant int32 tensor."""
        values = np.asarray(values, np.int32)
        return self.tensor(values.shape, None, kind=INT32, values=values)

    def operator(self, name, inputs, outputs, options=None, version=1, **fields):
        """Add an operator; `options` is the name of its table, `fields` what it says."""
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), version
        self.tree.operatorCodes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex, operator.inputs, operator.outputs = len(self.tree.operatorCodes) - 1, inputs, outputs
        if options:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, options)
            operator.builtinOptions = getattr(schema, options + "T")()
            for field, value in fields.items():
                setattr(operator.builtinOptions, field, value)
        self.graph.operators.append(operator)
        return outputs[0]

    def data(self, inputs, outputs):
        """The bytes, with these tensors as the model's ends."""
        self.graph.inputs, self.graph.outputs = list(inputs), list(outputs)
        return packed(self.tree)


def one_operator(name, inputs, output, options=None, version=2, **fields):
    """The bytes of a file with one operator.

    Each of the inputs is the (shape, scale, zero point) of an input of the model, or of an int8 constant with its
    values as a fourth, or a list of int32 values; `output` is a (shape, scale, zero point), or a list of them.
    """
    file = GraphFile()
    ends, read = [], []
    for given in inputs:
        if isinstance(given, list):
            read.append(file.integers(given))
        elif len(given) == 4:
            shape, scale, zero_point, values = given
            read.append(file.tensor(shape, scale, zero_point, values=np.asarray(values, np.int8).reshape(shape)))
        else:
            read.append(file.tensor(*given))
            ends.append(read[-1])
    outputs = [file.tensor(*each) for each in (output if isinstance(output, list) else [output])]
    file.operator(name, read, outputs, options, version, **fields)
    return file.data(ends, outputs)
