"""Float .tflite files: int8 models with each number as the real one that it stands for, and more operators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from tflite_trees import packed

from lenet_edge.formats.tflite import to_bytes
from lenet_edge.quantized.model import QuantizedModel

_INT8, _INT32, _FLOAT = schema.TensorType.INT8, schema.TensorType.INT32, schema.TensorType.FLOAT32
_NUMBERS = {_INT8: "i1", _INT32: "<i4"}

Change = Callable[["FloatTree"], None]


class FloatTree:
    """LiteRT's object tree of a float file."""

    def __init__(self, model: QuantizedModel) -> None:
        self.tree = schema.ModelT.InitFromPackedBuf(to_bytes(model), 0)
        self.tree.metadata = []
        self.graph = self.tree.subgraphs[0]
        for code in self.tree.operatorCodes:
            code.version = 1
        for tensor in self.graph.tensors:
            self._make_float(tensor)

    def _make_float(self, tensor: Any) -> None:
        quantization, content = tensor.quantization, self.tree.buffers[tensor.buffer].data
        tensor.quantization = None
        if quantization is None or quantization.scale is None or not len(quantization.scale):
            return  # a shape
        if content is not None:
            values = np.frombuffer(bytes(content), _NUMBERS[tensor.type]).reshape(tensor.shape).astype(np.float64)
            axis, scales = quantization.quantizedDimension, np.asarray(quantization.scale, np.float64)
            along = [-1 if each == axis else 1 for each in range(values.ndim)]
            zeros = np.asarray(quantization.zeroPoint, np.float64)
            real = (
                (values - zeros.reshape(along)) * scales.reshape(along)
                if len(scales) > 1
                else (values - zeros) * scales
            )
            self.tree.buffers[tensor.buffer].data = np.frombuffer(real.astype("<f4").tobytes(), np.uint8)
        tensor.type = _FLOAT

    def constant(self, values: Any, dtype: str = "<f4", kind: int = _FLOAT) -> int:
        """A new constant tensor; its index."""
        values = np.asarray(values, dtype)
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        self.tree.buffers.append(buffer)
        return self.tensor(values.shape, kind, len(self.tree.buffers) - 1)

    def tensor(self, shape: tuple[int, ...], kind: int = _FLOAT, buffer: int = 0) -> int:
        """A new tensor; its index."""
        found = schema.TensorT()
        found.shape, found.type, found.buffer = list(shape), kind, buffer
        found.name = f"added {len(self.graph.tensors)}".encode()
        self.graph.tensors.append(found)
        return len(self.graph.tensors) - 1

    def operator(self, name: str, inputs: list[int], output: int, options: Any = None) -> Any:
        """A new operator, which is in no list yet."""
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), 1
        self.tree.operatorCodes.append(code)
        found = schema.OperatorT()
        found.opcodeIndex, found.inputs, found.outputs = len(self.tree.operatorCodes) - 1, inputs, [output]
        if options is not None:
            found.builtinOptions = options
            found.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
        return found

    def before(self, name: str, constant: Any, options: Any, *, first: bool = False) -> None:
        """Let the model's input go through an operator with a constant."""
        old = self.graph.inputs[0]
        shape = tuple(self.graph.tensors[old].shape)
        new = self.tensor(shape)
        operands = [new, self.constant(constant)]
        self.graph.operators.insert(0, self.operator(name, operands[::-1] if first else operands, old, options))
        self.graph.inputs = [new]

    def behind(self, index: int, name: str, constant: Any, options: Any = None) -> None:
        """Let what an operator gives go through another one; `constant` may be None."""
        writer = self.graph.operators[index]
        old = writer.outputs[0]
        new = self.tensor(tuple(self.graph.tensors[old].shape))
        writer.outputs = [new]
        operands = [new] if constant is None else [new, self.constant(constant)]
        self.graph.operators.insert(index + 1, self.operator(name, operands, old, options))

    def bytes(self) -> bytes:
        return packed(self.tree)


def float_file(model: QuantizedModel, *changes: Change) -> bytes:
    """The float file of an int8 model, after changes."""
    tree = FloatTree(model)
    for change in changes:
        change(tree)
    return tree.bytes()


def balanced(model: QuantizedModel, images: np.ndarray) -> tuple[bytes, np.ndarray]:
    """A float file that says every class of some of the images, uint8 ``[n, h, w, c]``, and what it says of each.

    The last biases are such that the mean of every output is 0; black is 0 and white 1.
    """
    from lenet_edge.post_training import load_tflite, real_pictures

    pictures = real_pictures(images, (0.0, 1.0))
    logits = load_tflite(float_file(model), model.input.shape).logits(pictures)

    def centre(tree: FloatTree) -> None:
        bias = tree.graph.tensors[tree.graph.operators[-1].inputs[2]]
        buffer = tree.tree.buffers[bias.buffer]
        values = np.frombuffer(bytes(buffer.data), "<f4") - logits.mean(axis=0)
        buffer.data = np.frombuffer(values.astype("<f4").tobytes(), np.uint8)

    return float_file(model, centre), (logits - logits.mean(axis=0)).argmax(axis=1)


def images_of(shape: tuple[int, int, int], count: int, seed: int = 0) -> np.ndarray:
    """Smooth noise, uint8 ``[n, h, w]`` or ``[n, h, w, c]``."""
    height, width, channels = shape
    sizes = (count, height, width) if channels == 1 else (count, height, width, channels)
    coarse = np.random.default_rng(seed).integers(0, 256, sizes, dtype=np.uint8)
    return (coarse // 2 + np.roll(coarse, 1, 1) // 4 + np.roll(coarse, 1, 2) // 4).astype(np.uint8)


def agreement_db(
    float_model: Any,
    shape: tuple[int, int, int],
    *,
    tie_free: bool = True,
    pixels: tuple[float, float] = (0.0, 1.0),
) -> tuple[float, QuantizedModel]:
    """The signal-to-noise ratio of what the quantised file gives against what the float one gives, and the former."""
    from lenet_edge.post_training import quantize
    from lenet_edge.preparation import Preparation
    from lenet_edge.quantized.tie_free import is_tie_free

    low, high = float_model.entered(pixels)
    preparation = Preparation(*shape, low=low, high=high)
    found = quantize(float_model, images_of(shape, 32), pixels, preparation, tie_free=tie_free)
    assert not tie_free or is_tie_free(found.model)
    last = found.ordinary.layers[found.ordinary.results[0]].name
    return found.sqnr_db(float_model, images_of(shape, 24, seed=1), pixels, preparation)[last], found.model
