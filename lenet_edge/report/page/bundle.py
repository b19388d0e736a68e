"""The page's JavaScript as one text: its modules joined in the order in which they need each other."""

from __future__ import annotations

import re
from graphlib import TopologicalSorter
from pathlib import Path

__all__ = ["bundled"]

_IMPORT = re.compile(r'^import (\{[^}]*\}) from "\./(\w+)\.mjs";$', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async )?function|class|const) (\w+)", re.MULTILINE)


def bundled(folder: Path) -> str:
    """All modules (.mjs) of a folder, each as a function that gives what it exports.

    A page that was opened as a file can load no module from another one. The modules import and export names as they
    are, nothing by default and nothing under another name.

    Raises:
        graphlib.CycleError: two modules need each other.
    """
    texts = {path.stem: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.mjs"))}
    needs = {name: sorted(needed for _, needed in _IMPORT.findall(text)) for name, text in texts.items()}
    return "\n".join(_wrapped(name, texts[name]) for name in TopologicalSorter(needs).static_order())


def _wrapped(name: str, text: str) -> str:
    exported = ", ".join(found for _, found in _EXPORT.findall(text))
    body = _EXPORT.sub(r"\1 \2", _IMPORT.sub(r"const \1 = \2_module;", text))
    return f"const {name}_module = (() => {{\n{body}return {{ {exported} }};\n}})();\n"
