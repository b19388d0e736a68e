"""`host.py` as on a processor without AVX-512 and AVX-VNNI, on one that has them.

    python benchmarks/older_host.py                 # arguments as for host.py; the C is compiled for AVX2

XNNPACK asks the processor which instructions it has, and takes the best. Here it does so in a copy of LiteRT whose
CPUID instructions are breakpoints, which older_host.c answers. They are few and run when LiteRT is loaded, not in
inferences: their number is told at the end, and does not grow with `--rounds`. Linux on x86-64, with gcc and objdump.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from elftools.elf.elffile import ELFFile

HERE = Path(__file__).parent
CPUID, BREAKPOINT = b"\x0f\xa2", b"\xcc\x90"  # INT3 and NOP
LIBRARY = "libpywrap_litert_common.so"


def run(program: str, *arguments: str | Path) -> str:
    """What a program says; `SystemExit` where it is not installed."""
    path = shutil.which(program)
    if path is None:
        sys.exit(f"{program} is not installed")
    return subprocess.run([path, *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout  # noqa: S603


def with_breakpoints(library: Path) -> None:
    """Puts a breakpoint in the place of each CPUID instruction of a library."""
    code = run("objdump", "-d", "--no-show-raw-insn", library)
    addresses = [int(found, 16) for found in re.findall(r"^ *([0-9a-f]+):\tcpuid", code, re.M)]
    with library.open("rb") as stream:
        loads = [segment.header for segment in ELFFile(stream).iter_segments("PT_LOAD")]
    content = bytearray(library.read_bytes())
    for address in addresses:
        (load,) = (each for each in loads if each.p_vaddr <= address < each.p_vaddr + each.p_filesz)
        at = address - load.p_vaddr + load.p_offset
        assert content[at : at + 2] == CPUID
        content[at : at + 2] = BREAKPOINT
    library.write_bytes(content)
    print(f"{len(addresses)} CPUID instructions of {library.name} are breakpoints", file=sys.stderr)


def main() -> int:
    """Runs host.py with the copy of LiteRT in front of the one that is installed; its exit status."""
    installed = find_spec("ai_edge_litert")
    assert installed is not None
    assert installed.origin is not None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy = shutil.copytree(Path(installed.origin).parent, folder / "ai_edge_litert")
        with_breakpoints(copy / LIBRARY)
        answers = folder / "answers.so"
        run("gcc", "-O1", "-shared", "-fPIC", HERE / "older_host.c", "-o", answers)
        environment = os.environ | {"PYTHONPATH": name, "LD_PRELOAD": str(answers)}
        command = [sys.executable, HERE / "host.py", "--instructions", "avx2", *sys.argv[1:]]
        return subprocess.run(command, env=environment, check=False).returncode  # noqa: S603


if __name__ == "__main__":
    sys.exit(main())
