"""Loops that are entered in their midst: the assembler refuses a size of their code that is not what it is."""

from __future__ import annotations

import shutil
import subprocess

import pytest
import workbench

from lenet_edge.hardware import boards, toolchain
from lenet_edge.resources import firmware_folder

# The board whose compiler assembles it, the folder and file of the kernel; where the size stands, and a wrong one.
SIZES = {
    "a step of the matrix, DSP": ("mps2-an386", "cortex_m_dsp", "le_matrix_dsp.S", "le_dsp.h", "LE_DSP_STEP_BYTES 84"),
    "a cell of pairs, DSP": ("mps2-an386", "cortex_m_dsp", "le_conv2d_pairs_dsp.S", "le_dsp.h", "LE_DSP_CELL_BYTES 44"),
    "a step of the matrix, MVE": (
        *("mps3-an547", "cortex_m_mve", "le_fully_connected_mve.S", "le_matrix_mve.h"),
        "STEP_BYTES, 68",
    ),
}


def assembled(compiler, folder, source):
    argv = [*compiler.compiler, f"-I{firmware_folder() / 'kernels' / 'shared'}", "-c", source, "-o", f"{source}.o"]
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("compiler", ["gcc", "zig"])
@pytest.mark.parametrize("name", SIZES)
def test_a_size_that_is_not_that_of_the_code_is_an_error(name, compiler, tmp_path):
    board, family, source, where, size = SIZES[name]
    workbench.need(board, compiler)
    chosen = toolchain.choose(boards.load(board), compiler)
    folder = shutil.copytree(firmware_folder() / "kernels" / family, tmp_path / family)
    done = assembled(chosen, folder, source)
    assert done.returncode == 0, done.stderr
    words, _, number = size.rpartition(" ")
    text = (folder / where).read_text()
    assert text.count(size) == 1
    (folder / where).write_text(text.replace(size, f"{words} {int(number) + 4}"))
    done = assembled(chosen, folder, source)
    assert done.returncode != 0
    assert f"is not {words.strip(',').removeprefix('LE_DSP_')} long" in done.stderr
