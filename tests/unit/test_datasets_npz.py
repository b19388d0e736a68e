""".npz as Keras and MedMNIST write it, and what only looks like it."""

import io
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lenet_edge import datasets
from lenet_edge.datasets import npz
from lenet_edge.errors import BadInputError
from lenet_edge.preparation.request import PreparationRequest

RANDOM = np.random.default_rng(0)
X = RANDOM.integers(0, 256, (60, 10, 12), np.uint8)
Y = (np.arange(60) % 3).astype(np.int64)
GOOD = {"x_train": X, "y_train": Y, "x_test": X[:9] ^ 1, "y_test": Y[:9]}


def write(folder: Path, **arrays: np.ndarray) -> str:
    path = folder / "own.npz"
    np.savez_compressed(path, **{**GOOD, **arrays})
    return str(path)


def test_what_keras_writes(tmp_path: Path) -> None:
    dataset = datasets.load(write(tmp_path))
    assert (dataset.name, dataset.class_names, dataset.image_shape) == ("own", ("0", "1", "2"), (10, 12, 1))
    np.testing.assert_array_equal(dataset.train_images, X)
    np.testing.assert_array_equal(dataset.test_labels, Y[:9])
    assert dataset.test_labels.dtype == np.uint8
    assert dataset.train_images.flags.writeable
    assert 3 <= dataset.validation_count < 20


@pytest.mark.parametrize(
    "images",
    [
        X.astype(np.float32) / np.float32(255),
        X / 255,
        X.astype(np.float64),
        X.astype(np.int32),
        X[..., None],
        np.asfortranarray(X),
        X.astype(np.float32) * np.float32(1 / 255),  # not quite x / 255
        (X / 255).astype(np.float16),
    ],
    ids=["float32", "float64", "whole floats", "int32", "one channel", "by columns", "times 1 / 255", "float16"],
)
def test_images_that_stand_for_bytes(tmp_path: Path, images: np.ndarray) -> None:
    found = datasets.load(write(tmp_path, x_train=images))
    np.testing.assert_array_equal(found.train_images, X)


@pytest.mark.parametrize("labels", [Y[:, None], np.eye(3)[Y], np.eye(3, dtype=np.uint8)[Y], Y.astype(np.float32)])
def test_labels_in_columns(tmp_path: Path, labels: np.ndarray) -> None:
    np.testing.assert_array_equal(datasets.load(write(tmp_path, y_train=labels)).train_labels, Y)


def test_more_than_256_classes(tmp_path: Path) -> None:
    labels = np.repeat(np.arange(300), 3)
    images = RANDOM.integers(0, 256, (900, 4, 4, 3), np.uint8)
    path = write(tmp_path, x_train=images, y_train=labels, x_test=images ^ 1, y_test=labels)
    dataset = datasets.load(path)
    np.testing.assert_array_equal(dataset.test_labels, labels)
    assert dataset.image_shape == (4, 4, 3)
    assert len(datasets.data_sha256(dataset.test_images, dataset.test_labels)) == 64


def test_names_and_a_split_of_its_own(tmp_path: Path) -> None:
    names = np.array(["cat", "dog", "水"])
    path = tmp_path / "medical.npz"
    parts = {"train_images": X, "train_labels": Y[:, None], "val_images": X[:3] ^ 2, "val_labels": Y[:3, None]}
    np.savez(path, **parts, test_images=X ^ 1, test_labels=Y[:, None], class_names=names)
    dataset = datasets.load(str(path))
    assert dataset.class_names == ("cat", "dog", "水")
    np.testing.assert_array_equal(dataset.validation_images, X[:3] ^ 2)
    np.testing.assert_array_equal(dataset.fit_images, X)


def test_a_crop_leaves_its_own_size(tmp_path: Path) -> None:
    path = write(tmp_path)
    box = datasets.load(path, PreparationRequest(crop=(3, 1, 5, 7)))
    np.testing.assert_array_equal(box.train_images, X[:, 1:8, 3:8])
    square = datasets.load(path, PreparationRequest(crop="square"))
    np.testing.assert_array_equal(square.test_images, (X[:9] ^ 1)[:, :, 1:11])
    assert square.preparation.crop == "square"
    np.testing.assert_array_equal(datasets.load_test(path, square.preparation).images, square.test_images)
    with pytest.raises(BadInputError, match="the images of own: a frame of 12×10 pixels does not hold the crop"):
        datasets.load(path, PreparationRequest(crop=(3, 1, 10, 7)))


def test_without_a_test_set_one_is_taken_off(tmp_path: Path) -> None:
    path = tmp_path / "all.npz"
    np.savez(path, x_train=np.concatenate([X, X]), y_train=np.concatenate([Y, Y]))
    dataset = datasets.load(str(path))
    sides = (dataset.fit_images, dataset.validation_images, dataset.test_images)
    seen = [{image.tobytes() for image in images} for images in sides]
    assert sum(map(len, seen)) == 60
    assert len(set.union(*seen)) == 60
    assert sum(map(len, sides)) == 120


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x_train": X * 0.5 / 255}, r"not k / 255.*round"),
        ({"x_train": X.astype(float) - 100}, "values from -100"),
        ({"x_train": X / 255 * np.nan}, r"not numbers \(NaN"),
        ({"x_train": X.reshape(60, 120)}, "flat images"),
        ({"x_train": np.zeros((60, 3, 10, 12), np.uint8)}, "channels first"),
        ({"x_train": np.zeros((60, 10, 12, 4), np.uint8)}, "is wanted"),
        ({"x_train": np.zeros((60, 10, 11), np.uint8)}, "another shape"),
        ({"y_train": Y[:-1]}, "60 images and 59 labels"),
        ({"y_train": np.array(["cat"] * 60)}, "numbers are wanted"),
        ({"y_train": Y - 1}, "labels from -1"),
        ({"y_train": Y + 0.5}, "not whole"),
        ({"y_train": np.ones((60, 3))}, "not one-hot"),
        ({"y_train": np.array([{}] * 60)}, "nothing is unpickled"),
        ({"class_names": np.array(["a", "b"])}, "at least 3"),
        ({"class_names": np.array(["a", "b", "a"])}, "the same name"),
        ({"class_names": np.array(["a", "b", "c\nd"])}, "cannot be shown"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        datasets.load(write(tmp_path, **arrays))


def test_a_header_that_claims_more_than_is_there(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (2**21, 32, 32)})
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x_train.npy", header.getvalue() + b"\0" * 100)
        archive.writestr("y_train.npy", b"")
    with pytest.raises(BadInputError, match="cut short"):
        datasets.load(str(path))


@given(st.data())
def test_any_damage(draw: st.DataObject) -> None:
    stream = io.BytesIO()
    np.savez(stream, x_train=X[:4, :3, :3], y_train=Y[:4])
    data = bytearray(stream.getvalue())
    for _ in range(draw.draw(st.integers(1, 4))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    with tempfile.NamedTemporaryFile(suffix=".npz") as file:
        file.write(bytes(data[: draw.draw(st.integers(1, len(data)))]))
        file.flush()
        try:
            parts, names = npz.read(Path(file.name))
        except BadInputError:
            return
    assert len(parts["train"].images) == len(parts["train"].labels)
    assert int(parts["train"].labels.max()) < len(names)
