"""The WebAssembly by itself: every logit of many images, of several kinds of models."""

import numpy as np
import pytest
import sample_models
import webassembly

from lenet_edge import datasets
from lenet_edge.quantized.reference import quantize_images, run
from lenet_edge.report.page import compile_to_webassembly


def test_no_logit_of_the_test_images_differs(browser, digits):
    """`python benchmarks/webassembly.py` takes all 10,000."""
    tests = datasets.load_test("mnist")
    images = quantize_images(tests.images[:2000])
    logits, _ = webassembly.run(browser, compile_to_webassembly(digits), images, 10)
    assert (logits == run(digits, images)).all()
    assert (logits.argmax(axis=1) == tests.labels[:2000]).mean() > 0.9


@pytest.mark.parametrize(
    "model",
    [
        sample_models.lenet5(1, grid="ordinary"),
        sample_models.lenet5_sigmoid(2),
        sample_models.average_pool_softmax(4),
    ],
    ids=["ordinary", "sigmoid", "softmax"],
)
def test_other_models(browser, model):
    shape = model.input.shape
    images = np.random.default_rng(5).integers(-128, 128, (200, *shape), np.int8)
    logits, _ = webassembly.run(browser, compile_to_webassembly(model), images, int(np.prod(model.output.shape)))
    assert (logits == run(model, images)).all()


def test_it_imports_nothing_and_is_the_same_every_time(digits):
    program = compile_to_webassembly(digits)
    assert program == compile_to_webassembly(digits)
    sections = [section for section, _ in sections_of(program)]
    assert 2 not in sections  # imports
    assert 0 not in sections  # custom: names, debugging


def sections_of(program):
    """(id, size) of each section: WebAssembly core specification, 5.5."""
    assert program[:8] == b"\0asm\1\0\0\0"
    at = 8
    while at < len(program):
        kind, size, shift = program[at], 0, 0
        while True:
            at += 1
            size |= (program[at] & 127) << shift
            shift += 7
            if not program[at] & 128:
                break
        at += 1 + size
        yield kind, size
