"""The frames that GCC tells (``-fstack-usage``)."""

from __future__ import annotations

from pathlib import Path

__all__ = ["frames_of"]


def frames_of(folder: Path) -> dict[str, int | None]:
    """Function -> bytes of its frame, from GCC's files below a folder; on an AVR with the return address.

    None where the frame depends on what happens. Functions of one name have the larger frame.
    """
    frames: dict[str, int | None] = {}
    for path in sorted(folder.rglob("*.su")):
        for line in path.read_text(encoding="utf-8").splitlines():
            where, size, kind = line.split("\t")
            name = where.rpartition(":")[2]
            before = frames.get(name, 0)
            frames[name] = None if kind != "static" or before is None else max(before, int(size))
    return frames
