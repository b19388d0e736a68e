"""Names of classes that C could misread, through C, C++ and avr-gcc."""

import re
import shutil
import subprocess

import pytest
import sample_models

from lenet_edge.formats import c_source
from lenet_edge.resources import firmware_folder

NAMES = ['"quote"', "back\\slash", "Käse ??/", "%s\\n", "*/ e", "[red]", "line\nbreak", "日本", "${x}", "9after"]
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]

C = r"""
#include <stdio.h>
#include "le_model.h"

int main(void)
{
    char name[LE_NAME_BYTES];
    for (int i = -1; i <= LE_CLASSES; i++) {
        printf("%s%c", le_class_name(i, name), 0);
        if (i >= 0 && i < LE_CLASSES) printf("%s%c", le_class_names[i], 0);
    }
    printf("%s%c", le_class_name(LE_CLASS_RED, name), 0);
    return 0;
}
"""
CPP = '#include "le_model.h"\nint main() { char name[LE_NAME_BYTES]; return le_class_name(LE_CLASS_QUOTE, name)[0]; }\n'


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    model = sample_models.lenet5(1)
    folder = tmp_path_factory.mktemp("names")
    plan = c_source.make_plan(type(model)(model.layers, {"classes": NAMES}), c_source.PLAIN)
    for name, content in c_source.export(plan, firmware_folder()).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def run(folder, compiler, *arguments):
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is missing")
    done = subprocess.run([compiler, *STRICT, *arguments], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_c_prints_the_names(exported):
    """In C99, which has trigraphs."""
    (exported / "names.c").write_text(C)
    sources = sorted(path.name for path in exported.glob("*.c"))
    run(exported, "cc", "-std=c99", "-o", "names", *sources)
    found = subprocess.run([exported / "names"], capture_output=True, check=True).stdout.decode().split("\0")[:-1]
    assert found == ["", *(name for name in NAMES for _ in range(2)), "", "[red]"]


def test_c_plus_plus_takes_the_header(exported):
    (exported / "names.cpp").write_text(CPP)
    run(exported, "g++", "-fsyntax-only", "names.cpp")


def test_an_avr_keeps_the_names_in_flash(exported):
    """A program that calls le_class_name only: none of its texts is among what is copied to RAM."""
    (exported / "avr.c").write_text(
        '#include "le_model.h"\nvolatile char out;\n'
        "int main(void) { char name[LE_NAME_BYTES]; out = le_class_name(out, name)[0]; return 0; }\n"
    )
    kernels = sorted(path.name for path in exported.glob("le_*.c"))
    flags = ["-std=gnu99", "-mmcu=atmega2560", "-Os", "-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections"]
    run(exported, "avr-gcc", "-Wno-pedantic", *flags, "-o", "avr.elf", *kernels, "avr.c")
    for section, there in ((".data", False), (".text", True)):
        argv = ["avr-objcopy", "-O", "binary", "-j", section, "avr.elf", f"avr{section}"]
        subprocess.run(argv, cwd=exported, check=True, capture_output=True)
        content = (exported / f"avr{section}").read_bytes() if (exported / f"avr{section}").exists() else b""
        assert bool(re.search(rb"back\\slash\0", content)) == there
