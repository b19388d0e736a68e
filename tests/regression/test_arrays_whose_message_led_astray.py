"""Messages about arrays that led astray: "(x * 255)" for values of -1 to 1, "values from nan to nan", labels of -1 to 1
without a way out; float images times 1 / 255 and black-and-white ones were refused; `data` found no fault in one class.
"""

import numpy as np
import pytest
from idx_files import idx_bytes, small_arrays, write_folder

from lenet_edge import datasets
from lenet_edge.errors import BadInputError

X = np.random.default_rng(0).integers(0, 256, (60, 10, 12), np.uint8)
Y = np.arange(60) % 3
GOOD = {"x_train": X, "y_train": Y, "x_test": X[:9] ^ 1, "y_test": Y[:9]}


def refused(folder, **arrays):
    np.savez(folder / "own.npz", **{**GOOD, **arrays})
    with pytest.raises(BadInputError) as caught:
        datasets.load(str(folder / "own.npz"))
    return str(caught.value)


def test_the_advice_makes_bytes_of_what_goes_from_minus_1(tmp_path):
    x = X / 127.5 - 1
    said = refused(tmp_path, x_train=x)
    expression = '((x + 1) * 127.5).round().astype("uint8")'
    assert expression in said
    np.testing.assert_array_equal(((x + 1) * 127.5).round().astype("uint8"), X)


@pytest.mark.parametrize("images", [X.astype(np.uint16) * 257, (X / 255 - 0.13) / 0.3, X.astype(np.int32) - 5])
def test_no_advice_that_would_make_noise(tmp_path, images):
    said = refused(tmp_path, x_train=images)
    assert "x * 255" not in said
    assert "Scale it so that 0 is black and 255 white" in said


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_called_so(tmp_path, value):
    assert "x_train has values that are not numbers" in refused(tmp_path, x_train=np.where(X > 250, value, X / 255))
    assert "y_train has labels that are not numbers" in refused(tmp_path, y_train=np.where(Y > 1, value, Y))


def test_labels_below_0_come_with_a_way_out(tmp_path):
    y = np.where(Y > 0, 1, -1)
    said = refused(tmp_path, y_train=y, y_test=y[:9])
    assert "labels from -1 to 1" in said
    assert "np.unique(y, return_inverse=True)[1]" in said
    assert set(np.unique(y, return_inverse=True)[1]) == {0, 1}


def test_names_that_are_objects_are_to_be_texts(tmp_path):
    assert "texts, for names" in refused(tmp_path, class_names=np.array(["a", "b", "c"], object))


def test_black_and_white_is_read(tmp_path):
    np.savez(tmp_path / "own.npz", **{**GOOD, "x_train": X > 128, "x_test": X[:9] > 100})
    found = datasets.load(str(tmp_path / "own.npz"))
    np.testing.assert_array_equal(found.train_images, np.where(X > 128, 255, 0))


def test_channels_of_idx_that_come_first_are_told(tmp_path):
    arrays = small_arrays()
    write_folder(tmp_path, arrays)
    (tmp_path / "train-images-idx3-ubyte").unlink()
    (tmp_path / "train-images-idx4-ubyte").write_bytes(idx_bytes(np.repeat(arrays[0][:, None], 3, axis=1)))
    with pytest.raises(BadInputError, match="channels seem to come first"):
        datasets.load(str(tmp_path))


def test_one_class_is_a_fault_of_arrays_too(call, tmp_path):
    np.savez(tmp_path / "own.npz", **{**GOOD, "y_train": Y * 0})
    done = call("data", "own.npz")
    assert done.returncode == 1
    assert "own: all training images have the label 0; two classes are needed" in done.stderr


def test_classes_without_images_are_named(call, tmp_path):
    np.savez(tmp_path / "own.npz", **{**GOOD, "y_train": Y * 2, "y_test": Y[:9] * 2})
    done = call("data", "own.npz")
    assert done.returncode == 0
    assert "2 classes have no image to learn from: 1; 3" in done.stdout
