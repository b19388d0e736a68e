"""Networks from their TOML files, and from the JSON that a checkpoint carries: the same keys, read by the same rules.

A checkpoint has its whole description, so nothing that happens to a TOML later changes what an old checkpoint is. What
the TOML leaves to the network as a whole, its activation, the JSON says for each layer.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lenet_edge import strict_toml
from lenet_edge.errors import BadInputError
from lenet_edge.networks.checks import validate
from lenet_edge.networks.description import (
    LAYER_TYPES,
    Activation,
    AveragePooling,
    ImageShape,
    LayerDescription,
    Network,
    Recipe,
)
from lenet_edge.networks.recipe import RecipeTable, with_table
from lenet_edge.resources import networks_folder
from lenet_edge.strict_toml import about

__all__ = ["NetworkFile", "from_json", "load", "names", "parse", "to_json"]

_TYPES = {layer: name for name, layer in LAYER_TYPES.items()}


@dataclass(frozen=True)
class NetworkFile:
    """What a network's TOML may have at the top; `LAYER_TYPES` says what its layers may have."""

    summary: str = field(metadata=about("What it is, in one line."))
    features: tuple[dict, ...] = field(  # type: ignore[type-arg]  # each is read by its type
        default=(),
        metadata=about(
            "The feature extraction module: its layers, each `[[features]]`. Each reads the one before, unless it says "
            "which."
        ),
    )
    classifier: tuple[dict, ...] = field(  # type: ignore[type-arg]
        default=(),
        metadata=about(
            "The trainable classifier module, likewise, with dropout, fully connected, rbf and add layers only; maps "
            "are flattened in front of it. The last layer gives the logits."
        ),
    )
    activation: Activation = field(
        default="none",
        metadata=about(
            "What follows every convolution, every subsampling, every add and every fully connected layer but the last."
        ),
    )
    input: ImageShape | None = field(
        default=None,
        metadata=about(
            "Height, width and channels (1 or 3) of its images, if it is for one size only; left out, the data's.",
            least=1,
            most=4096,
        ),
    )
    recipe: Recipe = field(default_factory=Recipe, metadata=about("How it is trained."))
    recipes: Mapping[str, RecipeTable] = field(  # type: ignore[valid-type]
        default_factory=dict,
        metadata=about(
            "Other ways to train it, each a table `[recipes.NAME]` for `train --recipe NAME`; what it does not say is "
            "the recipe's."
        ),
    )


def names() -> tuple[str, ...]:
    """The networks of `networks/`, sorted."""
    return tuple(sorted(path.stem for path in networks_folder().glob("*.toml")))


def load(name_or_path: str) -> Network:
    """A network of `networks/` by its name, or your own by the path of its file, which ends in ".toml".

    Raises:
        BadInputError: there is no such network or file, or the file is wrong.
    """
    if name_or_path.endswith(".toml"):
        path = Path(name_or_path)
    elif name_or_path in names():
        path = networks_folder() / f"{name_or_path}.toml"
    else:
        meant = strict_toml.did_you_mean(name_or_path, names())
        raise BadInputError(
            f"there is no network {name_or_path!r}.{meant} There are: {', '.join(names())}. "
            "A network of your own is the path of its .toml file, or my_net.py:Net."
        )
    hint = f"These come with lenet-edge: {', '.join(names())}."
    return parse(strict_toml.read_text(path, "the network's file", hint), path)


def parse(text: str, path: Path) -> Network:
    """The network that a TOML describes, validated; its name is the file's.

    Raises:
        BadInputError: it is not TOML, has an unknown key, lacks one, has a value of the wrong type or
            out of range, or does not pass `validate`.
    """
    return _read(strict_toml.parse(text, path), path.stem, path)


def to_json(network: Network) -> dict[str, Any]:
    """A network as JSON values, with nothing left to defaults but what is none, and without its other recipes."""
    facts = _filled(network)
    del facts["recipes"]
    for module in ("features", "classifier"):
        facts[module] = [{"type": _TYPES[type(layer)], **_filled(layer)} for layer in getattr(network, module)]
    return {**facts, "recipe": _filled(network.recipe)}


def from_json(content: Any, where: str = "the network's description") -> Network:
    """The network that `to_json` made the content of, validated; `where` is what messages call it.

    Raises:
        BadInputError: as `parse`.
    """
    if not isinstance(content, dict) or not isinstance(name := content.get("name"), str):
        raise BadInputError(f"{where} is not a table with the network's name")
    return _read({key: value for key, value in content.items() if key != "name"}, name, Path(where))


def _filled(table: Any) -> dict[str, Any]:
    values = {entry.name: getattr(table, entry.name) for entry in dataclasses.fields(table)}
    return {key: _listed(value) for key, value in values.items() if value is not None}


def _listed(value: Any) -> Any:
    """JSON has lists, also in lists."""
    return [*map(_listed, value)] if isinstance(value, tuple) else value


def _read(content: Any, name: str, path: Path) -> Network:
    file = strict_toml.read(NetworkFile, content, path)
    last = file.classifier[-1] if file.classifier else None
    layers = {
        module: tuple(
            _read_layer(table, (module, number), file.activation if table is not last else "none", path)
            for number, table in enumerate(tables, 1)
        )
        for module, tables in (("features", file.features), ("classifier", file.classifier))
    }
    recipes = {each: with_table(file.recipe, table) for each, table in file.recipes.items()}
    modules = layers["features"], layers["classifier"]
    network = Network(name, file.summary, *modules, file.input, file.recipe, recipes)
    validate(network, str(path))
    return network


def _read_layer(
    table: Mapping[str, Any], place: tuple[str, int], activation: Activation, path: Path
) -> LayerDescription:
    """The layer of a table, which is the module's so-many-th; `activation` is what follows it if it does not say."""
    module, number = place
    named = table.get("name")
    within = (module, named if isinstance(named, str) and named.isprintable() and named else f"layer {number}")
    kind = table.get("type")
    if not isinstance(kind, str) or kind not in LAYER_TYPES:
        said = "has no 'type'." if kind is None else f"has type {str(kind)[:80]!r}, which is not known."
        known = ("add", "dropout", "fully-connected", "rbf") if module == "classifier" else tuple(LAYER_TYPES)
        raise BadInputError(f"{path}: [{'.'.join(within)}] {said} The types are {', '.join(known)}.")
    schema = LAYER_TYPES[kind]
    content = {key: value for key, value in table.items() if key != "type"}
    if schema is not AveragePooling and "activation" in schema.__dataclass_fields__:
        content.setdefault("activation", activation)
    layer: LayerDescription = strict_toml.read(schema, content, path, within=within)
    return layer
