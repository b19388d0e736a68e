"""JSON as RFC 8259 defines it, and no more: what Python's reader lets through beyond that is refused.

NaN and Infinity are not JSON, 1e999 is not a number that can be compared, and of two equal keys one would be lost:
a record with any of these was damaged or made by hand.
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

__all__ = ["parse"]

_LARGEST = 2**64 - 1  # the largest integer: what no counter of ours exceeds, and what a float still holds
_DIGITS = 20


def parse(content: bytes | str) -> Any:
    """The value that a JSON text stands for; bytes are UTF-8, -16 or -32, with or without a byte order mark.

    Raises:
        ValueError: it is not JSON, has a number that is not finite or an integer beyond 64 bits, a key twice in an
            object, or is nested too deeply; the message says which.
    """
    text = content if isinstance(content, str) else content.decode(json.detect_encoding(content))
    try:
        return json.loads(
            text, parse_constant=_no_constant, parse_int=_integer, parse_float=_float, object_pairs_hook=_object
        )
    except RecursionError:
        raise ValueError("its values are nested too deeply") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number of JSON")


def _integer(digits: str) -> int:
    if len(digits) > 1 + _DIGITS or abs(value := int(digits)) > _LARGEST:
        raise ValueError(f"an integer of {len(digits.lstrip('-'))} digits is beyond 64 bits")
    return value


def _float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"{digits[:20]} is too large a number")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key[:80]!r} stands twice in an object")
        found[key] = value
    return found
