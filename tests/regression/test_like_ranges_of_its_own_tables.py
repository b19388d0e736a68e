"""--like took a sum for TFLM's where the only ties are at values that TFLM's tables do not give; the runtime's do."""

import numpy as np

from lenet_edge.quantized.like import as_computed_by
from lenet_edge.quantized.model import Add, QTensor, QuantizedModel, Rescale
from lenet_edge.quantized.reference import run
from lenet_edge.quantized.rescale import table
from lenet_edge.quantized.runtimes import RUNTIMES


def test_a_sum_behind_a_table_that_reaches_one_further():
    """The lowest value is -63.3 steps: XNNPACK's 8 bits make it -64. Twice that is -64.5 steps, which it rounds up."""
    scale = 129 * 2.0**-13
    source = QTensor((1, 1, 1), float(np.float32(scale * 63.3 / 255)), 127)
    middle, target = QTensor((1, 1, 1), scale, 0), QTensor((1, 1, 1), 2.0**-5, 0)
    rescale = Rescale("rescale", source, middle, "QUANTIZE", table("QUANTIZE", source, middle))
    model = QuantizedModel((rescale, Add("sum", (middle, middle), target, -128, 127)), {}, ((-1,), (0, 0)))
    images = np.arange(-128, 128, dtype=np.int8).reshape(256, 1, 1, 1)
    expected = run(model, images, RUNTIMES["litert-xnnpack"])
    assert expected.ravel()[0] == -64
    np.testing.assert_array_equal(run(as_computed_by("litert-xnnpack", model), images), expected)
