"""What the outputs and the inputs of a model mean, by what its last layer is: the one place that says so.

An arg-max over one output is always 0, and a softmax over probabilities is meaningless: whatever shows a class, a
distribution or an accuracy, in Python or in generated C, asks here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from lenet_edge.errors import BadInputError
from lenet_edge.quantized.layers import split
from lenet_edge.quantized.model import (
    Flatten,
    Int8Array,
    Int64Array,
    Lookup,
    QTensor,
    QuantizedModel,
    Rescale,
    Reshape,
    Slice,
    Softmax,
)

__all__ = [
    "Figures",
    "Kind",
    "Meaning",
    "input_text",
    "is_image",
    "meaning_of",
    "pixel_problem",
    "require_labels",
    "takes_pixels",
]

Float64Array: TypeAlias = npt.NDArray[np.float64]
Kind: TypeAlias = Literal["logits", "probabilities", "independent", "binary", "values"]
"""What the outputs are:

* "logits": a score for each class; a softmax over them gives the distribution.
* "probabilities": the distribution itself, from a SOFTMAX.
* "independent": for each class the probability that it is there, from a LOGISTIC; they need not add up to 1.
* "binary": one LOGISTIC output: the probability of the second of two classes.
* "values": not one score for each class: a map, a single number, what the model makes of its input again (of an
  autoencoder), or several outputs.
"""


@dataclass(frozen=True)
class Figures:
    """What can be said of outputs that are not classes, in real values.

    Attributes:
        low, high: the smallest and the largest.
        mean_error: the mean absolute difference from the input; None where the outputs do not stand for it.
    """

    low: float
    high: float
    mean_error: float | None


@dataclass(frozen=True)
class Meaning:
    """How int8 outputs are read.

    Attributes:
        kind: see `Kind`.
        classes: the names of the classes; empty for "values".
        tensor: the model's output: shape, scale, zero point.
        source: the model's input, where the outputs stand for its values: those of an autoencoder; else None.
        parts: the outputs of a model that gives several, one behind the other; else empty.
    """

    kind: Kind
    classes: tuple[str, ...]
    tensor: QTensor
    source: QTensor | None = None
    parts: tuple[QTensor, ...] = ()

    @property
    def outputs(self) -> int:
        """How many int8 values an inference gives."""
        return math.prod(self.tensor.shape)

    @property
    def threshold(self) -> int:
        """Of "binary": the largest int8 that still means the first class, that is a probability of at most 1/2."""
        return math.floor(0.5 / self.tensor.scale) + self.tensor.zero_point

    def real(self, outputs: Int8Array) -> Float64Array:
        """The real values of int8 outputs, in the same shape; of several outputs ``[n, outputs]``."""
        if not self.parts:
            return _real(outputs, self.tensor)
        pieces = zip(split(outputs, self.parts), self.parts, strict=True)
        return np.concatenate([_real(piece, part) for piece, part in pieces], axis=-1)

    def figures(self, outputs: Int8Array, inputs: Int8Array) -> Figures:
        """What the outputs are like.

        Args:
            outputs: int8 ``[n, outputs]``, of at least one input.
            inputs: those that they are of, int8 ``[n, ...]``.
        """
        real = self.real(outputs)
        error = None
        if self.source is not None:
            error = float(np.abs(real - _real(inputs.reshape(outputs.shape), self.source)).mean())
        return Figures(float(real.min()), float(real.max()), error)

    def predictions(self, outputs: Int8Array) -> Int64Array:
        """The index of the class: int8 ``[n, outputs]`` to int64 ``[n]``; of several largest the first.

        Raises:
            BadInputError: the outputs are not classes.
        """
        self.require_classes()
        if self.kind == "binary":
            return (outputs[:, 0] > self.threshold).astype(np.int64)
        return outputs.argmax(axis=1).astype(np.int64)

    def probabilities(self, outputs: Int8Array) -> Float64Array:
        """The probability of each class: int8 ``[n, outputs]`` to ``[n, classes]``.

        Only logits go through a softmax. What the model gives as probabilities is
        shown as it is: rounded to its scale, so that a sum may miss 1 by a little.

        Raises:
            BadInputError: the outputs are not classes.
        """
        self.require_classes()
        real = self.real(outputs)
        if self.kind == "binary":
            return np.concatenate([1 - real, real], axis=1)
        if self.kind == "logits":
            exp = np.exp(real - real.max(axis=1, keepdims=True))
            real = exp / exp.sum(axis=1, keepdims=True)
        return real

    @property
    def counted(self) -> str:
        """The number of outputs in words: ``5 x 5 x 10 values``, or ``4 values and 2 x 3 values``."""
        if self.parts:
            return " and ".join(Meaning("values", (), part).counted for part in self.parts)
        return f"{' x '.join(map(str, self.tensor.shape))} {'value' if self.outputs == 1 else 'values'}"

    @property
    def no_classes(self) -> str:
        """Of "values": why there are no classes."""
        if self.source is not None:
            return f"the model gives {self.counted}, as many as it takes, not one score for each class"
        return f"the model gives {self.counted}, not one score for each class"

    def require_classes(self) -> None:
        """Refuse outputs that are not classes.

        Raises:
            BadInputError: of the kind "values".
        """
        if self.kind == "values":
            raise BadInputError(f"{self.no_classes}: it has no class to show")

    def require_labels(self, labels: npt.NDArray[Any], source: str) -> None:
        """`require_labels` for the model's classes; also refuses outputs that are not classes."""
        self.require_classes()
        require_labels(labels, len(self.classes), source)


