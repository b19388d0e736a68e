"""Images and labels as uint8 arrays, ready for the network (numpy and the standard library only)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lenet_edge.datasets.idx import IMAGE_SHAPE, UInt8Array, header, read_folder
from lenet_edge.datasets.sources import DIGITS, PUBLISHED, obtain
from lenet_edge.errors import BadInputError, one_line

__all__ = [
    "NAMES",
    "NOISE",
    "PUBLISHED_TEST_IMAGES",
    "VALIDATION_PART",
    "Dataset",
    "data_sha256",
    "load",
    "load_test",
    "noise",
    "published_sha256",
]

NAMES = tuple(PUBLISHED)
NOISE = "noise"
PUBLISHED_TEST_IMAGES = 10_000
"""The images of the test set of each of `NAMES`."""
_LONGEST_NAME = 100  # characters; a checkpoint and tables have it
VALIDATION_PART = 12  # one twelfth: 5,000 of 60,000


@dataclass(frozen=True, eq=False)
class Dataset:
    """A training set and a test set.

    The validation set is by a fixed rule the **last twelfth of the training
    set** in the order of its file: images 55,000 to 59,999 of MNIST and of
    Fashion-MNIST. It needs no random numbers, so every version of every library
    agrees on it. What is left is the part to fit on.

    Attributes:
        train_images: uint8 ``[n, 28, 28]``; in a published set n is 60,000.
        train_labels: uint8 ``[n]``, 0 to 9.
        test_images: uint8 ``[m, 28, 28]``; in a published set m is 10,000.
        test_labels: uint8 ``[m]``, 0 to 9.
        class_names: what the labels 0 to 9 stand for.
    """

    name: str
    train_images: UInt8Array
    train_labels: UInt8Array
    test_images: UInt8Array
    test_labels: UInt8Array
    class_names: tuple[str, ...]

    @property
    def validation_count(self) -> int:
        """How many of the last training images are the validation set: a twelfth rounded down, at least one."""
        return max(1, len(self.train_images) // VALIDATION_PART)

    @property
    def fit_images(self) -> UInt8Array:
        """The training images without the validation set."""
        return self.train_images[: -self.validation_count]

    @property
    def fit_labels(self) -> UInt8Array:
        """The training labels without the validation set."""
        return self.train_labels[: -self.validation_count]

    @property
    def validation_images(self) -> UInt8Array:
        """The images of the validation set."""
        return self.train_images[-self.validation_count :]

    @property
    def validation_labels(self) -> UInt8Array:
        """The labels of the validation set."""
        return self.train_labels[-self.validation_count :]


def load(name_or_dir: str, *, progress: Callable[[str], None] | None = None) -> Dataset:
    """The data set of this name, or in this folder.

    Args:
        name_or_dir: "mnist", "fashion-mnist", or a folder with four IDX files, gzipped or not. A folder that is
            called like a data set is named with a slash ("./mnist").
        progress: called with what is being fetched; does nothing by default.

    Raises:
        BadInputError: there is no such data set, it is damaged, it cannot be fetched, or has one class only.
    """
    dataset = _load(name_or_dir, progress or _ignore)
    if (dataset.train_labels == dataset.train_labels[0]).all():
        label = dataset.train_labels[0]
        raise BadInputError(f"{name_or_dir}: all training images have the label {label}; two classes are needed.")
    return dataset


def _load(name_or_dir: str, progress: Callable[[str], None]) -> Dataset:
    if name_or_dir in PUBLISHED:
        arrays = obtain(name_or_dir, progress)
        return Dataset(name_or_dir, *arrays, class_names=PUBLISHED[name_or_dir].class_names)
    if name_or_dir == NOISE:
        raise BadInputError(f"{NOISE} has no labels: it compares engines, and nothing can be trained on it.")
    if not os.path.isdir(name_or_dir):  # unlike Path.is_dir, False for whatever cannot be looked at
        if os.path.exists(name_or_dir):
            raise BadInputError(f"The data set {name_or_dir!r} is a file; name the folder with the four IDX files.")
        raise BadInputError(
            f"There is no data set {name_or_dir!r}: it is neither one of {', '.join(NAMES)} nor a folder "
            "with four IDX files."
        )
    arrays = read_folder(Path(name_or_dir))
    if len(arrays.train_images) < 2:
        raise BadInputError(f"{name_or_dir} has one training image; at least two are needed, one of them to validate.")
    name = one_line(Path(name_or_dir).resolve().name)[:_LONGEST_NAME] or "data"
    return Dataset(name, *arrays, class_names=DIGITS)


def load_test(
    name_or_dir: str, *, progress: Callable[[str], None] | None = None
) -> tuple[UInt8Array, UInt8Array | None, tuple[str, ...]]:
    """The test images of a data set, their labels and the names of the classes.

    Args:
        name_or_dir: as for `load`, or "noise": the images of `noise`, which have no labels.

    Returns:
        Images uint8 ``[n, 28, 28]``, labels uint8 ``[n]`` or None, class names.

    Raises:
        BadInputError: as `load`.
    """
    if name_or_dir == NOISE:
        return noise(), None, DIGITS
    dataset = _load(name_or_dir, progress or _ignore)
    return dataset.test_images, dataset.test_labels, dataset.class_names


def data_sha256(images: UInt8Array, labels: UInt8Array | None) -> str:
    """What names a test set, whatever its folder is called: SHA-256 (hex) over the SHA-256 of its IDX files.

    The files are those of the images and, where there are labels, of these, decompressed; their digests are lines of
    hexadecimal digits. In a shell: ``for f in t10k-images* t10k-labels*; do zcat $f | sha256sum | cut -c-64; done |
    sha256sum``.

    Args:
        images: uint8 ``[n, h, w]``.
        labels: uint8 ``[n]``, or None.
    """
    arrays = [images] if labels is None else [images, labels]
    return _sha256_of([hashlib.sha256(header(array.shape) + array.tobytes()).hexdigest() for array in arrays])


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
