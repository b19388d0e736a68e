"""The CH32V003, 16 KB of flash and 2 KB of RAM: the whole LeNet-5 with ternary weights, over the small link."""

from __future__ import annotations

import re
import subprocess

import made_elf
import numpy as np
import pytest
import sample_models
import workbench
from few_bits_models import with_levels
from random_chains import Chain

from lenet_edge.errors import CheckFailedError, LinkError
from lenet_edge.hardware import boards, firmware, link, session
from lenet_edge.hardware.elf import Elf, to_binary
from lenet_edge.hardware.emulators import unicorn

NAME = "ch32v003"
TERNARY = with_levels(sample_models.lenet5(51), 1)


def tiny():
    """The layers of `lenet5-tiny`, 8-bit weights."""
    chain = Chain(9, (28, 28, 1), tie_free=True)
    full = (-128, 127)
    chain.conv(4, (5, 5), clamp=full).pool((2, 2)).conv(8, (5, 5), padding="valid", clamp=full).pool((2, 2))
    return chain.flatten().fully_connected(24, full).fully_connected(10, full).build()


@pytest.fixture(scope="module")
def built(build):
    return build(NAME, "gcc", TERNARY)


def run(built, model, images, *, count=False):
    workbench.need(NAME, None, "unicorn")
    return session.connect(boards.load(NAME), built.elf, model.fingerprint, count=count)


def test_the_whole_lenet_5_fits_and_no_logit_differs(built):
    assert built.sizes.flash <= 16_384
    assert built.sizes.ram <= 2_048
    assert (built.sizes.weights, built.sizes.tables) == (13_476 - 236, 13_476)  # q beside the biases
    images = workbench.images(TERNARY, 60)
    with run(built, TERNARY, images) as running:
        logits = running.device.infer_all(images)
        hello = running.device.hello()
        assert (logits != workbench.reference(TERNARY, images)).sum() == 0
        assert running.banner == ""
        assert (hello.steps, hello.input_bytes, hello.output_bytes, hello.counter_unit) == (5, 784, 10, "cycles")
        assert hello.buffer_bytes == built.sizes.buffers
        assert 0 < hello.stack_used <= built.stack_depth <= hello.stack_size * 3 // 4 == 288
        running.device.exit(7)
        with pytest.raises(LinkError, match="ended with status 7"):
            running.device.hello()


def test_instructions(built):
    images = workbench.images(TERNARY, 2)
    with run(built, TERNARY, images, count=True) as running:
        running.device.infer_all(images)
        calls = running.counts()
    assert [len(call.instructions) for call in calls] == [6, 6]
    assert max(sum(call.instructions) for call in calls) <= 2_500_000


def test_it_keeps_to_the_core_s_instructions(built):
    """Unicorn's core has 32 registers, a multiplier and atomics; this one has none of these."""
    objdump = ["riscv64-unknown-elf-objdump", "-d", "-M", "no-aliases", str(built.elf)]
    text = subprocess.run(objdump, capture_output=True, text=True, check=True, timeout=60).stdout
    instructions = re.findall(r"^ +[0-9a-f]+:\t[0-9a-f ]+\t(.*)$", text, re.MULTILINE)
    assert len(instructions) > 800
    assert [each for each in instructions if re.search(r"\b(a[67]|s[2-9]|s1[01]|t[3-6])\b", each)] == []
    assert [each for each in instructions if re.match(r"(mul|div|rem|amo|lr|sc)", each)] == []


def test_all_its_layers_are_said_to_be_packed(built):
    assert dict(built.packing) == dict.fromkeys(["C1", "C3", "C5", "F6", "OUTPUT"], "trits")
    assert built.why_packed == "the rv32e kernels always pack ternary weights"


