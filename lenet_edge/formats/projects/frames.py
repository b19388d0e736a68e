"""The example of a project whose model takes a camera's frames, row by row."""

from __future__ import annotations

import textwrap
from string import Template

import numpy as np
import numpy.typing as npt

from lenet_edge.errors import BadInputError
from lenet_edge.formats.images import preparation_of
from lenet_edge.preparation import Preparation, prepare, to_int8
from lenet_edge.preparation.frames import FrameShape, decode, encode
from lenet_edge.preparation.steps import crop_box
from lenet_edge.quantized.model import QuantizedModel
from lenet_edge.quantized.reference import run

__all__ = ["ABOUT", "FRAME_CALL", "example_frame", "in_rows"]

_WIDTH = 120

FRAME_CALL = {
    "api_header": "le_prepare.h",
    "example_header": "example_frame.h",
    "picture": "frame",
    "call": "le_infer_rows(example_row, NULL, FRAME_WIDTH, FRAME_HEIGHT, FRAME_FORMAT, logits)",
}
"""Words of the examples."""

ABOUT = Template(
    """\
`#include <le_prepare.h>` has `le_infer_rows` and `le_prepare`, which make the model's image from a camera's frame of
any size and format; no second frame is kept. The example has frames of $frame.

"""
)

_HEADER = Template(
    """\
/* What the example classifies, as a camera gives it, row by row: $frame,
 * a bright upright bar on black; and the $logits that the reference gives for it.
 * Model $fingerprint. */
#ifndef LE_EXAMPLE_FRAME_H
#define LE_EXAMPLE_FRAME_H

#include <le_prepare.h>

$frame_macros

static uint8_t frame_row[FRAME_ROW_BYTES];

/* Row y. Take it from your camera here: it must stay what it is until the next call. */
static const uint8_t *example_row(void *context, uint16_t y)
{
    (void)context;
    for (uint16_t x = 0; x < $drawn; x++) {
        const uint8_t bright = (uint16_t)(x - $left) < $width && (uint16_t)(y - $top) < $height ? 255 : 0;
$pixel
    }
    return frame_row;
}

static const int8_t example_logits[$output_count] = {
$values
};

#endif
"""
)

_PIXEL = {
    "grey8": ("frame_row[x] = bright;",),
    "rgb888": tuple(f"frame_row[3 * x + {byte}] = bright;" for byte in range(3)),
    "yuv422": ("frame_row[2 * x] = bright;", "frame_row[2 * x + 1] = 128; /* no colour */"),
}
_TWO_BYTES = tuple(f"frame_row[2 * x + {byte}] = bright;" for byte in range(2))


def example_frame(model: QuantizedModel, frames: FrameShape, words: dict[str, str]) -> str:
    """A header that draws a frame row by row, and the logits of its image by the reference.

    Raises:
        BadInputError: the model takes no pictures, or it makes nothing of frames of this size.
    """
    preparation = preparation_of(model)
    try:
        left, top, width, height = _bar(preparation, frames)
        pixels = np.zeros((frames.height, frames.width), np.uint8)
        pixels[top : top + height, left : left + width] = 255
        image = prepare(_seen(pixels, frames, preparation.channels), preparation)
    except BadInputError as error:
        raise BadInputError(f"the example of frames {frames}, an upright bar: {error}") from error
    logits = run(model, to_int8(image[None], preparation, model.input.scale, model.input.zero_point))
    return _HEADER.substitute(
        words,
        fingerprint=model.fingerprint,
        left=left,
        top=top,
        width=width,
        height=height,
        drawn=frames.width + frames.width % 2 if frames.form == "yuv422" else frames.width,
        pixel="\n".join(f"        {line}" for line in _PIXEL.get(frames.form, _TWO_BYTES)),
        values=in_rows(logits.ravel().tolist()),
    )


def _bar(preparation: Preparation, frames: FrameShape) -> tuple[int, int, int, int]:
    """Left, top, width and height of the bar: in the middle of what the model reads of a frame."""
    left, top, width, height = crop_box(preparation, frames.width, frames.height)
    thickness = max(1, width // 9)
    return left + (width - thickness) // 2, top + height // 7, thickness, height - 2 * (height // 7)


def _seen(pixels: npt.NDArray[np.uint8], frames: FrameShape, channels: int) -> npt.NDArray[np.uint8]:
    """What a model of so many channels sees of grey pixels after they were a camera's bytes."""
    return decode(encode(pixels, frames.form), frames.form, frames.width, frames.height, channels)


def in_rows(values: list[int]) -> str:
    """The values of an array in C."""
    text = ", ".join(map(str, values))
    return textwrap.fill(text, _WIDTH, initial_indent="    ", subsequent_indent="    ")
