"""The checkpoint of an unfinished training: the weights so far, with what a training needs to go on from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from lenet_edge.errors import BadInputError
from lenet_edge.learning import checkpoint
from lenet_edge.learning.checkpoint import Checkpoint
from lenet_edge.learning.network import Arrays, TorchNetwork, fold, load_tensors, to_tensors
from lenet_edge.networks.description import Recipe

__all__ = ["History", "State", "described", "partial_path", "read_history", "restore", "save"]

History: TypeAlias = list[tuple[float, float]]
"""A row per finished epoch: mean loss and validation accuracy, 0..1."""

_MUST_AGREE = (
    "arch",
    "classes",
    "dataset",
    "data_sha256",
    "epochs",
    "seed",
    "recipe",
    "network",
    "preparation",
    "initial_sha256",
    "lessons",
)


@dataclass(eq=False)
class State:
    """What changes from epoch to epoch; a partial checkpoint holds all of it.

    Attributes:
        validation_accuracy: 0..1, of the result as it is after the last finished epoch.
        average: the moving average of the weights, where the recipe has one.
    """

    model: TorchNetwork
    optimizer: torch.optim.AdamW
    recipe: Recipe
    validation_accuracy: float
    average: TorchNetwork | None = None
    history: History = field(default_factory=list)

    @property
    def result(self) -> TorchNetwork:
        """What the training would give now."""
        return self.model if self.average is None else self.average

    def follow(self) -> None:
        """Let the average follow the weights by a step; what batch normalisation has seen it takes as it is.

        Source: Polyak, Juditsky 1992, "Acceleration of stochastic approximation by averaging", as a moving average.
        """
        if self.average is None:
            return
        with torch.no_grad():
            for mean, weight in zip(self.average.parameters(), self.model.parameters(), strict=True):
                mean.lerp_(weight, 1 - self.recipe.averaging)
            for kept, seen in zip(self.average.buffers(), self.model.buffers(), strict=True):
                kept.copy_(seen)


def partial_path(path: Path) -> Path:
    """Where an unfinished training that is to become `path` keeps its state: ``x.partial.safetensors``."""
    return path.with_name(f"{path.stem}.partial{path.suffix}")


def described(state: State, metadata: dict[str, Any]) -> dict[str, Any]:
    """The metadata of a checkpoint, with how far the training has come."""
    return {
        **metadata,
        "epochs_done": len(state.history),
        "validation_accuracy": state.validation_accuracy,
    }


def save(path: Path, state: State, metadata: dict[str, Any]) -> None:
    """Write the partial checkpoint: folded weights under their own names, the rest with the prefix ``resume.``.

    Raises:
        BadInputError: it cannot be written.
    """
    resume: Arrays = {}
    for name, parameter in _trained(state):
        for moment, value in state.optimizer.state[parameter].items():
            resume[f"{moment}.{name}"] = value.cpu().numpy()
    resume |= {f"state.{name}": array for name, array in to_tensors(state.model).items()}
    if state.average is not None:
        resume |= {f"average.{name}": array for name, array in to_tensors(state.average).items()}
    resume["history"] = np.array(state.history, np.float64).reshape(-1, 2)
    prefixed = {checkpoint.RESUME_PREFIX + name: array for name, array in resume.items()}
    checkpoint.save(path, to_tensors(fold(state.result)) | prefixed, described(state, metadata))


def restore(state: State, path: Path, metadata: dict[str, Any]) -> None:
    """Take the state from a partial checkpoint.

    Raises:
        BadInputError: it is missing or damaged, or belongs to another training.
    """
    saved = checkpoint.load(path)
    if differing := _differences(saved.metadata, metadata):
        raise BadInputError(
            f"{path} belongs to another training: {differing}. "
            "Resume with the arguments it was started with, or train again without --resume."
        )
    if "history" not in saved.resume:
        raise BadInputError(f"{path} is a finished checkpoint: there is nothing to resume. Train without --resume.")
    try:
        _take_state(state, saved)
    except (KeyError, TypeError, ValueError, OverflowError, RuntimeError) as error:
        raise BadInputError(
            f"{path}: another version of lenet-edge wrote its state ({error}). Train again without --resume."
        ) from error


def _take_state(state: State, saved: Checkpoint) -> None:
    load_tensors(state.model, {name: saved.resume[f"state.{name}"] for name in state.model.state_dict()})
    if state.average is not None:
        load_tensors(state.average, {name: saved.resume[f"average.{name}"] for name in state.average.state_dict()})
    state.validation_accuracy = float(saved.metadata["validation_accuracy"])
    state.history = _history(saved)
    if state.history:
        _restore_optimizer(state, saved.resume)


def _history(saved: Checkpoint) -> History:
    return [(float(loss), float(accuracy)) for loss, accuracy in saved.resume["history"]]


def read_history(path: Path) -> History:
    """What a training left of its epochs in a partial checkpoint, those before an interruption among them.

    Raises:
        BadInputError: the file is missing or damaged, or not a partial checkpoint.
    """
    try:
        return _history(checkpoint.load(path))
    except (KeyError, TypeError, ValueError) as error:
        raise BadInputError(f"{path} does not say how its epochs went ({error})") from error


def _differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """What keeps a training from going on; the SHA-256 of data is shortened to what one can compare by eye."""
    return "; ".join(
        f"{key} is {str(there.get(key))[:60]} there and {str(here.get(key))[:60]} here"
        for key in _MUST_AGREE
        if there.get(key) != here.get(key)
    )


def _restore_optimizer(state: State, resume: Mapping[str, npt.NDArray[Any]]) -> None:
    for name, parameter in _trained(state):
        moments = {"step": torch.from_numpy(resume[f"step.{name}"].copy())}
        for key in ("exp_avg", "exp_avg_sq"):
            # In the parameter's own memory layout: the fused optimiser walks both as flat arrays.
            moments[key] = torch.empty_like(parameter, requires_grad=False)
            moments[key].copy_(torch.from_numpy(resume[f"{key}.{name}"].copy()))
        state.optimizer.state[parameter] = moments


def _trained(state: State) -> list[tuple[str, nn.Parameter]]:
    return [(name, parameter) for name, parameter in state.model.named_parameters() if parameter.requires_grad]
