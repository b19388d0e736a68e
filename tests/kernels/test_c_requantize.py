"""le_requantize_s8 by itself, in both forms, against the reference and against every tie."""

from __future__ import annotations

import ctypes
import shutil

import numpy as np
import pytest
from c_programs import DOUBLE, INCLUDES, KERNELS, MODELS, STRICT_C, TIE_FREE, run

from lenet_edge.formats.c_source import tables
from lenet_edge.quantized.model import FullyConnected, QTensor, QuantizedModel
from lenet_edge.quantized.requantize import Multipliers, quantize_multiplier, requantize, round_tflm
from lenet_edge.quantized.tie_free import ADMISSIBLE_Q, grid_scale, ideal
from lenet_edge.quantized.verify import verify

MANY = """
#include "le_kernels.h"
void many(const int32_t *bias, const uint32_t *multiplier, const int8_t *shift, int zero_point, int low, int high,
          size_t channel, const int32_t *accumulators, int8_t *results, size_t count);
void many(const int32_t *bias, const uint32_t *multiplier, const int8_t *shift, int zero_point, int low, int high,
          size_t channel, const int32_t *accumulators, int8_t *results, size_t count)
{
    const le_requantization to = {bias, multiplier, shift, (int8_t)zero_point, (int8_t)low, (int8_t)high};
    for (size_t i = 0; i < count; i++) {
        results[i] = le_requantize_s8(&to, channel, accumulators[i]);
    }
}
"""


@pytest.fixture(scope="module")
def requantizers(tmp_path_factory):
    """File -> function(bias, multiplier, shift, zero point, clamp, channel, accumulators) -> int8 results."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is missing")
    folder = tmp_path_factory.mktemp("requantize")
    (folder / "many.c").write_text(MANY)
    return {file: _requantizer(file, folder) for file in (DOUBLE, TIE_FREE)}


def _requantizer(file, folder):
    path = folder / f"{file}.so"
    run("gcc", *STRICT_C, "-O2", "-shared", "-fPIC", *INCLUDES, folder / "many.c", KERNELS / "plain" / file, "-o", path)
    library = ctypes.CDLL(str(path))
    pointer, integer, size = ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t
    library.many.argtypes = [pointer, pointer, pointer, integer, integer, integer, size, pointer, pointer, size]

    def many(bias, multiplier, shift, zero_point, clamp, channel, accumulators):
        types = (np.int32, np.uint32, np.int8, np.int32)
        arrays = (bias, multiplier, np.zeros(1) if shift is None else shift, accumulators)
        held = [np.ascontiguousarray(array, kind) for array, kind in zip(arrays, types, strict=True)]
        places = [None if array is shift else array.ctypes.data for array in held]
        if shift is None:
            places[2] = None
        results = np.zeros(len(held[3]), np.int8)
        library.many(*places[:3], zero_point, *clamp, channel, places[3], results.ctypes.data, len(results))
        return results

    return many


def layer_of_every_q(zero_point, clamp):
    """A FULLY_CONNECTED of one input with a channel for each admissible q."""
    source, target = QTensor((1,), float(np.float32(0.037)), -77), QTensor((len(ADMISSIBLE_Q),), 0.0625, zero_point)
    scales = np.array([grid_scale(source.scale, target.scale, q) for q in ADMISSIBLE_Q], np.float32)
    random = np.random.default_rng(zero_point + 1000)
    weights = (2 * random.integers(-63, 64, (len(ADMISSIBLE_Q), 1))).astype(np.int8)
    bias = (2 * random.integers(-(2**20), 2**20, len(ADMISSIBLE_Q))).astype(np.int32)
    return FullyConnected("every q", source, target, weights, bias, scales, *clamp)


@pytest.mark.parametrize(
    ("zero_point", "clamp"), [(-128, (-128, 127)), (0, (-128, 127)), (127, (-50, 60)), (5, (5, 127))]
)
def test_every_tie_of_every_q(zero_point, clamp, requantizers):
    """Both files against the reference: around all ties of the int8 range and well beyond, and up to 2^24."""
    layer = verify_alone(layer_of_every_q(zero_point, clamp))
    q = np.array(ADMISSIBLE_Q)
    steps = np.arange(-260 - zero_point, 261 - zero_point)
    around = (2 * steps[:, None] + 1) + np.zeros(len(q), np.int64)
    near = [around * q + offset for offset in (-3, -1, 1, 3)]
    far = np.array([-(2**24) + 2, -(2**23), -2, 0, 2, 2**23, 2**24 - 2])[:, None] + np.zeros_like(q)
    accumulators = np.concatenate([*near, far])
    assert not (accumulators % 2).any()
    expected = requantize(accumulators, layer, "tflm")
    np.testing.assert_array_equal(expected, ideal(accumulators, q, layer))
    raw = accumulators - (layer.bias - layer.input.zero_point * layer.weights[:, 0].astype(np.int64))
    for file, divisible in ((TIE_FREE, True), (DOUBLE, False)):
        _, bias, multiplier, *shift = [table.values for table in tables.layer_tables(layer, "x", divisible=divisible)]
        for channel in range(len(q)):
            found = requantizers[file](
                bias, multiplier, shift[0] if shift else None, zero_point, clamp, channel, raw[:, channel]
            )
            np.testing.assert_array_equal(found, expected[:, channel], err_msg=f"{file}, q = {q[channel]}")


def verify_alone(layer):
    verify(QuantizedModel((layer,)))
    assert tables.is_divisible(QuantizedModel((layer,)))
    return layer


def test_rounding_twice_is_the_emulators(requantizers):
    """Random and round mantissas, every shift; accumulators of every size that verify allows, and real ties."""
    random = np.random.default_rng(2)
    for shift in range(-31, 8):
        mantissas = np.concatenate([[2**30, 2**31 - 1, 0, 2**30 + 2**29], random.integers(2**30, 2**31, 12)])
        for mantissa in mantissas:
            limit = (2**31 - 1) >> max(shift, 0)
            sizes = 2.0 ** random.uniform(0, np.log2(limit), 300)
            real = max(mantissa, 1) * 2.0 ** (shift - 31)
            ties = np.rint((random.integers(-140, 140, 60) + 0.5) / real)
            spread = (ties[:, None] + np.arange(-2, 3)).ravel()
            accumulators = np.concatenate([sizes, -sizes, spread[np.abs(spread) <= limit], [limit, -limit, 0]])
            accumulators = np.clip(accumulators, -limit, limit).astype(np.int64)
            by = Multipliers(np.array([mantissa]), np.array([shift]), np.ones(1, np.float32))
            expected = np.clip(round_tflm(accumulators, by) - 3, -100, 90)
            bias = int(random.integers(-1000, 1000)) if limit > 10**6 else 0
            raw = np.clip(accumulators, -limit + 1000, limit - 1000) - bias if bias else accumulators
            expected = np.clip(round_tflm(raw + bias, by) - 3, -100, 90)
            found = requantizers[DOUBLE]([bias], [mantissa], [shift], -3, (-100, 90), 0, raw)
            np.testing.assert_array_equal(found, expected, err_msg=f"{mantissa} 2^{shift}")


def test_multipliers_come_from_the_layer():
    """The tables of the double rounding are TFLM's own numbers."""
    layer = MODELS["left shifts"].layers[-1]
    real = np.float64(layer.input.scale) * layer.weight_scales.astype(np.float64) / layer.output.scale
    mantissa, shift = quantize_multiplier(real)
    _, _, *found = tables.layer_tables(layer, "x", divisible=False)
    assert [table.values.tolist() for table in found] == [mantissa.tolist(), shift.tolist()]
