"""The wiring of a .tflite: branches, several ends, ends that are not int8, and what of a graph is refused."""

import numpy as np
import pytest
from graph_files import FLOAT32, INT32, UINT8, GraphFile

from lenet_edge.errors import BadInputError
from lenet_edge.formats.tflite import from_bytes, to_bytes
from lenet_edge.quantized.model import QTensor
from lenet_edge.quantized.reference import run

SCALING = (0.5, 3)
VECTOR = (1, 4)


def kinds(model):
    return [type(layer).__name__ for layer in model.layers]


def add(file, first, second, output=(0.5, 3)):
    return file.operator("ADD", [first, second], [file.tensor(VECTOR, *output)], "AddOptions", 2)


def relu(file, source):
    return file.operator("RELU", [source], [file.tensor(VECTOR, *SCALING)], None, 2)


def reshape(file, source, shape):
    return file.operator("RESHAPE", [source, file.integers(shape)], [file.tensor(shape, *SCALING)], None, 1)


# --- branches --------------------------------------------------------------------------------------------


def test_a_tensor_is_read_twice_by_one_operator():
    file = GraphFile()
    x = file.tensor(VECTOR, *SCALING)
    model = from_bytes(file.data([x], [add(file, x, x)]))
    assert model.reads == ((-1, -1),)
    assert run(model, np.array([[3, 5, 0, 13]], np.int8)).tolist() == [[3, 7, -3, 23]]


def test_an_intermediate_tensor_is_an_output_too():
    file = GraphFile()
    x = file.tensor(VECTOR, *SCALING)
    first = relu(file, x)
    model = from_bytes(file.data([x], [add(file, first, x), first]))
    assert (model.reads, model.results) == (((-1,), (0, -1)), (1, 0))
    assert from_bytes(to_bytes(model)) == model


def test_inputs_are_in_the_order_of_the_file():
    file = GraphFile()
    x, y = file.tensor(VECTOR, *SCALING), file.tensor(VECTOR, 0.25, 7)
    total = add(file, y, x)
    model = from_bytes(file.data([x, y], [total]))
    assert model.inputs == (QTensor((4,), 0.5, 3), QTensor((4,), 0.25, 7))
    assert model.reads == ((-2, -1),)
    again = from_bytes(to_bytes(model))
    assert (again, again.inputs) == (model, model.inputs)


def test_a_constant_is_one_layer_however_often_it_is_read():
    file = GraphFile()
    x = file.tensor(VECTOR, *SCALING)
    constant = file.tensor((4,), 0.25, 0, values=np.array([1, 2, 3, 4], np.int8))
    model = from_bytes(file.data([x], [add(file, add(file, x, constant), constant)]))
    assert (kinds(model), model.reads) == (["Constant", "Add", "Add"], ((), (-1, 0), (1, 0)))


def test_another_shape_of_an_output_is_an_output_of_its_own():
    file = GraphFile()
    x = file.tensor(VECTOR, *SCALING)
    first = relu(file, x)
    model = from_bytes(file.data([x], [first, reshape(file, first, (4,))]))
    assert (kinds(model), model.results) == (["Rescale", "Reshape"], (0, 1))
    assert from_bytes(to_bytes(model)) == model


def test_a_model_that_only_gives_its_input_another_shape():
    file = GraphFile()
    x = file.tensor(VECTOR, *SCALING)
    model = from_bytes(file.data([x], [reshape(file, x, (4,))]))
    assert run(model, np.array([[1, 2, 3, 4]], np.int8)).tolist() == [[1, 2, 3, 4]]


def test_a_shape_of_which_only_the_numbers_are_wanted_is_no_layer():
    file = GraphFile()
    x = file.tensor(VECTOR, *SCALING)
    unread = reshape(file, x, (1, 2, 2))
    file.operator("SHAPE", [unread], [file.tensor((3,), None, kind=INT32)], "ShapeOptions", 1, outType=INT32)
    assert kinds(from_bytes(file.data([x], [relu(file, x)]))) == ["Rescale"]


# --- ends ------------------------------------------------------------------------------------------------


def with_ends(kind, first, last):
    """A RELU between ends of a type, whose scalings are given; None of a float."""
    file = GraphFile()
    x, y = file.tensor(VECTOR, *first, kind), file.tensor(VECTOR, *last, kind)
    inside = file.operator("QUANTIZE", [x], [file.tensor(VECTOR, *SCALING)], "QuantizeOptions", 1)
    name = "DEQUANTIZE" if kind == FLOAT32 else "QUANTIZE"
    file.operator(name, [relu(file, inside)], [y], name.capitalize() + "Options", 2)
    return from_bytes(file.data([x], [y]))


