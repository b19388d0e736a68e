"""Where a command will write: checked before the work, which may take an hour."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from lenet_edge.errors import BadInputError
from lenet_edge.files import status_of

__all__ = ["require_place"]


def require_place(target: Path, *, folder: bool = False) -> None:
    """Hold, before the work, that a file can be written to `target`, or files into the folder `target`.

    Raises:
        BadInputError: a folder is where the file should be, a file where a folder should be, or it is not writable.
    """
    try:
        status = status_of(target)
        if status is not None and stat.S_ISDIR(status.st_mode) and not folder:
            raise IsADirectoryError(21, "it is a folder")
        if status is not None and not stat.S_ISDIR(status.st_mode) and folder:
            raise NotADirectoryError(20, "it is not a folder, and files must be written into it")
        if status is None or stat.S_ISDIR(status.st_mode) or stat.S_ISREG(status.st_mode):
            _require_writable(target, exists=status is not None)
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        raise BadInputError(
            f"cannot write {target}: {getattr(error, 'strerror', None) or error}. Choose another place."
        ) from error


def _require_writable(target: Path, *, exists: bool) -> None:
    """Of what is there; else of the nearest folder above it, in which the rest will be made."""
    nearest = os.path.realpath(target)
    while not exists and not os.path.exists(nearest):
        nearest = os.path.dirname(nearest)
    if not exists and not os.path.isdir(nearest):
        raise NotADirectoryError(20, f"{nearest} is not a folder")
    if not os.access(target if exists else nearest, os.W_OK):
        raise PermissionError(13, "Permission denied")
