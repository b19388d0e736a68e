"""An option that has no effect is refused: the user believes that it does something."""

from __future__ import annotations

from collections.abc import Mapping

import click
from click.core import ParameterSource

__all__ = ["KernelsChoice", "given", "refuse_given"]

_DEFAULTS = (None, ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP)


def given(name: str) -> bool:
    """Whether the running command's parameter was given, even if with its default value."""
    return click.get_current_context().get_parameter_source(name) not in _DEFAULTS


def refuse_given(why: str, *names: str) -> None:
    """Refuse the parameters that were given, of those that have no effect.

    Args:
        why: what goes on after "has no effect", such as "with --port: a real board has no emulator".
        names: of the running command's parameters, as its function has them.

    Raises:
        click.UsageError: one was given; the message names the option.
    """
    context = click.get_current_context()
    for parameter in context.command.params:
        if parameter.name in names and given(parameter.name) and _is_the_one(parameter, context.params):
            raise click.UsageError(f"{parameter.opts[0]} has no effect {why}")


def _is_the_one(parameter: click.Parameter, values: Mapping[str, object]) -> bool:
    """Whether this very option was given, not another that sets the same parameter: --invert, --auto-invert."""
    if not isinstance(parameter, click.Option) or not parameter.is_flag or parameter.is_bool_flag:
        return True
    return bool(values.get(str(parameter.name)) == parameter.flag_value)


class KernelsChoice(click.Choice[str]):
    """The families of kernels, which are looked up when somebody asks: their modules take numpy."""

    case_sensitive = True

    def __init__(self) -> None:
        pass

    @property
    def choices(self) -> tuple[str, ...]:  # type: ignore[override]
        from lenet_edge.formats.c_source import FAMILIES

        return tuple(FAMILIES)
