"""Building: the same bytes everywhere, files that agree with binutils, budgets that hold, C without warnings."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import sample_models
import workbench
from random_chains import Chain
from workbench import LENET5, refused

from lenet_edge.errors import BadInputError
from lenet_edge.formats import c_source, tflite
from lenet_edge.hardware import boards, firmware, toolchain
from lenet_edge.hardware.elf import Elf
from lenet_edge.hardware.emulators.unicorn import UnicornStream
from lenet_edge.hardware.link import Device
from lenet_edge.quantized.reference import run
from lenet_edge.resources import targets_folder

FILES = ("firmware.elf", "firmware.hex", "firmware.bin", "firmware.map", "manifest.json")
BINUTILS = {"cortex_m": "arm-none-eabi-", "riscv": "riscv64-unknown-elf-", "avr": "avr-"}
ONE_OF_EACH = [
    ("mps2-an386", "gcc"), ("mps3-an547", "gcc"), ("sifive_e", "gcc"), ("atmega2560", "gcc"),
    ("mps2-an386", "zig"), ("sifive_e", "zig"),
]  # fmt: skip
BUILD = """
import os, sys
from pathlib import Path
os.umask(int(sys.argv[5], 8))
from lenet_edge.formats import tflite
from lenet_edge.hardware import boards, firmware
firmware.build(tflite.read(Path(sys.argv[1])), boards.load(sys.argv[2]), Path(sys.argv[3]), toolchain=sys.argv[4])
"""


def binutil(board: str, name: str) -> str:
    tool = BINUTILS[boards.load(board).cpu.arch] + name
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    return tool


# --- the same bytes ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("board", "compiler"), ONE_OF_EACH)
def test_another_folder_time_zone_umask_and_hash_seed_give_the_same_bytes(build, tmp_path, board, compiler):
    first = build(board, compiler)
    source, target = tmp_path / "model.tflite", tmp_path / "a folder" / "with äö"
    source.write_bytes(tflite.to_bytes(LENET5))
    temporary = tmp_path / "temporary and quite a bit longer than the usual one"
    temporary.mkdir()
    settings = {"PYTHONHASHSEED": "4711", "TZ": "Asia/Kathmandu", "LC_ALL": "C", "TMPDIR": str(temporary)}
    argv = [sys.executable, "-c", BUILD, source, board, target, compiler, "077"]
    subprocess.run(argv, env={**os.environ, **settings}, check=True, cwd=tmp_path, timeout=300)
    for name in FILES:
        same = (target / name).read_bytes() == (first.folder / name).read_bytes()
        assert same, name
    assert list(temporary.iterdir()) == []


def test_no_folder_of_this_machine_is_in_the_firmware(build):
    for board, compiler in ONE_OF_EACH:
        content = build(board, compiler).elf.read_bytes()
        places = (tempfile.gettempdir(), str(Path(firmware.__file__).parents[2]), sys.prefix)
        assert [place for place in places if place.encode() in content] == []


# --- the files --------------------------------------------------------------------------------------


def read_hex(text: str) -> tuple[dict[int, int], int | None]:
    """(address -> byte, start address) of an Intel HEX file, checked as it is read."""
    found: dict[int, int] = {}
    upper, start, ended = 0, None, False
    for line in text.splitlines():
        assert not ended
        assert line[0] == ":"
        record = bytes.fromhex(line[1:])
        assert sum(record) & 0xFF == 0
        size, address, kind, data = record[0], int.from_bytes(record[1:3], "big"), record[3], record[4:-1]
        assert size == len(data)
        if kind == 0:
            for offset, byte in enumerate(data):
                assert upper + address + offset not in found
                found[upper + address + offset] = byte
        elif kind in (2, 4):
            upper = int.from_bytes(data, "big") << (4 if kind == 2 else 16)
        elif kind in (3, 5):
            start = int.from_bytes(data, "big")
        else:
            assert (kind, data) == (1, b"")
            ended = True
    assert ended
    return found, start


@pytest.mark.parametrize(("board", "compiler"), ONE_OF_EACH)
def test_hex_and_bin_are_what_objcopy_makes(build, tmp_path, board, compiler):
    built = build(board, compiler)
    objcopy = binutil(board, "objcopy")
    for kind in ("ihex", "binary"):
        subprocess.run([objcopy, "-O", kind, built.elf, tmp_path / kind], check=True)
        assert (tmp_path / kind).stat().st_size < 1 << 20  # not the gap up to the RAM
    ours, start = read_hex((built.folder / "firmware.hex").read_text())
    theirs, _ = read_hex((tmp_path / "ihex").read_text())
    same = ours == theirs  # not in the assertion: pytest would explain 65,000 differences
    assert same
    assert start == Elf(built.elf.read_bytes()).entry
    same = (built.folder / "firmware.bin").read_bytes() == (tmp_path / "binary").read_bytes()
    assert same
    origin = boards.load(board).flash.origin
    assert (min(ours), len(ours)) == (origin, built.sizes.flash)
    binary = (built.folder / "firmware.bin").read_bytes()
    assert all(binary[address - origin] == byte for address, byte in ours.items())


@pytest.mark.parametrize(("board", "compiler"), ONE_OF_EACH)
def test_the_map_and_the_manifest(build, board, compiler):
    built = build(board, compiler)
    rows = [line.split() for line in (built.folder / "firmware.map").read_text().splitlines()[1:]]
    by_name = {row[3]: row for row in rows}
    assert {"le_infer_with", "le_infer_step", "infer", "main", "le_reset"} <= set(by_name)
    listed = subprocess.run(
        [binutil(board, "nm"), built.elf], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    address = next(int(line.split()[0], 16) for line in listed if line.endswith(" le_infer_with"))
    assert int(by_name["le_infer_with"][0], 16) == address & ~1
    assert firmware.load(built.folder) == built
    manifest = json.loads((built.folder / "manifest.json").read_text())
    assert manifest["board"] == board
    assert set(manifest["files"]) == set(FILES[:-1])
    assert compiler in manifest["toolchain"]


@pytest.mark.parametrize(("board", "compiler"), ONE_OF_EACH)
def test_no_heap_no_float_no_library(build, board, compiler):
    """What a compiler calls for float or a heap has these names (Arm's RTABI, libgcc's manual)."""
    built = build(board, compiler)
    argv = [binutil(board, "nm"), built.elf]
    names = {line.split()[-1] for line in subprocess.run(argv, capture_output=True, text=True).stdout.splitlines()}
    soft = ("__aeabi_f", "__aeabi_d", "__aeabi_i2f", "__aeabi_i2d", "__aeabi_l2f", "__aeabi_ui2")
    soft += ("__addsf", "__mulsf", "__divsf", "__subsf", "__float", "__fix", "__adddf", "__muldf", "__divdf")
    heap = ("malloc", "free", "calloc", "realloc", "_sbrk", "sbrk", "printf", "__aeabi_atexit", "__cxa")
    assert [name for name in names if name.startswith((*soft, *heap))] == []
    assert "le_infer_with" in names


# --- C that is clean --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("board", "compiler", "model"),
    [
        *((board, compiler, LENET5) for board, compiler in ONE_OF_EACH),
        *((board, "gcc", sample_models.lenet5_sigmoid(5, "ordinary")) for board in ("mps2-an386", "atmega2560")),
    ],
)
def test_sources_compile_without_a_warning(tmp_path, board, compiler, model):
    """Infinite recursion is one. GCC also says how much stack a function takes: a fixed number of bytes, not much."""
    workbench.need(board, compiler)
    described = boards.load(board)
    chosen = toolchain.choose(described, compiler)
    strict = ["-Wconversion", "-Wshadow", "-Wstrict-prototypes", "-Wvla", "-Werror"]
    strict += ["-Winfinite-recursion"] if compiler == "gcc" and described.cpu.arch != "avr" else []
    strict += ["-fstack-usage", "-Wstack-usage=256"] if compiler == "gcc" else ["-Wframe-larger-than=256"]
    stricter = dataclasses.replace(chosen, compiler=(*chosen.compiler, *strict))
    plan = c_source.make_plan(model, described.cpu.kernels)
    firmware._write_sources(plan, described, tmp_path, row_bytes=0)
    sources = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.c"))
    assert {"app/main.c", "port/port.c", "kernels/le_model.c"} <= set(sources)
    for source in sources:
        toolchain.compile_source(stricter, tmp_path, source, "-Os" if source.startswith("app") else "-O2")
    usage = [line.split("\t") for path in tmp_path.rglob("*.su") for line in path.read_text().splitlines()]
    assert all(kind == "static" for *_, kind in usage)
    assert bool(usage) == (compiler == "gcc")


# --- what does not fit ------------------------------------------------------------------------------


def own_board(cli, **changes: tuple[str, str]) -> Path:
    """The TOML of an mps2-an386 of one's own, with some texts changed."""
    text = (targets_folder() / "mps2-an386.toml").read_text().replace('name = "mps2-an386"', 'name = "mine"')
    for old, new in changes.values():
        assert old in text
        text = text.replace(old, new)
    path = cli.folder / "mine.toml"
    path.write_text(text)
    return path


