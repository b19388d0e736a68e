"""A model as WebAssembly: the C that `export --target c` writes, with `le_prepare`, compiled by zig for a browser."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lenet_edge.files import read_bytes, temporary_folder, write_files
from lenet_edge.formats import c_source
from lenet_edge.hardware import toolchain
from lenet_edge.quantized.model import QuantizedModel
from lenet_edge.resources import firmware_folder

__all__ = ["compile_to_webassembly"]

_FLAGS = (
    "-target",
    "wasm32-freestanding",  # no WASI: the module imports nothing
    "-std=gnu99",
    "-O2",
    "-msimd128",  # Chrome 91, Firefox 89, Safari 16.4
    "-ffreestanding",
    "-nostdlib",
    "-I.",
    "-Wl,--no-entry",
    "-Wl,--gc-sections",
    "-Wl,--strip-all",
    "-Wl,-z,stack-size=16384",
)
_OURS = ("libc/string.h", "libc/memory.c", "webassembly/le_page.c")
_PROGRAM = "model.wasm"


def compile_to_webassembly(model: QuantizedModel) -> bytes:
    """The plain kernels of a model as a WebAssembly module; firmware/webassembly/le_page.c has what it exports.

    The same model gives the same bytes.

    Raises:
        BadInputError: the model takes no picture, or has a layer that the C lacks.
        MissingToolError: there is no zig.
        ToolFailedError: zig failed.
    """
    sources = _sources(model)
    with temporary_folder() as folder:
        write_files(folder, sources)
        compiled = sorted(name for name in sources if name.endswith(".c"))
        toolchain.zig_cc(folder, [*_FLAGS, *compiled, "-o", _PROGRAM])
        return read_bytes(folder / _PROGRAM, "the WebAssembly module")


def _sources(model: QuantizedModel) -> Mapping[str, bytes]:
    firmware = firmware_folder()
    plan = c_source.make_plan(model, c_source.PLAIN)
    files = c_source.export(plan, firmware) | c_source.preparation_sources(model, firmware)
    flat = {name: content for name, content in files.items() if "/" not in name and name.endswith((".c", ".h"))}
    return flat | {Path(name).name: read_bytes(firmware / name, "the C source") for name in _OURS}
