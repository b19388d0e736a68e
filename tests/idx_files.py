"""Small data sets as IDX files, written without the code under test."""

from __future__ import annotations

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np

NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def idx_bytes(array: np.ndarray, kind: int = 8) -> bytes:
    """`array` as an IDX file: 0, 0, type, number of dimensions, sizes, values."""
    return bytes([0, 0, kind, array.ndim]) + b"".join(struct.pack(">I", n) for n in array.shape) + array.tobytes()


def small_arrays(train: int = 24, test: int = 5, seed: int = 0) -> list[np.ndarray]:
    """Train images, train labels, test images, test labels; random, of the right types."""
    random = np.random.default_rng(seed)
    return [
        random.integers(0, 256, (train, 28, 28), np.uint8),
        random.integers(0, 10, train, np.uint8),
        random.integers(0, 256, (test, 28, 28), np.uint8),
        random.integers(0, 10, test, np.uint8),
    ]


def sha256_of(arrays: list[np.ndarray]) -> tuple[str, str, str, str]:
    """SHA-256 of the four IDX files."""
    first, second, third, fourth = (hashlib.sha256(idx_bytes(array)).hexdigest() for array in arrays)
    return first, second, third, fourth


def write_folder(folder: Path, arrays: list[np.ndarray], *, zipped: bool = False, dotted: bool = False) -> Path:
    """Write the four files; `dotted` takes the other spelling of their names."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in zip(NAMES, arrays, strict=True):
        spelling = name.replace("-idx", ".idx") if dotted else name
        content = idx_bytes(array)
        if zipped:
            (folder / f"{spelling}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / spelling).write_bytes(content)
    return folder
