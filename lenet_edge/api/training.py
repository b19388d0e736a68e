"""From data to an int8 model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from lenet_edge.api.results import Epoch, Quantized, Trained
from lenet_edge.cli.from_python import call

__all__ = ["quantize", "train"]


def train(
    data: str | Path = "mnist",
    network: str | Path = "lenet5",
    *,
    recipe: str | None = None,
    epochs: int | None = None,
    seed: int = 0,
    device: str = "cpu",
    class_weights: bool = False,
    no_augmentation: bool = False,
    size: int | tuple[int, int] | None = None,
    colour: bool | None = None,
    crop: Literal["none", "square"] | tuple[int, int, int, int] | None = None,
    transpose: bool | None = None,
    weights: str | Path | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    resume: bool = False,
    plot: str | Path | None = None,
    sheet: str | Path | None = None,
    out: str | Path | None = None,
    quiet: bool = False,
) -> Trained:
    """Train a network in float: `lenet-edge train`.

    Args:
        data: a data set's name, a folder of pictures by class, a .npz, or a folder with IDX files.
        network: a name, a description (TOML), or a PyTorch module (``my_net.py:Net``), whose file is run.
        recipe: another of the network's recipes, by its name.
        epochs, device: the recipe's if None; of torch.
        class_weights: let all classes count the same.
        no_augmentation: learn from the images as they are.
        size, colour, crop: side or (width, height), RGB, and what is cut out: (left, top, width, height) or the middle
            square; what is None is taken from the pictures.
        transpose: swap rows and columns of the images of IDX files or a .npz.
        weights, mean, std: of a PyTorch module, and what its images were normalised by.
        resume: go on with an interrupted training.
        plot, sheet: also draw the curves (.svg, .png), and the worst test images (.png).
        out: ``build/NETWORK.safetensors`` if None.

    Raises:
        BadInputError, CheckFailedError: something does not fit or make sense; the training diverged.
    """
    given = locals()
    return _trained(call("train", **given))


def quantize(
    model: str | Path = "build/lenet5.safetensors",
    data: str | Path = "mnist",
    *,
    epochs: int | None = None,
    seed: int = 0,
    device: str = "cpu",
    grid: Literal["tie-free", "ordinary"] = "tie-free",
    weight_bits: int | str = 8,
    fit_board: str | Path | None = None,
    candidates: int = 3,
    optimize: Literal["speed", "size"] = "speed",
    images: int = 500,
    transpose: bool | None = None,
    weights: str | Path | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    sheet: str | Path | None = None,
    out: str | Path | None = None,
    quiet: bool = False,
) -> Quantized:
    """Quantise a float model to int8, fine-tune it, prove the result: `lenet-edge quantize`.

    Args:
        model: `Trained.model`, a float ``.tflite`` or ``.onnx``, or a PyTorch module (``my_net.py:Net``): it is run.
        data: what it is fine-tuned and tested on, as for `train`.
        epochs: of fine-tuning, the network's if None; 0 is post-training quantisation.
        seed, device: as for `train`.
        grid: "ordinary" is the usual int8 per channel, on which runtimes differ.
        weight_bits: of the weights: 8, 4, 2, or by layer, such as ``"C5=2,F6=4"``.
        fit_board: find the bits of the layers with which the firmware fits this board; `weight_bits` then fixes some.
        candidates, optimize: with `fit_board`, how many allocations are trained at most, and for which firmware.
        images: with a float ``.tflite`` or ``.onnx``, how many training images it is calibrated on.
        transpose: as the model was trained if None.
        weights, mean, std: of a PyTorch module, which needs weights, and what its images were normalised by.
        sheet: also draw the worst test images there, a .png.
        out: ``build/MODEL-int8.tflite`` if None, MODEL being the name of `model`'s file.

    Raises:
        BadInputError: model or data cannot be read or do not fit each other, or an argument makes no sense.
        CheckFailedError: the proof found a disagreement, or nothing fits the board; nothing was written.
        MissingToolError: torch is not installed.
    """
    given = locals()
    return _quantized(*call("quantize", **given))


def _trained(found: Any) -> Trained:
    facts = found.checkpoint.metadata
    height, width, channels = facts["image_shape"]
    return Trained(
        model=found.out,
        network=facts["arch"],
        dataset=facts["dataset"],
        classes=tuple(facts["classes"]),
        image_shape=(height, width, channels),
        history=tuple(Epoch(*epoch) for epoch in found.history),
        validation_accuracy=facts["validation_accuracy"],
        test_accuracy=found.answers.accuracy,
        confusion=found.answers.recorded(),
    )


def _quantized(path: Path, report: Any) -> Quantized:
    compared = report.comparison
    return Quantized(
        model=path,
        fingerprint=report.frozen.fingerprint,
        classes=tuple(report.answers.names),
        float_accuracy=compared.float_accuracy,
        int8_accuracy=report.answers.accuracy,
        drop_points=compared.drop_points,
        drop_interval=compared.drop_interval,
        mcnemar_p=compared.mcnemar_p,
        sqnr_db=report.sqnr_db,
        proof=report.proof,
        confusion=report.answers.recorded(),
    )
