"""What outputs and inputs mean, worked out by hand."""

import dataclasses

import numpy as np
import pytest
import sample_models
from sample_models import ModelBuilder

from lenet_edge.errors import BadInputError
from lenet_edge.quantized.meaning import input_text, is_image, meaning_of, pixel_problem, require_labels, takes_pixels
from lenet_edge.quantized.model import (
    Flatten,
    Lookup,
    QTensor,
    QuantizedModel,
    Rescale,
    Reshape,
    Slice,
    Softmax,
)

F = np.float32


def ending(*steps):
    """A model of one weighted layer, then these."""
    builder = ModelBuilder(1, image=QTensor((4, 4, 1), float(F(1 / 255)), -128)).flatten()
    for step in steps:
        step(builder)
    return builder.build()


def outputs(count):
    return lambda builder: builder.fully_connected("out", count, relu=False)


def sigmoid(builder):
    builder.lookup("logistic")


def tanh(builder):
    builder.lookup("tanh", "tanh")


def softmax(builder):
    builder.softmax()


def rows(*values):
    return np.array(values, np.int8)


@pytest.mark.parametrize(
    ("steps", "kind", "classes"),
    [
        ((outputs(3),), "logits", ("0", "1", "2")),
        ((outputs(3), tanh), "logits", ("0", "1", "2")),
        ((outputs(3), softmax), "probabilities", ("0", "1", "2")),
        ((outputs(3), sigmoid), "independent", ("0", "1", "2")),
        ((outputs(1), sigmoid), "binary", ("0", "1")),
        ((outputs(1),), "values", ()),
        ((outputs(1), tanh), "values", ()),
        ((outputs(1), softmax), "probabilities", ("0",)),
    ],
)
def test_the_last_layer_says_what_the_outputs_are(steps, kind, classes):
    meaning = meaning_of(ending(*steps))
    assert (meaning.kind, meaning.classes) == (kind, classes)


def chain(shape, *layers):
    """Layers that only rename one shape after another; not for running."""
    made, tensor = [], QTensor(shape, 1 / 256, -128)
    for kind, target in layers:
        after = QTensor(target, 1 / 256, -128)
        made.append(kind(kind.__name__, tensor, after))
        tensor = after
    return QuantizedModel(tuple(made))


def test_one_vector_of_any_rank_is_one_score_for_each_class():
    assert meaning_of(chain((1, 1, 10), (Softmax, (1, 1, 10)))).kind == "probabilities"
    assert meaning_of(chain((1, 1, 10), (Softmax, (1, 1, 10)), (Flatten, (10,)))).kind == "probabilities"
    for shape in ((5, 5, 10), (1, 10, 1), (2, 1, 1)):
        assert meaning_of(chain(shape, (Softmax, shape))).kind == "values"
    # 25 distributions in a row are not one
    assert meaning_of(chain((5, 5, 2), (Softmax, (5, 5, 2)), (Flatten, (50,)))).kind == "values"


def test_names():
    three = ending(outputs(3))
    assert meaning_of(three.with_metadata(classes=["a", "b", "c"])).classes == ("a", "b", "c")
    assert meaning_of(three.with_metadata(classes=["too", "few"])).classes == ("0", "1", "2")
    assert meaning_of(three.with_metadata(classes="abc")).classes == ("0", "1", "2")
    assert meaning_of(three.with_metadata(classes=["a", "b", "a"])).classes == ("a (0)", "b", "a (2)")
    assert meaning_of(ending(outputs(1), sigmoid).with_metadata(classes=["no", "yes"])).classes == ("no", "yes")


def test_probabilities_are_not_put_through_a_softmax_again():
    probabilities = meaning_of(ending(outputs(3), softmax))
    np.testing.assert_array_equal(
        probabilities.probabilities(rows([127, -128, -128], [-128, 0, -1])), [[255 / 256, 0, 0], [0, 0.5, 127 / 256]]
    )
    independent = meaning_of(ending(outputs(3), sigmoid))
    np.testing.assert_array_equal(independent.probabilities(rows([64, 64, -128])), [[0.75, 0.75, 0]])
    binary = meaning_of(ending(outputs(1), sigmoid))
    np.testing.assert_array_equal(binary.probabilities(rows([64], [-128])), [[0.25, 0.75], [1, 0]])


