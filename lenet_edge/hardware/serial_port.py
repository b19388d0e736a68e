"""A serial port as a byte stream: a real board."""

from __future__ import annotations

from typing import Any

from lenet_edge.errors import LinkError, MissingToolError

__all__ = ["SerialStream"]


class SerialStream:
    """An open serial port, 8 data bits, no parity; see `hardware.link.ByteStream`.

    Beside the name of a device it may be a URL of pyserial's, such as "socket://HOST:PORT" for a port on the network.

    Raises:
        MissingToolError: pyserial is not installed.
        LinkError: the port cannot be opened.
    """

    def __init__(self, port: str, baud: int) -> None:
        try:
            import serial
        except ImportError as error:
            raise MissingToolError("pyserial is missing; pip install 'lenet-edge[boards]'") from error
        self._name, self._errors = port, (serial.SerialException, OSError)
        try:
            self._port: Any = _open(serial, port, baud)
        except (*self._errors, ValueError) as error:
            raise LinkError(f"the port {port} cannot be opened: {error}. Is the board plugged in, and free?") from error

    def write(self, data: bytes) -> None:
        """Send all of it."""
        try:
            self._port.write(data)
        except self._errors as error:
            raise LinkError(f"the port {self._name} is gone: {error}") from error

    def read(self, timeout_s: float) -> bytes:
        """What has come, at least a byte; b"" when nothing came in time."""
        try:
            self._port.timeout = timeout_s
            first: bytes = self._port.read(1)
            rest: bytes = self._port.read(self._port.in_waiting) if first else b""
        except self._errors as error:
            raise LinkError(f"the port {self._name} is gone: {error}") from error
        return first + rest

    def close(self) -> None:
        """Close the port."""
        self._port.close()


def _open(serial: Any, port: str, baud: int) -> Any:
    if "://" in port:
        return serial.serial_for_url(port, baud)
    return serial.Serial(port, baud, exclusive=True)
