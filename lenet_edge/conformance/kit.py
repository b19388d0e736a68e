"""The files of the kit: the same bytes, always."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from lenet_edge.conformance.case import Case
from lenet_edge.files import to_json
from lenet_edge.formats import onnx, tflite
from lenet_edge.quantized.model import Int8Array, QTensor
from lenet_edge.quantized.reference import run
from lenet_edge.version import __version__

__all__ = ["VERSION", "expected", "kit_files"]

VERSION = 1
"""Of the kit's form, which `cases.json` names."""

_FILES = Path(__file__).with_name("files")
_HARNESSES = ("README.md", "conformance.c", "conformance.h", "conformance.py")


@cache
def expected(case: Case) -> Int8Array:
    """The integers that every correct runtime gives, int8 ``[64, values]``, several outputs one behind the other."""
    return run(case.model, case.images)


def kit_files(cases: Sequence[Case]) -> dict[str, bytes]:
    """All files of the kit by their names in its folder: the cases, the lists of them, both harnesses."""
    contents, listed = {name: (_FILES / name).read_bytes() for name in _HARNESSES}, []
    for case in cases:
        files = _case_files(case)
        contents |= {f"cases/{case.name}/{name}": content for name, content in files.items()}
        listed.append(_listed(case, files))
    about = {"kit": VERSION, "made_by": f"lenet-edge {__version__}", "cases": listed}
    contents["cases.json"] = to_json(about).encode()

    return contents | {"cases.txt": "".join(map(_line, cases)).encode()}


def _line(case: Case) -> str:
    """The case in `cases.txt`."""
    return f"{case.name} {len(case.inputs)} {case.inputs.shape[1]} {math.prod(case.model.output.shape)}\n"


def _case_files(case: Case) -> dict[str, bytes]:
    return {
        "model.tflite": tflite.to_bytes(case.model),
        "model.onnx": onnx.to_bytes(case.model, "qdq"),
        "model-qoperator.onnx": onnx.to_bytes(case.model, "qoperator"),
        "inputs.bin": case.inputs.tobytes(),
        "expected.bin": expected(case).tobytes(),
    }


def _listed(case: Case, files: dict[str, bytes]) -> dict[str, Any]:
    """The case in `cases.json`."""
    return {
        "name": case.name,
        "purpose": case.purpose,
        "layers": [type(layer).__name__ for layer in case.model.layers],
        "count": len(case.inputs),
        "inputs": [_tensor(tensor) for tensor in case.model.inputs],
        "outputs": [_tensor(tensor) for tensor in case.model.outputs],
        "fingerprint": case.model.fingerprint,
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    }


def _tensor(tensor: QTensor) -> dict[str, Any]:
    return {"shape": list(tensor.shape), "scale": tensor.scale, "zero_point": tensor.zero_point}
