"""Programs for AArch64 with many exported models, which run in QEMU with fences around every block of memory."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from c_harness import main_of
from c_programs import FIRMWARE, STRICT_C, run
from written_trees import write

from lenet_edge.formats import c_source
from lenet_edge.quantized.model import QuantizedModel

GCC, NM, QEMU = "aarch64-linux-gnu-gcc", "aarch64-linux-gnu-nm", "qemu-aarch64"
# zig compiles, GCC links: a C library of zig's own would be built first, for a minute.
ZIG = (sys.executable, "-m", "ziglang", "cc", "-target", "aarch64-linux-gnu", "-fno-sanitize=undefined")
COMPILERS = {  # and the instruction sets that they compile for
    "gcc": [GCC, "-march=armv8-a"],
    "gcc with the dot product": [GCC, "-march=armv8.2-a+dotprod"],
    "zig": [*ZIG, "-mcpu=generic"],
    "zig with the dot product": [*ZIG, "-mcpu=generic+dotprod"],
}

# Images on standard input, logits on standard output. Each image, its logits and the workspace lie between pages that
# nothing may touch: by turns at the beginning of what is allowed and at its end.
HARNESS = r"""
#define _GNU_SOURCE
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <stdio.h>
#include <stdlib.h>

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define le_class_names JOIN(le_class_names_, MODEL)
#define le_class_name JOIN(le_class_name_, MODEL)
#define le_infer_with JOIN(le_infer_with_, MODEL)
#define le_infer JOIN(le_infer_, MODEL)
#define le_infer_u8 JOIN(le_infer_u8_, MODEL)
#define le_infer_in_place JOIN(le_infer_in_place_, MODEL)
#define le_infer_step_in_place JOIN(le_infer_step_in_place_, MODEL)
#define le_infer_step JOIN(le_infer_step_, MODEL)
#define le_step_output JOIN(le_step_output_, MODEL)
#define le_fold_tables JOIN(le_fold_tables_, MODEL)
#include "le_model.c"

#ifndef LE_OUTPUTS
#define LE_OUTPUTS LE_CLASSES
#endif

static int8_t *fenced(size_t size, int at_the_end)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = (size + page - 1) / page;
    char *const memory = (char *)mmap(NULL, (pages + 2) * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || mprotect(memory + page, pages * page, PROT_READ | PROT_WRITE)) {
        exit(3);
    }
    memset(memory + page, 0xA5, pages * page);
    return (int8_t *)(memory + page + (at_the_end ? pages * page - size : 0));
}

int JOIN(run_, MODEL)(void);
int JOIN(run_, MODEL)(void)
{
    int8_t *images[2], *logits[2], *workspaces[2];
    for (int end = 0; end < 2; end++) {
        images[end] = fenced(LE_INPUT_BYTES, end);
        logits[end] = fenced(LE_OUTPUTS, end);
        workspaces[end] = fenced(sizeof(le_workspace), end);
    }
    for (int turn = 0; fread(images[turn], 1, LE_INPUT_BYTES, stdin) == LE_INPUT_BYTES; turn ^= 1) {
        memset(workspaces[turn], 0x5A, sizeof(le_workspace));
        le_infer_with((le_workspace *)(void *)workspaces[turn], images[turn], logits[turn]);
        fwrite(logits[turn], 1, LE_OUTPUTS, stdout);
    }
    return 0;
}
"""


@dataclass(frozen=True)
class Program:
    """Models in a program that runs in QEMU.

    Attributes:
        path: the program.
        models: by name; their order is that of their numbers.
    """

    path: Path
    models: dict[str, QuantizedModel]

    def logits(self, name: str, images: np.ndarray, *options: str) -> np.ndarray:
        """int8 ``[n, outputs]``; `options` are QEMU's."""
        number = list(self.models).index(name)
        argv = [QEMU, "-cpu", "max", *options, str(self.path), str(number)]
        done = subprocess.run(argv, input=images.tobytes(), capture_output=True, timeout=300)
        assert done.returncode == 0, f"{name}: {done.returncode}, {done.stderr.decode()[-2000:]}"
        return np.frombuffer(done.stdout, np.int8).reshape(len(images), -1)


def missing() -> str:
    """What is not installed of what these programs need; empty: nothing."""
    lacking = [tool for tool in (GCC, QEMU) if shutil.which(tool) is None]
    return f"{lacking[0]} is missing" if lacking else ""


def build(models: dict[str, QuantizedModel], work: Path, family: str = "neon") -> dict[str, Program]:
    """For each of the compilers a program with all the models, whose own C the first one compiles."""
    (work / "harness.c").write_text(HARNESS)
    (work / "main.c").write_text(main_of(range(len(models))))
    sources, jobs, objects = dict[str, Path](), [], [work / "main.c"]
    for number, model in enumerate(models.values()):
        folder = write(work / str(number), c_source.export(c_source.make_plan(model, family), FIRMWARE))
        sources |= {path.name: path for path in folder.glob("*.c") if path.name != "le_model.c"}
        objects.append(work / f"model_{number}.o")
        jobs.append(
            [GCC, "-std=gnu99", f"-DMODEL={number}", f"-I{folder}", "-c", work / "harness.c", "-o", objects[-1]]
        )
    for job in jobs:
        run(*job)
    return {name: Program(_link(name, sources, objects, work), models) for name in COMPILERS}


def _link(name: str, sources: dict[str, Path], objects: list[Path], work: Path) -> Path:
    """The program with the kernels that this compiler makes."""
    folder = work / name.replace(" ", "_")
    folder.mkdir()
    for file, path in sources.items():
        run(*COMPILERS[name], *STRICT_C, "-O2", "-c", path, "-o", folder / f"{file}.o")
    run(GCC, "-static", *objects, *folder.glob("*.o"), "-o", folder / "program")
    return folder / "program"
