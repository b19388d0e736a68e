"""C++ on a machine that may have a C compiler only: zig's front end, a package of pip, stands in for g++."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

# As firmware is compiled. Without exceptions and static guards a program needs no C++ library, so `cc` links it.
_BARE = ("-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics")


def compiler() -> tuple[str, ...]:
    """The command of a C++ compiler; some 0.3 s a file with zig, whose C++ library is not built for that."""
    for name in ("g++", "clang++"):
        if shutil.which(name):
            return (name,)
    if importlib.util.find_spec("ziglang"):
        return (sys.executable, "-m", "ziglang", "c++", "-fno-sanitize=undefined")
    raise AssertionError("a C++ compiler is missing: install g++, clang++ or ziglang")


def run(*argv: object) -> bytes:
    """What a program writes to stdout; it must end with 0."""
    done = subprocess.run([str(argument) for argument in argv], capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def build(program: Path, sources: Iterable[Path], *options: str) -> Path:
    """Compile and link C++ sources of different names; the objects lie where the program does."""
    objects = [program.parent / f"{source.stem}.o" for source in sources]
    for source, target in zip(sources, objects, strict=True):
        run(*compiler(), *_BARE, *options, "-c", source, "-o", target)
    run("cc", *objects, "-o", program)
    return program