def sized(flash: str = "0x400000", ram: str = "0x400000") -> dict[str, tuple[str, str]]:
    header = "origin = 0x00000000\nsize_bytes = ", "origin = 0x20000000\nsize_bytes = "
    return {
        "flash": (f"{header[0]}0x400000", f"{header[0]}{flash}"),
        "ram": (f"{header[1]}0x400000", f"{header[1]}{ram}"),
    }


def test_over_the_budget_of_flash(cli):
    budget = "[port]", "[budget]\nflash_bytes = 60_000\n\n[port]"
    done = cli("build", "--board", own_board(cli, budget=budget), "--model", cli.model)
    tables = c_source.facts(c_source.make_plan(tflite.read(cli.folder / cli.model), "cortex_m_dsp"))["table_bytes"]
    said = f"tables of the model {tables:,}, code "
    refused(done, 1, "over budget: flash:", "more than the 60,000 of mine", said)
    assert "RAM:" not in done.stderr
    assert not (cli.folder / "build").exists()


def test_over_the_budget_of_ram(cli):
    budget = "[port]", "[budget]\nram_bytes = 3_000\n\n[port]"
    done = cli("build", "--board", own_board(cli, budget=budget), "--model", cli.model)
    refused(done, 1, "over budget: RAM:", "more than the 3,000 of mine", "workspace 3,0", "buffer 792", "stack 1,024")
    assert "flash:" not in done.stderr


