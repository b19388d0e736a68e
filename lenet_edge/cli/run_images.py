"""What `run` shows to the firmware: test images of each class, or a picture; and the options for that."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lenet_edge.cli import common, inputs, picture_options
from lenet_edge.cli.options import refuse_given
from lenet_edge.cli.preparing import PrepareOptions, prepare_options

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lenet_edge.cli.inputs import Int8Array
    from lenet_edge.datasets import LabelArray
    from lenet_edge.preparation import Invert
    from lenet_edge.quantized.model import QuantizedModel

__all__ = ["ImageOptions", "Images", "image_options"]

_OF_A_PICTURE = ("invert", "crop", "centred", "low_high")
_OF_A_DATA_SET = ("data", "transpose", "image_count")


@dataclass(frozen=True, eq=False)
class Images:
    """Images for a board.

    Attributes:
        images: int8 ``[n, *model.input.shape]``.
        labels: ``[n]``, or None if there are none.
        numbers: which of the test images they are.
        files: the images' files, if they come from pictures of a data set.
        notes: how a picture was prepared.
        are_pictures: as `inputs.Inputs` has it.
    """

    images: Int8Array
    labels: LabelArray | None
    numbers: tuple[int, ...]
    files: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    are_pictures: bool = True


@dataclass(frozen=True)
class ImageOptions:
    """What the options say."""

    picture: Path | None
    invert: Invert | None
    prepare: PrepareOptions
    data: str
    transpose: bool | None
    image_count: int

    def refuse_unused(self, *, framed: bool) -> None:
        """Refuse the options of the other ways to run; with a camera's frame, all of them."""
        if framed:
            why = "with --frame, which replaces other images"
            refuse_given(why, "picture", *_OF_A_DATA_SET, *_OF_A_PICTURE)
        elif self.picture is not None:
            refuse_given("with --image: the picture replaces the test images", *_OF_A_DATA_SET)
        else:
            refuse_given("without --image: test images are taken as they are", "invert")

    def read(self, model: QuantizedModel) -> Images:
        """The images.

        Raises:
            BadInputError: they cannot be read, or are not for this model.
        """
        if self.picture is not None:
            return self._of_picture(self.picture, model)
        tests = inputs.test_inputs(model, self.data, None, self.transpose, self.prepare)
        chosen = _spread(tests.labels, len(tests.images))[: self.image_count]
        return Images(
            tests.images[chosen],
            None if tests.labels is None else tests.labels[chosen],
            tuple(chosen.tolist()),
            tuple(tests.files[index] for index in chosen) if tests.files else (),
            are_pictures=tests.are_pictures,
        )

    def _of_picture(self, picture: Path, model: QuantizedModel) -> Images:
        from lenet_edge.pictures import read_picture

        preparation, remark = self.prepare.applied(model)
        image, note = read_picture(picture, preparation, invert=self.invert)
        images = inputs.picture_inputs(model, image[None], preparation)
        notes = (f"{note}; {remark}" if remark else note,)
        return Images(images, None, (0,), notes=notes, are_pictures=self.prepare.low_high is None)


def _spread(labels: LabelArray | None, count: int) -> npt.NDArray[np.int64]:
    """The test images in the order in which they run: their own, unless they are sorted by class.

    Then the first of each class run first, then the second of each.
    """
    import numpy as np

    if labels is None or (labels[1:] < labels[:-1]).any():
        return np.arange(count)
    starts = np.searchsorted(labels, labels)  # where the class of each image begins
    return np.lexsort((labels, np.arange(count) - starts))


def image_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--image``, how it is prepared, ``--data``, ``--transpose`` and ``--images``, as one argument `shown`."""

    def called(**options: Any) -> Any:
        shown = ImageOptions(**{field.name: options.pop(field.name) for field in fields(ImageOptions)})
        return command(shown=shown, **options)

    wrapped: Callable[..., Any] = functools.wraps(command)(called)
    for option in (
        click.option(
            "--images",
            "image_count",
            type=common.IMAGE_COUNT,
            default=10,
            show_default=True,
            help="Run N test images: the first ones, or the first of each class if the data are sorted by class.",
        ),
        picture_options.transpose_option,
        common.inputs_option,
        prepare_options,
        picture_options.invert_options,
        click.option(
            "--image",
            "picture",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Classify one picture instead of test images.",
        ),
    ):
        wrapped = option(wrapped)
    return wrapped
