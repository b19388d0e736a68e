"""What the commands feed to a model, and how they warn when pixels are not what it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from lenet_edge.cli import common
from lenet_edge.cli.picture_options import transposes
from lenet_edge.cli.preparing import preparation_of
from lenet_edge.errors import BadInputError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lenet_edge.datasets import LabelArray
    from lenet_edge.preparation import Preparation
    from lenet_edge.quantized.model import QuantizedModel

    Int8Array: TypeAlias = npt.NDArray[np.int8]
    UInt8Array: TypeAlias = npt.NDArray[np.uint8]

__all__ = ["Inputs", "model_warnings", "picture_inputs", "test_inputs"]

_NOISE_IMAGES, _NOISE_BYTES = 10_000, 1 << 28  # of large inputs as many as go into so many bytes


@dataclass(frozen=True, eq=False)
class Inputs:
    """Test inputs.

    Attributes:
        images: int8 ``[n, *model.input.shape]``.
        pixels: the same as uint8 ``[n, h, w]`` or ``[n, h, w, 3]``; of noise for an input of another shape
            ``[n, *model.input.shape]``.
        labels: ``[n]``, or None: noise has none, and a model without classes has no use for them.
        data_sha256: names the whole test set, as `datasets.data_sha256` has it.
        data_images: how many that has; these are the first of them.
        files: the pictures' paths within the data set; empty where the images do not come from pictures.
    """

    images: Int8Array
    pixels: UInt8Array
    labels: LabelArray | None
    data_sha256: str
    data_images: int
    files: tuple[str, ...] = ()


def test_inputs(model: QuantizedModel, data: str, count: int | None, transpose: bool | None) -> Inputs:
    """The first `count` test images of a data set, or all; noise comes in the shape that the model takes.

    Args:
        transpose: rows and columns of images that are stored as arrays; None leaves it to the model.

    Raises:
        BadInputError: the model takes another shape, or a label of the data set is not one of its classes.
    """
    from lenet_edge import datasets
    from lenet_edge.quantized.meaning import meaning_of
    from lenet_edge.quantized.reference import quantize_images

    transpose = transposes(data, transpose, model.metadata.get("transposed"))
    if data == datasets.NOISE:
        pixels = _noise(model, count)
        return Inputs(_as_int8(pixels), pixels, None, datasets.data_sha256(pixels, None), len(pixels))
    is_picture = len(model.input.shape) == 3 and model.input.shape[2] in (1, 3)
    preparation = preparation_of(model) if is_picture else None
    tests = datasets.load_test(data, preparation, transpose=transpose, progress=common.log)
    pixels, labels = tests.images, tests.labels
    _require_shape(
        model, quantize_images(pixels[:1]).shape[1:], f"images of {data}", "; --data noise makes inputs of any shape"
    )
    meaning, digest, total = meaning_of(model), datasets.data_sha256(pixels, labels), len(pixels)
    if meaning.kind == "values":
        labels = None
    if labels is not None:
        labels = datasets.renumbered(labels, tests.class_names, meaning.classes)
        meaning.require_labels(labels, data)
    pixels, labels = pixels[:count], None if labels is None else labels[:count]
    return Inputs(quantize_images(pixels), pixels, labels, digest, total, tests.files[:count])


test_inputs.__test__ = False  # type: ignore[attr-defined]  # its name looks like one of pytest's


def picture_inputs(model: QuantizedModel, images: UInt8Array, preparation: Preparation) -> Int8Array:
    """Prepared pictures, uint8 ``[n, h, w]`` or ``[n, h, w, 3]``, as the model takes them, int8 ``[n, h, w, c]``."""
    from lenet_edge.preparation import to_int8

    return to_int8(images, preparation, model.input.scale, model.input.zero_point)


def model_warnings(model: QuantizedModel) -> list[str]:
    """What to know about a model that does not map pixels to classes; each of these also goes to stderr."""
    from lenet_edge.quantized.meaning import meaning_of, pixel_problem

    meaning, problem = meaning_of(model), pixel_problem(model)
    warnings = [] if problem is None else [problem]
    if meaning.kind == "values":
        warnings.append(f"{meaning.no_classes}: no class and no accuracy can be shown")
    for warning in warnings:
        common.log(f"warning: {warning}")
    return warnings


def _require_shape(model: QuantizedModel, shape: tuple[int, ...], what: str, way_out: str) -> None:
    if model.input.shape != shape:
        taken, given = (" x ".join(map(str, sizes)) for sizes in (model.input.shape, shape))
        raise BadInputError(f"the model takes {taken} values, and {what} have {given}{way_out}")


def _noise(model: QuantizedModel, count: int | None) -> UInt8Array:
    from math import prod

    from lenet_edge import datasets

    shape = model.input.shape
    most = max(1, min(_NOISE_IMAGES, _NOISE_BYTES // prod(shape)))
    return datasets.noise(most if count is None else min(most, count), shape=shape)[:count]


def _as_int8(pixels: UInt8Array) -> Int8Array:
    import numpy as np

    return (pixels ^ 0x80).view(np.int8)
