"""A serial port as a byte stream: a real board."""

from __future__ import annotations

import contextlib
import os
import stat
from typing import Any

from lenet_edge.errors import LinkError, MissingToolError

__all__ = ["SerialStream"]

_WRITE_S = 30.0  # for a request; a port whose other end takes nothing would block forever


class SerialStream:
    """An open serial port, 8 data bits, no parity; see `hardware.link.ByteStream`.

    Instead of the name of a device it may be a URL of pyserial's, such as "socket://HOST:PORT" for a port on the
    network.

    Raises:
        MissingToolError: pyserial is not installed.
        LinkError: the port cannot be opened.
    """

    def __init__(self, port: str, baud: int) -> None:
        try:
            import serial
        except ImportError as error:
            raise MissingToolError("pyserial is missing; pip install 'lenet-edge[boards]'") from error
        self._name = port
        try:
            self._port: Any = _open(serial, port, baud)
        except Exception as error:  # pyserial lets those of termios, sockets and its URL handlers through
            what = _permission_problem(port) or f"{_said(error)}. Is the board plugged in, and free?"
            raise LinkError(f"the port {port} cannot be opened: {what}") from error

    def write(self, data: bytes) -> None:
        """Send all of it."""
        try:
            self._port.write(data)
        except Exception as error:  # termios.error and TypeError as well, where a device is unplugged
            raise LinkError(f"the port {self._name} is gone, or takes nothing: {_said(error)}") from error

    def read(self, timeout_s: float) -> bytes:
        """What has come, at least a byte; b"" when nothing came in time."""
        try:
            self._port.timeout = timeout_s
            first: bytes = self._port.read(1)
            rest: bytes = self._port.read(self._port.in_waiting) if first else b""
        except Exception as error:
            raise LinkError(f"the port {self._name} is gone: {_said(error)}") from error
        return first + rest

    def close(self) -> None:
        """Close the port; one that is gone is closed already."""
        with contextlib.suppress(Exception):
            self._port.close()


def _open(serial: Any, port: str, baud: int) -> Any:
    if "://" in port:
        return serial.serial_for_url(port, baud, write_timeout=_WRITE_S)
    return serial.Serial(port, baud, exclusive=True, write_timeout=_WRITE_S)


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__


def _permission_problem(port: str) -> str:
    """Why the user may not open a port that is there, and the command that changes it; "" where he may."""
    try:
        status = os.stat(port)
        if os.access(port, os.R_OK | os.W_OK):
            return ""
    except (OSError, ValueError):
        return ""
    group, user = _group_name(status.st_gid), _user_name()
    if status.st_mode & stat.S_IRGRP and status.st_mode & stat.S_IWGRP and status.st_gid != 0:
        if user in _members(group):
            return f"you are in its group {group}, but not in this session. Log out and in again, or: newgrp {group}"
        return f"it belongs to the group {group}. Join it: sudo usermod -aG {group} {user}, then log out and in again"
    return (
        f"its permissions ({stat.filemode(status.st_mode)}, group {group}) let only its owner in. For now: "
        f"sudo chmod a+rw {port}; for good: a udev rule with GROUP and MODE"
    )


def _group_name(gid: int) -> str:
    try:
        import grp

        return grp.getgrgid(gid).gr_name
    except (ImportError, KeyError):
        return str(gid)


def _members(group: str) -> list[str]:
    try:
        import grp

        return grp.getgrnam(group).gr_mem
    except (ImportError, KeyError):
        return []


def _user_name() -> str:
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name
    except (ImportError, KeyError):
        return "$USER"
