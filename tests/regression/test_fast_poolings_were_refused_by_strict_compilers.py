"""The fast poolings compile under strict warnings with a sanitizer, where GCC does not see that a mean fits int8.

le_mean_of had `?:` between an int8 and a cast to int8; with -fsanitize=undefined -Wconversion that was a warning.
"""

from __future__ import annotations

import shutil
import subprocess

import pytest

from lenet_edge.resources import firmware_folder

STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wpedantic", "-Wshadow", "-Werror")


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
@pytest.mark.parametrize("sanitizer", ["undefined", "address,undefined"])
@pytest.mark.parametrize("source", ["le_pool2d_fours.c", "le_pool2d.c", "le_mean.c", "le_mean_fours.c"])
def test_they_compile(source, sanitizer, tmp_path):
    shared = firmware_folder() / "kernels" / "shared"
    command = ["gcc", *STRICT, "-O1", f"-fsanitize={sanitizer}", f"-I{shared}", "-c", str(shared / source)]
    done = subprocess.run([*command, "-o", str(tmp_path / "it.o")], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
