"""How chips with a boot ROM begin: each format by its definition, each first instruction in Unicorn."""

from __future__ import annotations

import struct

import pytest
import workbench

from lenet_edge.hardware import boards
from lenet_edge.hardware.elf import Elf, to_binary

COMPILERS = pytest.mark.parametrize("compiler", ["gcc", "zig"])
RISCV = [name for name in workbench.holders() if boards.load(name).cpu.arch == "riscv"]


def crc32(data: bytes) -> int:
    """RP2040 Datasheet, 2.8.1.3.1: polynomial 0x04c11db7, 0xffffffff at first, bits and result not reflected.

    As a division of polynomials: the first 32 bits are inverted, which is what the initial value does.
    """
    number = int.from_bytes(data + bytes(4), "big") ^ 0xFFFFFFFF << 8 * len(data)
    for bit in range(8 * len(data) - 1, -1, -1):
        if number >> bit + 32 & 1:
            number ^= 0x1_04C1_1DB7 << bit
    return number


# --- RP2040 -----------------------------------------------------------------------------------------


def test_the_crc_of_the_standard_s_check_value():
    """CRC-32/MPEG-2 in the Catalogue of parametrised CRC algorithms: check 0x0376e6e7 of "123456789"."""
    assert crc32(b"123456789") == 0x0376E6E7


@COMPILERS
def test_the_boot_rom_of_the_rp2040_takes_the_boot_stage(build, compiler):
    workbench.need("pico", compiler)
    built = build("pico", compiler)
    image = Elf(built.elf.read_bytes())
    binary = (built.folder / "firmware.bin").read_bytes()
    assert image.segments[0].address == 0x10000000
    assert struct.unpack("<I", binary[252:256]) == (crc32(binary[:252]),)
    assert binary == to_binary(image)
    uf2 = (built.folder / "firmware.uf2").read_bytes()
    first = struct.unpack("<8I", uf2[:32])
    assert first[:4] == (0x0A324655, 0x9E5D5157, 0x00002000, 0x10000000)
    assert first[7] == 0xE48BFF56  # microsoft/uf2, utils/uf2families.json: RP2040
    assert uf2[32 : 32 + 256] == binary[:256]


@COMPILERS
def test_the_boot_stage_wherever_the_boot_rom_puts_it(build, compiler):
    """2.8.1.2: it is copied to the end of SRAM5 and entered there; 4.10.2: the SSI is set up while it is off."""
    workbench.need("pico", compiler, "unicorn")
    import unicorn
    from unicorn import arm_const

    binary = (build("pico", compiler).folder / "firmware.bin").read_bytes()
    stack, reset = struct.unpack("<II", binary[256:264])
    emulation = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
    emulation.ctl_set_cpu_model(arm_const.UC_CPU_ARM_CORTEX_M0)
    for start, size in ((0x10000000, 1 << 21), (0x20000000, 0x42000), (0x18000000, 4096), (0xE000E000, 4096)):
        emulation.mem_map(start, size)
    emulation.mem_write(0x10000000, binary)
    emulation.mem_write(0x20041F00, binary[:256])
    writes: list[tuple[int, int]] = []
    emulation.hook_add(unicorn.UC_HOOK_MEM_WRITE, lambda *seen: writes.append((seen[2], seen[4])))
    emulation.emu_start(0x20041F01, reset & ~1, count=200)

    assert emulation.reg_read(arm_const.UC_ARM_REG_PC) == reset & ~1
    assert emulation.reg_read(arm_const.UC_ARM_REG_SP) == stack
    assert dict(writes)[0xE000ED08] == 0x10000100  # VTOR
    ssi = [(address - 0x18000000, value) for address, value in writes if address >> 12 == 0x18000]
    assert (ssi[0], ssi[-1]) == ((0x08, 0), (0x08, 1))  # SSIENR
    # 4.10.13: CTRLR0 with DFS_32 31, TMOD 3 (EEPROM read), SPI_FRF 0; SPI_CTRLR0 with XIP_CMD 03h, INST_L 8 bits (2),
    # ADDR_L 24 bits (6 * 4), no wait cycles, command and address on one line.
    assert dict(ssi)[0x00] == 31 << 16 | 3 << 8
    assert dict(ssi)[0x04] == 0
    assert dict(ssi)[0xF4] == 0x03 << 24 | 2 << 8 | 6 << 2
    assert dict(ssi)[0x14] % 2 == 0
    assert dict(ssi)[0x14] >= 2


# --- ESP32-C3 ---------------------------------------------------------------------------------------


@COMPILERS
def test_the_boot_rom_of_the_esp32_c3_starts_the_flash_directly(build, compiler):
    """esp32c3-direct-boot-example, README.md: eight bytes of magic at 0, the first instruction at 8."""
    workbench.need("esp32-c3", compiler)
    built = build("esp32-c3", compiler)
    image = Elf(built.elf.read_bytes())
    binary = (built.folder / "firmware.bin").read_bytes()
    assert binary[:8] == bytes.fromhex("1d04dbae1d04dbae")
    assert image.entry == 0x42000008
    assert [part.address for part in image.segments] == [0x42000000]  # one piece, for esptool
    assert len(binary) < 4 << 20


@COMPILERS
def test_tables_lie_where_loads_see_the_flash(build, compiler):
    """0x42000000 is for instructions only: Unicorn maps it without the right to read, so that a load there faults."""
    workbench.need("esp32-c3", compiler)
    built = build("esp32-c3", compiler)
    image = Elf(built.elf.read_bytes())
    binary = (built.folder / "firmware.bin").read_bytes()
    tables = [each for each in image.symbols.values() if each.section == ".rodata" and each.size]
    assert sum(each.size for each in tables) > 60_000
    for each in tables:
        offset = each.address - 0x3C000000
        assert 0 < offset < len(binary)
        assert image.content(each) == binary[offset : offset + each.size]


