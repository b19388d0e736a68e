"""What a model may ask of the firmware: limits that its C asserts or a compiler has, checked before compiling."""

from __future__ import annotations

import math

from lenet_edge.errors import BadInputError
from lenet_edge.formats.c_source import Plan
from lenet_edge.formats.c_source.families.shared import aligned
from lenet_edge.formats.c_source.tables import bytes_of
from lenet_edge.hardware.boards import Board
from lenet_edge.hardware.link import FRAME_HEAD_BYTES, HELLO_BYTES, MESSAGE_MAX, OVERHEAD

__all__ = ["GOLDEN_COUNT", "buffer_bytes_of", "require_fit", "stack_bytes_of"]

GOLDEN_COUNT = 4  # images of the self-test
_LEAST_BODY = 96  # bytes: LONGEST_BODY of firmware/app/main.c where image and outputs are smaller
_COUNTER_BYTES = 4  # in front of the logits, and of each step
_HEADER_BYTES = 4  # of a message, in front of its body
_FEW_OUTPUTS = 16  # whose logits a board's stack has room for
_LARGEST_AVR = 32_767  # bytes: avr-gcc refuses a larger object, since its int has 16 bits


def require_fit(board: Board, plan: Plan, row_bytes: int = 0) -> None:
    """Refuse a model whose firmware would not compile.

    Args:
        board: what the firmware is for.
        plan: of its model, with the kernels that it gets.
        row_bytes: of the longest row of a camera's frame; 0: it takes none.

    Raises:
        BadInputError: a message does not fit the firmware's one buffer for messages, or the link; or an object of the
            C is larger than the board's compiler takes.
    """
    image, outputs = math.prod(plan.model.input.shape), math.prod(plan.model.output.shape)
    _require_link(image, outputs)
    if row_bytes and board.is_in_place:
        raise BadInputError(
            f"{board.name} receives an image where it computes, and has no memory for a camera's frames beside it: "
            "leave out --frames, or take another board"
        )
    if row_bytes and max(row_bytes + FRAME_HEAD_BYTES, image + outputs + 8) > MESSAGE_MAX - OVERHEAD:
        raise BadInputError(f"rows of {row_bytes:,} bytes, or the image, are more than a message of the link carries")
    _require_buffer(image, outputs, len(plan.steps), board)
    if board.cpu.arch == "avr":
        _require_objects(image, outputs, plan, board)


def stack_bytes_of(board: Board, plan: Plan) -> int:
    """Bytes that the firmware reserves for its stack. The logits lie on it: many take more than the TOML says."""
    beyond = max(0, math.prod(plan.model.output.shape) - _FEW_OUTPUTS)
    return board.stack.size_bytes + -(-beyond // 8) * 8  # an AAPCS stack is a multiple of 8


def buffer_bytes_of(board: Board, plan: Plan) -> int:
    """Bytes of static RAM that the model decides: the workspace, and the buffer for messages with an image in it."""
    image, outputs = math.prod(plan.model.input.shape), math.prod(plan.model.output.shape)
    messages = _body_bytes(image, outputs, len(plan.steps)) + OVERHEAD
    if board.is_in_place:  # as main.c has them
        before = max(_HEADER_BYTES - plan.in_place.image, 0)
        return aligned(max(before + plan.in_place.bytes, before + plan.in_place.image - _HEADER_BYTES + messages))
    return sum(map(aligned, (max(plan.workspace_bytes, 4), messages)))


def _require_link(image: int, outputs: int) -> None:
    """An image, and the logits, go over the link in one message."""
    most = MESSAGE_MAX - OVERHEAD - _COUNTER_BYTES
    for what, count in (("image", image), ("output", outputs)):
        if count > most:
            raise BadInputError(
                f"an {what} of {count:,} bytes is more than the firmware's link carries, {most:,}: give the model a "
                f"smaller {what}; or put the C of `lenet-edge export --target c` into a program of your own"
            )


def _body_bytes(image: int, outputs: int, steps: int) -> int:
    """LONGEST_BODY of firmware/app/main.c: replies are built where the image is received."""
    return max(image, _COUNTER_BYTES * steps + outputs, _LEAST_BODY)


def _require_buffer(image: int, outputs: int, steps: int, board: Board) -> None:
    """le_assert_hello_fits of main.c."""
    room = _body_bytes(image, outputs, steps)
    hello = HELLO_BYTES + len(board.name) + 1  # C's sizeof counts the string's end
    if hello > room:
        most = room - HELLO_BYTES - 1
        raise BadInputError(
            f"the firmware's buffer for messages holds {room:,} bytes; the reply to HELLO takes {hello:,}: give the "
            f"board {board.name} a name of at most {most} characters"
        )


def _require_objects(image: int, outputs: int, plan: Plan, board: Board) -> None:
    """What firmware/app and the generated C define, in the order of their likelihood."""
    tables = plan.tables
    objects = {
        "the buffer for messages, which holds an image,": _body_bytes(image, outputs, len(plan.steps)) + OVERHEAD,
        "the workspace": plan.workspace_bytes,
        "the self-test's table of logits": GOLDEN_COUNT * outputs,
        **{f"the table {table.name}": len(bytes_of(table)) for table in tables},
    }
    for what, size in objects.items():
        if size > _LARGEST_AVR:
            raise BadInputError(
                f"{what} takes {size:,} bytes; the compiler of {board.name} takes no object of more than "
                f"{_LARGEST_AVR:,}: give the model a smaller image or narrower layers, or take another board"
            )
