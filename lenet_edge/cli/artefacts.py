"""The files that the engines of `check` and `predict` get, all made from one int8 model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import click

from lenet_edge.engines import ENGINES, Absent
from lenet_edge.errors import BadInputError
from lenet_edge.files import read_bytes, temporary_folder, to_json, write_files
from lenet_edge.formats import c_source
from lenet_edge.formats.int8_models import tflite_name
from lenet_edge.quantized.like import original
from lenet_edge.quantized.model import QuantizedModel
from lenet_edge.records import MANIFEST, Manifest, read_manifest, write_artefact
from lenet_edge.resources import firmware_folder

__all__ = ["Artefacts", "engine_names", "float_model_of", "qat_weights_of"]

_ONNX_FORMS = {"onnx": "qdq", "onnx-qoperator": "qoperator"}
_C_FAMILIES = {"c" if name == c_source.PLAIN else f"c-{name}": name for name in c_source.FAMILIES}


def qat_weights_of(model: Path) -> Path:
    """Where `quantize` leaves the QAT weights: next to the .tflite, under its name."""
    return model.with_suffix(".qat.safetensors")


def float_model_of(model: Path) -> Path:
    """The float checkpoint that an int8 model is compared with by default: its name without ``-int8``."""
    return model.with_name(model.stem.removesuffix("-int8") + ".safetensors")


def engine_names(chosen: Sequence[str], *, with_reference: bool = False) -> tuple[str, ...]:
    """The chosen engines, all when none is chosen, in the order of the registry.

    Raises:
        click.UsageError: there is no such engine.
    """
    known = (*(("reference",) if with_reference else ()), *ENGINES)
    if with_reference:  # its former name
        chosen = ["reference" if name == "emulator" else name for name in chosen]
    for name in chosen:
        if name not in known:
            raise click.UsageError(f"there is no engine {name!r}; known: {', '.join(known)}")
    return tuple(name for name in known if name in chosen) if chosen else tuple(ENGINES)


class Artefacts(Mapping[str, "Path | Absent"]):
    """Kind of file -> its path, or why there is none; a context manager.

    An ONNX file, and the folder of generated C, are those that `export` left in
    `exports`, if their manifest names this model; else they are made now. Only
    the `kinds` that are asked for are there. Every file is read once and copied to
    a private folder, so that what was judged is what all engines run.

    Args:
        path: of the .tflite, or of the .onnx that `model` was read from: ONNX Runtime then runs that graph.
        model: the model, or what `like.as_computed_by` made of it: only the C is then of that.
        content: the bytes of the .tflite that `model` was read from, or is written as.
    """

    def __init__(
        self,
        path: Path,
        model: QuantizedModel,
        content: bytes,
        exports: Path = Path("build"),
        *,
        kinds: Collection[str],
    ) -> None:
        self._original = original(model)
        self._path, self._model, self._content, self._exports, self._kinds = path, model, content, exports, kinds
        self._made: dict[str, Path | Absent] = {}
        self._closing = ExitStack()

    def __enter__(self) -> Artefacts:
        try:
            self._folder = self._closing.enter_context(temporary_folder())
            self._made = {"tflite": self._private("tflite", tflite_name(self._path), self._content)}
            self._made |= {"weights": self._weights()} if "weights" in self._kinds else {}
            self._made |= {kind: self._onnx(form) for kind, form in _ONNX_FORMS.items() if kind in self._kinds}
            self._made |= {kind: self._c(kind) for kind in _C_FAMILIES if kind in self._kinds}
        except BaseException:  # __exit__ is not called then
            self._closing.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.close()

    def __getitem__(self, kind: str) -> Path | Absent:
        return self._made[kind]

    def __iter__(self) -> Iterator[str]:
        return iter(self._made)

    def __len__(self) -> int:
        return len(self._made)

    def _private(self, kind: str, name: str, content: bytes) -> Path:
        folder = self._folder / kind
        write_files(folder, {name: content})
        return folder / name

    def _weights(self) -> Path | Absent:
        path = qat_weights_of(self._path)
        if not path.exists():
            return Absent(f"{path} is missing; `lenet-edge quantize` leaves it next to the .tflite")
        return self._private("weights", path.name, read_bytes(path, "the file of weights"))

    def _onnx(self, form: str) -> Path | Absent:
        imported = self._model.metadata.get("imported")
        if form == "qdq" and imported is not None:  # the user's own graph
            return self._private(form, self._path.name, imported.onnx)
        exported = self._exported(form)
        if exported is not None:
            return exported
        from lenet_edge.formats import onnx

        try:
            content = onnx.to_bytes(self._original, form=form)  # type: ignore[arg-type]
        except BadInputError as error:  # a third-party model may have a layer that ONNX cannot express exactly
            return Absent(str(error))
        return self._private(form, f"{form}.onnx", content)

    def _c(self, kind: str) -> Path | Absent:
        family = _C_FAMILIES[kind]
        exported, folder = self._exports / "c", self._folder / kind
        manifest = read_manifest(exported)
        if manifest is not None and manifest.is_of(self._model.fingerprint, target="c", family=family):
            plan = c_source.make_plan(self._model, family, _packings(manifest))
            _require_facts(exported, manifest, c_source.facts(plan))
            contents = {name: _read_exported(exported, name, digest) for name, digest in manifest.files.items()}
            write_files(folder, {**contents, MANIFEST: manifest.to_bytes()})
            return folder
        try:
            plan = c_source.make_plan(self._model, family)
            contents = c_source.export(plan, firmware_folder())
        except BadInputError as error:
            return Absent(str(error))
        write_artefact(folder, contents, self._model.fingerprint, **c_source.facts(plan))
        return folder

    def _exported(self, form: str) -> Path | None:
        folder = self._exports / "onnx"
        manifest = read_manifest(folder)
        if manifest is None or not manifest.is_of(self._original.fingerprint, form=form):
            return None
        for name, expected in manifest.files.items():
            if name.endswith("-int8.onnx") and (folder / name).exists():
                return self._private(form, Path(name).name, _read_exported(folder, name, expected))
        return None


def _packings(manifest: Manifest) -> dict[str, str]:
    """Layer -> packing of the exported C; `_require_facts` judges whether it is what the rest says."""
    found = manifest.facts.get("packing")
    return {layer: str(packing) for layer, packing in found.items()} if isinstance(found, dict) else {}


def _require_facts(folder: Path, manifest: Manifest, facts: Mapping[str, Any]) -> None:
    """The sizes in a manifest say how much memory the C is lent: wrong ones would let it write beyond."""
    wrong = [name for name, fact in json.loads(to_json(facts)).items() if manifest.facts.get(name) != fact]
    if wrong:
        raise BadInputError(f"{folder / MANIFEST} has another {wrong[0]} than this version exports; export it again")


def _read_exported(folder: Path, name: str, expected: str) -> bytes:
    content = read_bytes(folder / name, "the exported file")
    if hashlib.sha256(content).hexdigest() != expected:
        raise BadInputError(f"{folder / name} is not what {folder / MANIFEST} says; export it again")
    return content
