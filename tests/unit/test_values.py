"""Inputs from .npy, .npz and .csv: what is taken, as what, and how the rest is refused."""

import io

import numpy as np
import pytest
import sample_models
from sample_models import ModelBuilder

from lenet_edge.cli import inputs
from lenet_edge.datasets import noise
from lenet_edge.datasets.values import holds_values, read_values
from lenet_edge.errors import BadInputError
from lenet_edge.quantized.entering import as_int8
from lenet_edge.quantized.model import Concatenate, QTensor, QuantizedModel

VECTOR = QTensor((4,), 0.5, 3)


def model(image=VECTOR, outputs=3, **metadata):
    builder = ModelBuilder(2, image=image)
    if len(image.shape) > 1:
        builder.flatten()
    return builder.fully_connected("out", outputs, relu=False).build(**metadata)


def saved(path, *arrays, **named):
    if path.suffix == ".npy":
        np.save(path, arrays[0])
    else:
        np.savez(path, *arrays, **named)
    return path


# --- NumPy's files ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "given", "count"),
    [
        ((4,), (5, 4), 5),
        ((4,), (4,), 1),
        ((4,), (5, 1, 4), 5),
        ((2, 3, 1), (5, 2, 3, 1), 5),
        ((2, 3, 1), (5, 2, 3), 5),
        ((2, 3, 1), (2, 3, 1), 1),
        ((2, 3, 1), (5, 6), 5),
        ((1,), (5,), 5),
        ((1,), (5, 1), 5),
        ((1, 1, 1), (1, 1, 1), 1),
    ],
)
def test_many_inputs_or_one(tmp_path, shape, given, count):
    array = np.arange(np.prod(given), dtype=np.int8).reshape(given)
    values = read_values(saved(tmp_path / "x.npy", array), [shape]).values
    np.testing.assert_array_equal(values, array.reshape(count, -1))


@pytest.mark.parametrize("given", [(5, 3), (5, 5), (3,), (5, 2, 2), (2, 5, 4), (5,), ()])
def test_another_shape_is_refused(tmp_path, given):
    path = saved(tmp_path / "x.npy", np.zeros(given, np.int8))
    with pytest.raises(BadInputError, match=r"x\.npy has the shape .* takes 4 values: give \[n, 4\]"):
        read_values(path, [(4,)])


@pytest.mark.parametrize("kind", [np.int16, np.int64, bool, np.complex64, "<U3", object])
def test_another_type_is_refused(tmp_path, kind):
    path = saved(tmp_path / "x.npy", np.zeros((2, 4)).astype(kind))
    with pytest.raises(BadInputError, match=r"x\.npy (holds|is of type)"):
        read_values(path, [(4,)])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_number_is_refused(tmp_path, bad):
    array = np.zeros((3, 4), np.float32)
    array[2, 1] = bad
    with pytest.raises(BadInputError, match=f"value 1 of input 2 is {bad}"):
        read_values(saved(tmp_path / "x.npy", array), [(4,)])


def test_a_damaged_file_is_refused(tmp_path):
    path = saved(tmp_path / "x.npy", np.zeros((3, 4), np.int8))
    whole = path.read_bytes()
    for damaged in (b"", whole[:5], whole[:60], whole[:-1], whole + b"x", b"\x93NUMPY\x09\x00" + whole[8:]):
        path.write_bytes(damaged)
        with pytest.raises(BadInputError, match=r"x\.npy"):
            read_values(path, [(4,)])
    with pytest.raises(BadInputError, match=r"none\.npy"):
        read_values(tmp_path / "none.npy", [(4,)])


def test_an_archive_has_one_array_or_one_for_each_input_and_labels(tmp_path):
    first, second = np.arange(6, dtype=np.int8).reshape(2, 3), np.arange(8, dtype=np.int8).reshape(2, 2, 2)
    shapes = [(3,), (2, 2)]
    joined = np.concatenate([first, second.reshape(2, 4)], axis=1)
    found = read_values(saved(tmp_path / "x.npz", first, second, labels=np.array([2, 0])), shapes)
    np.testing.assert_array_equal(found.values, joined)
    assert found.labels == ("2", "0")
    np.testing.assert_array_equal(read_values(saved(tmp_path / "y.npz", joined), shapes).values, joined)
    with pytest.raises(BadInputError, match=r"3 arrays .* 2 inputs"):
        read_values(saved(tmp_path / "z.npz", first, second, first), shapes)
    with pytest.raises(BadInputError, match="2 inputs and 3 labels"):
        read_values(saved(tmp_path / "z.npz", first, second, label=np.arange(3)), shapes)
    with pytest.raises(BadInputError, match="different types"):
        read_values(saved(tmp_path / "z.npz", first, second.view(np.uint8)), shapes)


def test_a_data_set_is_no_file_of_values(tmp_path):
    data_set = saved(tmp_path / "set.npz", x_train=np.zeros(3), y_train=np.zeros(3))
    (tmp_path / "folder.csv").mkdir()
    names = {"x.npy": True, "X.CSV": True, "x.png": False, "mnist": False, str(data_set): False}
    names[str(saved(tmp_path / "x.npz", np.zeros(3)))] = True
    names[str(tmp_path / "folder.csv")] = False
    assert {name: holds_values(name) for name in names} == names


# --- text -------------------------------------------------------------------------------------------