def test_over_both_budgets(cli):
    budget = "[port]", "[budget]\nram_bytes = 3_000\nflash_bytes = 60_000\n\n[port]"
    done = cli("build", "--board", own_board(cli, budget=budget), "--model", cli.model)
    refused(done, 1, "over budget: flash:", "; RAM:")


@pytest.mark.parametrize("compiler", ["gcc", "zig"])
@pytest.mark.parametrize(
    ("flash", "ram", "said"),
    [
        ("0x8000", "0x400000", ["flash:", "more than the 32,768 of mine"]),
        ("0x400000", "0x800", ["RAM:", "more than the 2,048 of mine"]),
        ("0x400000", "0xD48", ["RAM:", "more than the 3,400 of mine"]),  # buffers fit, and the stack does not
        ("0x4000", "0x800", ["flash:", "RAM:"]),
    ],
)
def test_more_than_the_memory_there_is(cli, compiler, flash, ram, said):
    """The linker finds it first; what is too big is named all the same."""
    workbench.need("mps2-an386", compiler)
    board = own_board(cli, **sized(flash, ram))
    done = cli("build", "--board", board, "--model", cli.model, "--toolchain", compiler)
    refused(done, 1, "over budget: ", *said)


def test_exactly_what_there_is_fits(cli, build):
    sizes = build("mps2-an386").sizes
    ram = sizes.ram + -sizes.ram % 8
    done = cli("build", "--board", own_board(cli, **sized(hex(sizes.flash), hex(ram))), "--model", cli.model, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["flash_bytes"] <= sizes.flash


def test_a_build_that_fails_leaves_what_was_there(cli):
    out = cli.folder / "out"
    assert cli("build", "--board", own_board(cli), "--model", cli.model, "--out", out).returncode == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    budget = "[port]", "[budget]\nflash_bytes = 60_000\n\n[port]"
    done = cli("build", "--board", own_board(cli, budget=budget), "--model", cli.model, "--out", out)
    assert done.returncode == 1
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


# --- what is missing --------------------------------------------------------------------------------

WITHOUT_ZIG = "import sys; sys.modules['ziglang'] = None\nimport importlib.util as u; find = u.find_spec\n"
WITHOUT_ZIG += "u.find_spec = lambda name, *rest: None if name == 'ziglang' else find(name, *rest)\n"
WITHOUT_ZIG += "from lenet_edge.cli import main; main()"


@pytest.mark.parametrize(
    ("board", "parts"),
    [
        ("microbit", ["arm-none-eabi-gcc is missing (apt-get install gcc-arm-none-eabi)", "pip install 'lenet-edge["]),
        ("sifive_e", ["apt-get install gcc-riscv64-unknown-elf", "pip install 'lenet-edge[boards]'"]),
        ("atmega2560", ["avr-gcc is missing (apt-get install gcc-avr avr-libc)", "no zig target"]),
    ],
)
def test_without_compilers(cli, board, parts):
    empty = cli.folder / "empty"
    empty.mkdir()
    arguments = ("build", "--board", board, "--model", cli.model)
    done = cli(*arguments, first=("-c", WITHOUT_ZIG), environment={"PATH": str(empty)})
    refused(done, 4, f"no compiler for {board}: ", *parts)


def test_a_compiler_that_was_asked_for_and_is_not_there(cli):
    empty = cli.folder / "empty"
    empty.mkdir()
    arguments = ("build", "--board", "microbit", "--model", cli.model, "--toolchain")
    done = cli(*arguments, "gcc", environment={"PATH": str(empty)})
    refused(done, 4, "arm-none-eabi-gcc is missing (apt-get install gcc-arm-none-eabi)")
    refused(cli(*arguments, "zig", first=("-c", WITHOUT_ZIG)), 4, "zig is missing (pip install 'lenet-edge[boards]')")


def test_without_emulators(cli, build):
    """Of an emulator too the command is named; the firmware is there, and QEMU is not."""
    empty = cli.folder / "empty"
    empty.mkdir()
    data = workbench.data_folder(cli.folder / "data", 1)
    arguments = ("run", "--board", "mps3-an547", "--model", cli.model, "--data", data)
    done = cli(*arguments, "--firmware", build("mps3-an547").folder, environment={"PATH": str(empty)})
    refused(done, 4, "no emulator for mps3-an547 is installed: qemu-system-arm (apt-get install qemu-system-arm)")


def test_a_model_without_a_flat_end(tmp_path):
    """Its logits are [height][width][channels]."""
    workbench.need("mps2-an386", "gcc", "unicorn")
    model = Chain(1, (9, 9, 3), tie_free=True).conv(2, (3, 3), clamp=(-128, 127)).build()
    assert len(model.output.shape) == 3
    board = boards.load("mps2-an386")
    built = firmware.build(model, board, tmp_path / "firmware", toolchain="gcc")
    images = firmware.golden_images(model.input.shape)
    stream = UnicornStream(board, Elf(built.elf.read_bytes()), None)
    device = Device(stream, 60.0)
    assert device.banner().endswith("self-test passed\n")
    device.hello()
    assert (device.infer_all(images) == run(model, images).reshape(len(images), -1)).all()


def test_an_image_that_the_link_does_not_carry(tmp_path):
    model = Chain(1, (260, 260, 1), tie_free=True).conv(2, (3, 3), clamp=(-128, 127)).build()
    with pytest.raises(
        BadInputError, match="an image of 67,600 bytes is more than the firmware's link carries, 65,522"
    ):
        firmware.build(model, boards.load("mps2-an386"), tmp_path / "firmware")
