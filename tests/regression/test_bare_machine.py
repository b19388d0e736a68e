"""A machine with Python, make and a C compiler: what the Makefile does there, and C++ where there is only `cc`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cpp_programs
import pytest

CHECKOUT = Path(__file__).parents[2]
MAKEFILE = (CHECKOUT / "Makefile").read_text()
INDEX = "https://download.pytorch.org/whl/cpu"
# In place of Python: it notes its arguments; `-m venv DIR` puts it into DIR too; from an index it ends as it is told.
STAND_IN = """#!/bin/sh
echo "$@" >>"$NOTES"
case "$*" in
*"-m venv "*) for last; do :; done; mkdir -p "$last/bin"; cp "$0" "$last/bin/python" ;;
*--index-url*) exit "$INDEX_STATUS" ;;
esac
"""


def make(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    settings = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "TORCH_INDEX"))}
    argv = ["make", *map(str, arguments)]
    return subprocess.run(argv, cwd=CHECKOUT, env=settings | environment, capture_output=True, text=True, timeout=60)


@pytest.fixture
def base(tmp_path):
    """``base(*arguments, index_status)``: what `make` says as it makes an environment, and its pip commands."""
    stand_in, notes = tmp_path / "python", tmp_path / "notes"
    stand_in.write_text(STAND_IN)
    stand_in.chmod(0o755)

    def run(*arguments: str, index_status: int = 0) -> tuple[str, list[str]]:
        venv = tmp_path / "venv"
        variables = {"NOTES": str(notes), "INDEX_STATUS": str(index_status)}
        done = make(venv / ".installed-base", f"PYTHON={stand_in}", f"VENV={venv}", *arguments, **variables)
        assert done.returncode == 0, done.stderr
        return done.stdout, [line for line in notes.read_text().splitlines() if " install " in line]

    return run


def test_torch_alone_comes_from_pytorchs_own_index(base):
    """Once, without retries, at the pinned version; then all the rest as ever."""
    said, installs = base()
    first, torch, rest = installs
    assert first.endswith("-c constraints.txt setuptools")
    assert torch.endswith(f"--retries 0 --timeout 10 -c constraints.txt --no-deps --index-url {INDEX} torch")
    assert rest.endswith("-c constraints.txt --editable .[boards,report,page]")
    assert f"== torch without CUDA, from {INDEX}" in said
    assert "going on with PyPI's" not in said


def test_without_that_index_it_is_pypis(base):
    said, installs = base(index_status=1)
    assert "going on with PyPI's" in said
    assert len(installs) == 3


def test_the_index_can_be_another_or_none(base):
    assert "--index-url https://mirror.invalid/cpu torch" in base("TORCH_INDEX=https://mirror.invalid/cpu")[1][1]


def test_no_index_no_attempt(base):
    said, installs = base("TORCH_INDEX=")
    assert len(installs) == 2
    assert "torch" not in said


def test_another_system_takes_pypis(base, tmp_path):
    """PyPI's torch for macOS is without CUDA."""
    uname = tmp_path / "bin" / "uname"
    uname.parent.mkdir()
    uname.write_text("#!/bin/sh\necho Darwin\n")
    uname.chmod(0o755)
    assert len(base(f"PATH={uname.parent}:{os.environ['PATH']}")[1]) == 2


def test_make_alone_lists_every_target():
    """The whole comment at the top, however long it grows."""
    shown = make().stdout
    assert shown.splitlines() == [
        line.removeprefix("#").removeprefix(" ") for line in MAKEFILE.split("\n\n")[0].splitlines()
    ]
    named = set(re.findall(r"(?:^  |; )make ([a-z-]+)", shown, re.MULTILINE))
    phony = set(re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)[1].split())
    parts = {"prepare", "lint", "types-and-docs", "types", "unit", "kernels", "pages", "parity", "targets", "help"}
    assert phony - parts == named  # the parts are those of check and test


def test_arms_c_library_is_installed_with_its_compiler():
    """Debian's compiler only recommends it, and recommended packages stay out."""
    assert "--no-install-recommends" in MAKEFILE
    listed = re.search(r"^DEBIAN := ((?:.*\\\n)*.*)$", MAKEFILE, re.MULTILINE)[1].split()
    assert {"gcc-arm-none-eabi", "libnewlib-arm-none-eabi"} <= set(listed)


def test_cpp_with_nothing_but_cc(tmp_path, monkeypatch):
    """Its assembler and linker come with it."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("cc", "as", "ld"):
        (programs / name).symlink_to(shutil.which(name))
    monkeypatch.setenv("PATH", str(programs))
    assert cpp_programs.compiler()[:3] == (sys.executable, "-m", "ziglang")
    source = tmp_path / "hello.cc"
    source.write_text('#include <cstdio>\nint main() { std::printf("%zu", sizeof(char16_t)); }\n')
    options = ("-std=c++17", "-Wall", "-Wextra", "-Werror", "-pedantic")
    assert cpp_programs.run(cpp_programs.build(tmp_path / "hello", [source], *options)) == b"2"
