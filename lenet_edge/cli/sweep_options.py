"""The options of `sweep` that say what is swept, and how a worker works."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lenet_edge.cli import picture_options

if TYPE_CHECKING:
    from lenet_edge.preparation.request import PreparationRequest
    from lenet_edge.sweep.space import Space

__all__ = ["STUDY", "Asked", "asked_options", "sampler_option", "worker_options"]

_RANGE = re.compile(r"(\d{1,10})(?:-(\d{1,10}))?", re.ASCII)
_VARY = re.compile(r"([a-z_]{1,40})=(.+)", re.DOTALL)
_MOST_SEEDS = 2_000


class _Seeds(click.ParamType):  # type: ignore[type-arg]  # older releases have no argument
    """``0-4,7``: numbers and ranges."""

    name = "seeds"

    def convert(self, value: str | list[int], param: click.Parameter | None, ctx: click.Context | None) -> list[int]:
        if not isinstance(value, str):
            return value
        seeds: list[int] = []
        for part in value.split(","):
            found = _RANGE.fullmatch(part.strip())
            first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
            if first > last or last - first >= _MOST_SEEDS:
                self.fail(f"{value!r} is not a list such as 0-4,7 of at most {_MOST_SEEDS:,} seeds", param, ctx)
            seeds += range(first, last + 1)
        return seeds


class _Vary(click.ParamType):  # type: ignore[type-arg]
    """``KEY=VALUE,VALUE``: the key, and its values as TOML reads them; what is none of TOML's values is a text."""

    name = "vary"

    def convert(
        self, value: str | tuple[str, list[Any]], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, list[Any]]:
        if not isinstance(value, str):
            return value
        if (found := _VARY.fullmatch(value)) is None:
            self.fail(f"{value!r} is not a key and its values, such as learning_rate=4e-3,8e-3", param, ctx)
        return found[1], [_toml_value(part.strip()) for part in found[2].split(",")]


def _toml_value(text: str) -> Any:
    try:
        content = tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, RecursionError, ValueError):
        return text
    return content["value"] if set(content) == {"value"} else text


class _Study(click.ParamType):  # type: ignore[type-arg]
    """A name that is a folder's, too."""

    name = "study"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", value):
            self.fail(f"{value[:80]!r} is not a name of letters, digits, _ . -", param, ctx)
        return value


STUDY = _Study()


@dataclass(frozen=True)
class Asked:
    """What is to be swept, as far as the command line says so."""

    file: Path | None
    given: dict[str, list[Any]]
    data: str | None
    request: PreparationRequest
    transpose: bool | None
    board: str | None

    @property
    def anything(self) -> bool:
        """Whether it says what is swept; without that, a study that exists goes on."""
        from lenet_edge.preparation.request import PreparationRequest

        others = (self.file, self.transpose, self.board)
        return bool(self.given) or self.request != PreparationRequest() or any(each is not None for each in others)

    def space(self) -> Space:
        """What is varied."""
        from lenet_edge.sweep.space import make_space, read_file

        content = {} if self.file is None else read_file(self.file)
        return make_space(content, self.given, self.file or Path("the options"))


def asked_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What is swept and on what; the command gets `asked`."""

    @functools.wraps(command)
    def called(
        space: Path | None,
        seeds: list[int] | None,
        network: tuple[str, ...],
        vary: tuple[tuple[str, list[Any]], ...],
        data: str | None,
        request: PreparationRequest,
        transpose: bool | None,
        board: str | None,
        **options: Any,
    ) -> Any:
        given: dict[str, list[Any]] = {} if seeds is None else {"seed": seeds}
        if network:
            given["network"] = list(network)
        for key, values in vary:
            if key in given:
                raise click.UsageError(f"{key} is given twice; join its values with commas")
            given[key] = values
        return command(asked=Asked(space, given, data, request, transpose, board), **options)

    called = picture_options.transpose_option(picture_options.requested(called))
    for option in reversed(_ASKED):
        called = option(called)
    return called


_ASKED = (
    click.option(
        "--space", type=click.Path(path_type=Path), metavar="FILE.toml", help="What is varied, as a file; see the docs."
    ),
    click.option("--seeds", type=_Seeds(), metavar="0-4,7", help="Vary the seed of training and quantisation."),
    click.option(
        "--network", multiple=True, metavar="NAME|FILE.toml", help="A network; may be repeated.  [default: lenet5]"
    ),
    click.option(
        "--vary",
        multiple=True,
        type=_Vary(),
        metavar="KEY=V,V",
        help="Vary a key of the recipe, such as epochs, or class_weights, grid or weight_bits; may be repeated.",
    ),
    click.option(
        "--data",
        metavar="NAME|DIR|FILE.npz",
        help="The data set, as for `train`.  [default: the study's, or mnist]",
    ),
    click.option(
        "--board",
        metavar="NAME",
        help="Count the flash of the firmware on this board, as `fits` estimates it.  [default: weights and biases]",
    ),
)


def sampler_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--sampler NAME``."""
    return click.option(
        "--sampler",
        type=click.Choice(["grid", "random", "tpe"]),  # order.SAMPLERS
        help="What comes first: the order of the space, any order, or what promises most after the results so far. "
        "All come in the end.  [default: the study's, or grid]",
    )(command)


def worker_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """How this worker works; the command gets `worker`, a `WorkerSettings`."""

    @functools.wraps(command)
    def called(attempts: int, trials: int | None, wait: bool, retry: bool, **options: Any) -> Any:
        from lenet_edge.sweep.worker import WorkerSettings

        return command(worker=WorkerSettings(attempts, trials, wait, retry), **options)

    for option in reversed(_WORKER):
        called = option(called)
    return called


_WORKER = (
    click.option(
        "--trials",
        type=click.IntRange(0, 1_000_000),
        metavar="N",
        help="Take at most N trials; 0 only shows the table.",
    ),
    click.option(
        "--wait/--no-wait",
        default=True,
        show_default=True,
        help="Wait for trials that run elsewhere, and take over what dies.",
    ),
    click.option(
        "--attempts",
        type=click.IntRange(1, 1000),
        default=3,
        show_default=True,
        help="Give up a configuration after so many workers died of it.",
    ),
    click.option("--retry", is_flag=True, help="Try once more what failed or was given up before."),
    click.option(
        "--heartbeat",
        type=click.IntRange(1, 3600),
        metavar="SECONDS",
        help="How often a worker says that it lives; after four times as long without, its trial is taken over.  "
        "[default: the study's, or 30]",
    ),
)
