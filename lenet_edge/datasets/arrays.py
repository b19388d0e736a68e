"""Images that come as arrays (IDX, .npz) as a data set: which of them validate and test, and their preparation."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from lenet_edge.datasets.dataset import Dataset, LabelArray, Part, UInt8Array, last_twelfth
from lenet_edge.datasets.split import FIT, TEST, VALIDATION, digest, sides
from lenet_edge.errors import BadInputError
from lenet_edge.preparation import Preparation, prepare
from lenet_edge.preparation.request import PreparationRequest
from lenet_edge.preparation.steps import crop_box

__all__ = ["as_dataset", "completed", "prepared", "transposed", "uncropped"]


def completed(asked: Preparation | PreparationRequest | None, usual: Preparation) -> Preparation:
    """The preparation that is asked for; what is left open is the data set's."""
    return asked.completed(usual) if isinstance(asked, PreparationRequest) else asked or usual


def uncropped(name: str, stored: Preparation, asked: Preparation | PreparationRequest | None) -> Preparation:
    """The default for stored images: their size, or what a crop leaves of it.

    Raises:
        BadInputError: they do not hold the crop.
    """
    if not isinstance(asked, PreparationRequest) or asked.crop is None:
        return stored
    try:
        *_, width, height = crop_box(dataclasses.replace(stored, crop=asked.crop), stored.width, stored.height)
    except BadInputError as error:
        raise BadInputError(f"the images of {name}: {error}") from None
    return dataclasses.replace(stored, height=height, width=width)


def prepared(images: UInt8Array, settings: Preparation) -> UInt8Array:
    """Images of an array in the size and channels of a preparation.

    Where that centres, the images are taken as centred and turned bright on dark already, as those of MNIST are.
    """
    if settings.centred:
        settings = dataclasses.replace(settings, centred=False, invert="never")
    channels = 3 if images.ndim == 4 else 1
    height, width = images.shape[1:3]
    plain = Preparation(height, width, channels, low=settings.low, high=settings.high)
    if settings == plain:
        return images
    return np.stack([prepare(image, settings) for image in images])


def transposed(parts: Mapping[str, Part]) -> dict[str, Part]:
    """The parts with rows and columns of their images swapped."""
    return {name: Part(np.ascontiguousarray(part.images.swapaxes(1, 2)), part.labels) for name, part in parts.items()}


def as_dataset(
    name: str,
    parts: Mapping[str, Part],
    class_names: tuple[str, ...],
    settings: Preparation,
    *,
    published: bool = False,
) -> Dataset:
    """The data set of given parts; a validation or test set that is missing is taken off the training set.

    Args:
        parts: "train", and perhaps "validation" and "test".
        settings: of the images.
        published: whether the validation set is that of MNIST and Fashion-MNIST, the last twelfth.

    Raises:
        BadInputError: there are too few images.
    """
    train, test, given = parts["train"], parts.get("test"), parts.get("validation")
    if len(train.images) < 2:
        raise BadInputError(f"{name} has one training image; at least two are needed, one of them to validate.")
    chosen = _chosen(train, test=test is None, published=published)
    if given is not None:
        chosen[chosen == VALIDATION] = FIT
        train = Part(np.concatenate([train.images, given.images]), np.concatenate([train.labels, given.labels]))
        chosen = np.concatenate([chosen, np.full(len(given.images), VALIDATION, np.int8)])
    if test is None:
        test = Part(train.images[chosen == TEST], train.labels[chosen == TEST])
        train = Part(train.images[chosen != TEST], train.labels[chosen != TEST])
        chosen = chosen[chosen != TEST]
    if not len(test.images):
        raise BadInputError(f"{name} has too few images to test on; add x_test and y_test, or more images.")
    try:
        images = [prepared(each.images, settings) for each in (train, test)]
    except BadInputError as error:
        raise BadInputError(f"the images of {name}: {error}") from None
    return Dataset(name, images[0], train.labels, images[1], test.labels, class_names, settings, chosen == VALIDATION)


def _chosen(train: Part, *, test: bool, published: bool) -> npt.NDArray[np.int8]:
    count = len(train.images)
    if published:
        return np.where(last_twelfth(count), VALIDATION, FIT).astype(np.int8)
    keys = [digest(image) for image in train.images]
    chosen = sides(keys, train.labels, test=test)
    chosen[_contradicting(keys, train.labels)] = FIT  # a copy with another label would stand on another side
    if not (chosen == VALIDATION).any():  # no class has two different images
        chosen[chosen == FIT] = np.where(last_twelfth(int((chosen == FIT).sum())), VALIDATION, FIT)
    return chosen


def _contradicting(keys: list[bytes], labels: LabelArray) -> list[int]:
    """The images that are there with two labels."""
    first: dict[bytes, int] = {}
    twice = {key for key, label in zip(keys, labels.tolist(), strict=True) if first.setdefault(key, label) != label}
    return [index for index, key in enumerate(keys) if key in twice]
