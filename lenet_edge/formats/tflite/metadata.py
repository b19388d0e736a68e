"""What lenet-edge wrote about a model into its .tflite, read with suspicion: anyone may have changed it."""

from __future__ import annotations

from typing import Any

from lenet_edge import strict_json
from lenet_edge.errors import BadInputError
from lenet_edge.formats.tflite.schema import METADATA_NAME

__all__ = ["read_metadata"]

_MAX_BYTES = 1 << 20
_MAX_CLASS_NAME = 200


def read_metadata(root: Any) -> dict[str, Any]:
    """The JSON object of the metadata entry ``lenet_edge``; empty for a third-party model.

    Raises:
        BadInputError: it is not a JSON object (`strict_json`), or holds text that is not Unicode or class
            names that cannot be shown.
    """
    for entry in root.metadata or []:
        if entry.name == METADATA_NAME.encode():
            content = _parsed(root.buffers[entry.buffer].data)
            _check_classes(content.get("classes"))
            return content
    return {}


def _parsed(data: Any) -> dict[str, Any]:
    if data is None or len(data) > _MAX_BYTES:
        raise BadInputError(f"its lenet_edge metadata has {0 if data is None else len(data)} bytes")
    try:
        content = strict_json.parse(data.tobytes())
    except ValueError as error:
        raise BadInputError(f"its lenet_edge metadata is damaged: {error}") from error
    if not isinstance(content, dict):
        raise BadInputError("its lenet_edge metadata is not a JSON object")
    _check_text(content)
    return content


def _check_text(value: Any) -> None:
    """Raise where a key or text in `value` holds half of a surrogate pair, which no file or terminal takes."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            pending += [*item.keys(), *item.values()]
        elif isinstance(item, list):
            pending += item
        elif isinstance(item, str) and any("\ud800" <= character <= "\udfff" for character in item):
            raise BadInputError(f"its lenet_edge metadata has text that is not Unicode: {item[:40]!a}")


def _check_classes(names: Any) -> None:
    if names is None:
        return
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise BadInputError("the class names in its lenet_edge metadata are not a list of texts")
    for name in names:
        if not name.strip() or len(name) > _MAX_CLASS_NAME or not name.isprintable():
            raise BadInputError(
                f"a class name in its lenet_edge metadata is {name[:40]!a} ({len(name)} characters); "
                f"class names are 1 to {_MAX_CLASS_NAME} printable characters"
            )