def test_logits_go_through_a_softmax():
    model = ending(outputs(2))
    last = model.layers[-1]
    output = dataclasses.replace(last.output, scale=0.5, zero_point=3)
    meaning = dataclasses.replace(meaning_of(model), tensor=output)
    np.testing.assert_array_equal(meaning.real(rows([5, 3])), [[1.0, 0.0]])
    np.testing.assert_allclose(
        meaning.probabilities(rows([5, 3], [-128, 127]))[0], [1 / (1 + np.exp(-1)), 1 / (1 + np.e)]
    )


def test_of_one_output_the_class_is_which_half():
    binary = meaning_of(ending(outputs(1), sigmoid))
    assert binary.threshold == 0  # 128 / 256 is exactly a half, and still the first class
    np.testing.assert_array_equal(binary.predictions(rows([-128], [-1], [0], [1], [127])), [0, 0, 0, 1, 1])
    shares = binary.probabilities(np.arange(-128, 128, dtype=np.int8)[:, None])
    np.testing.assert_array_equal(
        shares.argmax(axis=1), binary.predictions(np.arange(-128, 128)[:, None].astype(np.int8))
    )


def test_values_have_no_class():
    meaning = meaning_of(ending(outputs(1)))
    for ask in (meaning.predictions, meaning.probabilities):
        with pytest.raises(BadInputError, match="1 value, not one score for each class"):
            ask(rows([3]))


@pytest.mark.parametrize(("labels", "fits"), [([0, 4], True), ([], True), ([0, 5], False), ([-1, 3], False)])
def test_labels_beyond_the_classes_are_refused(labels, fits):
    if fits:
        require_labels(np.array(labels, np.int16), 5, "mine")
        return
    with pytest.raises(BadInputError, match=r"the labels of mine are .* 5 classes, 0 to 4"):
        require_labels(np.array(labels, np.int16), 5, "mine")


@pytest.mark.parametrize(
    ("scale", "zero_point", "fits"),
    [
        (1 / 255, -128, True),
        (0.0039215558, -128, True),  # a converter that saw 0.99999 as the largest pixel
        (1 / 256, -128, False),
        (1 / 255, -127, False),
        (1 / 255, 0, False),
        (1.0, -128, False),
        (1 / 127.5, -1, False),
        (0.5847029, 83, False),
    ],
)
def test_pixels_are_what_the_model_takes_only_where_every_pixel_is(scale, zero_point, fits):
    tensor = QTensor((28, 28, 1), float(F(scale)), zero_point)
    assert takes_pixels(tensor) is fits
    by_hand = all(round(pixel / 255 / float(F(scale))) + zero_point == pixel - 128 for pixel in range(256))
    assert by_hand is fits


def test_the_rule_of_the_input_in_words():
    assert input_text(QTensor((1,), 0.5, -3)) == "real value = 0.5 * (int8 + 3)"
    assert input_text(QTensor((1,), 0.5, 83)) == "real value = 0.5 * (int8 - 83)"
    assert input_text(QTensor((1,), float(F(1 / 255)), 0)) == "real value = 0.003921569 * int8"


def test_what_is_an_image():
    pixel = float(F(1 / 255))
    assert is_image(QTensor((28, 28, 1), pixel, -128))
    assert is_image(QTensor((32, 32, 3), pixel, -128))
    assert not is_image(QTensor((784,), pixel, -128))
    assert not is_image(QTensor((49, 10, 1), 0.58, 83))
    assert not is_image(QTensor((7, 7, 64), pixel, -128))


def test_what_is_wrong_with_pixels_is_said_with_the_range_they_are_read_as():
    assert pixel_problem(sample_models.lenet5()) is None
    builder = ModelBuilder(1, image=QTensor((4, 4, 1), 0.5, 100)).flatten()
    said = pixel_problem(builder.fully_connected("out", 3).build())
    assert "scale 0.5 and zero point 100" in said
    assert "-114 (black) to 13.5 (white)" in said  # 0.5 * (-128 - 100), 0.5 * (127 - 100)


