"""`lenet-edge analyze`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import click
from rich.table import Table

from lenet_edge.cli import common
from lenet_edge.cli.common import short_name
from lenet_edge.errors import CheckFailedError

if TYPE_CHECKING:
    from lenet_edge.quantized.model import QuantizedModel


class LayerFacts(TypedDict):
    """A layer in what `--json` prints; the accumulator's range is that of the layers that have one."""

    name: str
    kind: str
    reads: list[str]
    input_shape: list[int]
    output_shape: list[int]
    output_scale: float
    output_zero_point: int
    macs: int
    accumulator_min: int | None
    accumulator_max: int | None
    enumerated: int
    differ: dict[str, int]
    rule_unknown_of: list[str]


class Analysis(TypedDict):
    """What `--json` prints."""

    fingerprint: str
    ends: dict[str, list[str]]
    tie_free: bool
    not_tie_free_because: str | None
    macs: int
    layers: list[LayerFacts]
    runtimes: dict[str, dict[str, str]]


class TieFree(TypedDict):
    """A model in what `--json` prints with `--require-tie-free`."""

    model: str
    fingerprint: str
    not_tie_free_because: str | None


@click.command()
@click.argument("models", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="MODEL...")
@click.option(
    "--require-tie-free",
    is_flag=True,
    help="Only say of each file whether it is tie-free, without enumerating, and fail if one is not.",
)
@common.json_option
def analyze(models: tuple[Path, ...], require_tie_free: bool, as_json: bool) -> None:
    """Show where runtimes diverge on an int8 .tflite or QDQ .onnx.

    The model may be ours or a third party's. Shown for each layer: shapes, scales, multiply-accumulates,
    the range of the accumulator, how many reachable accumulators each pair of rounding rules rounds
    differently, and the same for entries of tables, pairs of operands and sums of means. If a runtime's
    rule for a layer is not known, the layer and the runtime are named. On a tie-free model these counts are all 0.

    With --require-tie-free it takes several files, and a moment for each: for a pre-commit hook.
    """
    if require_tie_free:
        _require_tie_free(models, as_json=as_json)
        return
    if len(models) > 1:
        raise click.UsageError("name one model; only --require-tie-free takes several")
    (model,) = models
    from lenet_edge.formats import int8_models
    from lenet_edge.quantized.proof import compare_rules
    from lenet_edge.quantized.runtimes import RUNTIMES
    from lenet_edge.quantized.tie_free import tie_free_problem

    loaded = int8_models.read(model)
    common.log(f"enumerating the reachable accumulators of {model} ...")
    comparisons = {comparison.name: comparison for comparison in compare_rules(loaded)}
    layers = _layer_facts(loaded)
    for facts in layers:
        if (comparison := comparisons.get(facts["name"])) is not None:
            facts["enumerated"] = comparison.accumulators
            facts["differ"] = {f"{a}/{b}": count for (a, b), count in comparison.differ.items()}
    problem = tie_free_problem(loaded)
    result: Analysis = {
        "fingerprint": loaded.fingerprint,
        "ends": dict(loaded.metadata.get("ends") or {}),
        "tie_free": problem is None,
        "not_tie_free_because": problem,
        "macs": sum(layer["macs"] for layer in layers),
        "layers": layers,
        "runtimes": {name: vars(rules) for name, rules in RUNTIMES.items()},
    }
    common.show(result, as_json=as_json, tables=lambda: _tables(result))


def _require_tie_free(models: Sequence[Path], *, as_json: bool) -> None:
    """Look at each model; fails if one is not tie-free."""
    from lenet_edge.formats import int8_models
    from lenet_edge.quantized.tie_free import tie_free_problem

    found: list[TieFree] = []
    for path in models:
        model = int8_models.read(path)
        problem = tie_free_problem(model)
        found.append({"model": str(path), "fingerprint": model.fingerprint, "not_tie_free_because": problem})
    lines = [
        f"{each['model']}: {'tie-free' if problem is None else f'not tie-free ({problem})'}, "
        f"model {each['fingerprint'][:16]}"
        for each in found
        for problem in [each["not_tie_free_because"]]
    ]
    common.show({"models": found}, as_json=as_json, tables=lambda: lines)
    if wrong := [each["model"] for each in found if each["not_tie_free_because"]]:
        raise CheckFailedError(f"not tie-free, so runtimes will differ on some images: {', '.join(wrong)}")


def _layer_facts(model: QuantizedModel) -> list[LayerFacts]:
    """The layers, without the comparison of the rounding rules."""
    from lenet_edge.quantized.model import WEIGHTED, accumulator_bounds, input_ranges, inputs_of, macs
    from lenet_edge.quantized.runtimes import RUNTIMES, UNKNOWN

    facts = []
    for layer, sources, (low, high) in zip(model.layers, model.reads, input_ranges(model), strict=True):
        entry: LayerFacts = {
            "name": layer.name,
            "kind": type(layer).__name__,
            "reads": [_source(model, source) for source in sources],
            "input_shape": list(inputs_of(layer)[0].shape if inputs_of(layer) else ()),
            "output_shape": list(layer.output.shape),
            "output_scale": layer.output.scale,
            "output_zero_point": layer.output.zero_point,
            "macs": macs(layer),
            "accumulator_min": None,
            "accumulator_max": None,
            "enumerated": 0,
            "differ": {},
            "rule_unknown_of": [  # PyTorch runs networks of ours only
                name for name, rules in RUNTIMES.items() if rules.for_layer(layer) == UNKNOWN and name != "pytorch"
            ],
        }
        if isinstance(layer, WEIGHTED):
            minimum, maximum = accumulator_bounds(layer, low, high)
            entry["accumulator_min"], entry["accumulator_max"] = int(minimum.min()), int(maximum.max())
        facts.append(entry)
    return facts


