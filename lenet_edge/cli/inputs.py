"""What the commands feed to a model, and how they warn when pixels are not what it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from lenet_edge.cli import common
from lenet_edge.cli.options import refuse_given
from lenet_edge.cli.picture_options import transposes
from lenet_edge.cli.preparing import AS_RECORDED, PrepareOptions
from lenet_edge.errors import BadInputError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lenet_edge.datasets import LabelArray
    from lenet_edge.preparation import Preparation
    from lenet_edge.quantized.model import QuantizedModel

    Int8Array: TypeAlias = npt.NDArray[np.int8]
    UInt8Array: TypeAlias = npt.NDArray[np.uint8]

__all__ = ["Inputs", "model_warnings", "noise_facts", "picture_inputs", "test_inputs", "value_inputs"]

_NOISE_IMAGES, _NOISE_BYTES = 10_000, 1 << 28  # of large inputs as many as go into so many bytes
_NOISE_MACS = 10**10  # multiply-accumulates for all noise of a large model, which still gets at least this many images:
_FEWEST_NOISE = 1000


_WAY_OUT = "; --data noise makes inputs of any shape, and a .npy or .csv can hold your own"


@dataclass(frozen=True, eq=False)
class Inputs:
    """Test inputs.

    Attributes:
        images: int8 ``[n, *model.input.shape]``.
        pixels: the same as uint8 ``[n, h, w]`` or ``[n, h, w, 3]``; of noise for an input of another shape
            ``[n, *model.input.shape]``.
        labels: ``[n]``, or None: noise has none, and a model without classes has no use for them.
        data_sha256: names the whole test set, as `datasets.data_sha256` has it.
        data_images: how many images that has; these are the first of them.
        files: the pictures' paths within the data set; empty where the images do not come from pictures.
        are_pictures: whether these are images of a data set and nobody has said what numbers black and white are;
            false for noise and for values from a file.
        remarks: what the options said of their preparation.
    """

    images: Int8Array
    pixels: UInt8Array
    labels: LabelArray | None
    data_sha256: str
    data_images: int
    files: tuple[str, ...] = ()
    are_pictures: bool = True
    remarks: tuple[str, ...] = ()


def test_inputs(
    model: QuantizedModel,
    data: str,
    count: int | None,
    transpose: bool | None,
    prepare: PrepareOptions = AS_RECORDED,  # noqa: PT028  # no test
) -> Inputs:
    """The first `count` test images of a data set, or all; or noise, or values from a file, in the shape that the model
    takes.

    Args:
        transpose: swap rows and columns of images that are stored as arrays; None leaves it to the model.
        prepare: how pictures are prepared for a model that does not record it.

    Raises:
        BadInputError: the model takes another shape, or a label of the data set is not one of its classes.
    """
    from lenet_edge import datasets
    from lenet_edge.datasets.values import holds_values

    if holds_values(data):
        if transpose is not None:
            refuse_given(f"with --data {data}: its values are in the model's own order", "transpose")
        prepare.refuse(f"with --data {data}: it holds values, not pictures")
        return _value_inputs(model, data, count)
    transpose = transposes(data, transpose, model.metadata.get("transposed"))
    if data == datasets.NOISE:
        prepare.refuse("with --data noise, which has the model's own shape")
        pixels = _noise(model, count)
        digest, total, pixels = datasets.data_sha256(pixels, None), len(pixels), pixels[:count]
        return Inputs(_as_int8(pixels), pixels, None, digest, total, are_pictures=False)
    return _data_set_inputs(model, data, count, transpose, prepare)


test_inputs.__test__ = False  # type: ignore[attr-defined]  # its name looks like one of pytest's


def _data_set_inputs(
    model: QuantizedModel, data: str, count: int | None, transpose: bool, prepare: PrepareOptions
) -> Inputs:
    """The images of a data set, as the model records how pictures are prepared, or as the options say."""
    from lenet_edge import datasets
    from lenet_edge.quantized.meaning import meaning_of
    from lenet_edge.quantized.reference import quantize_images

    is_picture = len(model.input.shape) == 3 and model.input.shape[2] in (1, 3)
    preparation, remark = prepare.applied(model) if is_picture or prepare.are_given else (None, "")
    tests = datasets.load_test(data, preparation, transpose=transpose, progress=common.log)
    pixels, labels = tests.images, tests.labels
    _require_shape(model, quantize_images(pixels[:1]).shape[1:], f"images of {data}", _WAY_OUT)
    meaning, digest, total = meaning_of(model), datasets.data_sha256(pixels, labels), len(pixels)
    if meaning.kind == "values":
        labels = None
    if labels is not None:
        labels = datasets.renumbered(labels, tests.class_names, meaning.classes)
        meaning.require_labels(labels, data)
    pixels, labels = pixels[:count], None if labels is None else labels[:count]
    images = quantize_images(pixels) if preparation is None else picture_inputs(model, pixels, preparation)
    remarks = (remark,) if remark and prepare.are_given else ()
    as_they_are = prepare.low_high is None
    return Inputs(images, pixels, labels, digest, total, tests.files[:count], as_they_are, remarks)


def _value_inputs(model: QuantizedModel, data: str, count: int | None) -> Inputs:
    """The inputs in a .npy, .npz or .csv."""
    from pathlib import Path

    from lenet_edge import datasets
    from lenet_edge.datasets.values import read_values

    found = read_values(Path(data), [tensor.shape for tensor in model.inputs])
    images = value_inputs(model, found.values, data)
    labels = None if found.labels is None else _numbers(model, found.labels, data)
    pixels = _as_pixels(images)
    digest = datasets.data_sha256(pixels, labels)
    return Inputs(
        images[:count],
        pixels[:count],
        None if labels is None else labels[:count],
        digest,
        len(pixels),
        are_pictures=False,
    )


def value_inputs(model: QuantizedModel, values: npt.NDArray[Any], source: str) -> Int8Array:
    """Values ``[n, values]`` as `datasets.values` reads them, as the model takes them; says what was clipped."""
    from lenet_edge.quantized.entering import as_int8
    from lenet_edge.quantized.meaning import input_text

    images, clipped = as_int8(model, values)
    if clipped:
        common.log(
            f"warning: {clipped:,} of {values.size:,} values of {source} are outside the range of the model's input "
            f"and became the nearest value in it: {' and '.join(map(input_text, model.inputs))}"
        )
    return images


def _numbers(model: QuantizedModel, labels: tuple[str, ...], source: str) -> LabelArray | None:
    """The classes that labels name or number; None if the model has no classes."""
    import numpy as np

    from lenet_edge.datasets.dataset import labels_of
    from lenet_edge.quantized.meaning import meaning_of

    meaning = meaning_of(model)
    if meaning.kind == "values":
        return None
    known = {name: index for index, name in enumerate(meaning.classes)}
    numbers = []
    for index, label in enumerate(labels):
        if label not in known and not (label.isascii() and label.isdigit() and len(label) < 9):
            raise BadInputError(f"{source}: the label {label[:40]!r} of input {index} is neither a class nor a number")
        numbers.append(known[label] if label in known else int(label))
    meaning.require_labels(np.array(numbers), source)
    return labels_of(np.array(numbers, np.int64), len(meaning.classes))


def picture_inputs(model: QuantizedModel, images: UInt8Array, preparation: Preparation) -> Int8Array:
    """Prepared pictures, uint8 ``[n, h, w]`` or ``[n, h, w, 3]``, as the model takes them, int8 ``[n, h, w, c]``."""
    from lenet_edge.preparation import to_int8

    return to_int8(images, preparation, model.input.scale, model.input.zero_point)


def model_warnings(model: QuantizedModel, *, pictures: bool = True) -> list[str]:
    """What to know about a model that does not map pixels to classes; each of these also goes to stderr.

    Args:
        pictures: whether it is fed with pixels, and nobody has said what numbers they are.
    """
    from lenet_edge.quantized.meaning import meaning_of, pixel_problem

    meaning, problem = meaning_of(model), None
    if pictures and "preparation" not in model.metadata:
        problem = pixel_problem(model)
    warnings = [] if problem is None else [problem]
    if meaning.kind == "values":
        warnings.append(f"{meaning.no_classes}: no class and no accuracy can be shown")
    warnings += getattr(model.metadata.get("imported"), "notes", ())
    for warning in warnings:
        common.log(f"warning: {warning}")
    return warnings


def _require_shape(model: QuantizedModel, shape: tuple[int, ...], what: str, way_out: str) -> None:
    if model.input.shape != shape:
        taken, given = (" x ".join(map(str, sizes)) for sizes in (model.input.shape, shape))
        raise BadInputError(f"the model takes {taken} values, and {what} have {given}{way_out}")


def noise_facts(model: QuantizedModel) -> tuple[str, int]:
    """What identifies the noise for a model, as `Inputs.data_sha256`, and how much there is."""
    from lenet_edge import datasets

    pixels = _noise(model, None)
    return datasets.data_sha256(pixels, None), len(pixels)


def _noise(model: QuantizedModel, count: int | None) -> UInt8Array:
    """As many inputs as the model runs in minutes; more if more are asked for."""
    from math import prod

    from lenet_edge import datasets
    from lenet_edge.quantized.model import macs

    shape = model.input.shape
    most = max(1, min(_NOISE_IMAGES, _NOISE_BYTES // prod(shape)))
    in_time = _NOISE_MACS // max(1, sum(map(macs, model.layers)))
    usual = min(most, max(_FEWEST_NOISE, in_time))
    return datasets.noise(max(usual, min(most, count or 0)), shape=shape)


def _as_int8(pixels: UInt8Array) -> Int8Array:
    import numpy as np

    return (pixels ^ 0x80).view(np.int8)


def _as_pixels(images: Int8Array) -> UInt8Array:
    """The same as uint8; a grey image has no axis of channels."""
    import numpy as np

    pixels: UInt8Array = images.view(np.uint8) ^ np.uint8(0x80)
    return pixels[..., 0] if pixels.ndim == 4 and pixels.shape[3] == 1 else pixels
