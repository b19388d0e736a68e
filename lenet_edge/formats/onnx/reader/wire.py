"""A look at a protobuf before it is parsed: a megabyte of empty messages becomes a gigabyte of objects."""

from __future__ import annotations

from typing import Any

from lenet_edge.errors import BadInputError

__all__ = ["require_sensible"]

_MOST_FIELDS = 1_000_000
_MOST_MESSAGES = 200_000
_DEEPEST = 16
_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5


def require_sensible(data: bytes, descriptor: Any) -> None:
    """Refuse what has more fields or messages than a model, or messages too deep in each other.

    Args:
        data: the bytes.
        descriptor: of the message that they are, as protobuf has it.

    Raises:
        BadInputError: it says which; or the bytes are no protobuf.
    """
    fields = messages = 0
    todo = [(0, len(data), descriptor, 0)]
    while todo:
        at, end, kind, depth = todo.pop()
        while at < end:
            key, at = _varint(data, at, end)
            fields += 1
            start = at
            at = _end_of_field(data, at, end, key & 7)
            known = kind.fields_by_number.get(key >> 3)
            if key & 7 != _LENGTH or known is None or known.message_type is None:
                continue
            messages += 1
            if fields > _MOST_FIELDS or messages > _MOST_MESSAGES or depth > _DEEPEST:
                raise BadInputError("it is not an ONNX file of a model, or is damaged: it has too many parts")
            _, start = _varint(data, start, end)
            todo.append((start, at, known.message_type, depth + 1))


def _end_of_field(data: bytes, at: int, end: int, wire: int) -> int:
    if wire == _VARINT:
        return _varint(data, at, end)[1]
    if wire == _LENGTH:
        length, at = _varint(data, at, end)
        at += length
    elif wire in (_EIGHT_BYTES, _FOUR_BYTES):
        at += 8 if wire == _EIGHT_BYTES else 4
    else:
        at = end + 1
    if at > end:
        raise BadInputError("it is not an ONNX file, or is damaged: its parts do not fit into each other")
    return at


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise BadInputError("it is not an ONNX file, or is damaged: a number in it does not end")
