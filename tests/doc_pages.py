"""The pages of docs/ as text: their code, and the command lines in it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

__all__ = ["CHECKOUT", "DOCS", "blocks", "lines_that_start", "prose", "titled"]

CHECKOUT = Path(__file__).parents[1]
DOCS = CHECKOUT / "docs"

_FENCE = re.compile(r"^ *(```+|~~~+) *(.*)$")


def blocks(path: Path) -> list[tuple[str, str]]:
    """(what follows the fence, content) of each fenced block; an indented one as well, without words."""
    found: list[tuple[str, list[str]]] = []
    fence = ""
    indented = False
    for line in path.read_text().splitlines():
        mark = _FENCE.match(line)
        if fence:
            if mark and mark[1] == fence and not mark[2]:
                fence = ""
            else:
                found[-1][1].append(line)
        elif mark:
            fence, indented = mark[1], False
            found.append((mark[2], []))
        elif line.startswith("    "):
            if not indented:
                found.append(("", []))
            found[-1][1].append(line)
            indented = True
        elif line:
            indented = False
    return [(words, "\n".join(lines)) for words, lines in found]


def titled(path: Path, title: str) -> str:
    """The fenced block of a page with that title."""
    (content,) = [content for words, content in blocks(path) if f'title="{title}"' in words]
    return content


def prose(path: Path) -> str:
    """The text outside of fenced blocks."""
    return re.sub(r"^ *(```+|~~~+)[^\n]*\n.*?^ *\1 *$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)


def lines_that_start(code: str, program: str) -> list[list[str]]:
    """The arguments of each call of a program in a text of code; a comment, a pipe or a redirection ends one."""
    found = []
    for line in re.sub(r"\\\n", " ", code).splitlines():
        for part in re.split(r"&&|\|\||[;|]", re.sub(r"^\s*\$ ", "", line)):
            if part.split()[:1] == [program]:
                words = shlex.split(part, comments=True)
                end = next((place for place, word in enumerate(words) if word.startswith((">", "2>"))), None)
                found.append(words[1:end])
    return found
