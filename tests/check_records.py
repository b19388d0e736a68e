"""Records of `check` as it writes them, written without the code under test."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from idx_files import idx_bytes

ENGINES = ("tflm", "litert-reference")
MNIST = "b200a23c265d0e9237811669d1c05fd8bc5ae74128c22ccd0d8542467bd23e3a"
"""Of MNIST's test set: ``for f in t10k-images* t10k-labels*; do zcat $f | sha256sum | cut -c-64; done | sha256sum``."""


FLOAT = "f" * 64
"""Of the file of the float model."""


_FIGURES = ("accuracy", "seconds", "logits_differ", "images_differ", "argmax_differ", "max_abs_difference")
_NOTHING = dict.fromkeys((*_FIGURES, "version", "artefact", "beyond_rule", "first_difference")) | {
    "message": "",
    "rule": "",
}


def result_of(check: Any, name: str) -> Any:
    """What one engine did, of all that a check ran."""
    return next(engine for engine in check.engines if engine.name == name)


def data_sha256(images: np.ndarray, labels: np.ndarray) -> str:
    """What names a test set: the SHA-256 of the lines that `sha256sum` gives for its two IDX files."""
    lines = [hashlib.sha256(idx_bytes(array)).hexdigest() + "\n" for array in (images, labels)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def engine(name: str, images: int = 10_000, **changes: Any) -> dict[str, Any]:
    """One that ran without a difference."""
    figures = dict.fromkeys(("logits_differ", "images_differ", "argmax_differ", "max_abs_difference"), 0)
    measured = {"accuracy": 0.99, "seconds": 1.0, **figures}
    return {**_NOTHING, "name": name, "status": "ran", "images": images, **measured, **changes}


def absent(name: str) -> dict[str, Any]:
    """One that is not installed."""
    return {**_NOTHING, "name": name, "status": "absent", "images": 0}


def confusion(images: int, right: int) -> dict[str, Any]:
    """A confusion matrix of so many images, of which so many are right."""
    return {"classes": ["even", "odd"], "matrix": [[right // 2, images - right], [0, right - right // 2]]}


def record(fingerprint: str, board: str = "microbit", image: str = "0" * 64, images: int = 10_000) -> dict[str, Any]:
    """A check on MNIST that passed, with that board's image in an emulator."""
    names = ("reference", *ENGINES, "litert-xnnpack", "host_c", f"board:{board}/unicorn")
    return {
        "format": 3,
        "fingerprint": fingerprint,
        "data": "mnist",
        "data_sha256": MNIST,
        "data_images": 10_000,
        "images": images,
        "float_accuracy": 0.99,
        "float_sha256": FLOAT,
        "int8_accuracy": 0.99,
        "drop_points": 0.0,
        "drop_interval": [0.0, 0.0],
        "mcnemar_p": 1.0,
        "confusion": confusion(images, round(0.99 * images)),
        "max_drop": 0.1,
        "passed": True,
        "problems": [],
        "warnings": [],
        "engines": [engine(name, images) for name in names],
        "firmware": {board: image},
        "like": None,
    }


def write(path: Path, content: object) -> Path:
    """As JSON, or as it is where it is a text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path
