"""A command on behalf of Python code: the same options, refusals and work; what it finds is returned, not printed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import click

from lenet_edge.cli import cli, common, meaning_of
from lenet_edge.errors import BadInputError, LenetEdgeError

__all__ = ["call"]


def call(command: str, *, quiet: bool, **given: Any) -> Any:
    """Run a command and return what it found.

    Args:
        command: its name.
        quiet: say nothing on stderr.
        given: its options, by their names with underscores or by those of its parameters. None, or an option's default,
            leaves it out; what is in a sequence is repeated where the option may be, else joined as it takes it.

    Raises:
        BadInputError: also where the command line would end with wrong usage.
        LenetEdgeError: what the command raises.
    """
    with _errors(), common.from_python(quiet=quiet):
        found = cli.commands[command]
        with found.make_context(command, _arguments(found, given)) as context:
            return found.invoke(context)


@contextmanager
def _errors() -> Iterator[None]:
    """Those of `lenet_edge.errors`, with the same messages."""
    try:
        yield
    except click.UsageError as error:
        raise BadInputError(error.format_message()) from error
    except LenetEdgeError:
        raise
    except Exception as error:
        meant = meaning_of(error)
        if meant is None:
            raise
        raise meant from error


def _arguments(command: click.Command, given: Mapping[str, Any]) -> list[str]:
    """The command line."""
    options = {name: option for option in command.params for name in _names(option)}
    words: list[str] = []
    for name, value in given.items():
        option = options[name]
        assert isinstance(option, click.Option)
        if value is None or str(value) == str(option.default):
            continue
        _require_no_result(name, value)
        if option.is_bool_flag:
            words += option.opts[:1] if value else option.secondary_opts[:1]
        elif option.multiple:
            words += [f"{option.opts[0]}={_text(each, option)}" for each in value]
        elif option.nargs > 1:
            words += [option.opts[0], *map(str, value)]
        else:
            words.append(f"{option.opts[0]}={_text(value, option)}")
    return words


def _require_no_result(name: str, value: Any) -> None:
    """What `train` and `quantize` return is not a file, and has one."""
    if is_dataclass(value) and isinstance(path := getattr(value, "model", None), Path):
        raise BadInputError(
            f"{name} is what a function returned, a {type(value).__name__}: give its .model, here {path}"
        )


def _names(option: click.Parameter) -> tuple[str, str]:
    """That of its parameter, and the option's own."""
    return str(option.name), option.opts[0].removeprefix("--").replace("-", "_")


def _text(value: Any, option: click.Parameter) -> str:
    between = "x" if option.type.name == "size" else ","
    return between.join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
