"""A PyTorch module of the user's own on the command line: its options, and taking it over."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lenet_edge.cli import common

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lenet_edge.networks.description import ImageShape, Network

__all__ = [
    "ModuleOptions",
    "NetworkType",
    "module_options",
    "network_option",
    "packed",
    "recipe_option",
    "taken_over",
    "with_recipe",
]


class NetworkType(click.ParamType):  # type: ignore[type-arg]  # older releases have no argument
    """A network by its name or the path of its TOML: the option is read once, and the command gets the `Network`.

    A PyTorch module stays a text: it is run when the size of the images is known.
    """

    name = "network"

    def convert(self, value: str | Network, param: click.Parameter | None, ctx: click.Context | None) -> Network | str:
        from lenet_edge.learning.torch_module import is_module
        from lenet_edge.networks import reader

        return reader.load(value) if isinstance(value, str) and not is_module(value) else value


def network_option(kind: click.ParamType) -> Callable[[Callable[..., Any]], Callable[..., Any]]:  # type: ignore[type-arg]
    """``--network NAME|FILE.toml|FILE.py:MODULE``, also as ``--arch``; the command gets what `kind` makes of it."""
    return click.option(
        "--network",
        "--arch",
        "network",
        type=kind,
        default="lenet5",
        show_default=True,
        metavar="NAME|FILE.toml|FILE.py:MODULE",
        help="A network that comes with lenet-edge (lenet5, lenet5-sigmoid, ...), or your own: a description, or a "
        "PyTorch module. A .py file is run, with all that it does.",
    )


recipe_option = click.option(
    "--recipe",
    metavar="NAME",
    help="Another of the network's recipes, a table [recipes.NAME] of its TOML: lenet5 has clothes and record.",
)
"""``--recipe NAME``: for `with_recipe`."""


def with_recipe(network: Network | str, name: str | None) -> Network | str:
    """The network with its recipe of that name; a PyTorch module has none.

    Raises:
        BadInputError: it has no such recipe.
    """
    from lenet_edge.networks.description import trained_by

    if not isinstance(network, str):
        return trained_by(network, name)
    if name is not None:
        raise click.UsageError("--recipe is for networks that a TOML describes: a PyTorch module has no recipes")
    return network


@dataclass(frozen=True)
class ModuleOptions:
    """What only a PyTorch module takes.

    Attributes:
        mean, std: of its images, a number or one per channel.
    """

    weights: Path | None
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None


def module_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--weights FILE``, ``--mean X``, ``--std X``; `packed` makes one argument of them."""
    options = (
        click.option(
            "--weights",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="With a PyTorch module: its weights, safetensors or a state dict. --epochs 0 takes them as they are.",
        ),
        click.option(
            "--mean",
            callback=_numbers,
            metavar="X[,Y,Z]",
            help="With a PyTorch module: what its images, 0..1, were normalised by; for each channel, or for all.",
        ),
        click.option("--std", callback=_numbers, metavar="X[,Y,Z]", help="Likewise: what they were divided by."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def packed(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give the command `module` (`ModuleOptions`) for the three options."""

    @functools.wraps(command)
    def called(**options: Any) -> Any:
        module = ModuleOptions(*(options.pop(name) for name in ("weights", "mean", "std")))
        return command(module=module, **options)

    return called


def taken_over(
    reference: str, options: ModuleOptions, image_shape: ImageShape, classes: int, seed: int
) -> tuple[Network, dict[str, npt.NDArray[np.float32]]]:
    """The description and the weights of a PyTorch module; what the user should know of it is said on stderr.

    Raises:
        BadInputError: it cannot be taken over.
    """
    from lenet_edge.learning.torch_module import importing

    normalization = None
    if options.mean is not None or options.std is not None:
        normalization = importing.Normalization(options.mean or (0.0,), options.std or (1.0,))
    module = importing.load(
        reference, image_shape, classes, weights=options.weights, seed=seed, normalization=normalization
    )
    for note in module.notes:
        common.log(f"{reference}: {note}")
    layers = len(module.network.features) + len(module.network.classifier)
    common.log(
        f"{reference}: taken over as {layers} layers, which differ from the module by at most "
        f"{module.largest_difference:.1e} where its largest output is {module.largest_logit:.1f}"
    )
    return module.network, module.tensors


def _numbers(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[float, ...] | None:
    if value is None:
        return None
    return tuple(common.REAL.convert(part, parameter, context) for part in value.split(","))
