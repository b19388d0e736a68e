"""The names of a model's classes in C: texts, macros for their numbers, and what fits a line of the banner."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

from lenet_edge.quantized.meaning import meaning_of
from lenet_edge.quantized.model import QuantizedModel

__all__ = ["class_macros", "class_tables", "classes_line", "longest_bytes", "names_of", "string_literal"]

_MACRO = "LE_CLASS_"
_MACRO_WORD = 40  # characters of a name that go into its macro
_LINE_BYTES = 160  # of the names in the banner's line


def names_of(model: QuantizedModel) -> tuple[str, ...]:
    """The names of the classes; of outputs that are not classes their numbers."""
    meaning = meaning_of(model)
    return meaning.classes or tuple(map(str, range(meaning.outputs)))


def longest_bytes(names: Sequence[str]) -> int:
    """Bytes of the longest name in UTF-8, the zero at its end included."""
    return 1 + max(len(_utf8(name)) for name in names)


def class_tables(names: Sequence[str]) -> dict[str, str]:
    """The texts of le_model.c: the array of names, and for an AVR each name in flash with the pointers to them."""
    literals = [string_literal(name) for name in names]
    return {
        "classes": ",\n".join(f"    {literal}" for literal in literals),
        "names_in_flash": "\n".join(
            f"static LE_TABLE char name_{index}[] = {literal};" for index, literal in enumerate(literals)
        ),
        "name_pointers": ",\n".join(f"    name_{index}" for index in range(len(names))),
    }


def class_macros(model: QuantizedModel) -> str:
    """A macro for each class that has a name, such as ``LE_CLASS_TEA_POT`` for its number; "" where they are numbers.

    Letters outside of ASCII lose their accents or become ``_``. Names that then look alike get their number.
    """
    names = meaning_of(model).classes
    if names == tuple(map(str, range(len(names)))):
        return ""
    words = [_word(name) for name in names]
    count, taken = Counter(words), set(words)
    lines = []
    for index, word in enumerate(words):
        unique = word
        while not unique or (unique in taken and (unique != word or count[word] > 1)):
            unique = f"{unique}_{index}" if unique else str(index)
        taken.add(unique)
        lines.append(f"#define {_MACRO}{unique} {index}\n")
    return "".join(lines)


def _word(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Z0-9]+", "_", plain.upper()).strip("_")[:_MACRO_WORD].rstrip("_")


def classes_line(model: QuantizedModel) -> str:
    """What the banner says of the outputs: how many classes there are, and as many names as fit; one line."""
    meaning = meaning_of(model)
    if not meaning.classes:
        return meaning.counted
    counted = f"{len(meaning.classes)} class{'' if len(meaning.classes) == 1 else 'es'}"
    shown: list[str] = []
    room = _LINE_BYTES
    for name in map(_one_line, meaning.classes):
        room -= len(_utf8(name)) + 2
        if room < 0:
            return f"{counted}: {', '.join([*shown, '...'])}"
        shown.append(name)
    return f"{counted}: {', '.join(shown)}"


def _one_line(name: str) -> str:
    """Without what would end the line or steer a terminal."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in name)


def string_literal(text: str) -> str:
    """A string literal of C and C++: UTF-8 as octal escapes, which end after three digits whatever follows.

    A question mark is escaped as well: two of them and a slash were a backslash until C23 (a trigraph).
    """
    inside = (chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\?' else f"\\{byte:03o}" for byte in _utf8(text))
    return f'"{"".join(inside)}"'


def _utf8(text: str) -> bytes:
    """UTF-8 without a zero, which would end the text in C; half a surrogate pair has no UTF-8."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace")