def require_labels(labels: npt.NDArray[Any], classes: int, source: str) -> None:
    """Refuse labels that are not classes of a model.

    Args:
        labels: integers ``[n]``.
        classes: how many the model has.
        source: what the labels are of, for the message.

    Raises:
        BadInputError: a label is below 0 or beyond the classes.
    """
    low, high = (int(labels.min()), int(labels.max())) if len(labels) else (0, 0)
    if low < 0 or high >= classes:
        known = f"{classes} classes, 0 to {classes - 1}" if classes > 1 else "1 class, 0"
        raise BadInputError(
            f"the labels of {source} are {low} to {high}, and the model has {known}: these images are not for this "
            "model. Name its own with --data"
        )


def meaning_of(model: QuantizedModel) -> Meaning:
    """What the model's outputs mean; steps at the end that only change shape, extent or scale do not count.

    Outputs of the input's shape are its values again, unless the model names its classes.
    """
    tensor, named = model.output, model.metadata.get("classes")
    if len(model.outputs) > 1:
        return Meaning("values", (), tensor, parts=model.outputs)
    kind = _kind(_deciding(model), tensor)
    count = {"values": 0, "binary": 2}.get(kind, math.prod(tensor.shape))
    is_named = count > 0 and isinstance(named, (list, tuple)) and len(named) == count
    same = len(model.inputs) == 1 and model.input.shape == tensor.shape and math.prod(tensor.shape) > 1
    if same and kind in ("logits", "values") and not is_named:
        return Meaning("values", (), tensor, source=model.input)
    return Meaning(kind, _class_names(named, count), tensor)


def _deciding(model: QuantizedModel) -> Any:
    """The layer that says what the model's one output is; None where that is its input, moved."""
    index = model.results[0]
    while index >= 0:
        layer = model.layers[index]
        passes = isinstance(layer, (Flatten, Reshape, Slice)) or (
            isinstance(layer, Rescale) and layer.operator == "QUANTIZE"
        )
        if not passes:
            return layer
        index = model.reads[index][0]
    return None


def _real(values: Int8Array, tensor: QTensor) -> Float64Array:
    real: Float64Array = (values.astype(np.float64) - tensor.zero_point) * tensor.scale
    return real


def _kind(last: Any, tensor: QTensor) -> Kind:
    count = math.prod(tensor.shape)
    if not tensor.shape or count != tensor.shape[-1]:  # [1, 1, 10] is a vector, [5, 5, 10] a map
        return "values"
    if isinstance(last, Softmax):  # over its last axis: [5, 5, 2] made flat is 25 distributions
        return "probabilities" if last.output.shape[-1] == count else "values"
    if isinstance(last, Lookup) and last.function == "sigmoid":
        return "binary" if count == 1 else "independent"
    return "logits" if count > 1 and last is not None else "values"


def _class_names(names: Any, count: int) -> tuple[str, ...]:
    """The model's names where it has as many as classes, else numbers; equal names are told apart by their number."""
    if not isinstance(names, (list, tuple)) or len(names) != count:
        return tuple(map(str, range(count)))
    texts = [str(name) for name in names]
    return tuple(text if texts.count(text) == 1 else f"{text} ({index})" for index, text in enumerate(texts))


# --- inputs -----------------------------------------------------------------------------------------


def takes_pixels(tensor: QTensor) -> bool:
    """Whether ``pixel - 128`` is the int8 of ``pixel / 255`` for every pixel, in the input's scale and zero point.

    It is for the scale float32(1/255) and zero point -128, and for the scales a few millionths away that
    converters measure.
    """
    pixels = np.arange(256)
    return bool((np.rint(pixels / 255 / tensor.scale) + tensor.zero_point == pixels - 128).all())


def is_image(tensor: QTensor) -> bool:
    """Whether the input may be called an image: ``[h, w, c]`` with up to four channels, in pixels."""
    return len(tensor.shape) == 3 and tensor.shape[2] <= 4 and takes_pixels(tensor)


def input_text(tensor: QTensor) -> str:
    """The rule of the input: ``real value = 0.5 * (int8 + 3)``."""
    zero_point = tensor.zero_point
    shifted = "int8" if zero_point == 0 else f"(int8 {'-' if zero_point > 0 else '+'} {abs(zero_point)})"
    return f"real value = {np.float32(tensor.scale)!s} * {shifted}"


def pixel_problem(model: QuantizedModel) -> str | None:
    """What to know before feeding the model ``pixel - 128``; None where that is ``pixel / 255``."""
    tensor = model.input
    if takes_pixels(tensor):
        return None
    low, high = ((value - tensor.zero_point) * tensor.scale for value in (-128, 127))
    return (
        f"the model's input has scale {np.float32(tensor.scale)!s} and zero point {tensor.zero_point}: "
        f"{input_text(tensor)}. A pixel goes in as pixel - 128, which the model reads as {low:.6g} (black) to "
        f"{high:.6g} (white), not as 0 to 1: results mean something only if it was trained on that range"
    )
