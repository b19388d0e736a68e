"""A pseudo-terminal in a serial port's place."""

from __future__ import annotations

import os
import tty

import pytest


def serial_port() -> tuple[int, int, str]:
    """(the board's end, the port's end, the port's device), raw; skips the test where the system has none."""
    try:
        board, port = os.openpty()
    except OSError as error:
        pytest.skip(f"this machine gives no pseudo-terminal (is /dev/pts mounted?): {error}")
    tty.setraw(port)
    return board, port, os.ttyname(port)
