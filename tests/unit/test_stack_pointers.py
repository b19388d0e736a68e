"""The pointers that the stack's proof knows against those in the firmware's sources: a new one is not forgotten."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from lenet_edge.hardware.stack_depth import pointers
from lenet_edge.resources import firmware_folder

_TOP = firmware_folder()
_NOT_PROVED = ("host", "webassembly", "x86", "neon")  # they run where nobody proves a stack
_WHAT_TO_DO = "say in _POINTED of hardware/stack_depth/pointers.py which function calls it through a pointer"

_COMMENT = re.compile(r"/\*.*?\*/|__attribute__\(\(.*?\)\)|//[^\n]*|\"(?:[^\"\\\n]|\\.)*\"", re.S)
_DEFINED = re.compile(r"^(?!else|return)(\w[\w *]*?)\b(\w+)\([^;{}]*\)\s*\{", re.M)
_DECLARED = re.compile(r"^(?:\w[\w ]*[ *])(\w+)\([^;{}()]*(?:\(\*\w*\)\([^()]*\)[^;{}()]*)?\);", re.M)
_FUNCTION_TYPE = re.compile(r"^typedef [\w *]*?\(?\*?\b(\w+)\)?\([^;{}]*\);", re.M)


def _sources() -> dict[Path, str]:
    """Every C source and header that is built for a chip, without comments and texts."""
    paths = (path for path in sorted(_TOP.rglob("*.[ch]")) if not set(_NOT_PROVED) & set(path.parts))
    texts = {path: _COMMENT.sub(" ", path.read_text(encoding="utf-8")) for path in paths}
    return {path: text for path, text in texts.items() if ".macro" not in text and ".section .text" not in text}


SOURCES = _sources()
STATIC = {path: {name for kind, name in _DEFINED.findall(text) if "static" in kind} for path, text in SOURCES.items()}
TYPES = {kind for text in SOURCES.values() for kind in _FUNCTION_TYPE.findall(text)}


def _declared_with(kind: str) -> list[str]:
    """The functions that are declared with a type of functions, where there is a pointer of that type."""
    if not any(re.search(rf"\b{kind} ?\*", text) for text in SOURCES.values()):
        return []
    lists = (names for text in SOURCES.values() for names in re.findall(rf"^{kind}\s+(\w[\w\s,]*);", text, re.M))
    return [name for names in lists for name in re.split(r"[\s,]+", names)]


OF_TYPE = {kind: names for kind in sorted(TYPES) if (names := _declared_with(kind))}
DECLARED = {name for text in SOURCES.values() for name in _DECLARED.findall(text)} - TYPES
# The generated C has a function of that ending for each layer.
EVERY = DECLARED.union(*STATIC.values(), *OF_TYPE.values(), ("main", "layer_0_c1_channels"))


@cache
def _seen_by(path: Path) -> set[str]:
    """Functions that a source can name: its own, those of the headers that it includes, and what is declared."""
    names = DECLARED | STATIC[path]
    for header in re.findall(r'#include "(\w+\.h)"', path.read_text(encoding="utf-8")):
        names = names.union(*(_seen_by(found) for found in SOURCES if found.name == header != path.name))
    return names


def _taken() -> Iterator[tuple[str, str]]:
    """(source, function) wherever one is named but neither called, declared nor defined."""
    for path, text in SOURCES.items():
        names = _seen_by(path)
        for match in re.finditer(r"(?<![\w>.*])([a-z_]\w*)\b(?!\s*[(\w])", text):
            if match[1] in names:
                yield path.relative_to(_TOP).as_posix(), match[1]


TAKEN = sorted(set(_taken()))


def test_a_function_whose_address_a_source_takes_is_known():
    unknown = pointers.undeclared({function for _, function in TAKEN}, EVERY)
    assert not [found for found in TAKEN if found[1] in unknown], _WHAT_TO_DO


def test_a_pointer_may_have_all_functions_of_its_type():
    """Some function calls each of them through a pointer, so that none is known as another pointer's only."""
    declared = {name for names in OF_TYPE.values() for name in names}
    pointed = [found for caller in EVERY if (found := pointers.pointed_from(caller, declared))]
    assert not {kind: names for kind, names in OF_TYPE.items() if not any(found >= set(names) for found in pointed)}, (
        _WHAT_TO_DO
    )


def test_tables_arguments_and_types_are_found():
    """Of each kind one that is there, so that the tests above are not of nothing."""
    assert {("app/main.c", "infer"), ("app/main.c", "port_putc"), ("kernels/shared/le_add.c", "sums")} <= set(TAKEN)
    assert {"le_widen_3_dsp_s8", "le_widen_4_dsp_s8"} == set(OF_TYPE["le_dsp_widen"])
    assert "le_dsp_few_function" in TYPES  # whose functions are called by their names
    assert "le_dsp_few_function" not in OF_TYPE
