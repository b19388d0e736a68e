"""`lenet-edge quantize` of a PyTorch module with its weights: taken over as `train --epochs 0` does, then quantised."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lenet_edge.cli import common, options
from lenet_edge.cli.modules import ModuleOptions
from lenet_edge.cli.preparing import PrepareOptions

if TYPE_CHECKING:
    from lenet_edge.cli.train import Trained

__all__ = ["checkpoint_of", "is_module", "refuse_without_module"]


def is_module(model: Path) -> bool:
    """Whether that names a PyTorch module: ``FILE.py:NAME`` or ``package.module:NAME``."""
    from lenet_edge.learning import torch_module

    return torch_module.is_module(str(model))


def refuse_without_module() -> None:
    """Refuse what only a PyTorch module takes."""
    options.refuse_given("without a PyTorch module (--model my_net.py:Net)", "weights", "mean", "std")


def checkpoint_of(
    model: Path, data: str, module: ModuleOptions, prepare: PrepareOptions, transpose: bool | None
) -> Path:
    """Take the module and its weights over, into the checkpoint that `train` would leave; its file.

    Raises:
        click.UsageError: it has no weights.
        BadInputError: it cannot be taken over.
    """
    from lenet_edge.cli.train import TrainOptions, train_network

    if module.weights is None:
        raise click.UsageError(
            f"{model} is a PyTorch module, and --weights FILE has to say what it has learned. To train it: "
            f"lenet-edge train --network {model} --data {data}, and then `quantize`"
        )
    options.refuse_given("with a PyTorch module, which is fine-tuned on the whole training set", "images")
    options.refuse_given("with a PyTorch module: its pixels are 0 to 1, and --mean and --std say the rest", "low_high")
    request = prepare.requested(None)
    trained: Trained = train_network(str(model), data, TrainOptions(module, request, transpose, epochs=0), None)
    accuracy = 100 * trained.answers.accuracy
    common.log(f"{trained.out}: the module with its weights, {accuracy:.2f} % of the test images")
    return trained.out
