"""What the functions return; of `check` it is a `records.CheckRecord`, of `build` a `hardware.firmware.Firmware`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lenet_edge.quantized.proof import Proof
    from lenet_edge.records import Confusion

__all__ = ["Answer", "Epoch", "Exported", "Quantized", "Ran", "Trained"]


@dataclass(frozen=True)
class Epoch:
    """How an epoch of a training went.

    Attributes:
        loss: mean over the epoch.
        validation_accuracy: at its end, 0..1.
    """

    loss: float
    validation_accuracy: float


@dataclass(frozen=True)
class Trained:
    """A float model.

    Attributes:
        model: the file of the checkpoint.
        network, dataset: their names.
        classes: in the order of the outputs.
        image_shape: height, width, channels.
        history: all epochs, those before an interruption among them.
        validation_accuracy, test_accuracy: 0..1.
        confusion: which test images were taken for what.
    """

    model: Path
    network: str
    dataset: str
    classes: tuple[str, ...]
    image_shape: tuple[int, int, int]
    history: tuple[Epoch, ...]
    validation_accuracy: float
    test_accuracy: float
    confusion: Confusion


@dataclass(frozen=True)
class Quantized:
    """An int8 model.

    Attributes:
        model: the .tflite.
        fingerprint: what names it everywhere.
        classes: in the order of the outputs.
        float_accuracy, int8_accuracy: on the test images, 0..1.
        drop_points, drop_interval: percentage points that int8 loses, and their 95 % interval.
        mcnemar_p: McNemar's exact p.
        sqnr_db: layer -> signal to quantisation noise.
        proof: what was enumerated; None on the ordinary grid, which has none.
        confusion: which test images were taken for what.
    """

    model: Path
    fingerprint: str
    classes: tuple[str, ...]
    float_accuracy: float
    int8_accuracy: float
    drop_points: float
    drop_interval: tuple[float, float]
    mcnemar_p: float
    sqnr_db: Mapping[str, float]
    proof: Proof | None
    confusion: Confusion


@dataclass(frozen=True)
class Exported:
    """Files for a runtime or a project.

    Attributes:
        folder: where they are.
        fingerprint: of the model.
        files: name within the folder -> SHA-256.
        facts: what else the manifest says, such as sizes.
        warnings: what to know about the model.
    """

    folder: Path
    fingerprint: str
    files: Mapping[str, str]
    facts: Mapping[str, Any]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Answer:
    """What a board said of an image.

    Attributes:
        image: its number among the test images.
        file: where it comes from, if it is a picture of a data set.
        name: of the class that the board chose; None if the outputs are not classes.
        probability: of that class.
        label: the right class, if it is known.
        logits: int8, one per output.
    """

    image: int
    file: str | None
    name: str | None
    probability: float | None
    label: str | None
    logits: tuple[int, ...]


@dataclass(frozen=True)
class Ran:
    """A firmware that ran.

    Attributes:
        board, fingerprint: what it said of itself.
        emulator: what ran it; of a real board its port.
        banner: the text with which it started.
        clock_hz: of the board.
        stack_used_bytes: the stack at its deepest.
        stack_proved_bytes, stack_problem: how deep it can get at most; None, and why that is not proved.
        ram_bytes: all RAM without the image.
        answers: one per image.
        logits_differ: from the reference's.
        warnings: what to know about the model.
    """

    board: str
    fingerprint: str
    emulator: str
    banner: str
    clock_hz: int
    stack_used_bytes: int
    stack_proved_bytes: int | None
    stack_problem: str | None
    ram_bytes: int
    answers: tuple[Answer, ...]
    logits_differ: int
    warnings: tuple[str, ...]
