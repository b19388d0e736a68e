"""Poolings and means of many shapes, that `fits` estimates from: by fours each has many loops."""

from __future__ import annotations

from random_chains import Chain

from lenet_edge.quantized.model import AveragePool2d, MaxPool2d, Mean, QTensor, QuantizedModel

_CHANNELS = (4, 5, 7, 8, 12, 13, 15, 16, 20, 23, 28, 40, 64)
_MEANS = [(4, 4, 12), (7, 7, 40), (8, 8, 64), (25, 5, 16), (3, 3, 96), (1, 1, 20), (2, 9, 33), (18, 15, 12), (6, 5, 7)]
_WINDOWS = ((2, 2), (3, 3), (2, 3), (3, 2), (1, 4), (4, 1))


def measured() -> list[QuantizedModel]:
    """All."""
    return measured_poolings() + measured_means()


def measured_poolings() -> list[QuantizedModel]:
    """In each model three poolings behind one another, and for some a last one of the whole width, or of all."""
    found = []
    for index, channels in enumerate(_CHANNELS):
        size = (14 + index % 5, 15 + index % 4)
        chain = Chain(300 + index, (*size, channels))
        for step in range(3):
            kind = (AveragePool2d, MaxPool2d)[(index + step) % 2]
            window = (_WINDOWS[(index + 2 * step) % len(_WINDOWS)], (2, 2))[step == 2]
            stride = ((1, 1), (2, 2))[step == 1]
            chain = chain.pool(window, stride, kind=kind)
        height, width = chain.build().output.shape[:2]
        whole = ((height, width), (height // 2 or 1, width))[index % 2]
        found.append(chain.pool(whole, kind=(AveragePool2d, MaxPool2d)[index // 2 % 2]).build())
    large = [((25, 5, 64), AveragePool2d), ((12, 9, 24), AveragePool2d), ((11, 14, 17), MaxPool2d)]
    found += [Chain(330 + index, shape).pool(shape[:2], kind=kind).build() for index, (shape, kind) in enumerate(large)]
    return found


def measured_means() -> list[QuantizedModel]:
    """Of the whole map, along one axis, and along values that lie one behind the other."""
    every = [(shape, axes) for shape in _MEANS for axes in ((0, 1), (0,), (1,))]
    every += [(shape, axes) for shape in _MEANS[1::2] for axes in ((2,), (1, 2))]
    return [_mean(shape, axes) for shape, axes in every]


def _mean(shape: tuple[int, int, int], axes: tuple[int, ...]) -> QuantizedModel:
    kept = tuple(size for axis, size in enumerate(shape) if axis not in axes)
    layer = Mean("mean", QTensor(shape, 0.0625, -3), QTensor(kept, 0.03125, 11), axes)
    return QuantizedModel((layer,))