# --- RISC-V -----------------------------------------------------------------------------------------


@COMPILERS
@pytest.mark.parametrize("name", RISCV)
def test_the_trap_s_address_is_one_that_every_core_takes(build, name, compiler):
    """ESP32-C3 Technical Reference Manual, mtvec: bits 31 to 8. Nuclei's manual: bits 31 to 6; the others: 31 to 2."""
    workbench.need(name, compiler)
    image = Elf(build(name, compiler).elf.read_bytes())
    assert image.symbols["le_trap"].address % 256 == 0
    assert image.entry == image.symbols["le_reset"].address
    assert image.entry == boards.load(name).flash.origin + (8 if name == "esp32-c3" else 0)


@COMPILERS
def test_the_gd32vf103_may_begin_at_the_alias_of_its_flash(build, compiler):
    """User Manual, boot configuration: main flash is at 0x08000000 and, when booted from, at 0 too."""
    workbench.need("longan-nano", compiler, "unicorn")
    import unicorn
    from unicorn import riscv_const

    image = Elf(build("longan-nano", compiler).elf.read_bytes())
    emulation = unicorn.Uc(unicorn.UC_ARCH_RISCV, unicorn.UC_MODE_RISCV32)
    for origin in (0x00000000, 0x08000000):
        emulation.mem_map(origin, 0x20000)
        emulation.mem_write(origin, to_binary(image))
    begin = image.symbols["le_start"].address
    emulation.emu_start(0x00000000, begin, count=50)
    assert emulation.reg_read(riscv_const.UC_RISCV_REG_PC) == begin
    assert emulation.reg_read(riscv_const.UC_RISCV_REG_SP) == 0x20008000
    assert emulation.reg_read(riscv_const.UC_RISCV_REG_MTVEC) == image.symbols["le_trap"].address


WRITTEN = {
    # FE310-G002 Manual: PRCI (hfxosccfg, pllcfg: bypass, refsel crystal, sel), GPIO (IOF of pins 16 and 17), UART.
    "hifive1-revb": {
        0x10008004: (1 << 30, 1 << 30),
        0x10008008: (7 << 16, 7 << 16),
        0x10012038: (3 << 16, 3 << 16),
        0x1001203C: (3 << 16, 0),
        0x10013018: (0xFFFF, 139 - 1),  # div: 16,000,000 / 115,200 = 138.9, less one
        0x10013008: (1, 1),
        0x1001300C: (1, 1),
    },
    # GD32VF103 User Manual: RCU_APB2EN (PAEN, USART0EN), GPIOA_CTL1, USART0.
    "longan-nano": {
        0x40021018: (1 << 2 | 1 << 14, 1 << 2 | 1 << 14),
        0x40010804: (0xFF0, 0x4B0),  # PA9: alternate function, push-pull, 50 MHz; PA10: floating input
        0x40013808: (0xFFFF, 69),  # USART_BAUD: 8,000,000 / 115,200 = 69.4
        0x4001380C: (0x200C, 0x200C),  # USART_CTL0: UEN, TEN, REN
    },
    # ESP32-C3 Technical Reference Manual: watchdogs, SYSTEM_SYSCLK_CONF, UART.
    "esp32-c3": {
        0x60008090: (0xFFFFFFFF, 0),  # RTC_CNTL_WDTCONFIG0: neither enabled nor for flash boot
        0x6001F048: (0xFFFFFFFF, 1 << 22),  # TIMG_WDTCONFIG0: the same, and CONF_UPDATE_EN
        0x600080AC: (1 << 31, 1 << 31),  # RTC_CNTL_SWD_CONF: AUTO_FEED_EN
        0x600080A8: (0xFFFFFFFF, 0),  # and the keys are taken back
        0x600080B0: (0xFFFFFFFF, 0),
        0x6001F064: (0xFFFFFFFF, 0),
        0x600C0058: (0xFFF, 0),  # SYSCLK_CONF: the crystal, not divided
        0x60000078: (0xFFF << 12 | 0xFFF, 1 << 22 | 3 << 20),  # UART_CLK_CONF: enabled, XTAL, not divided
        0x60000014: (0xF00FFF, 347 | 4 << 20),  # UART_CLKDIV: 40,000,000 / 115,200 = 347.22, in 16ths 3.6
        0x60000020: (0x3F, 3 << 2 | 1 << 4),  # UART_CONF0: 8 bits, one stop bit, no parity
        0x60000080: (1 << 31, 1 << 31),  # UART_ID: UPDATE
    },
}


@pytest.mark.parametrize("name", sorted(WRITTEN))
def test_what_the_port_sets_up(build, name):
    workbench.need(name, "gcc", "unicorn")
    import unicorn as package

    from lenet_edge.hardware.emulators import unicorn

    stream = unicorn.UnicornStream(boards.load(name), Elf(build(name).elf.read_bytes()), None)
    written: dict[int, int] = {}

    def record(_emulation, _kind, address, _size, value, _):
        written[address] = value & 0xFFFFFFFF

    for address in WRITTEN[name]:
        stream._emulation.hook_add(package.UC_HOOK_MEM_WRITE, record, begin=address, end=address)
    banner = b""
    while not banner.endswith(b"\0"):
        banner += stream.read(10)
    assert b"self-test passed" in banner
    found = {hex(address): hex(written.get(address, 0xDEAD) & mask) for address, (mask, _) in WRITTEN[name].items()}
    assert found == {hex(address): hex(value) for address, (_, value) in WRITTEN[name].items()}
