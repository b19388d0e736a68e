"""MNIST as Kaggle's archive unpacks it was not read: a folder that is called as the file stood in the file's place.

`train-images-idx3-ubyte/train-images-idx3-ubyte` lies next to `train-images.idx3-ubyte`; some unpackers leave one only.
"""

import gzip
import itertools
import os

import numpy as np
import pytest
from idx_files import NAMES, idx_bytes, small_arrays, write_folder

from lenet_edge import datasets
from lenet_edge.errors import BadInputError

ARRAYS = small_arrays()


def place(folder, *forms, arrays=ARRAYS):
    """Write every array in each of the forms: dashes or dots, in a folder or not, gzipped or not."""
    for dotted, inside, zipped in forms:
        for name, array in zip(NAMES, arrays, strict=True):
            spelling = name.replace("-idx", ".idx") if dotted else name
            content = idx_bytes(array)
            path = folder / spelling / spelling if inside else folder / spelling
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_name(path.name + ".gz" * zipped).write_bytes(gzip.compress(content) if zipped else content)
    return str(folder)


def require_arrays(folder):
    found = datasets.load(folder)
    for one, other in zip(
        (found.train_images, found.train_labels, found.test_images, found.test_labels), ARRAYS, strict=True
    ):
        np.testing.assert_array_equal(one, other)


FORMS = list(itertools.product([False, True], [False, True], [False, True]))


@pytest.mark.parametrize("form", FORMS)
def test_one_form(tmp_path, form):
    require_arrays(place(tmp_path, form))


@pytest.mark.parametrize("first", FORMS)
@pytest.mark.parametrize("second", FORMS)
def test_two_forms_with_the_same_content(tmp_path, first, second):
    if first[0] == second[0] and first[1] != second[1] and not (first[2] and second[2]):
        kaggle = [(False, True, False), (True, False, False)]  # a folder and a file cannot have one name
        require_arrays(place(tmp_path, *kaggle))
        return
    require_arrays(place(tmp_path, first, second))


def test_a_folder_whose_file_is_spelt_otherwise(tmp_path):
    for name, array in zip(NAMES, ARRAYS, strict=True):
        (tmp_path / name).mkdir()
        (tmp_path / name / name.replace("-idx", ".idx")).write_bytes(idx_bytes(array))
    require_arrays(str(tmp_path))


@pytest.mark.parametrize("second", [(True, False, False), (False, False, True), (True, True, False)])
@pytest.mark.parametrize("part", range(4))
def test_two_forms_with_different_content_are_named(tmp_path, second, part):
    place(tmp_path, (False, False, False), second)
    other = ARRAYS[part].copy()
    other.flat[0] ^= 1
    (tmp_path / NAMES[part]).write_bytes(idx_bytes(other))
    with pytest.raises(BadInputError, match=r"differ, and either could be meant. Remove one of them") as refused:
        datasets.load(str(tmp_path))
    assert str(refused.value).startswith(f"{tmp_path / NAMES[part]} and {tmp_path}")


def test_an_empty_folder_in_a_file_s_place_is_a_file_that_lacks(tmp_path):
    write_folder(tmp_path, ARRAYS)
    (tmp_path / NAMES[1]).unlink()
    (tmp_path / NAMES[1]).mkdir()
    with pytest.raises(BadInputError, match=f"lacks {NAMES[1]}"):
        datasets.load(str(tmp_path))


def test_a_pipe_in_a_file_s_place_is_refused(tmp_path):
    write_folder(tmp_path, ARRAYS)
    (tmp_path / NAMES[0]).unlink()
    os.mkfifo(tmp_path / NAMES[0])
    with pytest.raises(BadInputError, match="not a regular file"):
        datasets.load(str(tmp_path))


@pytest.mark.parametrize("name", ["mnist\0", "", "\udcff", "a\nb", "[red]", "x" * 5000, "~", "-", "MNIST"])
def test_a_name_that_is_none(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInputError, match="There is no data set"):
        datasets.load(name)


@pytest.mark.parametrize("name", ["[red]", "a b", "\udcff", "mnist", "ä", "a\nb", "--x"])
def test_a_folder_of_any_name_is_read(tmp_path, name):
    require_arrays(str(write_folder(tmp_path / name, ARRAYS)))


def test_a_file_in_place_of_a_folder_is_told(tmp_path):
    (tmp_path / "notes.txt").write_text("0")
    with pytest.raises(BadInputError, match="is a file; name the folder"):
        datasets.load(str(tmp_path / "notes.txt"))


def test_any_file_of_a_set_names_it(tmp_path):
    require_arrays(str(write_folder(tmp_path, ARRAYS) / NAMES[2]))


def test_one_class_tests_but_does_not_train(tmp_path):
    arrays = [ARRAYS[0], ARRAYS[1] * 0 + 3, ARRAYS[2], ARRAYS[3] * 0 + 3]
    folder = str(write_folder(tmp_path, arrays))
    with pytest.raises(BadInputError, match="all training images have the label 3; two classes are needed"):
        datasets.load(folder)
    assert len(datasets.load_test(folder)[0]) == len(ARRAYS[2])
