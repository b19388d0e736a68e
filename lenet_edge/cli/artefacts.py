"""The files that the engines of `check` and `predict` get, all made from one int8 model."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import click

from lenet_edge.errors import BadInputError
from lenet_edge.files import read_bytes, read_manifest, temporary_folder, write_artefact, write_file
from lenet_edge.formats import c_source
from lenet_edge.hardware.resources import firmware_folder
from lenet_edge.quantized.model import QuantizedModel

__all__ = ["Artefacts", "engine_names", "float_model_of", "qat_weights_of"]

_ONNX_FORMS = {"onnx": "qdq", "onnx-qoperator": "qoperator"}
_C_FAMILIES = {"c": c_source.PLAIN, "c-x86": "x86"}


def qat_weights_of(model: Path) -> Path:
    """Where `quantize` leaves the QAT weights: beside the .tflite, under its name."""
    return model.with_suffix(".qat.safetensors")


def float_model_of(model: Path) -> Path:
    """The float checkpoint that an int8 model is compared with by default: its name without ``-int8``."""
    return model.with_name(model.stem.removesuffix("-int8") + ".safetensors")


def engine_names(chosen: Sequence[str], *, with_emulator: bool = False) -> tuple[str, ...]:
    """The chosen engines, all when none is chosen, in the order of the registry.

    Raises:
        click.UsageError: there is no such engine.
    """
    from lenet_edge.engines import ENGINES

    known = (*(("emulator",) if with_emulator else ()), *ENGINES)
    for name in chosen:
        if name not in known:
            raise click.UsageError(f"there is no engine {name!r}; known: {', '.join(known)}")
    return tuple(name for name in known if name in chosen) if chosen else tuple(ENGINES)


class Artefacts(Mapping[str, "Path | str"]):
    """Kind of file -> its path, or a text that says why there is none; a context manager.

    The .tflite is the model's own file. An ONNX file, and the folder of
    generated C, are those that `export` left in `exports`, if their manifest
    names this model; else they are made in a temporary folder. Only the `kinds`
    that are asked for are there.
    """

    def __init__(
        self, path: Path, model: QuantizedModel, exports: Path = Path("build"), *, kinds: Collection[str]
    ) -> None:
        self._path, self._model, self._exports, self._kinds = path, model, exports, kinds
        self._made: dict[str, Path | str] = {}
        self._closing = ExitStack()

    def __enter__(self) -> Artefacts:
        weights = qat_weights_of(self._path)
        absent = f"{weights} is missing; `lenet-edge quantize` leaves it beside the .tflite"
        self._made = {"tflite": self._path, "weights": weights if weights.exists() else absent}
        try:
            self._folder = self._closing.enter_context(temporary_folder())
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

    def __getitem__(self, kind: str) -> Path | str:
        return self._made[kind]

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter(self._made)

    def __len__(self) -> int:
        return len(self._made)

    def _onnx(self, form: str) -> Path | str:
        exported = self._exported(form)
        if exported is not None:
            return exported
        from lenet_edge.formats import onnx

        path = self._folder / f"{form}.onnx"
        try:
            content = onnx.to_bytes(self._model, form=form)  # type: ignore[arg-type]
        except BadInputError as error:  # a model from elsewhere may have a layer that ONNX cannot express exactly
            return str(error)
        write_file(path, content)
        return path

    def _c(self, kind: str) -> Path | str:
        family = _C_FAMILIES[kind]
        folder = self._exports / "c"
        manifest = read_manifest(folder)
        wanted = {"target": "c", "fingerprint": self._model.fingerprint, "family": family}
        if manifest is not None and wanted.items() <= manifest.items():
            for name, expected in manifest["files"].items():
                _require_sha256(folder, name, expected)
            return folder
        folder = self._folder / kind
        try:
            contents = c_source.export(self._model, firmware_folder(), family)
        except BadInputError as error:
            return str(error)
        write_artefact(folder, contents, self._model.fingerprint, **c_source.facts(self._model, family))
        return folder

    def _exported(self, form: str) -> Path | None:
        folder = self._exports / "onnx"
        manifest = read_manifest(folder)
        if manifest is None or manifest.get("fingerprint") != self._model.fingerprint:
            return None
        if manifest.get("form") != form:
            return None
        for name, expected in manifest["files"].items():
            if name.endswith("-int8.onnx") and (folder / name).exists():
                _require_sha256(folder, name, expected)
                path: Path = folder / name
                return path
        return None


def _require_sha256(folder: Path, name: str, expected: str) -> None:
    path = folder / name
    if hashlib.sha256(read_bytes(path, "the exported file")).hexdigest() != expected:
        raise BadInputError(f"{path} is not what {folder / 'manifest.json'} says; export it again")
