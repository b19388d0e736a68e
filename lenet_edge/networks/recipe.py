"""How a network is trained: what a TOML's `[recipe]` may say, and its `[recipes.NAME]`.

The dataclass is also the schema of these tables, and of the space of a `sweep`: a new key is known to all of them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, make_dataclass, replace
from types import NoneType
from typing import Any, get_args, get_type_hints

from lenet_edge.strict_toml import about

__all__ = ["RECIPE_TYPES", "Recipe", "RecipeTable", "set_keys", "with_table"]


@dataclass(frozen=True)
class Recipe:
    """How the float network is trained, unless the command line says otherwise.

    Attributes:
        epochs: of training.
        learning_rate: the peak of the one-cycle schedule.
        batch: images in a batch.
        least_steps: an epoch goes through a small data set as often as makes about so many batches.
        weight_decay: AdamW's.
        label_smoothing: 0..1.
        initial_gain: of Xavier's initialisation of every layer but the last; None keeps PyTorch's own.
        augmentation: whether the images of each batch are distorted by a little (`learning.augmentation`).
        quantize_epochs, quantize_learning_rate: of `quantize`.
        distortion: how far images are rotated, scaled, sheared and shifted at random, in parts of what digits bear.
        mirror: whether half of the images are mirrored, left to right.
        averaging: the decay of an exponential moving average of the weights, which is then the result; 0 is none.
        teacher: the network whose distribution over the classes is learnt instead of the labels; None is none.
        teachers: how many of these, of different seeds; their mean is learnt.
    """

    epochs: int = field(default=15, metadata=about("Epochs of `train`.", least=1, most=10_000))
    learning_rate: float = field(
        default=8e-3,
        metadata=about("The peak of `train`'s one-cycle schedule.", least=1e-7, most=10, advice="a rate such as 8e-3"),
    )
    batch: int = field(default=128, metadata=about("Images in a batch.", least=1, most=65536))
    least_steps: int = field(
        default=100,
        metadata=about(
            "An epoch goes through a small data set as often as makes about so many batches.", least=1, most=100_000
        ),
    )
    weight_decay: float = field(default=1e-2, metadata=about("AdamW's.", most=1))
    label_smoothing: float = field(
        default=0.05,
        metadata=about(
            "The share of the target that is spread over all classes.", most=0.9, advice="a share from 0 to 0.9"
        ),
    )
    initial_gain: float | None = field(
        default=None,
        metadata=about(
            "Of Xavier's initialisation of every layer but the last, 4 for sigmoids; left out, PyTorch's own bounds.",
            least=1e-3,
            most=1000,
        ),
    )
    augmentation: bool = field(
        default=True,
        metadata=about(
            "Whether each image is rotated, scaled, sheared and shifted by a little whenever it is learnt from, in "
            "`quantize` too."
        ),
    )
    quantize_epochs: int = field(default=4, metadata=about("Epochs of `quantize`.", most=10_000))
    quantize_learning_rate: float = field(
        default=5e-4,
        metadata=about("`quantize`'s at its start.", least=1e-9, most=10, advice="a rate such as 5e-4"),
    )
    distortion: float = field(
        default=1.0,
        metadata=about(
            "How far images are distorted at random: 1 is up to 10 degrees of rotation, 12.5 % of size, 15 % of shear "
            "and 5.5 % of shift either way, which digits bear; 0 is not at all.",
            most=4,
            advice="a number from 0 to 4",
        ),
    )
    mirror: bool = field(
        default=False, metadata=about("Whether half of the images are mirrored, left to right: not of digits.")
    )
    averaging: float = field(
        default=0.0,
        metadata=about(
            "The decay of an average of the weights over the steps, which is then the result, such as 0.999; 0 is "
            "none.",
            most=0.99999,
            advice="a decay from 0 to 0.99999",
        ),
    )
    teacher: str | None = field(
        default=None,
        metadata=about(
            "A larger network, by its name or the path of its TOML, which is trained first. Its distribution over the "
            "classes is learnt instead of the labels, by `quantize` as well."
        ),
    )
    teachers: int = field(
        default=1, metadata=about("How many teachers, of different seeds: their mean is learnt.", least=1, most=16)
    )


RECIPE_TYPES: dict[str, Any] = {
    name: next(each for each in (*get_args(hint), hint) if each is not NoneType)
    for name, hint in get_type_hints(Recipe).items()
}
"""The keys of a recipe, and the type of each."""

RecipeTable = make_dataclass(
    "RecipeTable",
    [
        (entry.name, RECIPE_TYPES[entry.name] | None, field(default=None, metadata=entry.metadata))
        for entry in fields(Recipe)
    ],
    frozen=True,
)
"""A recipe with a name: what it does not say is that of the network's `[recipe]`."""


def set_keys(table: Any) -> dict[str, Any]:
    """What a `RecipeTable` says."""
    return {name: value for name, value in asdict(table).items() if value is not None}


def with_table(recipe: Recipe, table: Any) -> Recipe:
    """The recipe with what a `RecipeTable` says instead."""
    return replace(recipe, **set_keys(table))
