"""Exported files on disk."""

from __future__ import annotations

from pathlib import Path


def write(folder: Path, files: dict[str, bytes]) -> Path:
    """The folder, with these files in it, by their paths within it."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder
