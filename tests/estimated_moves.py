"""Layers that only move values, in a row: what `fits` estimates these from. None is the model's last."""

from __future__ import annotations

from dataclasses import replace

from lenet_edge.quantized.model import Concatenate, MaxPool2d, Pad, QTensor, QuantizedModel, Slice, Transpose

_SHAPES = ((6, 6, 16), (9, 7, 5), (4, 4, 3), (10, 9, 8), (5, 5, 24), (8, 3, 12), (11, 12, 1), (3, 20, 6), (7, 7, 20))


class _Row:
    """Layers of which each reads the one before."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.now = QTensor(shape, 0.0625, -3)
        self.layers: list = []
        self.reads: list[tuple[int, ...]] = []

    def add(self, kind, shape, *rest, operands: int = 1) -> None:
        given = (self.now,) * operands if kind is Concatenate else self.now
        output = replace(self.now, shape=tuple(shape))
        self.layers.append(kind(f"{len(self.layers)}", given, output, *rest))
        self.reads.append((len(self.layers) - 2,) * operands)
        self.now = output

    def concatenate(self, axis: int) -> None:
        shape = [size * (2 if at == axis else 1) for at, size in enumerate(self.now.shape)]
        self.add(Concatenate, shape, axis, operands=2)

    def pad(self, before, after) -> None:
        self.add(Pad, map(sum, zip(before, self.now.shape, after, strict=True)), before, after, 9)

    def slice(self, begin, stride, shape) -> None:
        self.add(Slice, shape, begin, stride)

    def transpose(self, *order: int) -> None:
        self.add(Transpose, (self.now.shape[axis] for axis in order), order)


def _in_a_row(shape: tuple[int, int, int], *, by_channels: bool) -> QuantizedModel:
    row = _Row(shape)
    height, width, channels = shape
    row.concatenate(2 if by_channels else 0)
    if by_channels:
        row.pad((1, 1, 0), (1, 0, 0))
        row.transpose(1, 0, 2)
        row.slice((0, 0, 0), (1, 1, 1), (width, height, channels))
    else:
        row.pad((0, 1, 0), (0, 2, 1))
        row.transpose(2, 0, 1)
        row.slice((0, 0, 0), (1, 2, 1), (channels, height, width))
    row.concatenate(1)
    row.slice((row.now.shape[0] - 1, 0, 0), (-1, 1, 1), row.now.shape)
    row.transpose(*((2, 0, 1) if by_channels else (0, 2, 1)))
    row.pad((1, 0, 1), (0, 1, 0))
    row.slice((0, 0, 1), (1, 1, 1), (*row.now.shape[:2], row.now.shape[2] - 1))
    row.add(MaxPool2d, (1, 1, row.now.shape[2]), row.now.shape[:2], (1, 1), "valid", -128, 127)
    return QuantizedModel(tuple(row.layers), {}, tuple(row.reads))


def measured_moves() -> list[QuantizedModel]:
    """By channels, and by rows."""
    return [_in_a_row(shape, by_channels=by_channels) for shape in _SHAPES for by_channels in (True, False)]
