"""The frames that GCC tells (``-fstack-usage``)."""

from __future__ import annotations

from pathlib import Path

from lenet_edge.hardware.stack_depth.pointers import stem

__all__ = ["frames_of"]


def frames_of(folder: Path) -> dict[str, int | None]:
    """Function -> bytes of its frame, from GCC's files below a folder; on an AVR with the return address.

    None where the frame depends on what happens. Functions of one name have the larger frame, and so have their copies:
    GCC tells those as ``pool.constprop``, and calls them ``pool.constprop.0`` in the code.
    """
    frames: dict[str, int | None] = {}
    for path in sorted(folder.rglob("*.su")):
        for line in path.read_text(encoding="utf-8").splitlines():
            where, size, kind = line.split("\t")
            name = stem(where.rpartition(":")[2])
            before = frames.get(name, 0)
            frames[name] = None if kind != "static" or before is None else max(before, int(size))
    return frames
