"""Teachers: larger networks, trained first, whose distribution over the classes a network learns instead of the labels.

Source: Hinton, Vinyals, Dean 2015, "Distilling the knowledge in a neural network". A network of the size of LeNet-5 is
held by its capacity, not by its training: more epochs on the labels bring nothing, what a teacher says of each
distorted image does.

A teacher costs many times what its pupil costs, so it looks at each image in a fixed number of distortions
only, the *views*. What it says of them is kept, next to its weights: the epochs of a training take one view after the
other and begin again, and so do other seeds and `quantize`. Files are named after the digest of all they depend on.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lenet_edge.errors import BadInputError
from lenet_edge.files import write_file
from lenet_edge.learning import checkpoint, training
from lenet_edge.learning.augmentation import Distortion, distorted, draw
from lenet_edge.learning.lessons import Lessons, View
from lenet_edge.learning.network import TorchNetwork, planes
from lenet_edge.learning.settings import TrainingProgress, TrainingSet, TrainingSettings
from lenet_edge.networks import reader
from lenet_edge.networks.description import Recipe, trained_by

__all__ = ["FOLDER", "VIEWS", "Teaching", "lessons_for"]

FOLDER = Path("build/teachers")
"""Where teachers and what they say are kept, unless the caller says otherwise."""

VIEWS = 16
_FIRST_SEED = 1000  # of the teachers: not one that a pupil is likely to have
_BATCH = 1000
_LEAST = -20.0  # of a logarithm of a probability, which float16 keeps
_FORMAT = 1  # of the files of views

Log: TypeAlias = Callable[[str], None]
Report: TypeAlias = Callable[[TrainingProgress], None]


@dataclass(frozen=True, eq=False)
class Teaching:
    """What teaching needs besides the recipe.

    Attributes:
        folder: of teachers and views.
        device: of torch.
        say: called with what is being done, a line each.
        progress: of a teacher's training.
    """

    folder: Path = FOLDER
    device: str = "cpu"
    say: Log = lambda _: None
    progress: Report = lambda _: None


def lessons_for(
    recipe: Recipe, data: TrainingSet, classes: Sequence[str], dataset: str, how: Teaching
) -> Lessons | None:
    """What the teachers of a recipe say of `data`'s `images_for_pupils`; None where it has none.

    Teachers that are not in the folder are trained, one after the other; an interrupted one goes on.

    Args:
        classes, dataset: names, for the teachers' checkpoints.

    Raises:
        BadInputError: there is no such network, it has a teacher itself, or the folder cannot be written.
        CheckFailedError: a teacher's training diverged.
    """
    if recipe.teacher is None:
        return None
    network = trained_by(reader.load(recipe.teacher), None)
    if network.recipe.teacher is not None:
        raise BadInputError(f"{network.name} is a teacher and has one itself: leave 'teacher' out of its [recipe]")
    teachers, digests = [], []
    for number in range(recipe.teachers):
        settings = TrainingSettings(network, classes, dataset, seed=_FIRST_SEED + number, device=how.device)
        digests.append(_digest([reader.to_json(network), len(classes), data.sha256, settings.seed]))
        path = how.folder / f"{network.name}-{digests[-1]}.safetensors"
        teachers.append(_teacher(path, f"teacher {number + 1} of {recipe.teachers}", data, settings, how))
    return _KeptLessons(data, teachers, digests, recipe, how)


def _teacher(path: Path, place: str, data: TrainingSet, settings: TrainingSettings, how: Teaching) -> TorchNetwork:
    """A teacher from its file, or trained now."""
    if not path.exists():
        how.say(f"{place}: {settings.network.name} is trained, for {settings.epochs_in_all} epochs")
        partial = training.partial_path(path)
        trained = training.train(data, settings, partial, resume=partial.exists(), progress=how.progress)
        checkpoint.save(path, trained.tensors, trained.metadata)
        partial.unlink(missing_ok=True)
    saved = checkpoint.load(path)
    how.say(f"{place}: {path}, validation accuracy {100 * saved.metadata['validation_accuracy']:.2f} %")
    return training.network_of(saved)


class _KeptLessons:
    """What teachers say of a pupil's images, a view at a time; computed when it is first asked for."""

    def __init__(
        self, data: TrainingSet, teachers: list[TorchNetwork], digests: list[str], recipe: Recipe, how: Teaching
    ) -> None:
        self._images, self._teachers, self._how = data.images_for_pupils, teachers, how
        self._distortion = Distortion.of(recipe, data.images)
        self.digest = _digest([_FORMAT, *digests, str(self._distortion), len(self._images)])
        self._seen: dict[int, View] = {}

    def view(self, epoch: int) -> View:
        """That of an epoch, from 0: how its images are distorted, and what the teachers say of them."""
        number = epoch % VIEWS
        if number not in self._seen:
            generator = torch.Generator().manual_seed(number)
            drawn = draw(len(self._images), generator, self._distortion)
            self._seen[number] = View(drawn, self._said(number, drawn))
        return self._seen[number]

    def _said(self, number: int, drawn: Tensor) -> Tensor:
        path = self._how.folder / f"view-{self.digest}-{number:02}.npy"
        shape = (len(self._images), self._teachers[0].classes)
        if (kept := _read(path, shape)) is None:
            self._how.say(f"the teachers look at view {number + 1} of {VIEWS}")
            kept = self._look(drawn)
            content = io.BytesIO()
            np.save(content, kept, allow_pickle=False)
            write_file(path, content.getvalue())
        return torch.from_numpy(kept.astype(np.float32))

    def _look(self, drawn: Tensor) -> npt.NDArray[np.float16]:
        """The logarithm of the teachers' mean distribution, float16 ``[n, classes]``."""
        pixels, parts = planes(self._images), []
        teachers = [teacher.to(self._how.device, memory_format=torch.channels_last) for teacher in self._teachers]  # type: ignore[call-overload]
        with torch.no_grad():
            for chosen in torch.split(torch.arange(len(pixels)), _BATCH):
                batch = pixels[chosen].to(self._how.device).float() / 255
                batch = distorted(batch, drawn[chosen], self._distortion)
                batch = batch.contiguous(memory_format=torch.channels_last)
                mean = torch.stack([teacher.distribution(batch) for teacher in teachers]).mean(0)
                parts.append(mean.log().clamp_min(_LEAST).cpu())
        said: npt.NDArray[np.float16] = torch.cat(parts).half().numpy()
        return said


def _read(path: Path, shape: tuple[int, int]) -> npt.NDArray[np.float16] | None:
    """A kept view; None where there is none, or not a whole one."""
    try:
        kept: npt.NDArray[Any] = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return kept if kept.shape == shape and kept.dtype == np.float16 and np.isfinite(kept).all() else None


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]
