"""Images and labels as uint8 arrays, ready for the network (numpy and the standard library only)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lenet_edge.datasets.arrays import as_dataset, completed
from lenet_edge.datasets.class_names import from_file
from lenet_edge.datasets.dataset import Dataset, LabelArray, TestSet, UInt8Array
from lenet_edge.datasets.idx import IMAGE_SHAPE, Arrays, encode, has_idx, read_folder
from lenet_edge.datasets.npz import Part
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
]

NAMES = tuple(PUBLISHED)
NOISE = "noise"
PUBLISHED_TEST_IMAGES, _PUBLISHED_TRAINING = 10_000, 60_000
"""The images of the test set of each of `NAMES`."""
_LONGEST_NAME = 100  # characters; a checkpoint and tables have it


def load(
    name_or_dir: str,
    preparation: Preparation | PreparationRequest | None = None,
    *,
    progress: Callable[[str], None] | None = None,
) -> Dataset:
    """The data set of this name, or in this folder.

    Args:
        name_or_dir: "mnist", "fashion-mnist", a .npz, a folder with four IDX files, gzipped or not, or one with
            a folder of pictures for each class (see `scan`). A folder that is called like a data set is named
            with a slash ("./mnist").
        preparation: of its pictures, or as much of it as is asked for: the data say the rest. Images that come as
            arrays are centred already where MNIST's are, and are taken as they are where they have the right size.
        progress: called with what is being fetched; does nothing by default.

    Raises:
        BadInputError: there is no such data set, it is damaged, it cannot be fetched, or has one class only.
    """
    dataset = _load(name_or_dir, preparation, progress or _ignore)
    if (dataset.train_labels == dataset.train_labels[0]).all():
        label = dataset.train_labels[0]
        raise BadInputError(f"{name_or_dir}: all training images have the label {label}; two classes are needed.")
    return dataset


def _load(name_or_dir: str, asked: Preparation | PreparationRequest | None, progress: Callable[[str], None]) -> Dataset:
    if name_or_dir in PUBLISHED:
        return _of_arrays(name_or_dir, obtain(name_or_dir, progress), asked, PUBLISHED[name_or_dir].class_names)
    if name_or_dir == NOISE:
        raise BadInputError(f"{NOISE} has no labels: it compares engines, and nothing can be trained on it.")
    if os.path.isdir(name_or_dir) and not has_idx(Path(name_or_dir)):
        return _of_pictures(name_or_dir, asked, progress)
    if not os.path.isdir(name_or_dir):  # unlike Path.is_dir, False for whatever cannot be looked at
        if name_or_dir.lower().endswith(".npz") and os.path.exists(name_or_dir):
            return _of_npz(Path(name_or_dir), asked)
        if os.path.exists(name_or_dir):
            raise BadInputError(
                f"The data set {name_or_dir!r} is a file; name the folder with its pictures or IDX files."
            )
        raise BadInputError(
            f"There is no data set {name_or_dir!r}: it is neither one of {', '.join(NAMES)} nor a folder "
            "with four IDX files, or with a folder of pictures for each class."
        )
    arrays = read_folder(Path(name_or_dir))
    names = from_file(Path(name_or_dir), len(_numbers(arrays)))
    return _of_arrays(_name(name_or_dir), arrays, asked, names)


def inspect(
    name_or_dir: str,
    preparation: Preparation | PreparationRequest | None = None,
    *,
    progress: Callable[[str], None] | None = None,
) -> Inspection:
    """Look at a data set, named as for `load`, before one trains.

    Raises:
        BadInputError: as `load`, but not for classes that have too few pictures: `refused` says that.
    """
    from lenet_edge.datasets.inspection import inspect_arrays, inspect_folder  # Pillow

    if os.path.isdir(name_or_dir) and name_or_dir not in PUBLISHED and not has_idx(Path(name_or_dir)):
        return inspect_folder(name_or_dir, preparation, progress or _ignore)
    return inspect_arrays(_load(name_or_dir, preparation, progress or _ignore))


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


def _of_arrays(
    name: str, arrays: Arrays, asked: Preparation | PreparationRequest | None, class_names: tuple[str, ...] | None
) -> Dataset:
    height, width, *channels = arrays.train_images.shape[1:]
    found = data_sha256(arrays.test_images, arrays.test_labels)
    published = len(arrays.train_images) == _PUBLISHED_TRAINING and found in map(published_sha256, NAMES)
    usual = MNIST if found == published_sha256("mnist") else Preparation(height, width, *channels)
    names = class_names or _numbers(arrays)
    parts = {"train": Part(*arrays[:2]), "test": Part(*arrays[2:])}
    return as_dataset(name, parts, names, completed(asked, usual), published=published)


def _numbers(arrays: Arrays) -> tuple[str, ...]:
    return tuple(map(str, range(1 + max(int(arrays.train_labels.max()), int(arrays.test_labels.max())))))


def _of_npz(path: Path, asked: Preparation | PreparationRequest | None) -> Dataset:
    parts, class_names = read_npz(path)
    height, width, *channels = parts["train"].images.shape[1:]
    settings = completed(asked, Preparation(height, width, *channels))
    return as_dataset(_name(str(path.with_suffix(""))), parts, class_names, settings)


def load_test(
    name_or_dir: str,
    preparation: Preparation | PreparationRequest | None = None,
    *,
    progress: Callable[[str], None] | None = None,
) -> TestSet:
    """The test images of a data set, their labels and the names of the classes.

    Args:
        name_or_dir: as for `load`, or "noise": the images of `noise`, which have no labels.
        preparation: as for `load`; a model carries that of its training.

    Raises:
        BadInputError: as `load`.
    """
    if name_or_dir == NOISE:
        return TestSet(noise(), None, DIGITS)
    dataset = _load(name_or_dir, preparation, progress or _ignore)
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

    Args:
        count: how many of noise.
        seed: of the generator.
        shape: of one image, or of what else a model takes.

    Returns:
        uint8 ``[count + 2, *shape]``, always the same for a seed.
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    images = generator.integers(0, 256, (count + 2, *shape), dtype=np.uint8)
    images[-2], images[-1] = 0, 255
    return images


def _ignore(message: str) -> None:
    pass
