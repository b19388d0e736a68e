"""le_prepare on a Cortex-M0 in Unicorn against numpy: every byte of 10,000 random frames."""

import shutil
import struct
import subprocess

import prepare_cases
import pytest

from lenet_edge.resources import firmware_folder

CODE, DATA, DATA_BYTES = 0x10000, 0x2000_0000, 1 << 26
RETURN = CODE - 0x100  # where the program ends
FLAGS = ("-mcpu=cortex-m0", "-mthumb", "-O2", "-std=gnu99", "-ffreestanding", "-fno-tree-loop-distribute-patterns")
LINK = ("-nostdlib", "-static", f"-Wl,-Ttext={CODE:#x}", "-Wl,-e,run_cases", "-lgcc")


def firmware(folder):
    """The program as bytes from CODE on, and its entry."""
    gcc, objcopy = (shutil.which(f"arm-none-eabi-{name}") for name in ("gcc", "objcopy"))
    if gcc is None or objcopy is None:
        pytest.skip("arm-none-eabi-gcc is missing")
    names = prepare_cases.sources(folder)
    shutil.copy(firmware_folder() / "libc" / "memory.c", folder)
    shutil.copy(firmware_folder() / "libc" / "string.h", folder)
    for argv in (
        [gcc, *FLAGS, "-I.", *names, "memory.c", *LINK, "-o", "cases.elf"],
        [objcopy, "-O", "binary", "cases.elf", "cases.bin"],
    ):
        done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
    (entry,) = struct.unpack_from("<I", (folder / "cases.elf").read_bytes(), 24)
    return (folder / "cases.bin").read_bytes(), entry


def test_10_000_random_frames(tmp_path):
    unicorn = pytest.importorskip("unicorn")
    arm = pytest.importorskip("unicorn.arm_const")
    cases, expected = prepare_cases.random_cases(10_000)
    packed = b"".join(case.packed() for case in cases)
    results = DATA + (len(packed) + 0xFFF & ~0xFFF)
    assert results + sum(map(len, expected)) < DATA + DATA_BYTES - 0x10000  # the stack's
    program, entry = firmware(tmp_path)
    machine = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
    machine.ctl_set_cpu_model(arm.UC_CPU_ARM_CORTEX_M0)
    machine.mem_map(0, 1 << 20)
    machine.mem_map(DATA, DATA_BYTES)
    machine.mem_write(CODE, program)
    machine.mem_write(DATA, packed)
    registers = {
        arm.UC_ARM_REG_R0: DATA,
        arm.UC_ARM_REG_R1: len(cases),
        arm.UC_ARM_REG_R2: results,
        arm.UC_ARM_REG_SP: DATA + DATA_BYTES,
        arm.UC_ARM_REG_LR: RETURN | 1,
    }
    for register, value in registers.items():
        machine.reg_write(register, value)
    machine.emu_start(entry | 1, RETURN)
    assert machine.reg_read(arm.UC_ARM_REG_PC) == RETURN
    found = bytes(machine.mem_read(results, machine.reg_read(arm.UC_ARM_REG_R0)))
    assert prepare_cases.first_difference(cases, expected, found) == ""
