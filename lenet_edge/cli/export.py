"""`lenet-edge export`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click
from rich.table import Table

from lenet_edge.cli import common, frames, inputs
from lenet_edge.cli.like import as_asked, like_option
from lenet_edge.cli.options import KernelsChoice, refuse_given

if TYPE_CHECKING:
    from lenet_edge.formats.c_source import Plan
    from lenet_edge.preparation.frames import FrameShape
    from lenet_edge.quantized.model import QuantizedModel
    from lenet_edge.records import Manifest

    Export = tuple[dict[str, bytes], dict[str, Any]]
    """The files by name, and what else the manifest says: JSON values."""


@dataclass(frozen=True)
class Exported:
    """What an export leaves.

    Attributes:
        folder: where it is.
        manifest: which files there are, of which model, and what else there is to say.
        warnings: what to know about the model.
    """

    folder: Path
    manifest: Manifest
    warnings: tuple[str, ...]


@click.command()
@click.option(
    "--target",
    type=click.Choice(["tflite", "onnx", "tflm", "c", "arduino", "platformio", "zephyr", "esp-idf"]),
    required=True,
    help="tflite: the int8 file itself; onnx: float and int8 ONNX; tflm: C arrays for TFLite Micro; "
    "c: C without an interpreter; arduino, platformio, zephyr, esp-idf: that C as a library, module or component with "
    "an example.",
)
@common.model_option(common.INT8_MODEL, "int8 model to export")
@click.option(
    "--onnx-form",
    type=click.Choice(["qdq", "qoperator"]),
    default="qdq",
    show_default=True,
    help="qoperator: QLinearConv and QLinearMatMul, which accumulate in integers everywhere.",
)
@click.option(
    "--array-style",
    type=click.Choice(["tflm", "xxd", "g_model"]),
    default="tflm",
    show_default=True,
    help="Names of the array: TFLM's, those of xxd -i, or g_model.",
)
@click.option(
    "--kernels",
    type=KernelsChoice(),
    default="plain",
    show_default=True,
    help="The kernels of the C: plain is portable C99, the others are for one instruction set each.",
)
@common.optimize_option
@common.weight_packing_option(
    "8", "How weights of a few bits lie in the C: auto packs each layer as densely as it admits"
)
@like_option
@frames.frames_option(
    "Add le_prepare, which takes camera frames of any size; the example takes this size and format, such as "
    "320x240/rgb565."
)
@click.option(
    "--name",
    metavar="IDENTIFIER",
    help="The prefix of all names in the C, so that two models link into one program, and the library's name; for "
    "tflm the name in its files.  [default: le; for tflm and the library the model's arch]",
)
@click.option(
    "--float", "float_model", type=click.Path(path_type=Path), metavar="FILE", help="The float model for ONNX."
)
@click.option(
    "--calibrate",
    metavar="NAME|DIR|FILE",
    help="For a QDQ .onnx with tensors that are float: their scales hold what they are on these inputs.",
)
@common.out_option("build/TARGET/")
@common.json_option
def export(
    target: str,
    model: Path,
    onnx_form: Literal["qdq", "qoperator"],
    array_style: Literal["tflm", "xxd", "g_model"],
    kernels: str,
    optimize: str,
    weight_packing: str,
    like: str,
    frame_shape: FrameShape | None,
    name: str | None,
    float_model: Path | None,
    calibrate: str | None,
    out: Path | None,
    as_json: bool,
) -> Exported:
    """Write the int8 model for a runtime or for your project.

    OUT is a folder that gets the files and a manifest. The same model gives the same bytes, whatever the
    folder, the time or the machine.
    """
    _refuse_unused(target, kernels, optimize)
    _require_prefix(target, name)
    _require_processor(target, kernels)
    folder = out or Path("build") / target
    choices = Choices(
        onnx_form, array_style, kernels, optimize, name, float_model, frame_shape, calibrate, weight_packing, like
    )
    loaded, manifest, sizes = export_to(folder, target, model, choices)
    exported = Exported(folder, manifest, tuple(inputs.model_warnings(loaded)))
    result = {"folder": str(folder), **manifest.content(), "warnings": list(exported.warnings)}
    common.show(result, as_json=as_json, tables=lambda: _tables(result, sizes))
    return exported


@dataclass(frozen=True)
class Choices:
    """What the command's options decide for a target."""

    onnx_form: Literal["qdq", "qoperator"] = "qdq"
    array_style: Literal["tflm", "xxd", "g_model"] = "tflm"
    kernels: str = "plain"
    optimize: str = "speed"
    name: str | None = None
    float_model: Path | None = None
    frame_shape: FrameShape | None = None
    calibrate: str | None = None
    weight_packing: str = "8"
    like: str = "tflm"

    @property
    def family(self) -> str:
        """The kernels: the plain ones if size counts."""
        return "plain" if self.optimize == "size" else self.kernels


