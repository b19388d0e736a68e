"""What a caller of `lenet_edge.datasets` gets: sets from folders, the validation split, noise."""

from pathlib import Path

import numpy as np
import pytest
from idx_files import NAMES, idx_bytes, small_arrays, write_folder

from lenet_edge import datasets
from lenet_edge.datasets.dataset import last_twelfth
from lenet_edge.errors import BadInputError
from lenet_edge.preparation.settings import MNIST, Preparation


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("dotted", [False, True])
def test_a_folder_gives_its_arrays(tmp_path: Path, zipped: bool, dotted: bool) -> None:
    arrays = small_arrays()
    folder = write_folder(tmp_path / "own", arrays, zipped=zipped, dotted=dotted)
    dataset = datasets.load(str(folder))
    assert dataset.name == "own"
    assert dataset.class_names == ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
    found = (dataset.train_images, dataset.train_labels, dataset.test_images, dataset.test_labels)
    for got, wanted in zip(found, arrays, strict=True):
        assert got.dtype == np.uint8
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize(("train", "validation"), [(60_000, 5_000), (24, 2), (25, 2), (11, 1), (2, 1)])
def test_the_last_twelfth_validates(train: int, validation: int) -> None:
    images = np.zeros((train, 28, 28), np.uint8)
    labels = (np.arange(train) % 10).astype(np.uint8)
    validating = last_twelfth(train)
    dataset = datasets.Dataset("own", images, labels, images[:1], labels[:1], (), MNIST, validating)
    assert dataset.validation_count == validation
    assert dataset.fit_images.shape == (train - validation, 28, 28)
    assert dataset.validation_images.shape == (validation, 28, 28)
    np.testing.assert_array_equal(dataset.fit_labels, labels[: train - validation])
    np.testing.assert_array_equal(dataset.validation_labels, labels[train - validation :])


def test_images_can_be_written_as_torch_wants_it(tmp_path: Path) -> None:
    dataset = datasets.load(str(write_folder(tmp_path, small_arrays())))
    assert dataset.train_images.flags.writeable


def test_one_training_image_is_too_few(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, small_arrays(train=1))
    with pytest.raises(BadInputError, match="at least two"):
        datasets.load(str(folder))


@pytest.mark.parametrize("name", ["cifar10", "", "/does/not/exist", "a\0b"])
def test_an_unknown_name_lists_the_known_ones(name: str) -> None:
    with pytest.raises(BadInputError, match="mnist, fashion-mnist") as caught:
        datasets.load(name)
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize("missing", NAMES)
def test_a_missing_file_is_named(tmp_path: Path, missing: str) -> None:
    folder = write_folder(tmp_path, small_arrays())
    (folder / missing).unlink()
    with pytest.raises(BadInputError) as caught:
        datasets.load(str(folder))
    assert f"{folder} lacks {missing}. " in str(caught.value)


def test_an_empty_folder_lacks_all_four(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=f"lacks {', '.join(NAMES)}"):
        datasets.load(str(tmp_path))


@pytest.mark.parametrize("part", [0, 2])
def test_images_of_two_shapes_are_told_with_both_files(tmp_path: Path, part: int) -> None:
    arrays = small_arrays()
    arrays[part] = np.zeros((len(arrays[part]), 32, 30), np.uint8)
    folder = write_folder(tmp_path, arrays)
    with pytest.raises(BadInputError, match=r"32×30") as caught:
        datasets.load(str(folder))
    assert "28×28" in str(caught.value)
    assert all(str(folder / NAMES[each]) in str(caught.value) for each in (0, 2))


@pytest.mark.parametrize("shape", [(9, 14), (12, 12, 3), (16, 16, 1)])
def test_idx_of_any_size_and_number_of_classes(tmp_path: Path, shape: tuple[int, ...]) -> None:
    random = np.random.default_rng(0)
    arrays = [random.integers(0, 256, (n, *shape), np.uint8) for n in (188, 47)]
    labels = [(np.arange(n) % 47).astype(np.uint8) for n in (188, 47)]
    folder = write_folder(tmp_path, [arrays[0], labels[0], arrays[1], labels[1]])
    if len(shape) == 3:
        for name in (NAMES[0], NAMES[2]):
            (folder / name).rename(folder / name.replace("idx3", "idx4"))
    dataset = datasets.load(str(folder))
    assert len(dataset.class_names) == 47
    assert dataset.image_shape == (*shape[:2], shape[2] if shape[2:] == (3,) else 1)
    np.testing.assert_array_equal(dataset.test_images.reshape(arrays[1].shape), arrays[1])
    assert set(dataset.validation_labels.tolist()) == set(dataset.fit_labels.tolist()) == set(range(47))


