"""The user's Python file: executing it, finding the module in it, and naming its lines in messages.

This runs the user's own code, as ``python my_net.py`` would; there is no sandbox.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from lenet_edge.errors import BadInputError
from lenet_edge.files import TEXT_BYTES, read_bytes

__all__ = ["Source", "create", "find", "own_code"]

_OURS = (os.path.dirname(torch.__file__), str(Path(__file__).parents[2]))
_HINT = "Give the module as my_net.py:Net: a file, a colon, and the name of a torch.nn.Module in it."


@dataclass(frozen=True)
class Source:
    """Where a module stands.

    Attributes:
        reference: as the user gave it, such as ``my_net.py:Net``.
        file: of the code.
        folder: other files in and below it are the user's own, too.
        attribute: what is taken from the file.
    """

    reference: str
    file: Path
    folder: Path
    attribute: str

    def place(self, frames: list[tuple[str, int]]) -> str | None:
        """The innermost of some frames (file, line) that is the user's own, as ``my_net.py:14``."""
        for name, line in reversed(frames):
            path = Path(os.path.abspath(name))
            if path.is_relative_to(self.folder) and not any(path.is_relative_to(ours) for ours in _OURS):
                return f"{path.relative_to(self.folder)}:{line}"
        return None

    def lines_that_call(self, name: str) -> list[int]:
        """The lines of the file that call something of that name, such as ``LeakyReLU``."""
        tree = ast.parse(self.file.read_bytes())
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        return sorted({call.lineno for call in calls if ast.unparse(call.func).rpartition(".")[2] == name})

    def failure(self, error: BaseException, doing: str) -> BadInputError:
        """What to say when the user's code raises: the line of their own where it did."""
        frames = [(frame.filename, frame.lineno or 0) for frame in traceback.extract_tb(error.__traceback__)]
        if isinstance(error, SyntaxError) and error.filename:
            frames.append((error.filename, error.lineno or 0))
        place = self.place(frames)
        reason = error.msg if isinstance(error, SyntaxError) else str(error).strip()
        where = f" at {place}" if place else ""
        return BadInputError(f"{self.reference}: {doing} failed{where}: {type(error).__name__}: {reason[:600]}")


def find(reference: str) -> tuple[Source, Any]:
    """Execute the file of ``FILE.py:NAME`` or ``package.module:NAME``, and take what is called NAME.

    Raises:
        BadInputError: there is no such file, it fails, or it has nothing of that name.
    """
    file, _, attribute = reference.rpartition(":")
    if not file or not attribute:
        file, attribute = (file or attribute), ""
    if file.endswith(".py"):
        path = Path(os.path.abspath(file))
        source = Source(reference, path, path.parent, attribute)
        text = read_bytes(Path(file), "the Python file", _HINT, limit=TEXT_BYTES)
        with own_code(source, "executing the file"):
            module = _execute(path, text)
    else:
        source, module = _imported(reference, file, attribute)
    if not attribute:
        raise BadInputError(f"{reference} does not say which module. {_candidates(module, source)}")
    found: Any = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise BadInputError(f"{source.file.name} has nothing called {attribute!r}. {_candidates(module, source)}")
        found = getattr(found, part)
    return source, found


def create(source: Source, found: Any, arguments: Mapping[str, int]) -> nn.Module:
    """The module itself, where `found` is a class or a function that makes one.

    Args:
        arguments: what it may ask for by name, such as ``num_classes``.

    Raises:
        BadInputError: it needs other arguments, fails, or does not give a module.
    """
    if not isinstance(found, nn.Module):
        if not callable(found):
            raise BadInputError(f"{source.reference} is a {type(found).__name__}, not a torch.nn.Module. {_HINT}")
        given = _arguments(source, found, arguments)
        with own_code(source, f"calling {source.attribute}"):
            found = found(**given)
    if not isinstance(found, nn.Module):
        raise BadInputError(f"{source.reference} gives a {type(found).__name__}, not a torch.nn.Module. {_HINT}")
    return found


@contextlib.contextmanager
def own_code(source: Source, doing: str, *, shown: bool = True) -> Iterator[None]:
    """While the user's code runs: its folder is searched for imports, and what it prints goes to stderr.

    Args:
        doing: what goes before "failed" in a message.
        shown: whether it is seen what it prints.

    Raises:
        BadInputError: it raised something, or wanted to exit.
    """
    sys.path.insert(0, str(source.folder))
    with contextlib.ExitStack() as stack:
        stack.callback(_remove_once, sys.path, str(source.folder))
        if shown:
            stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        else:
            hidden = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
            stack.enter_context(contextlib.redirect_stdout(hidden))
            stack.enter_context(contextlib.redirect_stderr(hidden))
        try:
            yield
        except BadInputError:
            raise
        except (Exception, SystemExit) as error:
            raise source.failure(error, doing) from error


def _execute(path: Path, text: bytes) -> ModuleType:
    """A module of these bytes; no .pyc is written, or believed."""
    module = ModuleType(f"lenet_edge_network_{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses and typing look it up
    exec(compile(text, str(path), "exec"), module.__dict__)  # noqa: S102  # what the user asks for
    return module


def _imported(reference: str, name: str, attribute: str) -> tuple[Source, ModuleType]:
    """A module of a package, which may be in the current folder."""
    here = Source(reference, Path(f"{name}.py"), Path.cwd(), attribute)
    if not all(part.isidentifier() for part in name.split(".")):
        raise BadInputError(f"{reference} names neither a Python file nor a package's module. {_HINT}")
    with own_code(here, f"importing {name}"):
        module = importlib.import_module(name)
    file = getattr(module, "__file__", None)
    if file is None:
        raise BadInputError(f"{name} has no Python file of its own. {_HINT}")
    # The folder of the outermost package: the user's code may be in several of its modules.
    folder = Path(os.path.abspath(file)).parents[name.count(".") + (Path(file).name == "__init__.py")]
    return Source(reference, Path(os.path.abspath(file)), folder, attribute), module


def _candidates(module: ModuleType, source: Source) -> str:
    names = [
        name
        for name, value in vars(module).items()
        if isinstance(value, nn.Module)
        or (isinstance(value, type) and issubclass(value, nn.Module) and value.__module__ == module.__name__)
    ]
    if not names:
        return f"It has no torch.nn.Module. {_HINT}"
    file = source.reference.rpartition(":")[0] or source.reference
    return f"It has: {', '.join(f'{file}:{name}' for name in names[:12])}."


def _arguments(source: Source, found: Any, offered: Mapping[str, int]) -> dict[str, int]:
    """Those of the offered arguments that it takes."""
    try:
        parameters = inspect.signature(found).parameters.values()
    except (TypeError, ValueError):
        return {}
    required = [
        each.name
        for each in parameters
        if each.default is each.empty
        and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
        and (each.name not in offered or each.kind is each.POSITIONAL_ONLY)
    ]
    if required:
        wanted = ", ".join(f"{name}=..." for name in required)
        raise BadInputError(
            f"{source.reference} cannot be called: it needs {', '.join(required)}, and only "
            f"{', '.join(offered)} can be given. Write a function in {source.file.name} that gives the rest, such as "
            f"`def network(classes): return {source.attribute}({wanted})`, and name that one."
        )
    return {each.name: offered[each.name] for each in parameters if each.name in offered}


def _remove_once(entries: list[str], entry: str) -> None:
    with contextlib.suppress(ValueError):  # the user's code may have changed it
        entries.remove(entry)