def export_to(
    folder: Path, target: str, model: Path, choices: Choices
) -> tuple[QuantizedModel, Manifest, Mapping[str, int]]:
    """Write the int8 model of a file, for a target, into `folder`.

    Returns:
        The model, the manifest, and the bytes of each file.

    Raises:
        BadInputError: the target does not take the model, or the folder cannot be written.
    """
    from lenet_edge.formats import int8_models, tflite
    from lenet_edge.records import write_artefact

    loaded = as_asked(_read(model, choices.calibrate), choices.like)
    facts: dict[str, Any] = {}
    if target == "tflite":
        contents = {int8_models.tflite_name(model): tflite.to_bytes(loaded)}
    elif target == "onnx":
        contents, facts = _onnx(loaded, model, choices.onnx_form, choices.float_model)
    elif target == "c":
        contents, facts = _c(loaded, choices)
    elif target != "tflm":
        contents, facts = _project(loaded, target, choices.name or _identifier(loaded, model).lstrip("_"), choices)
    else:
        contents, facts = _tflm(loaded, choices.name or _identifier(loaded, model), choices.array_style)
    common.require_apart([folder / file for file in contents], [model, choices.float_model])
    manifest = write_artefact(folder, contents, loaded.fingerprint, target=target, **facts)
    return loaded, manifest, {file: len(content) for file, content in contents.items()}


def _read(model: Path, calibrate: str | None) -> QuantizedModel:
    """The model; of a QDQ .onnx that is float in places with scales from `calibrate`."""
    from lenet_edge.cli.calibrating import calibrated
    from lenet_edge.formats import int8_models

    if calibrate is None:
        return int8_models.read(model)
    if not int8_models.is_onnx(model):
        raise click.UsageError(f"--calibrate: {model} is no .onnx; a .tflite has all its scales")
    return calibrated(model, calibrate)


def _refuse_unused(target: str, kernels: str, optimize: str) -> None:
    """Refuse options of other targets."""
    on = f"with --target {target}"
    if target != "onnx":
        refuse_given(f"{on}: only onnx has forms, and a float model next to the int8 one", "onnx_form", "float_model")
    if target != "tflm":
        refuse_given(f"{on}: only tflm writes an array", "array_style")
    if target in ("tflite", "onnx", "tflm"):
        refuse_given(f"{on}: only the C of target c and of the projects has our kernels", "kernels", "optimize", "like")
        refuse_given(f"{on}: only the C of target c and of the projects has packed weights", "weight_packing")
        refuse_given(f"{on}: only the C of target c and of the projects has le_prepare", "frame_shape")
    if target in ("tflite", "onnx"):
        refuse_given(f"{on}: its files have fixed names, or the model's", "name")
    if optimize == "size" and kernels != "plain":
        refuse_given("with --optimize size, which takes the plain kernels", "kernels")


def _require_prefix(target: str, name: str | None) -> None:
    """Refuse a name that names in C cannot begin with."""
    from lenet_edge.formats.c_source import prefix_problem

    if name is None or target in ("tflite", "onnx", "tflm") or not (problem := prefix_problem(name)):
        return
    near = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    advice = "choose another" if prefix_problem(near) else f"take {near}"
    also = "" if target == "c" else " (the names in C begin with the name of the library)"
    raise click.UsageError(f"--name: {name!r} {problem}; {advice}{also}")


def _require_processor(target: str, kernels: str) -> None:
    """Refuse kernels that no processor of a build system runs."""
    from lenet_edge.formats import projects

    if target not in projects.PROJECTS or kernels in (known := projects.kernels_for(target)):
        return
    raise click.UsageError(f"--kernels {kernels}: {target} has no processor for them; it has {', '.join(known)}")


def _identifier(loaded: QuantizedModel, model: Path) -> str:
    """A C identifier from the arch, or from the file's name for a third-party model."""
    text = str(loaded.metadata.get("arch") or model.stem)
    identifier = re.sub(r"\W", "_", text, flags=re.ASCII)
    return identifier if not identifier[:1].isdigit() else f"model_{identifier}"


