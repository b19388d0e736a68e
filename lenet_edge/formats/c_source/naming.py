"""A prefix for exported C, so that several models link into one program: ``le_infer`` becomes ``meter_infer``.

The files are written with ``le_`` and renamed at the end, token by token, so
that no list of names has to be kept. Every name that a linker, an include path
or a build system sees is renamed: functions, types, macros, include guards,
files, targets, and the tables, which are global symbols on an AVR.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePosixPath

from lenet_edge.errors import BadInputError
from lenet_edge.quantized.model import QuantizedModel

__all__ = ["DEFAULT_PREFIX", "prefix_problem", "printable", "with_prefix"]

DEFAULT_PREFIX = "le"

_LONGEST = 30  # characters: C99 promises that the first 31 of a name count
_PREFIX = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")

# C17 and C23 6.4.1, C++23 [lex.key] and [lex.digraph]. Those with a capital or an underscore in front cannot match.
_KEYWORDS = """
    alignas alignof and and_eq asm auto bitand bitor bool break case catch char char8_t char16_t char32_t class compl
    concept const consteval constexpr constinit const_cast continue co_await co_return co_yield decltype default delete
    do double dynamic_cast else enum explicit export extern false float for friend goto if inline int long mutable
    namespace new noexcept not not_eq nullptr operator or or_eq private protected public register reinterpret_cast
    requires restrict return short signed sizeof static static_assert static_cast struct switch template this
    thread_local throw true try typedef typeid typename typeof typeof_unqual union unsigned using virtual void volatile
    wchar_t while xor xor_eq
"""
# What C's own headers put in front of an underscore (C17 7.31), but for those that are keywords.
_LIBRARY = "atomic cnd dbl errno fe flt lc ldbl memory mtx sig thrd time tss"

# Files of which comments and strings can be told from code.
_C_SUFFIXES = frozenset((".c", ".h", ".S", ".cpp", ".ino"))
_INCLUDE = r'#[ \t]*include[ \t]*"[^"\n]*"'
_COMMENT = r"/\*.*?\*/|//[^\n]*"
_STRING = r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\''
_NAME = r"(?<![A-Za-z0-9_])[A-Za-z_][A-Za-z0-9_]*"
_PIECES = re.compile(f"(?P<include>{_INCLUDE})|(?P<comment>{_COMMENT})|(?P<string>{_STRING})|(?P<name>{_NAME})", re.S)
_NAMES = re.compile(_NAME)
_C_FILE = re.compile(r"\.[chS]\b")
_BANNER = re.compile(r"# [\w .-]+, model ", re.ASCII)  # of CMakeLists.txt: the model's arch in front
_OURS = re.compile(r"(?:(?P<lower>le)|(?P<upper>LE))_\w*|(?P<table>(?:layer|constant)_\d\w*)", re.ASCII)

Renaming = Callable[[str], str]


def prefix_problem(prefix: str) -> str:
    """What is wrong with a prefix, as the end of a sentence that begins with it; empty where nothing is.

    Args:
        prefix: without the underscore, such as ``meter``.
    """
    if prefix == DEFAULT_PREFIX:
        return ""
    if not _PREFIX.fullmatch(prefix):
        return "is not a prefix for C: lower-case letters, digits and single '_' between them, a letter first"
    if len(prefix) > _LONGEST:
        return f"has {len(prefix)} characters; a prefix for C has at most {_LONGEST}"
    if prefix in _KEYWORDS.split():
        return "is a keyword of C or C++"
    if prefix.startswith("std") or prefix in _LIBRARY.split():
        return "is how names of the C library begin"
    if prefix.startswith(f"{DEFAULT_PREFIX}_"):
        return f"begins with {DEFAULT_PREFIX}_, as all names do in what is exported without --name"
    return ""


def with_prefix(files: Mapping[str, bytes], prefix: str, model: QuantizedModel) -> dict[str, bytes]:
    """The exported files, names and contents, with another prefix than ``le``.

    What the program holds and prints stays: string literals, names of classes, and the model's own words in comments
    of C. Elsewhere, as in CMakeLists.txt, such a word is the name of a file or target.

    Args:
        files: text, path -> content.
        prefix: that has no `prefix_problem`; ``le`` gives the files as they are.
        model: what they were made from.

    Raises:
        BadInputError: the prefix is not one, or makes a name that the files have already.
    """
    if problem := prefix_problem(prefix):
        raise BadInputError(f"{prefix!r} {problem}")
    if prefix == DEFAULT_PREFIX:
        return dict(files)
    texts = {path: content.decode() for path, content in files.items()}
    _require_distinct(texts, prefix)
    words = _words_of(model)

    def rename(name: str) -> str:
        return _renamed(name, prefix)

    def rename_prose(name: str) -> str:
        return name if name in words else rename(name)

    return {
        _all(path, rename): (_code(text, rename, rename_prose) if _is_c(path) else _build_file(text, rename)).encode()
        for path, text in texts.items()
    }


def printable(text: str) -> str:
    """Text that can stand in a comment or a string literal."""
    return "".join(letter if letter.isalnum() or letter in " .-_" else "_" for letter in text if letter.isascii())


def _renamed(name: str, prefix: str) -> str:
    """An identifier with the prefix, if it is one of the exported C."""
    found = _OURS.fullmatch(name)
    if found is None:
        return name
    if found["table"]:
        return f"{prefix}_{name}"
    return f"{prefix if found['lower'] else prefix.upper()}{name[len(DEFAULT_PREFIX) :]}"


def _words_of(model: QuantizedModel) -> set[str]:
    """Identifiers in what the model says of itself, as it stands in comments."""
    texts = [str(model.metadata.get("arch") or ""), *(layer.name for layer in model.layers)]
    return {name for text in texts for name in _NAMES.findall(printable(text))}


def _is_c(path: str) -> bool:
    return PurePosixPath(path).suffix in _C_SUFFIXES


def _code(text: str, rename: Renaming, rename_prose: Renaming) -> str:
    def change(found: re.Match[str]) -> str:
        if found["string"] is not None:
            return found[0]
        if found["comment"] is not None:
            return _comment(found[0], rename, rename_prose)
        return _all(found[0], rename)

    return _PIECES.sub(change, text)


def _comment(text: str, rename: Renaming, rename_prose: Renaming) -> str:
    """A comment of C; ``le_model.h`` is the file's name even if a layer is called ``le_model``."""

    def change(found: re.Match[str]) -> str:
        return (rename if _C_FILE.match(text, found.end()) else rename_prose)(found[0])

    return _NAMES.sub(change, text)


def _build_file(text: str, rename: Renaming) -> str:
    """What is not C: a build system's file or a README. All names in it are ours but the model's in the banner."""
    banner = _BANNER.match(text)
    start = banner.end() if banner else 0
    return text[:start] + _all(text[start:], rename)


def _all(text: str, rename: Renaming) -> str:
    return _NAMES.sub(lambda found: rename(found[0]), text)


def _require_distinct(texts: Mapping[str, str], prefix: str) -> None:
    """No name may become one that stays, or that another becomes."""
    names = {name for path, text in texts.items() if _is_c(path) for name in _names(text)}
    taken: dict[str, str] = {}
    for name in sorted(names, key=lambda name: (_renamed(name, prefix) != name, name)):  # those that stay come first
        new = _renamed(name, prefix)
        if taken.setdefault(new, name) != name:
            raise BadInputError(f"with the prefix {prefix!r} {name} becomes {new}, which is taken; choose another name")


def _names(text: str) -> Iterable[str]:
    return (found["name"] for found in _PIECES.finditer(text) if found["name"] is not None)