def _source(model: QuantizedModel, source: int) -> str:
    """The name of a layer that is read, or which input of the model."""
    if source >= 0:
        return model.layers[source].name
    return "input" if len(model.inputs) == 1 else f"input {-source}"


def _layers_table(result: Analysis) -> Table:
    """The layers; what each reads is shown unless every layer reads the one before."""
    names = ["input", *(layer["name"] for layer in result["layers"])]
    chain = all(layer["reads"] == [before] for layer, before in zip(result["layers"], names, strict=False))
    columns = ("layer", "kind", *(() if chain else ("reads",)), "output", "scale", "zero point", "MACs", "accumulator")
    layers = common.new_table(f"model {result['fingerprint'][:16]}", *columns, left=2 if chain else 3)
    for layer in result["layers"]:
        reach = (
            "" if layer["accumulator_min"] is None else f"{layer['accumulator_min']:,} .. {layer['accumulator_max']:,}"
        )
        shape = "x".join(map(str, layer["output_shape"]))
        scaling = (f"{layer['output_scale']:.6g}", str(layer["output_zero_point"]))
        reads = () if chain else (", ".join(map(short_name, layer["reads"])),)
        layers.add_row(
            short_name(layer["name"]),
            layer["kind"],
            *reads,
            shape,
            *scaling,
            f"{layer['macs']:,}" if layer["macs"] else "",
            reach,
        )
    return layers


def _tables(result: Analysis) -> list[Table | str]:
    differ = [_difference_table(title, result["layers"], kinds) for title, kinds in _DIFFERENCES.items()]
    unknown = [
        f"layer {short_name(layer['name'])} ({layer['kind']}): rule unknown of {', '.join(layer['rule_unknown_of'])}"
        for layer in result["layers"]
        if layer["rule_unknown_of"]
    ]
    verdict = (
        "tie-free: every runtime gives the same integers for every image"
        if result["tie_free"]
        else f"not tie-free ({result['not_tie_free_because']}): runtimes will differ on some images"
    )
    ends = [f"the file's {what} are {', '.join(kinds)}, and fed as such" for what, kinds in result["ends"].items()]
    shown = [table for table in differ if table is not None]
    return [_layers_table(result), *ends, *shown, _rules_table(result), *unknown, verdict]


_DIFFERENCES: dict[str, tuple[str, ...]] = {
    "reachable accumulators that two rounding rules decide differently": (
        *("Conv2d", "DepthwiseConv2d", "FullyConnected"),
    ),
    "entries of a table of sigmoid or tanh that two runtimes compute differently": ("Lookup",),
    "entries of a table from one scale to another that two rules compute differently": ("Rescale",),
    "pairs of operands whose sum two rules round differently": ("Add",),
    "pairs of operands whose difference two rules round differently": ("Subtract",),
    "pairs of operands whose product two rules round differently": ("Multiply",),
    "sums of values whose mean two rules round differently": ("Mean",),
}
"""Title of a table -> the kinds of layers in it."""

_RULES = {
    "convolution": "convolution",
    "depthwise": "depthwise",
    "fully_connected": "fully connected",
    "lookup": "sigmoid, tanh",
    "average_pool": "average pool",
    "softmax": "softmax",
}
_MORE_RULES = {
    "sum": ("sum", {"Add"}),
    "difference": ("difference", {"Subtract"}),
    "product": ("product", {"Multiply"}),
    "mean": ("mean", {"Mean"}),
    "rescale": ("rescaling", {"Rescale"}),
}


def _rules_table(result: Analysis) -> Table:
    """A row for each runtime; operators that few models have get a column only if this model has them."""
    kinds = {layer["kind"] for layer in result["layers"]}
    more = {operator: heading for operator, (heading, of) in _MORE_RULES.items() if of & kinds}
    columns = {**_RULES, **more}
    runtimes = common.new_table("which rule a runtime uses", "runtime", *columns.values(), left=len(columns) + 1)
    for name, rules in result["runtimes"].items():
        runtimes.add_row(name, *(rules[operator] for operator in columns))
    return runtimes


def _difference_table(title: str, all_layers: list[LayerFacts], kinds: tuple[str, ...]) -> Table | None:
    """A row for each layer of those kinds, a column for each pair of rules; None where there are no layers."""
    layers = [layer for layer in all_layers if layer["kind"] in kinds and layer["differ"]]
    if not layers:
        return None
    pairs = list(layers[0]["differ"])
    table = common.new_table(title, "layer", "enumerated", *pairs)
    for layer in layers:
        table.add_row(
            short_name(layer["name"]), f"{layer['enumerated']:,}", *(f"{layer['differ'][pair]:,}" for pair in pairs)
        )
    return table