def test_uint8_ends_are_the_int8_values_plus_128():
    model = with_ends(UINT8, (0.5, 131), (0.5, 131))
    assert (kinds(model), model.input.zero_point) == (["Rescale"], 3)
    assert model.metadata["ends"] == {"inputs": ["uint8"], "outputs": ["uint8"]}


def test_uint8_ends_of_another_scale_are_rescaled():
    model = with_ends(UINT8, (0.25, 100), (0.75, 90))
    assert [layer.operator for layer in model.layers] == ["QUANTIZE", "RELU", "QUANTIZE"]
    assert model.inputs == (QTensor((4,), 0.25, -28),)
    assert model.outputs == (QTensor((4,), 0.75, -38),)


def test_float_ends_are_the_int8_tensors_behind_and_before_them():
    model = with_ends(FLOAT32, (None, 0), (None, 0))
    assert (kinds(model), model.input) == (["Rescale"], QTensor((4,), *SCALING))
    assert model.metadata["ends"] == {"inputs": ["float32"], "outputs": ["float32"]}


def test_what_is_written_has_int8_ends():
    model = with_ends(FLOAT32, (None, 0), (None, 0))
    again = from_bytes(to_bytes(model))
    assert again == model
    assert "ends" not in again.metadata


# --- what is refused -------------------------------------------------------------------------------------


def output_that_is_the_input(file, x):
    relu(file, x)
    return [x]


def output_twice(file, x):
    return [relu(file, x)] * 2


def output_that_nothing_computes(file, x):
    relu(file, x)
    return [file.tensor(VECTOR, *SCALING)]


def read_before_it_is_written(file, x):
    later = file.tensor(VECTOR, *SCALING)
    total = add(file, x, later)
    file.operator("RELU", [total], [later], None, 2)
    return [total]


def written_twice(file, x):
    first = relu(file, x)
    file.operator("RELU", [x], [first], None, 2)
    return [first]


def in_place(file, x):
    file.operator("RELU", [x], [x], None, 2)
    return [relu(file, x)]


def sum_of_constants(file, _):
    constant = file.tensor(VECTOR, *SCALING, values=np.zeros(4, np.int8))
    return [add(file, constant, constant)]


def float_inside(file, x):
    inside = file.operator("DEQUANTIZE", [x], [file.tensor(VECTOR, None, kind=FLOAT32)], "DequantizeOptions", 2)
    return [file.operator("QUANTIZE", [inside], [file.tensor(VECTOR, *SCALING)], "QuantizeOptions", 1)]


def shape_that_is_computed(file, x):
    wanted = file.tensor((1,), None, kind=INT32)
    return [file.operator("RESHAPE", [x, wanted], [file.tensor((4,), *SCALING)], None, 1)]


def unread_sum(file, x):
    add(file, x, x)
    return [relu(file, x)]


REFUSED = {
    "an input of the model is its output too": output_that_is_the_input,
    r"the model has the output tensor \(1, 1\) twice": output_twice,
    "is the model's output, and no operator computes it": output_that_nothing_computes,
    "t1 is read before an operator writes it": read_before_it_is_written,
    "writes tensor 1, which was written before": written_twice,
    "writes tensor 0, which was written before": in_place,
    "reads two constants": sum_of_constants,
    "from INT8 to FLOAT32, where the model does not end": float_inside,
    "whose values are not known in advance": shape_that_is_computed,
    "nothing reads the output of layer t1": unread_sum,
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_is_refused_is_named(message):
    file = GraphFile()
    x = file.tensor(VECTOR, *SCALING)
    outputs = REFUSED[message](file, x)
    with pytest.raises(BadInputError, match=message):
        from_bytes(file.data([x], outputs))


def test_a_float_input_that_is_quantized_in_two_ways_is_refused():
    file = GraphFile()
    x = file.tensor(VECTOR, None, kind=FLOAT32)
    views = [file.tensor(VECTOR, scale, 3) for scale in (0.5, 0.25)]
    for view in views:
        file.operator("QUANTIZE", [x], [view], "QuantizeOptions", 1)
    with pytest.raises(BadInputError, match="quantizes the model's input once more, and differently"):
        from_bytes(file.data([x], [add(file, *views)]))


@pytest.mark.parametrize("place", [0, 1])
def test_an_input_that_nothing_reads_is_refused(place):
    file = GraphFile()
    x, other = file.tensor(VECTOR, *SCALING), file.tensor(VECTOR, *SCALING)
    inputs = [other, x] if place == 0 else [x, other]
    with pytest.raises(BadInputError, match=rf"nothing reads the model's input {place} \(t1\)"):
        from_bytes(file.data(inputs, [relu(file, x)]))
