"""The space of a sweep: what is varied, and the configurations that this makes.

The keys of the space are those of a network's recipe, and what else `train` and `quantize` are told: a new key of
`Recipe` is one of the space at once.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, make_dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from lenet_edge import strict_toml
from lenet_edge.errors import BadInputError
from lenet_edge.networks import reader
from lenet_edge.networks.description import Network, Recipe
from lenet_edge.networks.recipe import RECIPE_TYPES, RecipeTable, set_keys
from lenet_edge.networks.weight_bits import few_bits
from lenet_edge.strict_toml import about

__all__ = ["AXES", "MOST", "Axes", "Configuration", "Space", "SpaceFile", "Value", "make_space", "read_file"]

Value: TypeAlias = str | int | float | bool

MOST = 2_000
"""The largest number of configurations."""

_RECIPE_ABOUT = {entry.name: entry.metadata for entry in fields(Recipe)}


def _axis(name: str, kind: Any, meaning: Mapping[str, Any]) -> tuple[str, Any, Any]:
    return name, tuple[kind, ...], field(default=(), metadata=meaning)


Axes = make_dataclass(
    "Axes",
    [
        _axis("network", str, about("Networks: names, or the paths of their TOML files.")),
        _axis("recipe", str, about("Recipes: names of `[recipes.NAME]`, or `network` for the network's own.")),
        *(_axis(name, kind, _RECIPE_ABOUT[name]) for name, kind in RECIPE_TYPES.items()),
        _axis("class_weights", bool, about("Whether all classes count the same, as `train --class-weights` has it.")),
        _axis("grid", Literal["tie-free", "ordinary"], about("The grid of `quantize`.")),
        _axis("weight_bits", str, about("Bits of the weights, as `quantize --weight-bits` has them: 8, 4, 2 or C5=2.")),
        _axis("seed", int, about("Seeds of `train` and `quantize`.")),
    ],
    frozen=True,
)
"""What may be varied: for each key a list of values. The last varies fastest."""

AXES = tuple(entry.name for entry in fields(Axes))


@dataclass(frozen=True)
class SpaceFile:
    """What the TOML of a space may have."""

    space: Axes = field(  # type: ignore[valid-type]
        metadata=about("What is varied: a list of values for each key; every combination is a configuration.")
    )
    recipes: Mapping[str, RecipeTable] = field(  # type: ignore[valid-type]
        default_factory=dict, metadata=about("Recipes by name, for what changes together.")
    )


@dataclass(frozen=True)
class Configuration:
    """One point of the space.

    Attributes:
        number: its place in the order of the space.
        values: of the keys that the space has.
    """

    number: int
    values: Mapping[str, Value]

    @property
    def seed(self) -> int:
        return int(self.values.get("seed", 0))

    @property
    def text(self) -> str:
        """As messages call it."""
        return ", ".join(f"{name} {value}" for name, value in self.values.items())


@dataclass(frozen=True)
class Space:
    """What is varied, with all that a machine needs to know of it that has not the files.

    Attributes:
        axes: key -> its values, in the order of `AXES`; every key that is there has one at least.
        recipes: name -> the keys of a recipe that it sets.
        networks: name -> its description.
    """

    axes: Mapping[str, Sequence[Value]]
    recipes: Mapping[str, Mapping[str, Value]]
    networks: Mapping[str, Network]

    def configurations(self) -> list[Configuration]:
        """Every combination of the values."""
        combined = itertools.product(*self.axes.values())
        return [Configuration(number, dict(zip(self.axes, each, strict=True))) for number, each in enumerate(combined)]

    def network(self, configuration: Configuration) -> Network:
        """The network of a configuration, with its recipe."""
        values = configuration.values
        network = self.networks[str(values["network"])]
        named = self.recipes.get(str(values.get("recipe")), {})
        given = {name: values[name] for name in RECIPE_TYPES if name in values}
        return replace(network, recipe=replace(network.recipe, **{**named, **given}))  # type: ignore[arg-type]

    def to_json(self) -> dict[str, Any]:
        """As JSON values, for `from_json`."""
        return {
            "axes": {name: list(values) for name, values in self.axes.items()},
            "recipes": {name: dict(recipe) for name, recipe in self.recipes.items()},
            "networks": {name: reader.to_json(network) for name, network in self.networks.items()},
        }

    @classmethod
    def from_json(cls, content: Any, where: str) -> Space:
        """What `to_json` made the content of, read as strictly as a file.

        Raises:
            BadInputError: it is not that.
        """
        if not isinstance(content, dict) or set(content) != {"axes", "recipes", "networks"}:
            raise BadInputError(f"{where} has no space that this version of lenet-edge reads")
        table = {"space": content["axes"], "recipes": content["recipes"]}
        read = strict_toml.read(SpaceFile, table, Path(where))
        if not isinstance(content["networks"], dict):
            raise BadInputError(f"{where}: its networks are not a table")
        networks = {name: reader.from_json(each, where) for name, each in content["networks"].items()}
        return _checked(_given(read.space), {name: set_keys(each) for name, each in read.recipes.items()}, networks)


def read_file(path: Path) -> dict[str, Any]:
    """The content of a space's TOML, for `make_space`.

    Raises:
        BadInputError: it cannot be read, or is wrong.
    """
    content = strict_toml.load(path, "the space's file")
    content = {key: _with_bits_as_text(table) if key == "space" else table for key, table in content.items()}
    strict_toml.read(SpaceFile, content, path)
    return content


def make_space(content: Mapping[str, Any], given: Mapping[str, Sequence[Any]], where: Path) -> Space:
    """The space of a file, of options, or of both.

    Args:
        content: as `read_file` returns it; empty without a file.
        given: key -> values, as options give them: they replace those of the file.
        where: the file, or what messages call the options.

    Raises:
        BadInputError: a key or value is wrong, a network or recipe does not exist, nothing or too much is varied.
    """
    given = _with_bits_as_text({name: list(values) for name, values in given.items()})
    options: Any = strict_toml.read(Axes, given, Path("the options"))
    read = strict_toml.read(SpaceFile, {"space": {}, **content}, where)
    if empty := [name for name, values in (*content.get("space", {}).items(), *given.items()) if not values]:
        raise BadInputError(f"{where}: {empty[0]} has no values; name some, or leave it out")
    axes = {**_given(read.space), **_given(options)}
    recipes = {name: set_keys(each) for name, each in read.recipes.items()}
    if recipes and "recipe" not in axes:
        axes["recipe"] = tuple(recipes)
    names = axes.get("network", ("lenet5",))
    networks: dict[str, Network] = {}
    for name in names:
        network = reader.load(str(name))
        if network.name in networks:
            raise BadInputError(f"there are two networks called {network.name!r}: rename a file")
        networks[network.name] = network
    axes["network"] = tuple(networks)
    return _checked(axes, recipes, networks)


def _with_bits_as_text(space: Any) -> Any:
    """A space whose weight bits are text where they are a number: 4 is what `--weight-bits 4` says."""
    if not isinstance(space, dict) or not isinstance(space.get("weight_bits"), list):
        return space
    return {**space, "weight_bits": [str(each) if type(each) is int else each for each in space["weight_bits"]]}


def _require_bits(specs: Sequence[str], networks: Iterable[Network], has_ordinary: bool) -> None:
    """Hold that every network has layers for the bits of its weights."""
    for spec, network in itertools.product(specs, networks):
        if few_bits(spec, network) and has_ordinary:
            raise BadInputError("weights of 4 and 2 bits are on the tie-free grid only: leave out the ordinary grid")


def _given(axes: Any) -> dict[str, tuple[Value, ...]]:
    return {name: values for name in AXES if (values := getattr(axes, name))}


def _checked(
    axes: Mapping[str, Sequence[Value]],
    recipes: Mapping[str, Mapping[str, Value]],
    networks: Mapping[str, Network],
) -> Space:
    """The space, in the order of the keys, if it makes sense."""
    for name, values in axes.items():
        if len(set(values)) < len(values):
            twice = next(value for value in values if list(values).count(value) > 1)
            raise BadInputError(f"the space has {name} {twice} twice")
    for wanted in map(str, axes.get("recipe", ())):
        if wanted != "network" and wanted not in recipes:
            raise BadInputError(
                f"there is no recipe {wanted!r}.{strict_toml.nearest(wanted, ('network', *recipes))} "
                "A recipe is a table [recipes.NAME] of the space's file."
            )
    for own, recipe in recipes.items():
        if both := sorted(recipe.keys() & axes.keys()):
            raise BadInputError(f"{both[0]} is varied by itself and is in the recipe {own!r}: leave out one of them")
        if own not in axes.get("recipe", ()) or own == "network":
            reason = "is the network's own" if own == "network" else "is not used: add it to the key recipe"
            raise BadInputError(f"the recipe {own!r} {reason}")
    if missing := [each for each in axes.get("network", ()) if each not in networks]:
        raise BadInputError(f"there is no description of the network {missing[0]!r}")
    _require_bits(list(map(str, axes.get("weight_bits", ()))), networks.values(), "ordinary" in axes.get("grid", ()))
    count = 1
    for values in axes.values():
        count *= len(values)
    if count > MOST:
        raise BadInputError(f"the space has {count:,} configurations, and {MOST:,} at most are swept; split it")
    return Space({name: tuple(axes[name]) for name in AXES if axes.get(name)}, recipes, networks)
