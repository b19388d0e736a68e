"""EMNIST's files: names of their own, several sets in a folder, transposed images, labels from 1 on, a mapping."""

import numpy as np
import pytest
from idx_files import idx_bytes

from lenet_edge import datasets
from lenet_edge.errors import BadInputError

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (78, 6, 9), np.uint8)
LABELS = (np.arange(78) % 26 + 1).astype(np.uint8)
MAPPING = "".join(
    f"{label} {64 + label} {96 + label}\n" for label in range(1, 27)
)  # as emnist-letters-mapping.txt has it
CODES = [*range(48, 58), *range(65, 91), 97, 98, 100, 101, 102, 103, 104, 110, 113, 114, 116]  # of emnist-balanced


def write_set(folder, name="emnist-letters", *, images=IMAGES, labels=LABELS, parts=("train", "test")):
    """The files of a set; the images of the test are those of the training, inverted."""
    folder.mkdir(exist_ok=True)
    for part in parts:
        pixels = images if part == "train" else 255 - images
        (folder / f"{name}-{part}-images-idx3-ubyte").write_bytes(idx_bytes(pixels))
        (folder / f"{name}-{part}-labels-idx1-ubyte").write_bytes(idx_bytes(labels))
    return folder


def test_letters_with_their_mapping(tmp_path):
    (write_set(tmp_path) / "emnist-letters-mapping.txt").write_text(MAPPING)
    found = datasets.load(str(tmp_path), transpose=True)
    assert found.name == "emnist-letters"
    assert found.class_names == tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    np.testing.assert_array_equal(found.train_labels, LABELS - 1)
    np.testing.assert_array_equal(found.test_images, np.swapaxes(255 - IMAGES, 1, 2))
    assert (found.image_shape, found.transposed) == ((9, 6, 1), True)


def test_letters_without_a_mapping_have_no_class_0(tmp_path):
    found = datasets.load(str(write_set(tmp_path)))
    assert found.class_names == tuple(map(str, range(1, 27)))
    np.testing.assert_array_equal(found.test_labels, LABELS - 1)
    np.testing.assert_array_equal(found.train_images, IMAGES)
    assert not found.transposed


def test_names_one_a_line_fit_labels_from_1_on(tmp_path):
    (write_set(tmp_path) / "classes.txt").write_text("\n".join("abcdefghijklmnopqrstuvwxyz"))
    found = datasets.load(str(tmp_path))
    assert found.class_names == tuple("abcdefghijklmnopqrstuvwxyz")
    np.testing.assert_array_equal(found.train_labels, LABELS - 1)


def test_a_gap_among_the_labels_stays(tmp_path):
    labels = np.where(LABELS == 5, 6, LABELS).astype(np.uint8)
    said = []
    found = datasets.load(str(write_set(tmp_path, labels=labels)), progress=said.append)
    assert found.class_names == tuple(map(str, range(27)))
    np.testing.assert_array_equal(found.train_labels, labels)
    assert "warning: no image to learn from: 2 classes, 0, 5" in said


def test_one_of_several_sets_is_named_by_a_file(tmp_path):
    labels = (np.arange(94) % 47).astype(np.uint8)
    images = RANDOM.integers(0, 256, (94, 6, 9), np.uint8)
    write_set(tmp_path)
    write_set(tmp_path, "emnist-balanced", images=images, labels=labels)
    (tmp_path / "emnist-letters-mapping.txt").write_text(MAPPING)
    lines = (f"{label} {code}\n" for label, code in enumerate(CODES))
    (tmp_path / "emnist-balanced-mapping.txt").write_text("".join(lines))
    with pytest.raises(BadInputError, match=r"has 2 data sets: emnist-balanced, emnist-letters\. Name a file"):
        datasets.load(str(tmp_path))
    for part in ("train-images-idx3", "test-labels-idx1"):
        balanced = datasets.load(str(tmp_path / f"emnist-balanced-{part}-ubyte"))
        assert "".join(balanced.class_names) == "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt"
        np.testing.assert_array_equal(balanced.train_images, images)
    letters = datasets.load(str(tmp_path / "emnist-letters-test-images-idx3-ubyte"))
    assert len(letters.class_names) == 26


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        (MAPPING.replace("26 90 122\n", ""), "no line for the label 26"),
        ("A 65\n", "not a label and the codes"),
        ("1\n", "not a label and the codes"),
        (MAPPING + "1 65\n", "has the label 1 twice"),
        (MAPPING.replace("2 66 98", "2 65"), "the same name"),
        (MAPPING.replace("2 66 98", "2 10"), "is empty|cannot be shown"),
        (MAPPING.replace("2 66 98", "2 55296"), "cannot be shown"),
    ],
)
def test_a_mapping_that_is_wrong_is_told(tmp_path, mapping, message):
    (write_set(tmp_path) / "emnist-letters-mapping.txt").write_text(mapping)
    with pytest.raises(BadInputError, match=message):
        datasets.load(str(tmp_path))


