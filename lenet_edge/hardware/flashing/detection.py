"""What is plugged in: debug probes, serial ports, boot loader volumes. One is used; none, or several, is an error."""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from lenet_edge.errors import LinkError, MissingToolError

__all__ = ["Found", "probe_of", "probes", "serial_ports", "take_one", "volumes"]

_USB = Path("/sys/bus/usb/devices")
_MOUNTS = (Path("/media"), Path("/run/media"), Path("/mnt"), Path("/Volumes"))

# USB vendor -> (products, None for all; the probe's name). Source: OpenOCD 0.12, contrib/60-openocd.rules.
_PROBES: Mapping[str, tuple[tuple[str, ...] | None, str]] = MappingProxyType(
    {
        "0483": (("3744", "3748", "374b", "374d", "374e", "374f", "3752", "3753", "3754"), "ST-Link"),
        "0d28": (("0204",), "CMSIS-DAP"),
        "1366": (None, "J-Link"),
        "2e8a": (("000c",), "Raspberry Pi Debug Probe"),
        "0403": (("6010", "6011", "6014"), "FTDI"),
    }
)


@dataclass(frozen=True)
class Found:
    """Something that is plugged in: how tools name it, and what one would call it.

    Attributes:
        usb: its vendor and product, "VID:PID", where that is known.
    """

    name: str
    title: str
    serial_number: str | None = None
    usb: str = ""


def probes(root: Path = _USB) -> list[Found] | None:
    """The debug probes on USB, by their serial numbers; None where the system does not list them in files."""
    if not root.is_dir():
        return None
    found = []
    for device in sorted(root.iterdir()):
        vendor, product = (_line(device / name) for name in ("idVendor", "idProduct"))
        products, title = _PROBES.get(vendor, ((), ""))
        serial_number = _line(device / "serial")
        if title and serial_number and (products is None or product in products):
            found.append(Found(serial_number, title, serial_number, f"{vendor}:{product}"))
    return found


def probe_of(serial_number: str) -> Found | None:
    """The debug probe of that serial number, where it is on USB."""
    return next((each for each in probes() or () if each.serial_number == serial_number), None)


def _line(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def serial_ports() -> list[Found]:
    """The serial ports on USB.

    Raises:
        MissingToolError: pyserial is not installed.
    """
    try:
        from serial.tools.list_ports import comports
    except ImportError as error:
        raise MissingToolError("pyserial is missing; pip install 'lenet-edge[boards]'") from error
    ports = [port for port in comports() if port.vid is not None]
    return [Found(port.device, port.description or "serial port", port.serial_number) for port in sorted(ports)]


def volumes(label: str, roots: Iterable[Path] = _MOUNTS) -> list[Found]:
    """Mounted volumes of that label: ROOT/LABEL or ROOT/USER/LABEL; one that is reached by several paths once."""
    found: dict[tuple[int, int], Path] = {}
    for root in roots:
        for path in (root / label, *(user / label for user in _entries(root))):
            with contextlib.suppress(OSError, ValueError):
                status = path.stat()
                if stat.S_ISDIR(status.st_mode):  # /media may be a link to /run/media, or a mount of the same
                    found.setdefault((status.st_dev, status.st_ino), path)
    return [Found(str(path), f"volume {label}") for path in found.values()]


def _entries(folder: Path) -> Sequence[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def take_one(found: Sequence[Found], what: str, option: str, hint: str) -> Found:
    """The only one.

    Args:
        what: such as "debug probe".
        option: that names one.
        hint: what to do where there is none.

    Raises:
        LinkError: there is none, or there are several.
    """
    if len(found) == 1:
        return found[0]
    if not found:
        raise LinkError(f"no {what} is there. {hint}, or name it with {option}")
    listed: Callable[[Found], str] = lambda each: f"{each.name} ({each.title})"  # noqa: E731
    raise LinkError(f"there are {len(found)} {what}s: {', '.join(map(listed, found))}. Name one with {option}")
