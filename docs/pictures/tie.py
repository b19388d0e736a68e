"""A rounding tie on the number line: one requantisation, computed by `lenet_edge.quantized`."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from canvas import WIDTH, Sheet

from lenet_edge.quantized import tie_free
from lenet_edge.quantized.model import FullyConnected, Int64Array, QTensor
from lenet_edge.quantized.requantize import RULES, requantize

__all__ = ["Q", "draw", "layer", "results"]

Q = 3  # the multiplier stands for 1/6
_LARGEST = 10  # accumulators from -10 to 10
_INPUT_SCALE, _OUTPUT_SCALE = float(np.float32(1 / 255)), float(np.float32(0.05))
# As each computes a FULLY_CONNECTED.
_SHOWN = {"tflm": "TFLite Micro", "ruy": "LiteRT built-in", "single": "LiteRT reference", "float32": "XNNPACK, ONNX"}
_ZERO, _UNIT = 332, 98  # where 0 is, and what 1 is long
_LEFT, _RIGHT = 24, WIDTH - 14  # names stand on the left; the line runs to the right
_LINE_LEFT = 160


def layer() -> FullyConnected:
    """A layer of one weight on the tie-free grid whose multiplier stands for ``1 / (2 Q)``."""
    scale = tie_free.grid_scale(_INPUT_SCALE, _OUTPUT_SCALE, Q)
    return FullyConnected(
        "F6",
        QTensor((1,), _INPUT_SCALE, -128),
        QTensor((1,), _OUTPUT_SCALE, 0),
        np.array([[2]], np.int8),
        np.array([0], np.int32),
        np.array([scale], np.float32),
    )


def results(accumulators: list[int]) -> dict[str, list[int]]:
    """What each rounding rule makes of the accumulators."""
    batch: Int64Array = np.array(accumulators, np.int64)[:, None]
    return {rule: requantize(batch, layer(), rule)[:, 0].tolist() for rule in RULES}


def draw() -> Sheet:
    """The ordinary grid above, with its ties; the tie-free grid below, with its margin."""
    ties = [a for a in range(-_LARGEST, _LARGEST + 1) if Fraction(a, 2 * Q) % 1 == Fraction(1, 2)]
    even = [a for a in range(-_LARGEST, _LARGEST + 1) if a % 2 == 0]
    differ, agree = results(ties), results(even)
    sheet = Sheet("A rounding tie, and a grid without one", _told(ties, differ, even, agree), 532)
    sheet.text(_LEFT, 38, "Ordinary grid", "ink bold large")
    sheet.text(_LEFT, 62, f"A / {2 * Q} is rounded to an integer. A may be any integer;", "muted small")
    sheet.text(_LEFT, 81, f"{_listed(ties)} lie on a tie.", "muted small")
    _axis(sheet, 138, range(-_LARGEST, _LARGEST + 1), ties)
    _rules_table(sheet, 192, ties, differ)
    sheet.line(_LEFT, 300, _RIGHT, 300, "edge-line")
    sheet.text(_LEFT, 336, "Tie-free grid", "ink bold large")
    sheet.text(_LEFT, 360, f"The same division, and A is always even. {2 * Q} is 2q, q odd:", "muted small")
    sheet.text(_LEFT, 379, f"no A / {2 * Q} is nearer to a tie than 1/{2 * Q}.", "muted small")
    _axis(sheet, 436, even, [])
    _margin(sheet, 436, Fraction(1, 2))
    _agreed(sheet, 474, even, agree)
    return sheet


def _x(value: Fraction) -> float:
    return round(_ZERO + float(value) * _UNIT, 1)


def _number(value: int) -> str:
    return str(value).replace("-", "−")


def _listed(values: list[int]) -> str:
    words = [_number(value) for value in values]
    return ", ".join(words[:-1]) + " and " + words[-1]


def _axis(sheet: Sheet, y: int, accumulators: range | list[int], ties: list[int]) -> None:
    """The number line of A / 2q with a dot for each accumulator; the ties are dashed."""
    sheet.text(_LEFT + 8, y + 5, f"A / {2 * Q}", "ink small")
    sheet.line(_LINE_LEFT, y, _RIGHT, y, "muted-line")
    for half in (-3, -1, 1, 3):
        sheet.line(_x(Fraction(half, 2)), y - 20, _x(Fraction(half, 2)), y + 20, "bad-line", dash="4 3")
    for whole in (-1, 0, 1):
        sheet.line(_x(Fraction(whole)), y - 9, _x(Fraction(whole)), y + 9, "ink-line")
        sheet.text(_x(Fraction(whole)), y + 25, _number(whole), "ink middle small bold")
    for accumulator in accumulators:
        on_tie = accumulator in ties
        sheet.dot(_x(Fraction(accumulator, 2 * Q)), y, 5 if on_tie else 3.5, "bad" if on_tie else "one")


def _rules_table(sheet: Sheet, y: int, ties: list[int], found: dict[str, list[int]]) -> None:
    """Under each tie the integer that each rule gives: up in one colour, down in the other."""
    for accumulator in ties:
        sheet.text(_x(Fraction(accumulator, 2 * Q)), y - 80, f"A = {_number(accumulator)}", "bad middle small")
    for row, (rule, integers) in enumerate(found.items()):
        line = y + 25 * row
        _band(sheet, line, row)
        sheet.text(_LEFT + 8, line, _SHOWN[rule], "ink small")
        for accumulator, integer in zip(ties, integers, strict=True):
            up = Fraction(integer) > Fraction(accumulator, 2 * Q)
            sheet.text(
                _x(Fraction(accumulator, 2 * Q)), line, _number(integer), f"{'bad' if up else 'one'} middle bold"
            )


def _band(sheet: Sheet, line: int, row: int) -> None:
    if row % 2 == 0:
        sheet.box(_LEFT, line - 17, _RIGHT - _LEFT, 24, "faint", radius=3)


def _margin(sheet: Sheet, y: int, tie: Fraction) -> None:
    """How far the nearest accumulators are from a tie."""
    for end in (tie - Fraction(1, 2 * Q), tie, tie + Fraction(1, 2 * Q)):
        sheet.line(_x(end), y - 21, _x(end), y - 11, "good-line")
    sheet.line(_x(tie - Fraction(1, 2 * Q)), y - 16, _x(tie + Fraction(1, 2 * Q)), y - 16, "good-line")
    sheet.text(_x(tie), y - 28, f"margin 1/{2 * Q}", "good middle small bold")


def _agreed(sheet: Sheet, y: int, accumulators: list[int], found: dict[str, list[int]]) -> None:
    """The accumulators and the one integer that all rules give."""
    _band(sheet, y + 32, 0)
    sheet.text(_LEFT + 8, y + 6, "A", "ink small")
    sheet.text(_LEFT + 8, y + 32, "all four rules", "ink small")
    for index, accumulator in enumerate(accumulators):
        (integer,) = {integers[index] for integers in found.values()}
        x = _x(Fraction(accumulator, 2 * Q))
        sheet.text(x, y + 6, _number(accumulator), "muted middle small")
        sheet.text(x, y + 32, _number(integer), "good middle bold")


def _told(ties: list[int], differ: dict[str, list[int]], even: list[int], agree: dict[str, list[int]]) -> str:
    given = "; ".join(f"{_SHOWN[rule]} {', '.join(map(str, integers))}" for rule, integers in differ.items())
    one = ", ".join(map(str, next(iter(agree.values()))))
    return (
        f"Accumulators A divided by {2 * Q}. On an ordinary grid A may be {', '.join(map(str, ties))}, "
        f"which lie halfway between two integers, and the runtimes round them differently: {given}. "
        f"On the tie-free grid A is even and at least 1/{2 * Q} away from every tie: "
        f"{', '.join(map(str, even))} become {one} under all four rules."
    )
