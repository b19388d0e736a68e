"""The tables that the runtimes compute for LOGISTIC and TANH against the rules of `quantized.lookup`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import table_judges

from lenet_edge.engines import litert, tflm
from lenet_edge.formats import tflite
from lenet_edge.quantized.lookup import OUTPUT_SCALING, TABLE_RULES, ideal_table, reference_table
from lenet_edge.quantized.model import Lookup, QTensor, QuantizedModel
from lenet_edge.quantized.runtimes import RUNTIMES

SHAPE = (16, 16, 1)
ALL_INPUTS = np.arange(-128, 128, dtype=np.int8).reshape(1, *SHAPE)
SCALINGS = [(0.004, 0), (0.013, -128), (0.0371, 7), (0.2, 0)]


def model_of(function: str, scale: float, zero_point: int) -> QuantizedModel:
    tensor = QTensor(SHAPE, float(np.float32(scale)), zero_point)
    output = QTensor(SHAPE, *OUTPUT_SCALING[function])
    return QuantizedModel((Lookup("lookup", tensor, output, function, reference_table(function, tensor)),))


def saved(model: QuantizedModel, folder: Path) -> Path:
    path = folder / "table.tflite"
    path.write_bytes(tflite.to_bytes(model))
    return path


@pytest.mark.parametrize("function", OUTPUT_SCALING)
@pytest.mark.parametrize(("scale", "zero_point"), SCALINGS)
def test_all_256_entries(function, scale, zero_point, tmp_path):
    model = model_of(function, scale, zero_point)
    path, tensor = saved(model, tmp_path), model.input
    fixed_point, float32 = TABLE_RULES["tflm"](function, tensor), TABLE_RULES["litert"](function, tensor)
    assert len(np.unique(float32)) > 20
    np.testing.assert_array_equal(tflm.run(path, ALL_INPUTS)[0], fixed_point)
    for kernels in ("reference", "builtin", "xnnpack"):
        np.testing.assert_array_equal(litert.run(path, ALL_INPUTS, kernels)[0], float32, err_msg=kernels)


@pytest.mark.parametrize(
    ("function", "scale", "zero_point"),
    [("sigmoid", 0.0030748541466891766, 123), ("sigmoid", 0.005464922171086073, 61)],
)
def test_tflm_where_its_fixed_point_is_not_the_ideal_rounding(function, scale, zero_point, tmp_path):
    """The control of the test above; of 30,000 random scalings 6 have an entry that close to a tie."""
    model = model_of(function, scale, zero_point)
    table = tflm.run(saved(model, tmp_path), ALL_INPUTS)[0]
    np.testing.assert_array_equal(table, TABLE_RULES["tflm"](function, model.input))
    assert (table != ideal_table(function, model.input)).any()


@pytest.mark.parametrize("runtime", ["tflm", *table_judges.RESOLVERS, "tf-lite"])
def test_every_entry_of_6000_scalings(runtime):
    functions, scales, zero_points = table_judges.scalings(6000, seed=2)
    actual, rule = table_judges.judged(runtime, functions, scales, zero_points), TABLE_RULES[RUNTIMES[runtime].lookup]
    expected = [
        rule(table_judges.FUNCTIONS[function], QTensor((256,), float(scale), int(zero_point)))
        for function, scale, zero_point in zip(functions, scales, zero_points, strict=True)
    ]
    assert np.count_nonzero(np.array(expected) != actual) == 0