# --- outputs that are not classes -------------------------------------------------------------------


def autoencoder(**metadata):
    """Four values in, four out."""
    builder = ModelBuilder(2, image=QTensor((4,), 0.5, 3)).fully_connected("within", 2)
    return builder.fully_connected("again", 4, relu=False).build(**metadata)


def test_outputs_of_the_inputs_shape_are_its_values_again_unless_classes_have_names():
    meaning = meaning_of(autoencoder())
    assert (meaning.kind, meaning.classes, meaning.source) == ("values", (), QTensor((4,), 0.5, 3))
    assert "as many as it takes" in meaning.no_classes
    assert meaning_of(autoencoder(classes=["a", "b", "c"])).kind == "values"
    named = meaning_of(autoencoder(classes=["a", "b", "c", "d"]))
    assert (named.kind, named.classes, named.source) == ("logits", ("a", "b", "c", "d"), None)
    assert meaning_of(ending(outputs(3))).source is None
    single = ModelBuilder(2, image=QTensor((1,), 0.5, 3)).fully_connected("out", 1, relu=False).build()
    assert (meaning_of(single).kind, meaning_of(single).source) == ("values", None)


def test_figures_of_values():
    meaning = dataclasses.replace(meaning_of(autoencoder()), tensor=QTensor((4,), 0.25, 1))
    found = meaning.figures(rows([1, 5, 1, 1], [1, 1, 1, -3]), rows([3, 3, 3, 3], [3, 3, 3, 5]))
    # real outputs 0 1 0 0 and 0 0 0 -1, real inputs 0 0 0 0 and 0 0 0 1
    assert (found.low, found.high, found.mean_error) == (-1.0, 1.0, 3 / 8)
    number = meaning_of(ending(outputs(1)))
    assert number.figures(rows([5], [9]), np.zeros((2, 4, 4, 1), np.int8)).mean_error is None


def test_several_outputs_have_no_class_and_each_its_own_scale():
    image, first, second = QTensor((4,), 0.5, 0), QTensor((2, 2), 0.5, 0), QTensor((4,), 0.5, 0)
    model = QuantizedModel((Reshape("a", image, first), Reshape("b", image, second)), {}, ((-1,), (-1,)), (0, 1))
    meaning = meaning_of(model)
    assert (meaning.kind, meaning.counted) == ("values", "2 x 2 values and 4 values")
    scaled = dataclasses.replace(meaning, parts=(QTensor((2,), 0.5, 1), QTensor((1,), 2.0, -1)))
    np.testing.assert_array_equal(scaled.real(rows([1, 3, 0])), [[0, 1, 2]])


def test_a_change_of_shape_extent_or_scale_at_the_end_does_not_count():
    tensor, flat, cut = QTensor((1, 1, 5), 1 / 256, -128), QTensor((5,), 1 / 256, -128), QTensor((3,), 1 / 256, -128)
    other = QTensor((5,), 1 / 128, -128)
    head = (Softmax("softmax", tensor, tensor), Reshape("reshape", tensor, flat))
    scaled = Rescale("scaled", flat, other, "QUANTIZE", np.zeros(256, np.int8))
    assert meaning_of(QuantizedModel(head)).kind == "probabilities"
    assert meaning_of(QuantizedModel((*head, scaled))).kind == "probabilities"
    part = Slice("part", flat, cut, (1,), (1,))
    assert meaning_of(QuantizedModel((*head, part))).kind == "values"  # a part of a distribution is none
    sigmoid = Lookup("sigmoid", flat, flat, "sigmoid", np.zeros(256, np.int8))
    assert meaning_of(QuantizedModel((sigmoid, part))).kind == "independent"
    assert meaning_of(QuantizedModel((part,))).kind == "values"  # the input itself


def test_the_result_says_what_is_given_not_the_last_layer():
    image, flat = QTensor((2, 2), 1 / 256, -128), QTensor((4,), 1 / 256, -128)
    layers = (Reshape("flat", image, flat), Softmax("softmax", flat, flat), Reshape("map", flat, image))
    model = QuantizedModel(layers, {}, ((-1,), (0,), (0,)), (1,))
    assert meaning_of(model).kind == "probabilities"
