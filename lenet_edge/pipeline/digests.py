"""SHA-256 of a step's inputs: files, data sets, Python modules, and lenet-edge itself."""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib.util
import os
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from lenet_edge import datasets
from lenet_edge.datasets import scan
from lenet_edge.errors import BadInputError
from lenet_edge.files import TEXT_BYTES, read_bytes
from lenet_edge.resources import firmware_folder, networks_folder
from lenet_edge.version import __version__

__all__ = ["data_digest", "file_digest", "file_digests", "module_digest", "own_digest", "text_digest"]

_UNREADABLE = b"cannot be read"
_OWN = frozenset((".py", ".c", ".h", ".S", ".in", ".json", ".toml"))


def text_digest(text: str) -> str:
    """SHA-256 (hex) of a text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 (hex) of a file; empty where there is none that can be read."""
    try:
        return hashlib.sha256(read_bytes(path, "the file")).hexdigest()
    except BadInputError:
        return ""


def file_digests(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """SHA-256 of the files of these names in a folder, for those that exist."""
    found = {name: file_digest(folder / name) for name in names}
    return {name: digest for name, digest in found.items() if digest}


def data_digest(name_or_dir: str) -> str:
    """What identifies a data set as it is now: the name of a published one, else the SHA-256 over its files.

    No picture is decoded. Anything else in a folder of pictures is ignored.

    Raises:
        BadInputError: there is no such data set, or a folder has no classes of pictures (see `datasets.scan`).
    """
    if name_or_dir in datasets.NAMES:
        return text_digest(datasets.published_sha256(name_or_dir))
    path = Path(name_or_dir)
    if datasets.stores_arrays(name_or_dir):
        if name_or_dir.lower().endswith(".npz"):
            return hashlib.sha256(read_bytes(path, "the data set")).hexdigest()
        folder = path if os.path.isdir(path) else path.parent  # labels and names of classes lie beside the images
        return _digest((file.name, file) for file in sorted(folder.iterdir()) if file.is_file())
    if not os.path.isdir(name_or_dir):
        datasets.load(name_or_dir)  # says what there is instead
    return _digest((file.name, file.path) for file in scan.scan(path).files)  # names have class and part


def module_digest(reference: str) -> str:
    """What identifies a PyTorch module ``FILE.py:NAME`` as it is now: the file, and what it imports from next to it.

    Anything else that it reads, and installed packages, are ignored.

    Raises:
        BadInputError: its file is missing.
    """
    path, root = _source_of(reference)
    sources = {path: read_bytes(path, "the Python file", limit=TEXT_BYTES)}
    waiting = [path]
    while waiting:
        importing = waiting.pop()
        for found in _imported(sources[importing], importing, root):
            if found not in sources:
                sources[found] = read_bytes(found, "the Python file", limit=TEXT_BYTES)
                waiting.append(found)
    return text_digest(
        "".join(f"{path} {hashlib.sha256(text).hexdigest()}\n" for path, text in sorted(sources.items()))
    )


def _source_of(reference: str) -> tuple[Path, Path]:
    """The file of a module, and the folder where its imports start."""
    file = reference.rpartition(":")[0] or reference
    if file.endswith(".py"):
        return Path(file), Path(file).parent
    here = Path(*file.split("."))
    places = [here.with_name(f"{here.name}.py"), here / "__init__.py"]
    with contextlib.suppress(Exception):  # this imports it, and that may fail in any way; running it reports that
        spec = importlib.util.find_spec(file)
        places += [Path(spec.origin)] if spec is not None and spec.origin is not None else []
    path = next((place for place in places if place.is_file()), places[0])
    return path, path.parents[min(file.count(".") + (path.name == "__init__.py"), len(path.parents) - 1)]


@cache
def own_digest() -> str:
    """What identifies this version of lenet-edge: its number, and SHA-256 over its code, C sources and networks."""
    folders = (Path(__file__).parents[1], firmware_folder(), networks_folder())
    files = {path for folder in folders for path in folder.rglob("*") if path.suffix in _OWN}
    return f"{__version__} {_digest((path.name, path) for path in sorted(files))}"


def _digest(files: Iterable[tuple[str, Path]]) -> str:
    """SHA-256 over the names and the content of files."""
    digest = hashlib.sha256()
    for name, path in files:
        try:
            content = read_bytes(path, "the file")
        except BadInputError:
            content = _UNREADABLE
        digest.update(os.fsencode(name) + b"\0" + hashlib.sha256(content).digest())
    return digest.hexdigest()


def _imported(source: bytes, importing: Path, root: Path) -> Iterator[Path]:
    """The files that a source imports anywhere in it: from below `root`, or relative to itself."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):  # reported, with its line, when it runs
        return
    for node in ast.walk(tree):
        base, names = root, list[str]()
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module or ''}.{alias.name}".strip(".") for alias in node.names]
            base = importing.parents[min(node.level, len(importing.parents)) - 1] if node.level else root
        for parts in (name.split(".") for name in names):
            for count in range(1, len(parts) + 1):
                place = base.joinpath(*parts[:count])
                yield from (path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file())
