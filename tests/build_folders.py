"""Build folders with a model and every record of it, written without the code under test."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import check_records
import numpy as np

from lenet_edge.formats import tflite
from lenet_edge.quantized.model import QuantizedModel

FIRMWARE = "5" * 64
TOOLCHAIN = "arm-none-eabi-gcc (15:12.2.rel1-1) 12.2.1"
SIZES = {"code": 6500, "tables": 66_600, "weights": 62_414, "buffers": 2700, "stack": 1024, "input_image": 784}
HOSTILE = "</script><img src=x onerror=alert(1)>\"'&[red] \U0001f5a4 ".ljust(199, "x")


def write(
    folder: Path, model: QuantizedModel, classes: Sequence[str], board: str = "microbit", images: int = 1000
) -> Path:
    """A model of so many classes with its records: a check, the report of quantize, a firmware, a count."""
    folder.mkdir(parents=True, exist_ok=True)
    named = model.with_metadata(arch="lenet5", classes=list(classes), dataset="no-such-data", grid="tie-free")
    (folder / "net-int8.tflite").write_bytes(tflite.to_bytes(named))
    fingerprint, matrix = named.fingerprint, confusion(len(classes), images)
    right = sum(matrix[index][index] for index in range(len(classes)))
    facts = accuracy(classes, matrix, images, right)
    check = {**check_records.record(fingerprint, board, FIRMWARE, images), **facts, "data": "no-such-data"}
    for engine in check["engines"]:
        engine["accuracy"] = facts["int8_accuracy"]
    check["engines"].append(check_records.absent("tf-lite"))
    check_records.write(folder / "check.json", check)
    check_records.write(folder / "net-int8.json", quantized(named, facts))
    check_records.write(folder / "firmware" / board / "manifest.json", firmware(fingerprint, board))
    check_records.write(folder / "bench" / f"{board}.json", bench(fingerprint, board))
    return folder


def confusion(classes: int, images: int) -> list[list[int]]:
    """A matrix of so many images in which each class is taken for the next one now and then."""
    each = np.full(classes, images // classes)
    each[: images % classes] += 1
    matrix = np.diag(each)
    for index in range(classes):
        matrix[index, index] -= index % 3
        matrix[index, (index + 1) % classes] += index % 3
    return matrix.tolist()


def accuracy(classes: Sequence[str], matrix: list[list[int]], images: int, right: int) -> dict[str, Any]:
    """What the records of `check` and `quantize` say of it; the float model has seven more right."""
    return {
        "float_accuracy": (right + 7) / images,
        "int8_accuracy": right / images,
        "drop_points": 100 * ((right + 7) / images - right / images),
        "drop_interval": [0.1234567, 1.5],
        "mcnemar_p": 0.015625,
        "confusion": {"classes": list(classes), "matrix": matrix},
        "max_drop": 5.0,
    }


def quantized(model: QuantizedModel, facts: dict[str, Any]) -> dict[str, Any]:
    """The report of `quantize`."""
    names = [layer.name for layer in model.layers if hasattr(layer, "weights")]
    rules = ("tflm", "ruy", "single", "float32")
    layers = [
        {
            "name": name,
            "channels": 6 + index,
            "q_min": 101 + index,
            "q_max": 301 + index,
            "cases": 1_000_003 * (index + 1),
            "disagreements": dict.fromkeys(rules, 0),
            "margin": None,
        }
        for index, name in enumerate(names)
    ]
    proof = {"passed": True, "cases": sum(layer["cases"] for layer in layers), "disagreements": 0, "layers": layers}
    said = {name: value for name, value in facts.items() if name != "max_drop"}
    sqnr = {name: 30.25 + index for index, name in enumerate(names)}
    metadata = json.loads(json.dumps(dict(model.metadata)))
    return {"fingerprint": model.fingerprint, **metadata, **said, "sqnr_db": sqnr, "proof": proof}


def firmware(fingerprint: str, board: str) -> dict[str, Any]:
    """The manifest that `build` leaves."""
    return {
        "format": 1,
        "files": {"firmware.elf": "6" * 64},
        "fingerprint": fingerprint,
        "lenet_edge": "0.1.0",
        "board": board,
        "toolchain": TOOLCHAIN,
        "optimize": "speed",
        "family": "cortex_m_base",
        "image_sha256": FIRMWARE,
        "sizes": SIZES,
        "stack_depth": 340,
        "stack_path": ["le_reset", "le_start", "main"],
    }


def bench(fingerprint: str, board: str) -> dict[str, Any]:
    """The record of `bench`, of a model with two steps."""
    layers = [
        {"name": "C1+S2", "count": 343_162, "macs": 117_600, "kernel": "lanes tiles", "why_plain": ""},
        {"name": "C3", "count": 1_198_747, "macs": 240_000, "kernel": "plain", "why_plain": "its window is too large"},
    ]
    return {
        "format": 1,
        "board": board,
        "emulator": "unicorn",
        "toolchain": TOOLCHAIN,
        "optimize": "speed",
        "fingerprint": fingerprint,
        "image_sha256": FIRMWARE,
        "images": 10,
        "unit": "instructions",
        "total": 1_753_610,
        "mean": 1_752_706,
        "layers": layers,
        "flash_bytes": 73_100,
        "ram_bytes": 3_000,
        "stack_used_bytes": 336,
    }
