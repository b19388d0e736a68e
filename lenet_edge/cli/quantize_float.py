"""`lenet-edge quantize` of a float file that was trained elsewhere: calibration on pictures, without training."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lenet_edge.cli import common, confusion, picture_options, quantize_module
from lenet_edge.cli.options import refuse_given
from lenet_edge.cli.places import require_place
from lenet_edge.cli.preparing import PrepareOptions
from lenet_edge.cli.quantize_report import Report
from lenet_edge.errors import BadInputError

if TYPE_CHECKING:
    from lenet_edge.datasets import Dataset
    from lenet_edge.post_training import FloatModel, PixelTrial, Quantized
    from lenet_edge.preparation import Preparation

__all__ = ["SUFFIXES", "FloatFile", "quantize_file"]

SUFFIXES = (".tflite", ".onnx")

_FEWEST = 10  # pictures to calibrate with
_TRIED = 300  # pictures on which a range is tried
_COMPARED = 100  # pictures for the signal-to-noise ratios
_CHANCE = 1.5  # times what guessing gives: below it something is wrong with the pictures
_OTHERWISE = "With --grid ordinary it is written all the same, as int8 on which runtimes differ"


@dataclass(frozen=True)
class FloatFile:
    """What the command line says of a float file.

    Attributes:
        images: how many training pictures calibrate.
    """

    path: Path
    data: str
    transpose: bool | None
    prepare: PrepareOptions
    images: int
    grid: str
    out: Path


@dataclass(frozen=True, eq=False)
class _Subject:
    """The float model with its pictures, and what black and white are to it."""

    file: FloatFile
    content: bytes
    model: FloatModel
    dataset: Dataset
    pixels: tuple[float, float]
    trials: list[PixelTrial]

    @property
    def preparation(self) -> Preparation:
        """As the int8 model records it."""
        low, high = self.model.entered(self.pixels)
        return replace(self.dataset.preparation, low=low, high=high)


def refuse_training(epochs: int | None, path: Path) -> None:
    """Refuse what only training takes.

    Raises:
        click.UsageError: such an option was given.
    """
    if epochs:
        raise click.UsageError(
            f"--epochs {epochs}: {path} is a finished float model, which cannot be trained here; it is quantised as it "
            "is (--epochs 0). A network is trained from its description or its PyTorch module: `lenet-edge train`"
        )
    refuse_given(f"with {path.name}, which is not trained", "seed", "device", "weight_bits", "fit_board")
    quantize_module.refuse_without_module()


def quantize_file(file: FloatFile) -> Report:
    """Calibrate, move onto the grid, prove, compare, write.

    Raises:
        BadInputError: the file or the pictures cannot be used; the message says what and where.
        CheckFailedError: runtimes would still differ; nothing was written.
    """
    common.require_apart([file.out, file.out.with_suffix(".json")], [file.path, Path(file.data)])
    require_place(file.out)
    subject = _subject(file)
    _say_range(subject)
    images = subject.dataset.fit_images[: file.images]
    common.log(f"calibrating on {len(images):,} training images of {subject.dataset.name} ...")
    from lenet_edge.post_training import quantize

    tie_free = file.grid == "tie-free"
    found = quantize(subject.model, images, subject.pixels, subject.preparation, tie_free=tie_free)
    report = _report(subject, found, len(images))
    _write(file.out, report)
    return report


# --- what goes in -------------------------------------------------------------------------------------


def _subject(file: FloatFile) -> _Subject:
    from lenet_edge import datasets
    from lenet_edge.files import read_bytes
    from lenet_edge.formats.tflite.reader import MAX_BYTES

    content = read_bytes(file.path, "the float model", "Name it with --model.", limit=MAX_BYTES)
    transpose = picture_options.transposes(file.data, file.transpose, None)
    try:
        asked = file.prepare.requested(_picture_shape(file.path, content))
        dataset = datasets.load(file.data, asked, transpose=transpose, progress=common.log)
        model = _load(file.path, content, dataset.image_shape)
    except BadInputError as error:
        raise _named(file, error) from error
    if len(dataset.fit_images) < _FEWEST:
        raise BadInputError(
            f"{file.data} has {len(dataset.fit_images)} training images; at least {_FEWEST} are needed to find the "
            "range of each tensor, and a few hundred are better"
        )
    return _with_range(file, content, model, dataset)


def _named(file: FloatFile, error: BadInputError) -> BadInputError:
    return error if file.data in str(error) else BadInputError(f"{file.path}: {error}")


def _picture_shape(path: Path, content: bytes) -> tuple[int, int, int] | None:
    from lenet_edge import post_training

    is_onnx = path.suffix == ".onnx"
    return post_training.onnx_picture_shape(content) if is_onnx else post_training.picture_shape(content)


def _load(path: Path, content: bytes, image_shape: tuple[int, int, int]) -> FloatModel:
    from lenet_edge import post_training

    is_onnx = path.suffix == ".onnx"
    return post_training.load_onnx(content, image_shape) if is_onnx else post_training.load_tflite(content, image_shape)


def _with_range(file: FloatFile, content: bytes, model: FloatModel, dataset: Dataset) -> _Subject:
    """Say what black and white are: as the options have it, or the usual range in which the model is best."""
    from lenet_edge.post_training import PIXEL_RANGES, choose_range, real_pictures

    images, labels = dataset.fit_images[:_TRIED], dataset.fit_labels[:_TRIED]
    outputs = model.logits(real_pictures(images[:1], PIXEL_RANGES[0])).shape[1]
    classes = len(dataset.class_names)
    if outputs != classes and (outputs, classes) != (1, 2):
        raise BadInputError(
            f"{file.path} gives {outputs} values, and {file.data} has {classes} classes "
            f"({', '.join(dataset.class_names[:8])}): these pictures are not for this model"
        )
    if file.prepare.low_high is not None:
        return _Subject(file, content, model, dataset, file.prepare.low_high, [])
    pixels, trials = choose_range(model, images, labels)
    return _Subject(file, content, model, dataset, pixels, trials)


def _say_range(subject: _Subject) -> None:
    low, high = subject.pixels
    if not subject.trials:
        return
    tried = ", ".join(f"{trial.pixels[0]:g} to {trial.pixels[1]:g}: {trial.accuracy:.1%}" for trial in subject.trials)
    common.log(
        f"black is {low:g} and white {high:g} to the float model: of the usual ranges the one in which it recognises "
        f"most training images ({tried}); --range LOW HIGH says another"
    )
    best, classes = max(trial.accuracy for trial in subject.trials), len(subject.dataset.class_names)
    if best < _CHANCE / classes:
        common.log(
            f"warning: the float model recognises {best:.1%} of the training images, about what guessing gives: are "
            f"the classes in this order ({', '.join(subject.dataset.class_names[:8])}), and the pictures prepared as "
            "it learned them (--range, --crop, --centred)?"
        )


# --- what comes out -----------------------------------------------------------------------------------


def _report(subject: _Subject, found: Quantized, calibrated_on: int) -> Report:
    from lenet_edge.cli.retie import prove_moved
    from lenet_edge.parity import compare_with_float
    from lenet_edge.post_training import float_classes
    from lenet_edge.preparation import to_int8
    from lenet_edge.quantized.meaning import meaning_of
    from lenet_edge.quantized.reference import run

    proof = None if found.retied is None else prove_moved(found.retied, _OTHERWISE)
    frozen = found.model.with_metadata(**_metadata(subject, calibrated_on), grid=subject.file.grid)
    dataset, meaning = subject.dataset, meaning_of(frozen)
    images, labels = dataset.test_images, dataset.test_labels
    common.log(f"comparing with the float model on {len(images):,} test images ...")
    of_float = float_classes(subject.model, images, subject.pixels)
    entering = to_int8(images, subject.preparation, frozen.input.scale, frozen.input.zero_point)
    outputs = run(frozen, entering)
    said, probabilities = meaning.predictions(outputs), meaning.probabilities(outputs)
    compared = dataset.validation_images[:_COMPARED]
    return Report(
        frozen,
        compare_with_float(of_float, said, labels),
        confusion.Answers(images, labels, probabilities, meaning.classes, dataset.test_files, of_float, said),
        found.sqnr_db(subject.model, compared, subject.pixels, subject.preparation),
        proof,
    )


def _metadata(subject: _Subject, calibrated_on: int) -> dict[str, object]:
    """What the model says of itself, as of one that was trained here."""
    from lenet_edge import datasets
    from lenet_edge.preparation.settings import to_json

    dataset = subject.dataset
    return {
        "arch": subject.file.path.stem,
        "classes": list(dataset.class_names),
        "dataset": dataset.name,
        **({"transposed": True} if dataset.transposed else {}),
        "preparation": to_json(subject.preparation),
        "test_sha256": datasets.data_sha256(dataset.test_images, dataset.test_labels),
        "float_sha256": hashlib.sha256(subject.content).hexdigest(),
        "calibrated_on": calibrated_on,
    }


def _write(out: Path, report: Report) -> None:
    from lenet_edge.files import to_json, write_files
    from lenet_edge.formats import tflite

    report_name = out.with_suffix(".json").name
    contents = {out.name: tflite.to_bytes(report.frozen), report_name: to_json(report.content()).encode()}
    write_files(out.parent, contents)