def _onnx(loaded: QuantizedModel, model: Path, form: Literal["qdq", "qoperator"], float_model: Path | None) -> Export:
    from lenet_edge.cli.artefacts import float_model_of
    from lenet_edge.formats import onnx
    from lenet_edge.learning import checkpoint

    stem = model.stem.removesuffix("-int8")
    contents = {f"{stem}-int8.onnx": onnx.to_bytes(loaded, form=form)}
    path = float_model or float_model_of(model)
    data = checkpoint.read(path) if float_model is not None or path.exists() else b""
    known = hashlib.sha256(data).hexdigest() == loaded.metadata.get("float_sha256")
    if float_model is not None or known:
        contents[f"{stem}-float.onnx"] = _float_onnx(data, path)
    else:
        common.log(f"no float model next to {model}: the folder gets only the int8 ONNX; name one with --float")
    return contents, {"form": form}


def _float_onnx(data: bytes, path: Path) -> bytes:
    from lenet_edge.formats import onnx
    from lenet_edge.learning import checkpoint

    found = checkpoint.from_bytes(data, str(path))
    network, image_shape, _ = checkpoint.description(found.metadata)
    return onnx.float_to_bytes(found.tensors, network, image_shape, found.metadata["classes"])


def _tflm(loaded: QuantizedModel, name: str, array_style: Literal["tflm", "xxd", "g_model"]) -> Export:
    from lenet_edge.engines import tflm as interpreter
    from lenet_edge.files import temporary_folder, write_file
    from lenet_edge.formats import tflite, tflm

    data = tflite.to_bytes(loaded)
    with temporary_folder() as folder:
        path = folder / "model.tflite"
        write_file(path, data)
        measured = interpreter.arena(path)
    by = f"tflite-micro {interpreter.version()}"
    arena = tflm.HostArena(measured.head, measured.tail, measured.smallest, by)
    contents = tflm.export(loaded, data, array_style=array_style, name=name, arena=arena)
    return contents, {"arena_bytes": asdict(arena), "array_style": array_style}


def _plan(loaded: QuantizedModel, choices: Choices) -> Plan:
    from lenet_edge.formats import c_source

    packings = c_source.parse_weight_packing(choices.weight_packing, loaded)
    return c_source.make_plan(loaded, choices.family, packings)


def _c(loaded: QuantizedModel, choices: Choices) -> Export:
    from lenet_edge.formats import c_source
    from lenet_edge.resources import firmware_folder

    plan = _plan(loaded, choices)
    contents, facts = c_source.export(plan, firmware_folder(), choices.frame_shape), _facts(plan, choices)
    if choices.name is None:
        return contents, facts
    return c_source.with_prefix(contents, choices.name, loaded), {"name": choices.name, **facts}


def _project(loaded: QuantizedModel, target: str, library: str, choices: Choices) -> Export:
    from lenet_edge.formats import c_source, projects
    from lenet_edge.resources import firmware_folder

    plan = _plan(loaded, choices)
    prefix = choices.name or c_source.DEFAULT_PREFIX
    contents = projects.export(plan, firmware_folder(), target, library, prefix, choices.frame_shape)
    return contents, {"name": library, **_facts(plan, choices)}


def _facts(plan: Plan, choices: Choices) -> dict[str, Any]:
    from lenet_edge.formats import c_source

    return c_source.facts(plan) | ({} if choices.frame_shape is None else {"frames": str(choices.frame_shape)})


def _tables(result: dict[str, Any], sizes: Mapping[str, int]) -> list[Table | str]:
    table = common.new_table(f"{result['folder']}: model {result['fingerprint'][:16]}", "file", "bytes", "SHA-256")
    for name, digest in result["files"].items():
        table.add_row(name, f"{sizes[name]:,}", digest[:16])
    tables: list[Table | str] = [table]
    if "arena_bytes" in result:
        arena = result["arena_bytes"]
        split = f"head {arena['head']:,}, tail {arena['tail']:,}"
        tables.append(f"tensor arena: {arena['smallest']:,} bytes on this 64-bit host ({split}); see *_arena.h")
    if "workspace_bytes" in result:
        workspace, macs = result["workspace_bytes"], sum(step["macs"] for step in result["steps"])
        tables.append(
            f"workspace {workspace:,} bytes besides image and logits; {macs:,} MACs; "
            f"requantisation: {result['requantization']}"
        )
    if "packing" in result:
        tables.append(f"packed weights: {common.packing_text(result['packing'])}")
    return tables
