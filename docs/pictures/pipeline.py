"""The pipeline: each command, what it leaves for the next, and what that is."""

from __future__ import annotations

from canvas import Sheet

__all__ = ["STEPS", "draw"]

STEPS = (
    # command, what it leaves, what that is
    ("", "images and labels", "MNIST, Fashion-MNIST or your IDX files"),
    ("train", "build/lenet5.safetensors", "float weights, by PyTorch"),
    ("quantize", "build/lenet5-int8.tflite", "int8 integers, with their proof"),
    ("export", "build/tflm/", "C arrays; also ONNX, C, Arduino, Zephyr"),
    ("check", "build/check.json", "every engine, every logit compared"),
    ("build", "build/firmware/microbit/", "ELF, HEX, BIN, and what they take"),
    ("run", "the class of an image", "in an emulator, or on the board"),
    ("flash", "build/flash.log", "only what was checked; compared again"),
)
_FIRST_ON_THE_CHIP = "build"
_TOP, _STEP, _BOX = 24, 64, 40
_LEFT, _WIDTH, _RIGHT = 24, 128, 178


def draw() -> Sheet:
    """The pipeline from top to bottom."""
    told = "; ".join(f"{command or 'data'} leaves {left}: {what}" for command, left, what in STEPS)
    sheet = Sheet("From data to a flashed microcontroller", f"The steps in order. {told}.", _TOP + _STEP * len(STEPS))
    on_the_chip = False
    for index, (command, left, what) in enumerate(STEPS):
        y = _TOP + _STEP * index
        on_the_chip |= command == _FIRST_ON_THE_CHIP
        colour = "four" if on_the_chip else "one" if command else "faint edge-line"
        sheet.box(_LEFT, y, _WIDTH, _BOX, colour, radius=6)
        words = "inverse bold mono" if command else "ink bold"
        sheet.text(_LEFT + _WIDTH / 2, y + 25, command or "data", f"{words} middle")
        sheet.text(_RIGHT, y + 16, left, "ink mono small" if "/" in left else "ink small")
        sheet.text(_RIGHT, y + 36, what, "muted small")
        if index + 1 < len(STEPS):
            sheet.arrow_down(_LEFT + _WIDTH / 2, y + _BOX, y + _STEP)
    return sheet
