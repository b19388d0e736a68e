"""Images and labels as uint8 arrays, ready for the network (numpy and the standard library only)."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lenet_edge.datasets import idx_sets
from lenet_edge.datasets.arrays import as_dataset, completed, transposed, uncropped
from lenet_edge.datasets.dataset import Dataset, LabelArray, Part, TestSet, UInt8Array
from lenet_edge.datasets.idx import IMAGE_SHAPE, encode
from lenet_edge.datasets.labels import renumbered
from lenet_edge.datasets.npz import read as read_npz
from lenet_edge.datasets.sources import DIGITS, PUBLISHED, obtain
from lenet_edge.errors import BadInputError, one_line
from lenet_edge.preparation.request import PreparationRequest
from lenet_edge.preparation.settings import MNIST, Preparation

if TYPE_CHECKING:
    from lenet_edge.datasets.inspection import Inspection

__all__ = [
    "NAMES",
    "NOISE",
    "PUBLISHED_TEST_IMAGES",
    "Dataset",
    "LabelArray",
    "TestSet",
    "data_sha256",
    "inspect",
    "load",
    "load_test",
    "noise",
    "published_sha256",
    "renumbered",
    "stores_arrays",
]

NAMES = tuple(PUBLISHED)
NOISE = "noise"
PUBLISHED_TEST_IMAGES, _PUBLISHED_TRAINING = 10_000, 60_000
"""The images of the test set of each of `NAMES`."""
_NAMED = 8  # of many classes, in a message
_LONGEST_NAME = 100  # characters; a checkpoint and tables have it


def load(
    name_or_dir: str,
    preparation: Preparation | PreparationRequest | None = None,
    *,
    transpose: bool = False,
    progress: Callable[[str], None] | None = None,
) -> Dataset:
    """The data set of this name, or in this folder.

    Args:
        name_or_dir: "mnist", "fashion-mnist", a .npz, a folder with IDX files, gzipped or not, or one of several such
            sets in a folder by the path of any of its files, or a folder with one of pictures for each class (see
            `scan`). A folder that is called like a data set is named with a slash ("./mnist").
        preparation: of its pictures, or as much of it as is asked for: the data say the rest. Images that come as
            arrays are centred already where MNIST's are, and are taken as they are where they have the right size.
        transpose: swap rows and columns of images that come as arrays; pictures are as one sees them.
        progress: called with what is being fetched, and with warnings; does nothing by default.

    Raises:
        BadInputError: there is no such data set, it is damaged, it cannot be fetched, or has one class only.
    """
    tell = progress or _ignore
    dataset = _load(name_or_dir, preparation, transpose, tell)
    counts = np.bincount(dataset.train_labels, minlength=len(dataset.class_names))
    if (counts > 0).sum() < 2:
        label = dataset.class_names[int(dataset.train_labels[0])]
        raise BadInputError(f"{name_or_dir}: all training images have the label {label}; two classes are needed.")
    if lacking := [name for name, count in zip(dataset.class_names, counts.tolist(), strict=True) if not count]:
        tell(f"warning: no image to learn from: {len(lacking)} classes, {', '.join(lacking[:_NAMED])}")
    return dataset


def stores_arrays(name_or_dir: str) -> bool:
    """Whether a data set is a .npz or IDX files of your own, whose images may be stored transposed."""
    if name_or_dir in (*PUBLISHED, NOISE):
        return False
    if os.path.isdir(name_or_dir):
        return idx_sets.has_idx(Path(name_or_dir))
    return name_or_dir.lower().endswith(".npz") or idx_sets.is_idx(Path(name_or_dir))


def _load(
    name_or_dir: str,
    asked: Preparation | PreparationRequest | None,
    transpose: bool,
    progress: Callable[[str], None],
) -> Dataset:
    if name_or_dir in PUBLISHED:
        return _published(name_or_dir, asked, progress)
    if name_or_dir == NOISE:
        raise BadInputError(f"{NOISE} has no labels: it compares engines, and nothing can be trained on it.")
    path = Path(name_or_dir)
    if os.path.isdir(name_or_dir):  # unlike Path.is_dir, False for whatever cannot be looked at
        if idx_sets.has_idx(path):
            return _of_idx(path, asked, transpose, progress)
        return _of_pictures(name_or_dir, asked, progress)
    if os.path.exists(name_or_dir):
        if idx_sets.is_idx(path):
            return _of_idx(path, asked, transpose, progress)
        if name_or_dir.lower().endswith(".npz"):
            parts, names = read_npz(path)
            return _of_arrays(_name(str(path.with_suffix(""))), parts, asked, names, transpose=transpose)
        raise BadInputError(f"The data set {name_or_dir!r} is a file; name the folder with its pictures or IDX files.")
    raise BadInputError(
        f"There is no data set {name_or_dir!r}. Name one of {', '.join(NAMES)}, a folder with IDX files or with a "
        "folder of pictures for each class, or a .npz."
    )


def inspect(
    name_or_dir: str,
    preparation: Preparation | PreparationRequest | None = None,
    *,
    transpose: bool = False,
    progress: Callable[[str], None] | None = None,
) -> Inspection:
    """Look at a data set, named as for `load`, before one trains.

    Raises:
        BadInputError: as `load`, but not for classes that have too few pictures: `refused` says that.
    """
    from lenet_edge.datasets.inspection import inspect_arrays, inspect_folder  # Pillow

    if os.path.isdir(name_or_dir) and name_or_dir not in PUBLISHED and not idx_sets.has_idx(Path(name_or_dir)):
        return inspect_folder(name_or_dir, preparation, progress or _ignore)
    return inspect_arrays(_load(name_or_dir, preparation, transpose, progress or _ignore))


def _of_pictures(
    folder: str, asked: Preparation | PreparationRequest | None, progress: Callable[[str], None]
) -> Dataset:
    from lenet_edge.datasets import folder as folders  # Pillow

    pictures = folders.read_pictures(Path(folder), asked, progress)
    for warning in pictures.warnings():
        progress(f"warning: {warning}")
    folders.require_enough(pictures, folder)
    return folders.as_dataset(pictures, _name(folder))


def _name(folder: str) -> str:
    return one_line(Path(folder).resolve().name)[:_LONGEST_NAME] or "data"


def _published(name: str, asked: Preparation | PreparationRequest | None, progress: Callable[[str], None]) -> Dataset:
    arrays = obtain(name, progress)
    parts = {"train": Part(*arrays[:2]), "test": Part(*arrays[2:])}
    return _of_arrays(name, parts, asked, PUBLISHED[name].class_names)


def _of_idx(
    path: Path,
    asked: Preparation | PreparationRequest | None,
    transpose: bool,
    progress: Callable[[str], None],
) -> Dataset:
    found = idx_sets.find(path)
    stored = idx_sets.read(found)
    if found.name.startswith("emnist") and not transpose:
        progress("note: EMNIST's images have rows and columns swapped; --transpose turns them upright")
    parts, names = idx_sets.numbered(found, stored)
    return _of_arrays(found.name or _name(str(found.folder)), parts, asked, names, transpose=transpose)


def _of_arrays(
    name: str,
    parts: dict[str, Part],
    asked: Preparation | PreparationRequest | None,
    class_names: tuple[str, ...],
    *,
    transpose: bool = False,
) -> Dataset:
    if transpose:
        parts = transposed(parts)
    height, width, *channels = parts["train"].images.shape[1:]
    known = data_sha256(*parts["test"]) if "test" in parts else ""
    published = len(parts["train"].images) == _PUBLISHED_TRAINING and known in map(published_sha256, NAMES)
    usual = (
        MNIST if known == published_sha256("mnist") else uncropped(name, Preparation(height, width, *channels), asked)
    )
    dataset = as_dataset(name, parts, class_names, completed(asked, usual), published=published)
    return replace(dataset, transposed=transpose)


def load_test(
    name_or_dir: str,
    preparation: Preparation | PreparationRequest | None = None,
    *,
    transpose: bool = False,
    progress: Callable[[str], None] | None = None,
) -> TestSet:
    """The test images of a data set, their labels and the names of the classes.

    Args:
        name_or_dir: as for `load`, or "noise": the images of `noise`, which have no labels.
        preparation: as for `load`; a model carries that of its training.
        transpose: as for `load`; a model carries that, too.

    Raises:
        BadInputError: as `load`.
    """
    if name_or_dir == NOISE:
        return TestSet(noise(), None, DIGITS)
    dataset = _load(name_or_dir, preparation, transpose, progress or _ignore)
    return TestSet(dataset.test_images, dataset.test_labels, dataset.class_names, dataset.test_files)


def data_sha256(images: UInt8Array, labels: LabelArray | None) -> str:
    """What names a test set, whatever its folder is called: SHA-256 (hex) over the SHA-256 of its IDX files.

    The files are those of the images and, where there are labels, of these, decompressed; their digests are lines of
    hexadecimal digits. In a shell: ``for f in t10k-images* t10k-labels*; do zcat $f | sha256sum | cut -c-64; done |
    sha256sum``.

    Args:
        images: uint8 ``[n, h, w]`` or ``[n, h, w, 3]``.
        labels: integers ``[n]``, or None.
    """
    arrays = [images] if labels is None else [images, labels]
    return _sha256_of([hashlib.sha256(encode(array)).hexdigest() for array in arrays])


def published_sha256(name: str) -> str:
    """`data_sha256` of a published data set, one of `NAMES`; nothing is fetched."""
    return _sha256_of(PUBLISHED[name].sha256[2:])


def _sha256_of(digests: Sequence[str]) -> str:
    return hashlib.sha256("".join(f"{digest}\n" for digest in digests).encode()).hexdigest()


def noise(count: int = 10_000, seed: int = 0, shape: tuple[int, ...] = IMAGE_SHAPE) -> UInt8Array:
    """Images that reach what no digit does: uniform noise, then one image of all 0 and one of all 255.

    If the shape is not that of MNIST's images, one third of the inputs has only extreme values, in varying shares, and
    one third is smooth, as pictures and signals are.

    Args:
        count: how many of noise.
        seed: of the generator.
        shape: of one image, or of any other input of a model.

    Returns:
        uint8 ``[count + 2, *shape]``, always the same for a seed.
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    images = generator.integers(0, 256, (count + 2, *shape), dtype=np.uint8)
    if math.prod(shape) != math.prod(IMAGE_SHAPE):
        extremes, smooth = images[1::3], images[2::3]
        share = generator.integers(0, 257, (len(extremes), *(1 for _ in shape)))
        extremes[...] = np.where(extremes < share, 0, 255)
        smooth[...] = _smooth(smooth, generator)
    images[-2], images[-1] = 0, 255
    return images


def _smooth(fine: UInt8Array, generator: np.random.Generator) -> UInt8Array:
    """Values that stay the same for up to four steps along each axis, except for noise of up to eight either way."""
    coarse = generator.integers(0, 256, (len(fine), *(-(-size // 4) for size in fine.shape[1:])), dtype=np.int16)
    for axis, size in enumerate(fine.shape[1:], start=1):
        coarse = coarse.repeat(4, axis=axis).take(range(size), axis=axis)
    values: UInt8Array = np.clip(coarse + fine % 17 - 8, 0, 255).astype(np.uint8)
    return values


def _ignore(message: str) -> None:
    pass