def test_a_trap_is_a_reset_whatever_was_in_mtvec(built):
    """A boot loader or a debugger may have left anything there; the flash is at address 0 as well."""
    import unicorn as engine
    from unicorn import riscv_const

    workbench.need(NAME, None, "unicorn")
    image = Elf(built.elf.read_bytes())
    emulation = engine.Uc(engine.UC_ARCH_RISCV, engine.UC_MODE_RISCV32)
    emulation.mem_map(0x08000000, 0x4000)
    emulation.mem_write(0x08000000, to_binary(image))
    emulation.reg_write(riscv_const.UC_RISCV_REG_MTVEC, 0x20000125)
    emulation.emu_start(0x08000000, image.symbols["le_start"].address, count=50)
    assert emulation.reg_read(riscv_const.UC_RISCV_REG_MTVEC) == 0


def test_another_network_with_8_bit_weights(build):
    model = tiny()
    built = build(NAME, "gcc", model)
    images = workbench.images(model, 20)
    with run(built, model, images) as running:
        assert (running.device.infer_all(images) != workbench.reference(model, images)).sum() == 0


def test_what_does_not_fit_says_by_how_much(tmp_path):
    workbench.need(NAME, "gcc")
    model = with_levels(sample_models.lenet5(51), 7)  # 4 bits: three digits for each weight
    with pytest.raises(CheckFailedError, match=r"flash: 4\d,\d{3} bytes, 2\d,\d{3} more than the 16,384 of ch32v003"):
        firmware.build(model, boards.load(NAME), tmp_path / "firmware")


def test_frames_are_refused(tmp_path):
    with pytest.raises(Exception, match="no memory for a camera's frames"):
        firmware.build(TERNARY, boards.load(NAME), tmp_path / "firmware", row_bytes=640)


# --- the link -------------------------------------------------------------------------------------


def test_what_the_small_link_does_not_have_is_answered(built):
    image = workbench.images(TERNARY, 1).tobytes()
    with run(built, TERNARY, image) as running:
        device = running.device
        with pytest.raises(LinkError, match="does not know this request"):
            device.profile(image)
        with pytest.raises(LinkError, match="wrong length"):
            device.infer(image[:-1])
        running.device.stream.write(b"\x05noise\0")  # a delimiter within a block is an error reply, not an end
        assert len(device.infer(image)[0]) == 10


def test_damaged_tables_are_noticed(built, tmp_path):
    content = bytearray(built.elf.read_bytes())
    image = Elf(bytes(content))
    table = next(symbol for name, symbol in image.symbols.items() if name.endswith("c5_table"))
    part = next(part for part in image.loads if part.virtual <= table.address < part.virtual + part.file_bytes)
    content[part.offset + table.address - part.virtual + 777] ^= 4
    damaged = tmp_path / "firmware.elf"
    damaged.write_bytes(content)
    connection = session.connect(boards.load(NAME), damaged, TERNARY.fingerprint)
    with pytest.raises(LinkError, match="the CRC of the weights is wrong"), connection:
        pass
    stream = unicorn.start(boards.load(NAME), damaged)
    device = link.Device(stream)
    device.ready()
    device.hello()
    with pytest.raises(LinkError, match="refuses to infer"):
        device.infer(bytes(784))


# --- the emulator ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lui", "address"),
    [(0x20001, 0x20000800), (0x40012, 0x40011800), (0x40014, 0x40013C00)],
    ids=["behind the RAM", "behind a port's registers", "behind the UART's"],
)
def test_a_stray_access_faults(lui, address, tmp_path):
    """lui a5; sw or lw with that register: Unicorn maps whole pages, the chip has nothing there."""
    workbench.need(NAME, None, "unicorn")
    offset = address - (lui << 12) & 0xFFF
    store = offset >> 5 << 25 | 15 << 15 | 2 << 12 | (offset & 31) << 7 | 0x23
    load = offset << 20 | 15 << 15 | 2 << 12 | 14 << 7 | 0x03
    for access in (store, load):
        code = np.array([lui << 12 | 15 << 7 | 0x37, access, 0x0000006F], "<u4").tobytes()  # then a loop for ever
        path = tmp_path / "stray.elf"
        path.write_bytes(made_elf.elf([made_elf.Part(0x08000000, 0x08000000, code)], entry=0x08000000, machine=243))
        stream = unicorn.start(boards.load(NAME), path)
        with pytest.raises(LinkError, match=f"there is nothing at 0x{address:08x}"):
            stream.read(5)