def test_without_files_to_test_on_a_part_of_the_rest_tests(tmp_path):
    images = np.concatenate([IMAGES, IMAGES ^ 1, IMAGES ^ 2])
    found = datasets.load(str(write_set(tmp_path, images=images, labels=np.tile(LABELS, 3), parts=("train",))))
    sides = [
        {image.tobytes() for image in each} for each in (found.fit_images, found.validation_images, found.test_images)
    ]
    assert sum(map(len, sides)) == len(set.union(*sides)) == len(images)
    assert set(found.test_labels.tolist()) == set(found.fit_labels.tolist()) == set(range(26))


@pytest.mark.parametrize("missing", ["train-images-idx3", "train-labels-idx1", "test-images-idx3", "test-labels-idx1"])
def test_half_of_a_part_is_told(tmp_path, missing):
    (write_set(tmp_path) / f"emnist-letters-{missing}-ubyte").unlink()
    with pytest.raises(BadInputError, match=rf"lacks emnist-letters-{missing}-ubyte\. "):
        datasets.load(str(tmp_path))


def test_a_part_of_its_own_validates(tmp_path):
    write_set(tmp_path)
    for what, array in (("images-idx3", IMAGES ^ 4), ("labels-idx1", LABELS)):
        (tmp_path / f"emnist-letters-val-{what}-ubyte").write_bytes(idx_bytes(array))
    found = datasets.load(str(tmp_path))
    np.testing.assert_array_equal(found.validation_images, IMAGES ^ 4)
    np.testing.assert_array_equal(found.fit_images, IMAGES)


def test_files_of_an_operating_system_are_no_set(tmp_path):
    write_set(tmp_path)
    (tmp_path / "._emnist-letters-train-images-idx3-ubyte").write_bytes(b"Mac OS X")
    (tmp_path / "._train-images-idx3-ubyte").write_bytes(b"Mac OS X")
    assert datasets.load(str(tmp_path)).name == "emnist-letters"


def test_an_npz_may_be_transposed_and_count_from_1(tmp_path):
    path = tmp_path / "own.npz"
    np.savez(path, x_train=IMAGES, y_train=LABELS, x_test=IMAGES ^ 1, y_test=LABELS)
    found = datasets.load(str(path), transpose=True)
    np.testing.assert_array_equal(found.train_images, np.swapaxes(IMAGES, 1, 2))
    assert found.class_names == tuple(map(str, range(1, 27)))


@pytest.mark.parametrize(
    ("names", "wanted", "expected"),
    [
        (("cat", "dog"), ("bird", "cat", "dog"), [1, 2, 2]),
        (("7", "9"), ("7", "9"), [0, 1, 1]),
        (("1", "2"), ("zero", "one", "two"), [1, 2, 2]),  # called by their labels
        (("a", "b"), ("zero", "one", "two"), [0, 1, 1]),
    ],
)
def test_labels_are_found_by_the_names_of_the_classes(names, wanted, expected):
    assert datasets.renumbered(np.array([0, 1, 1], np.uint8), names, wanted).tolist() == expected
