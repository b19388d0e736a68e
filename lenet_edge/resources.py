"""Where the project's data is: networks (`networks/`), boards (`targets/`) and C sources (`firmware/`)."""

from __future__ import annotations

from pathlib import Path

__all__ = ["firmware_folder", "networks_folder", "targets_folder"]

_PACKAGE = Path(__file__).resolve().parent


def networks_folder() -> Path:
    """The folder with one TOML for each network."""
    return _data_folder("networks", "networks/data")  # in the package, `networks` is the room that reads them


def targets_folder() -> Path:
    """The folder with one TOML for each board."""
    return _data_folder("targets", "targets")


def firmware_folder() -> Path:
    """The folder with the C sources: kernels, arch, port, app."""
    return _data_folder("firmware", "firmware")


def _data_folder(name: str, packaged: str) -> Path:
    """At the top of a checkout, next to the package; inside the package where it was installed from a wheel."""
    in_checkout = _PACKAGE.parent / name
    is_checkout = in_checkout.is_dir() and (_PACKAGE.parent / "pyproject.toml").is_file()
    return in_checkout if is_checkout else _PACKAGE / packaged
