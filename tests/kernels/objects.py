"""Objects of sources that many exported folders have in common: each is compiled once, for all tests and workers."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

INCLUDED = re.compile(rb'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)


def compiled(source: Path, command: Sequence[object], cache: Path) -> Path:
    """The object of a source, which is compiled in its folder where the cache has none of the same content.

    Args:
        source: in a folder with all of the headers that it includes but the system's.
        command: the compiler and its options, without `-c` and names of files.
        cache: a folder, for objects by their command, source and headers.
    """
    argv, digest = [str(word) for word in command], hashlib.sha256()
    for part in (*(word.encode() for word in argv), *_contents(source)):
        digest.update(b"%d:%b" % (len(part), part))
    found = cache / f"{digest.hexdigest()}.o"
    if not found.exists():
        cache.mkdir(exist_ok=True)
        made = source.with_suffix(".o")
        done = subprocess.run(
            [*argv, "-c", source.name, "-o", made], cwd=source.parent, capture_output=True, timeout=300
        )
        assert done.returncode == 0, done.stderr.decode()[-3000:]
        half = cache / f"{found.name}.{os.getpid()}"
        shutil.copy(made, half)
        half.replace(found)  # whole or not at all, for the other workers
    return found


def _contents(source: Path) -> list[bytes]:
    """Names and contents of a source and of the headers that it includes, and these, from its folder."""
    contents, waiting = dict[str, bytes](), [source.name]
    while waiting:
        name = waiting.pop()
        if name not in contents and (source.parent / name).exists():
            contents[name] = (source.parent / name).read_bytes()
            waiting += [header.decode() for header in INCLUDED.findall(contents[name])]
    return [part for name, content in sorted(contents.items()) for part in (name.encode(), content)]
