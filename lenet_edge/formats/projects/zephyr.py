"""A Zephyr module ("Modules (External projects)" in Zephyr's documentation) with a sample that Twister can run."""

from __future__ import annotations

import re
from string import Template

from lenet_edge.formats.c_source import DEFAULT_PREFIX, FAMILIES, PLAIN
from lenet_edge.formats.projects.common import Project

__all__ = ["CPUS", "files"]

_MODULE = Template(
    """\
name: $name
build:
  cmake: .
  kconfig: Kconfig
samples:
  - samples
"""
)

# Without a prefix the symbol does not name the model, so that another model asks for no change of prj.conf. Two models
# in one application have two prefixes, and so two symbols.
_KCONFIG = Template(
    """\
config $symbol
\tbool "$title $name (lenet-edge)"
$depends\thelp
\t  $sentence: le_infer() of le_model.h.
\t  Model $fingerprint.
"""
)

# Boards that QEMU runs, and their processors. The example is for two of those that run the kernels.
_PLATFORMS = {
    "qemu_cortex_m0": "cortex-m0",
    "qemu_cortex_m3": "cortex-m3",
    "mps2/an386": "cortex-m4",
    "mps2/an521/cpu0": "cortex-m33",
    "mps3/corstone300/an547": "cortex-m55",
    "qemu_riscv32": "rv32imac",
}
_PLAIN_PLATFORMS = ("native_sim", "qemu_cortex_m3", "qemu_riscv32")
CPUS = frozenset(_PLATFORMS.values())
"""Of which the example's boards are."""


def _cores(family: str) -> tuple[str, ...]:
    """Zephyr's symbols for the Cortex-M of a family; GCC's -mcpu=cortex-m33+nodsp is one with an option, no core."""
    names = (name for name in FAMILIES[family].cpus if name.startswith("cortex-m") and "+" not in name)
    ordered = sorted(names, key=lambda name: (int(re.findall(r"\d+", name)[0]), name))
    return tuple(f"CPU_{name.upper().replace('-', '_')}" for name in ordered)


# Zephyr's symbols for the processors of a family: arch/arm/core/cortex_m/Kconfig, arch/riscv/Kconfig.isa. Of a symbol
# that a version of Zephyr does not have yet, Kconfig takes n.
_SYMBOLS = {
    PLAIN: (),
    "cortex_m_base": _cores("cortex_m_base"),
    "cortex_m_dsp": ("CPU_CORTEX_M4", "CPU_CORTEX_M7", "ARMV8_M_DSP"),
    "cortex_m_mve": ("ARMV8_1_M_MVEI",),
    "rv32": ("RISCV_ISA_EXT_M && !64BIT",),
}

_CMAKE = Template(
    """\
if(CONFIG_$symbol)
  zephyr_include_directories(src)
  zephyr_library_named($library)
  zephyr_library_sources(
$sources
  )
  zephyr_library_compile_options(-O2)
${tuning}endif()
"""
)

_TUNING = """\
  if(CONFIG_CPU_CORTEX_M4 AND CMAKE_C_COMPILER_ID STREQUAL "GNU")  # its cost model of the M4 pays with sign extensions
    zephyr_library_compile_options($<$<COMPILE_LANGUAGE:C>:-mtune=cortex-m3>)
  endif()
"""

_SAMPLE_CMAKE = """\
cmake_minimum_required(VERSION 3.20.0)

# The module is two folders up; where a west manifest names it, this line goes.
list(APPEND EXTRA_ZEPHYR_MODULES "${CMAKE_CURRENT_LIST_DIR}/../..")

find_package(Zephyr REQUIRED HINTS $ENV{ZEPHYR_BASE})
project(classify)

target_sources(app PRIVATE src/main.c)
"""

_PRJ_CONF = Template(
    """\
CONFIG_$symbol=y
CONFIG_MAIN_STACK_SIZE=2048
"""
)

_SAMPLE_YAML = Template(
    """\
sample:
  name: classify
  description: Classifies a $picture and compares the $logits with those of lenet-edge's reference.
tests:
  sample.$library.classify:
    tags: lenet_edge
$where    integration_platforms:
$platforms
    harness: console
    harness_config:
      type: one_line
      regex:
        - "self-test: passed"
"""
)

_MAIN = Template(
    """\
/* Classifies the $picture of $example_header, and compares its $logits with those of lenet-edge's reference. */
#include <string.h>

#include <zephyr/sys/printk.h>

#include <$api_header>

#include "$example_header"

int main(void)
{
    int8_t logits[$output_count];
    char name[LE_NAME_BYTES];
    const int found = $call;
$refused
    printk("%s:", le_class_name(found, name));
    for (int i = 0; i < $output_count; i++) {
        printk(" %d", logits[i]);
    }
    printk("\\nself-test: %s\\n", memcmp(logits, example_logits, sizeof logits) == 0 ? "passed" : "FAILED");
    return 0;
}
"""
)

_REFUSED = """\
    if (found < 0) { /* LE_PREPARE_BLANK and the like */
        printk("no image: %d\\n", found);
        return 0;
    }
"""

_README = Template(
    """\
# $name

$sentence: a Zephyr module. $paragraph

    west build -b BOARD samples/classify
    west twister -T samples

Your application takes the module by `-DEXTRA_ZEPHYR_MODULES=PATH_OF_THIS_FOLDER`, or by its west manifest, and
`CONFIG_$symbol=y`; `#include <le_model.h>` has the functions.

$about_sources
"""
)


def files(project: Project) -> dict[str, str]:
    """zephyr/module.yml, Kconfig, CMakeLists.txt and a sample; see `projects.export`."""
    library = "lenet_edge" if project.prefix == DEFAULT_PREFIX else f"lenet_edge_{project.prefix}"
    names = {"library": library, "symbol": library.upper()}
    symbols = _SYMBOLS[project.family]
    able = [name for name, cpu in _PLATFORMS.items() if project.runs_on(cpu)][:2]
    platforms = _PLAIN_PLATFORMS if project.family == PLAIN else able
    return {
        "README.md": project.fill(_README, **names),
        "zephyr/module.yml": project.fill(_MODULE),
        "Kconfig": project.fill(
            _KCONFIG,
            **names,
            depends=f"\tdepends on {' || '.join(symbols)}\n" if symbols else "",
            title=project.words["classifier"].capitalize(),
        ),
        "CMakeLists.txt": _CMAKE.substitute(
            names,
            sources="\n".join(f"    src/{name}" for name in project.compiled),
            tuning=_TUNING if project.runs_on("cortex-m4") else "",
        ),
        "samples/classify/CMakeLists.txt": _SAMPLE_CMAKE,
        "samples/classify/prj.conf": _PRJ_CONF.substitute(names),
        "samples/classify/sample.yaml": project.fill(
            _SAMPLE_YAML,
            **names,
            where=f"    filter: {' or '.join(map(_for_twister, symbols))}\n" if symbols else "",
            platforms="\n".join(f"      - {platform}" for platform in platforms),
        ),
        "samples/classify/src/main.c": project.fill(_MAIN, refused="" if project.frames is None else _REFUSED),
        f"samples/classify/src/{project.example_header}": project.example,
    }


def _for_twister(symbol: str) -> str:
    """An expression of Kconfig's as one of Twister's."""
    return re.sub(r"\w+", r"CONFIG_\g<0>", symbol).replace("&&", "and").replace("!", "not ")
