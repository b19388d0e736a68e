"""Where the project's data is: boards (`targets/`) and C sources (`firmware/`)."""

from __future__ import annotations

from pathlib import Path

__all__ = ["firmware_folder", "targets_folder"]

_PACKAGE = Path(__file__).resolve().parents[1]


def targets_folder() -> Path:
    """The folder with one TOML for each board."""
    return _data_folder("targets")


def firmware_folder() -> Path:
    """The folder with the C sources: kernels, arch, port, app."""
    return _data_folder("firmware")


def _data_folder(name: str) -> Path:
    """At the top of a checkout, next to the package; inside the package where it was installed from a wheel."""
    in_checkout = _PACKAGE.parent / name
    return in_checkout if in_checkout.is_dir() and (_PACKAGE.parent / "pyproject.toml").is_file() else _PACKAGE / name