def test_a_preparation_scales_arrays_and_does_not_centre_them_again(tmp_path: Path) -> None:
    folder = str(write_folder(tmp_path, small_arrays()))
    plain = datasets.load(folder).test_images
    np.testing.assert_array_equal(datasets.load_test(folder, MNIST).images, plain)
    half = datasets.load_test(folder, Preparation(14, 14)).images
    means = plain.reshape(-1, 14, 2, 14, 2).astype(int).sum(axis=(2, 4))
    np.testing.assert_array_equal(half, (means + 2) // 4)
    np.testing.assert_array_equal(datasets.load_test(folder, Preparation(28, 28, invert="always")).images, 255 - plain)


@pytest.mark.parametrize("part", [1, 3])
def test_one_label_for_each_image(tmp_path: Path, part: int) -> None:
    arrays = small_arrays()
    arrays[part] = arrays[part][:-1]
    folder = write_folder(tmp_path, arrays)
    with pytest.raises(BadInputError, match=rf"{len(arrays[part]) + 1} images.*{len(arrays[part])} labels"):
        datasets.load(str(folder))


def test_swapped_images_and_labels(tmp_path: Path) -> None:
    arrays = small_arrays()
    folder = write_folder(tmp_path, arrays)
    (folder / NAMES[0]).write_bytes(idx_bytes(arrays[1]))
    with pytest.raises(BadInputError, match=r"1 dimensions; 3 wanted.*swapped"):
        datasets.load(str(folder))


def test_the_test_set_alone(tmp_path: Path) -> None:
    arrays = small_arrays()
    images, labels, class_names, _ = datasets.load_test(str(write_folder(tmp_path, arrays)))
    np.testing.assert_array_equal(images, arrays[2])
    assert labels is not None
    np.testing.assert_array_equal(labels, arrays[3])
    assert len(class_names) == 10


def test_noise_is_uniform_and_ends_with_the_two_extremes() -> None:
    images = datasets.noise(1000)
    assert images.shape == (1002, 28, 28)
    assert images.dtype == np.uint8
    assert not images[1000].any()
    assert (images[1001] == 255).all()
    counts = np.bincount(images[:1000].ravel(), minlength=256)
    expected = 1000 * 784 / 256
    assert abs(counts - expected).max() < 6 * np.sqrt(expected)


def test_noise_depends_on_its_seed_alone() -> None:
    np.testing.assert_array_equal(datasets.noise(3, seed=1), datasets.noise(3, seed=1))
    assert (datasets.noise(3, seed=1)[:3] != datasets.noise(3, seed=2)[:3]).any()


def test_noise_tests_but_does_not_train() -> None:
    images, labels, *_ = datasets.load_test("noise")
    assert images.shape == (10_002, 28, 28)
    assert labels is None
    with pytest.raises(BadInputError, match="no labels"):
        datasets.load("noise")


@pytest.mark.parametrize("name", ["classes.txt", "labels.txt"])
def test_a_file_names_the_classes(tmp_path: Path, name: str) -> None:
    arrays = small_arrays()
    arrays[1][0], arrays[1][1:], arrays[3][:] = 2, arrays[1][1:] % 3, arrays[3] % 3
    folder = write_folder(tmp_path, arrays)
    (folder / name).write_bytes("\ufeffcat\r\ndog\r\n水\r\n\r\n".encode())
    assert datasets.load(str(folder)).class_names == ("cat", "dog", "水")
    (folder / name).write_text("cat\ndog\n")
    with pytest.raises(BadInputError, match=r"2 names, but labels go up to 2"):
        datasets.load(str(folder))
    (folder / name).write_bytes(b"\xff\n")
    with pytest.raises(BadInputError, match="not UTF-8"):
        datasets.load(str(folder))