def csv_file(folder, text):
    path = folder / "x.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("1,2,3\n-4,5.5,6e1\n", None),
        ("a,b,c\n1,2,3\n\n-4,5.5,6e1\n\n", None),
        ("1;2;3\r\n-4;5.5;60\r\n", None),
        ("1\t2\t3\n-4\t5.5\t60", None),
        ("\ufeff1, 2, 3\n-4, 5.5, 60\n", None),
        ('label,a,b,c\ncat,1,2,3\n"do,g",-4,5.5,60\n', ("cat", "do,g")),
        ("a,Class,b,c\n1,0,2,3\n-4,1,5.5,60\n", ("0", "1")),
    ],
)
def test_rows_of_text(tmp_path, text, labels):
    found = read_values(csv_file(tmp_path, text), [(3,)])
    np.testing.assert_array_equal(found.values, [[1, 2, 3], [-4, 5.5, 60]])
    assert found.labels == labels


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2,3\n1,2\n", r"line 2 has 2 values, but the model takes 3"),
        ("1,2,3\n\n1,2,x\n", r"line 3, column 3: 'x' is not a number"),
        ("a,b,c\n1,2,\n", r"line 2, column 3: '' is not a number"),
        ("a,b,c\n1,2,nan\n", r"line 2, column 3: 'nan' is not a number"),
        ("1,2,3,0\n", r"line 1 has 4 values.* begin the file with a line of names, and call its column 'label'"),
        ("a,b,c,d\n1,2,3,4\n", r"line 1 has 4 values.* call its column 'label'"),
        ("label,y,a,b,c\n", r"two columns are called label"),
        ("", "holds no input"),
        ("a,b,c\n", "holds no input"),
        ("1 2 3\n", r"line 1 has 1 values"),
    ],
)
def test_text_that_is_refused(tmp_path, text, message):
    with pytest.raises(BadInputError, match=message):
        read_values(csv_file(tmp_path, text), [(3,)])


# --- into the model ---------------------------------------------------------------------------------


def test_real_values_are_rounded_half_away_from_zero_and_clipped():
    values = np.array([[0.0, 0.25, -0.25, 0.2], [62.0, 62.3, -65.5, -1e30]])
    found, clipped = as_int8(model(), values)
    np.testing.assert_array_equal(found, [[3, 4, 2, 3], [127, 127, -128, -128]])
    assert clipped == 2  # 62.3 / 0.5 + 3 rounds to 128


def test_bytes_are_the_int8_of_128_less():
    np.testing.assert_array_equal(as_int8(model(), np.uint8([[0, 127, 128, 255]]))[0], [[-128, -1, 0, 127]])


def test_several_inputs_have_their_own_scales():
    first, second = QTensor((1,), 0.5, 0), QTensor((2,), 2.0, -1)
    both = QuantizedModel((Concatenate("join", (first, second), QTensor((3,), 0.5, 0), 0),), {}, ((-1, -2),))
    np.testing.assert_array_equal(as_int8(both, np.array([[4.0, 4.0, -4.0]]))[0], [[8, 1, -3]])


def test_a_command_takes_values_and_labels_from_a_file(tmp_path, capsys):
    path = csv_file(tmp_path, "a,b,c,d,label\n1,2,3,4,wolf\n5,6,7,8,0\n-90,0,0,0,2\n")
    named = model(classes=["cat", "dog", "wolf"])
    found = inputs.test_inputs(named, str(path), 2, None)
    np.testing.assert_array_equal(found.images, [[5, 7, 9, 11], [13, 15, 17, 19]])
    assert (found.labels.tolist(), found.data_images, found.are_pictures) == ([2, 0], 3, False)
    assert "1 of 12 values" in capsys.readouterr().err
    for label, message in (("fox", "the label 'fox' of input 0 is neither"), ("3", "0 to 2")):
        with pytest.raises(BadInputError, match=message):
            inputs.test_inputs(named, str(csv_file(tmp_path, f"a,b,c,d,y\n1,2,3,4,{label}\n")), None, None)
    single = model(outputs=1)  # without classes labels have no use
    assert inputs.test_inputs(single, str(csv_file(tmp_path, "a,b,c,d,y\n1,2,3,4,x\n")), None, None).labels is None


def test_an_image_as_values_is_the_same_test_set_as_pixels(tmp_path):
    pixels = noise(3)
    path = saved(tmp_path / "x.npy", pixels)
    found = inputs.test_inputs(sample_models.lenet5(1), str(path), None, None)
    np.testing.assert_array_equal(found.pixels, pixels)
    np.testing.assert_array_equal(found.images, (pixels.astype(np.int16) - 128)[..., None])


# --- noise ------------------------------------------------------------------------------------------


def test_noise_of_mnists_shape_stays_what_it_was():
    generator = np.random.Generator(np.random.PCG64(0))
    np.testing.assert_array_equal(noise(5)[:5], generator.integers(0, 256, (7, 28, 28), dtype=np.uint8)[:5])


@pytest.mark.parametrize("shape", [(640,), (49, 10, 1), (96, 96, 3), (1,), (16, 16, 8)])
def test_noise_of_other_shapes_is_uniform_extreme_and_smooth_in_turn(shape):
    images = noise(9, shape=shape)
    assert images.shape == (11, *shape)
    np.testing.assert_array_equal(images, noise(9, shape=shape))
    assert set(np.unique(images[1:9:3])) <= {0, 255}
    assert (images[-2] == 0).all()
    assert (images[-1] == 255).all()
    if np.prod(shape) > 1:
        assert len(np.unique(images[0])) > 50
        steps = [np.abs(np.diff(images[index].astype(int), axis=0)).mean() for index in (0, 2)]
        assert steps[1] < steps[0] / 1.5


def test_text_of_a_file_is_quoted_as_one_line(tmp_path):
    stream = io.StringIO("1,2,3\n1,2,\x1b[31mx\n")
    with pytest.raises(BadInputError) as caught:
        read_values(csv_file(tmp_path, stream.getvalue()), [(3,)])
    assert str(caught.value).isprintable()
