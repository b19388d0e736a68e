"""The house rules that a reader relies on: a file is read at one sitting, a function fits on a screen.

A file of more lines says why in its first lines, with "Long because"; nothing excuses a longer function.
"""

import ast
import re
from pathlib import Path

import pytest

import lenet_edge

ROOT = Path(lenet_edge.__file__).parents[1]
FOLDERS = ("lenet_edge", "firmware", "tests", "benchmarks", "examples", "docs")
MOST_FILE_LINES, MOST_FUNCTION_LINES, FIRST_LINES = 400, 45, 12
REASON = re.compile(r"Long because \w+")
NOT_CODE = {"build", "__pycache__"}


def files(*suffixes):
    found = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*")) if path.suffix in suffixes]
    return [path for path in found if not NOT_CODE & set(path.relative_to(ROOT).parts)]


def too_long(text):
    lines = text.splitlines()
    return len(lines) > MOST_FILE_LINES and not REASON.search("\n".join(lines[:FIRST_LINES]))


def python_functions(text):
    """(name, lines from `def` to the end); decorators are not counted, they are the options of a command."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield node.name, node.end_lineno - node.lineno + 1


def c_functions(text):
    """(first line, lines to the end) of each body, from the line that begins a parameter list to the closing brace."""
    lines = text.splitlines()
    for at, line in enumerate(lines):
        if line == "{" or re.match(r"[a-z].*\) *\{$", line):
            first = next(i for i in range(at, -1, -1) if "(" in lines[i])
            end = next(i for i in range(at, len(lines)) if lines[i].startswith("}"))
            yield lines[first], end - first + 1


def javascript_functions(text):
    """(first line, lines to the closing brace) of each function and method."""
    lines = text.splitlines()
    for at, line in enumerate(lines):
        if found := re.match(r"( *)(?!if |for |while |switch )[a-z#][\w #]*\(.*\) \{$", line):
            end = next(i for i in range(at, len(lines)) if lines[i] == f"{found[1]}}}")
            yield line.strip(), end - at + 1


@pytest.mark.parametrize("suffix", [".py", ".c", ".h", ".S", ".mjs", ".css"])
def test_files_are_read_at_one_sitting(suffix):
    sources = files(suffix)
    assert sources
    assert [str(path.relative_to(ROOT)) for path in sources if too_long(path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    ("suffix", "functions"),
    [(".py", python_functions), (".c", c_functions), (".h", c_functions), (".mjs", javascript_functions)],
)
def test_functions_fit_on_a_screen(suffix, functions):
    found = [(path, *each) for path in files(suffix) for each in functions(path.read_text(encoding="utf-8"))]
    assert len(found) > {".py": 1000, ".c": 100, ".h": 10, ".mjs": 50}[suffix]  # it does see functions
    long = [f"{path.relative_to(ROOT)}: {name} {lines}" for path, name, lines in found if lines > MOST_FUNCTION_LINES]
    assert long == []


def test_what_is_long_is_seen():
    body = "    x = 1\n" * MOST_FUNCTION_LINES
    assert [lines > MOST_FUNCTION_LINES for _, lines in python_functions(f"@option\ndef f():\n{body}")] == [True]
    for head in ("int f(int a)\n{", "int f(int a,\n      int b)\n{", "int f(int a)\n#endif\n{"):
        lines = MOST_FUNCTION_LINES + 2 + head.count("\n")
        assert lines - 1 <= next(c_functions(f"{head}\n{body}}}\n"))[1] <= lines
    assert next(c_functions(f"int f(void) {{\n{body}}}\n"))[1] == MOST_FUNCTION_LINES + 2
    text = "x = 1\n" * (MOST_FILE_LINES + 1)
    assert too_long(text)
    assert not too_long(f'"""Long because it is a table."""\n{text}')
