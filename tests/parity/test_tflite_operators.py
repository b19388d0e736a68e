"""What is read of each operator of a .tflite, judged by the runtimes: all run it, and TFLM's integers are ours."""

import numpy as np
import pytest
import tflite_runtimes
from operator_files import READ, REFUSED

from lenet_edge.errors import BadInputError
from lenet_edge.formats.tflite import from_bytes, to_bytes
from lenet_edge.quantized.reference import run


@pytest.fixture(scope="module")
def judged():
    """By file what each runtime computes of the images, which are the model's where it is read."""
    files = [*READ.values(), *REFUSED.values()]
    images = [_images(data) for data in files]
    computed = tflite_runtimes.judged(list(zip(files, images, strict=True)))
    return {data: found for data, *found in zip(files, images, computed, strict=True)}


def _images(data):
    try:
        shape = from_bytes(data).input.shape
    except BadInputError:
        tree = tflite_runtimes.Interpreter(model_content=data)
        shape = tree.get_input_details()[0]["shape"]
    return np.random.default_rng(5).integers(-128, 128, (20, *shape)).astype(np.int8)


@pytest.mark.parametrize("name", READ)
def test_what_is_read_runs_everywhere_and_as_tflm_computes_it(name, judged):
    model = from_bytes(READ[name])
    images, computed = judged[READ[name]]
    assert {runtime: found for runtime, found in computed.items() if isinstance(found, str)} == {}
    np.testing.assert_array_equal(run(model, images), computed["tflm"])


@pytest.mark.parametrize("name", READ)
def test_it_is_written_as_it_was_read(name):
    model = from_bytes(READ[name])
    assert from_bytes(to_bytes(model)) == model


@pytest.mark.parametrize("message", REFUSED)
def test_what_is_refused_is_refused_or_computed_otherwise_by_a_runtime(message, judged):
    with pytest.raises(BadInputError, match=message):
        from_bytes(REFUSED[message])
    _, computed = judged[REFUSED[message]]
    assert any(isinstance(found, str) or found != computed["tflm"] for found in computed.values())
