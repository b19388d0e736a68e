"""The reference on large maps: one product of two matrices for a convolution, and windows of a bounded size.

numpy makes of a product of arrays with more than two dimensions one for each row of the map: 50 times slower.
"""

from __future__ import annotations

import tracemalloc

import numpy as np

from lenet_edge.quantized import reference
from lenet_edge.quantized.model import Conv2d, QTensor, QuantizedModel

SIZE, CHANNELS, IMAGES = 64, 32, 66  # not a multiple of what goes together


def layer_of(groups: int = 1) -> Conv2d:
    random = np.random.default_rng(7)
    tensor = QTensor((SIZE, SIZE, CHANNELS), 0.5, 3)
    weights = random.integers(-127, 128, (CHANNELS, 3, 3, CHANNELS // groups)).astype(np.int8)
    bias = random.integers(-1000, 1000, CHANNELS).astype(np.int32)
    return Conv2d("C1", tensor, tensor, weights, bias, np.full(CHANNELS, 0.004, np.float32), padding="same")


class Watched(np.ndarray):
    """An array that remembers the dimensions of the operands of its matrix products."""

    dimensions: list[tuple[int, ...]]

    def __array_finalize__(self, other):
        self.dimensions = getattr(other, "dimensions", [])

    def __array_ufunc__(self, function, method, *operands, **options):
        if function is np.matmul:
            self.dimensions.append(tuple(operand.ndim for operand in operands))
        return getattr(function, method)(*(np.asarray(operand) for operand in operands), **options)


def test_a_convolution_is_a_product_of_two_matrices():
    for groups in (1, 4):
        layer = layer_of(groups)
        columns = np.ones((2, SIZE, SIZE, 3, 3, CHANNELS)).view(Watched)
        weights = np.ones((9 * CHANNELS // groups, CHANNELS))
        sums = reference._grouped(layer, columns, weights)
        assert columns.dimensions == [(2, 2)] * groups
        assert sums.shape == (2, SIZE, SIZE, CHANNELS)
        assert (sums == 9 * CHANNELS // groups).all()


def test_memory_does_not_grow_with_the_images():
    model = QuantizedModel((layer_of(),))
    images = np.random.default_rng(8).integers(-128, 128, (IMAGES, *model.input.shape)).astype(np.int8)
    tracemalloc.start()
    try:
        outputs = reference.run(model, images)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 300 << 20  # the windows of all 66 would take 600 MB
    alone = [reference.run(model, images[number : number + 1]) for number in (0, 3, 4, IMAGES - 1)]
    np.testing.assert_array_equal(outputs[[0, 3, 4, IMAGES - 1]], np.concatenate(alone))
    assert len(np.unique(outputs)) > 100
