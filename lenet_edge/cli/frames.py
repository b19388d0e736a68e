"""Options for a camera's frames, and the image of one: `predict --frame` classifies it, `run --frame` compares it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import click

from lenet_edge.cli import common
from lenet_edge.cli.common import Command
from lenet_edge.cli.options import refuse_given
from lenet_edge.cli.picture_options import SIZE
from lenet_edge.cli.run_images import Images
from lenet_edge.errors import BadInputError

if TYPE_CHECKING:
    from lenet_edge.cli.inputs import Int8Array, UInt8Array
    from lenet_edge.hardware.session import Session
    from lenet_edge.preparation import Preparation
    from lenet_edge.preparation.frames import FrameShape
    from lenet_edge.quantized.model import QuantizedModel

__all__ = ["CameraFrame", "FrameFacts", "PreparedFrame", "frame_options", "frames_option", "refuse_without_frame"]

_FORMATS = ("grey8", "rgb565", "rgb565-swapped", "rgb888", "yuv422")


class FrameFacts(TypedDict):
    """What `--json` says of a frame; the counts are in the board's unit."""

    format: str
    width: int
    height: int
    image_bytes_differ: int
    preparation_count: int
    inference_count: int
    counter_unit: str


@dataclass(frozen=True)
class CameraFrame:
    """What the options say: a file, the format of its pixels, and for raw bytes width and height."""

    path: Path
    format: str
    size: tuple[int, int] | None


class _Frames(click.ParamType):  # type: ignore[type-arg]  # older releases have no argument
    """``320x240/rgb565``: a `FrameShape`, imported late because the formats need numpy."""

    name = "frames"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> FrameShape:
        from lenet_edge.preparation.frames import FrameShape

        if isinstance(value, FrameShape):
            return value
        size, _, form = str(value).partition("/")
        width, height = SIZE.convert(size, param, ctx)
        if form not in _FORMATS:
            self.fail(f"{value!r} has no format of frames behind '/': {', '.join(_FORMATS)}", param, ctx)
        return FrameShape(width, height, form)


def frames_option(text: str) -> Callable[[Command], Command]:
    """``--frames WIDTHxHEIGHT/FORMAT``, as `frame_shape`; text: its help."""
    return click.option("--frames", "frame_shape", type=_Frames(), metavar="WIDTHxHEIGHT/FORMAT", help=text)


def frame_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--frame``, ``--format`` and ``--frame-size``, as one argument `frame`: a `CameraFrame` or None."""

    @functools.wraps(command)
    def wrapped(*, frame_file: Path | None, frame_format: str, frame_size: tuple[int, int] | None, **rest: Any) -> Any:
        frame = None if frame_file is None else CameraFrame(frame_file, frame_format, frame_size)
        return command(frame=frame, **rest)

    for option in (
        click.option(
            "--frame-size",
            "--size",
            "frame_size",
            type=SIZE,
            metavar="WIDTHxHEIGHT",
            help="Size of a --frame of raw bytes, in pixels.",
        ),
        click.option(
            "--format",
            "frame_format",
            type=click.Choice(_FORMATS),
            default="rgb565",
            show_default=True,
            help="Format of the pixels of --frame.",
        ),
        click.option(
            "--frame",
            "frame_file",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="A camera's frame instead: raw bytes with --frame-size, or a picture made into one.",
        ),
    ):
        wrapped = option(wrapped)
    return wrapped


def refuse_without_frame() -> None:
    """Refuse the options that describe the bytes of a frame."""
    refuse_given("without --frame", "frame_format", "frame_size")


class PreparedFrame:
    """A frame, and the image that it must become."""

    def __init__(self, frame: CameraFrame, model: QuantizedModel, preparation: Preparation) -> None:
        """Reads the file.

        Raises:
            BadInputError: it cannot be read, has another length than the size says, or cannot be prepared.
        """
        from lenet_edge.preparation import BlankFrameError, prepare_and_tell, to_int8
        from lenet_edge.preparation.frames import decode

        self.frame = frame
        data, self.width, self.height = _content(frame)
        try:
            pixels = decode(data, frame.format, self.width, self.height, preparation.channels)
            image, note = prepare_and_tell(pixels, preparation)
        except BlankFrameError as error:
            raise BadInputError(f"frame {frame.path} {error}") from error
        except BadInputError as error:
            raise BadInputError(f"frame {frame.path}: {error}") from error
        self.images: Int8Array = to_int8(image[None], preparation, model.input.scale, model.input.zero_point)
        self.rows = _rows(data, self.height)
        self.note = f"{frame.format} {note}"

    @property
    def inputs(self) -> Images:
        """The image, and how it was prepared."""
        return Images(self.images, None, (0,), notes=(self.note,))

    @property
    def row_bytes(self) -> int:
        return int(self.rows.shape[1])

    def send(self, session: Session) -> tuple[Int8Array, FrameFacts]:
        """The board's logits, int8 ``[1, outputs]``, and what it made of the frame."""
        from lenet_edge.hardware.link import infer_frame

        with common.progress_bar() as bar:
            task = bar.add_task("rows sent")
            found = infer_frame(
                session.device,
                self.rows,
                self.width,
                _FORMATS.index(self.frame.format),
                lambda done, total: bar.update(task, completed=done, total=total),
            )
        facts: FrameFacts = {
            "format": self.frame.format,
            "width": self.width,
            "height": self.height,
            "image_bytes_differ": int((found.image != self.images.ravel()).sum()),
            "preparation_count": found.preparation,
            "inference_count": found.inference,
            "counter_unit": session.hello.counter_unit,
        }
        return found.logits[None], facts


def _content(frame: CameraFrame) -> tuple[bytes, int, int]:
    """The bytes of the frame, its width and height; a picture becomes what a camera of that format would give."""
    from lenet_edge.files import read_bytes
    from lenet_edge.pictures import read_frame
    from lenet_edge.preparation.frames import encode

    if frame.size is not None:
        return read_bytes(frame.path, "frame"), *frame.size
    if frame.path.suffix.lower() in ("", ".raw", ".bin", ".rgb", ".yuv", ".565"):
        raise BadInputError(f"{frame.path} has raw bytes: give their width and height, such as --frame-size 320x240")
    pixels = read_frame(frame.path)
    return encode(pixels, frame.format), pixels.shape[1], pixels.shape[0]


def _rows(data: bytes, height: int) -> UInt8Array:
    import numpy as np

    return np.frombuffer(data, np.uint8).reshape(height, -1)
