"""The headers that a board's firmware is compiled with: golden logits, and what the board's TOML says."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from lenet_edge.formats import c_source
from lenet_edge.hardware.boards import Board
from lenet_edge.hardware.limits import GOLDEN_COUNT, stack_bytes_of
from lenet_edge.hardware.link import Hello
from lenet_edge.quantized.model import QuantizedModel
from lenet_edge.quantized.reference import run
from lenet_edge.version import __version__

__all__ = ["board_header", "golden_header", "golden_images"]

_GOLDEN_PICTURES = 1


def golden_images(shape: tuple[int, ...]) -> npt.NDArray[np.int8]:
    """The pictures of the device's self-test, int8 ``[4, *shape]``: noise, as firmware/app/le_self_test.c draws it."""
    size = int(np.prod(shape))
    images = np.empty((GOLDEN_COUNT, size), np.int8)
    for number in range(GOLDEN_COUNT):
        state = 2463534242 + number
        for index in range(size):
            state ^= state << 13 & 0xFFFFFFFF
            state ^= state >> 17
            state ^= state << 5 & 0xFFFFFFFF
            pixel = state >> 24
            images[number, index] = pixel - 128 if number % 2 == 0 else -128 if pixel < 128 else 127
    return images.reshape(GOLDEN_COUNT, *shape)


def golden_header(model: QuantizedModel) -> str:
    """The text of le_golden.h."""
    logits = run(model, golden_images(model.input.shape)).reshape(GOLDEN_COUNT, -1)
    rows = ",\n".join("    {" + ", ".join(map(str, row)) + "}" for row in logits.tolist())
    return f"""\
/* The logits of the self-test's pictures, by the reference. */
#ifndef LE_GOLDEN_H
#define LE_GOLDEN_H

#include "le_kernels.h"

#define LE_GOLDEN_PICTURES {_GOLDEN_PICTURES} /* which pictures these are: le_self_test.c draws them */
#define LE_GOLDEN_COUNT {GOLDEN_COUNT}

static LE_TABLE int8_t le_golden_logits[LE_GOLDEN_COUNT][{logits.shape[1]}] = {{
{rows}
}};

#endif
"""


def board_header(model: QuantizedModel, board: Board, row_bytes: int = 0, plan: c_source.Plan | None = None) -> str:
    """The text of le_board.h.

    Args:
        row_bytes: as of `firmware.build`.
        plan: of the model, whose numbers the small link has in it.
    """
    digest = ", ".join(f"0x{byte:02x}" for byte in bytes.fromhex(model.fingerprint))
    lines = (
        f"lenet-edge {__version__}",
        f"board {board.name}, {board.cpu.clock_hz} Hz",
        f"model {model.fingerprint}",
        c_source.classes_line(model),
    )
    banner = c_source.string_literal("".join(f"{line}\n" for line in lines))
    defines = "".join(f"#define {name} {_constant(value)}\n" for name, value in sorted(board.port.defines.items()))
    defines += "#define LE_IN_PLACE\n" if board.is_in_place else ""
    defines += f"#define LE_SMALL_HELLO {_small_hello(plan, board)}\n" if board.link == "small" and plan else ""
    defines += f"#define LE_FRAME_ROW_BYTES {row_bytes}u\n" if row_bytes else ""
    return f"""\
/* {board.name}: what its TOML says. */
#ifndef LE_BOARD_H
#define LE_BOARD_H

#define LE_BOARD_NAME "{board.name}"
#define LE_CLOCK_HZ {board.cpu.clock_hz}UL
#define LE_BANNER {banner}
#define LE_FINGERPRINT_BYTES {{{digest}}}
{defines}
#endif
"""


def _small_hello(plan: c_source.Plan, board: Board) -> str:
    """The reply to HELLO of small.c, which fills in what only the device knows."""
    model = plan.model
    hello = Hello(
        self_test=0,
        counter_unit="none",
        steps=len(plan.steps),
        clock_hz=board.cpu.clock_hz,
        input_bytes=math.prod(model.input.shape),
        output_bytes=math.prod(model.output.shape),
        stack_used=0,
        stack_size=stack_bytes_of(board, plan),
        buffer_bytes=0,
        fingerprint=model.fingerprint,
        board=board.name,
    )
    return f"{{{', '.join(map(str, hello.encode()))}}}"


def _constant(value: int | str) -> str:
    return f"0x{value:x}u" if isinstance(value, int) else value
