"""The message on a softmax that no C rounds as the runtime does advised retie, which does nothing for a softmax."""

import pytest

from lenet_edge.errors import BadInputError
from lenet_edge.formats.c_source import make_plan
from lenet_edge.quantized.like import as_computed_by
from lenet_edge.quantized.model import QTensor, QuantizedModel, Softmax


def test_it_does_not_advise_retie():
    softmax = Softmax("softmax", QTensor((10,), 0.1, 0), QTensor((10,), 1 / 256, -128), 1.0)
    model = as_computed_by("onnxruntime", QuantizedModel((softmax,), {}))
    with pytest.raises(BadInputError, match=r"layer softmax: .* Choose --like tflm$"):
        make_plan(model)
