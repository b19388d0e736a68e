"""`--crop`, `--centred` and the like: how a picture is prepared for a model that does not say so itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from lenet_edge.cli import common
from lenet_edge.cli.options import refuse_given
from lenet_edge.cli.picture_options import CROP

if TYPE_CHECKING:
    from lenet_edge.preparation import Crop, Preparation
    from lenet_edge.preparation.request import PreparationRequest
    from lenet_edge.quantized.model import QuantizedModel

__all__ = ["AS_RECORDED", "PrepareOptions", "prepare_options"]

Command: TypeAlias = Callable[..., Any]

_NAMES = ("crop", "centred", "low_high")


@dataclass(frozen=True)
class PrepareOptions:
    """What was given; None and "none" leave it to the model."""

    crop: Crop | None = None
    centred: bool | None = None
    low_high: tuple[float, float] | None = None

    @property
    def are_given(self) -> bool:
        """Whether any was given."""
        return self != AS_RECORDED

    def refuse(self, why: str) -> None:
        """Refuse those that were given; why: as `refuse_given` has it."""
        if self.are_given:
            refuse_given(why, *_NAMES)

    def requested(self, shape: tuple[int, int, int] | None) -> PreparationRequest:
        """What to ask of a data set for a float model that takes images of such a height, width and channels."""
        from lenet_edge.preparation.request import PreparationRequest

        height, width, channels = shape or (None, None, None)
        return PreparationRequest(height, width, channels, self.crop, centred=self.centred)

    def applied(self, model: QuantizedModel) -> tuple[Preparation, str]:
        """The model's preparation with these settings, and where they come from.

        Raises:
            click.UsageError: one was given, and the model records its own.
            BadInputError: the model takes no picture, or its record is damaged.
        """
        from lenet_edge.formats.images import preparation_of

        preparation = preparation_of(model)
        if "preparation" in model.metadata:
            self.refuse("with this model: it records how its pictures are prepared")
            return preparation, ""
        given: dict[str, Any] = {}
        if self.crop is not None:
            given["crop"] = self.crop
        if self.centred is not None:
            given["centred"] = self.centred
        if self.low_high is not None:
            given["low"], given["high"] = self.low_high
        preparation = replace(preparation, **given)
        if preparation.centred:
            return preparation, ""
        return preparation, f"black is {preparation.low:.6g} and white {preparation.high:.6g} to the model"


AS_RECORDED = PrepareOptions()
"""Nothing was given."""


def prepare_options(command: Command) -> Command:
    """Adds the options, and hands them over as one parameter, `prepare`."""
    import functools

    @click.option(
        "--crop",
        type=CROP,
        metavar="square|X,Y,W,H",
        help="Cut the middle square or a box out of the picture first.",
    )
    @click.option(
        "--centred/--not-centred", "centred", default=None, help="Cut out what is drawn and centre it, as MNIST is."
    )
    @click.option(
        "--range",
        "low_high",
        nargs=2,
        type=common.REAL,
        metavar="LOW HIGH",
        help="The numbers that black and white are for the model.  [default: those of int8 -128 and 127]",
    )
    @functools.wraps(command)
    def with_options(*arguments: Any, crop: Any, centred: Any, low_high: Any, **others: Any) -> Any:
        return command(*arguments, prepare=PrepareOptions(crop, centred, low_high), **others)

    return with_options
