"""Boards with an Arm microcontroller: their images by the architecture's manuals, their ports by the chips' manuals.

That their firmware gives the right logits, in every emulator they have, is in test_boards_run.py.
"""

from __future__ import annotations

import struct

import pytest
import workbench
from workbench import LENET5

from lenet_edge.errors import CheckFailedError
from lenet_edge.hardware import boards, firmware
from lenet_edge.hardware.elf import Elf
from lenet_edge.hardware.emulators import unicorn
from lenet_edge.resources import targets_folder

CORTEX_M = [name for name in boards.board_names() if boards.load(name).cpu.arch == "cortex_m"]
BAUD = 115_200

# --- the image ------------------------------------------------------------------------------------

# Armv7-M Architecture Reference Manual (DDI 0403), B1.5.2 and B1.5.3: the vector table's words, by exception number.
STACK_POINTER, RESET, NMI, HARD_FAULT, SV_CALL, PEND_SV, SYS_TICK = 0, 1, 2, 3, 11, 14, 15
RESERVED = (8, 9, 10, 13)  # in Armv8-M and before


BOOT_BYTES = {"pico": 256}  # RP2040 Datasheet, 2.8.1.3: the second boot stage


def vector_table(name: str, image: Elf) -> list[int]:
    """The 16 words at the lowest address, or behind what the boot ROM runs."""
    start = BOOT_BYTES.get(name, 0)
    return list(struct.unpack("<16I", image.segments[0].content[start : start + 64]))


@pytest.mark.parametrize("compiler", ["gcc", "zig"])
@pytest.mark.parametrize("name", CORTEX_M)
def test_the_vector_table(build, name, compiler):
    workbench.need(name, compiler)
    board, image = boards.load(name), Elf(build(name, compiler).elf.read_bytes())
    words = vector_table(name, image)
    assert image.segments[0].address == board.flash.origin
    assert image.segments[0].address % 128 == 0  # B3.2.5: VTOR has bits 31..7 of the table's address
    # B1.5.5: the stack grows downwards from it; AAPCS: it is a multiple of 8.
    assert board.ram.origin < words[STACK_POINTER] <= board.ram.end
    assert words[STACK_POINTER] % 8 == 0
    code = range(board.flash.origin + 64, board.flash.origin + image.flash_bytes)
    for number in (RESET, NMI, HARD_FAULT, SV_CALL, PEND_SV, SYS_TICK):
        assert words[number] & 1, f"exception {number} would leave the Thumb state"
        assert words[number] - 1 in code
    assert words[RESET] - 1 == image.symbols["le_reset"].address
    assert image.entry == words[RESET]
    assert [words[number] for number in RESERVED] == [0] * len(RESERVED)


@pytest.mark.parametrize("compiler", ["gcc", "zig"])
@pytest.mark.parametrize("name", CORTEX_M)
def test_everything_is_inside_the_memories(build, name, compiler):
    workbench.need(name, compiler)
    board, built = boards.load(name), build(name, compiler)
    image = Elf(built.elf.read_bytes())
    for part in image.segments:
        assert board.flash.origin <= part.address
        assert part.address + len(part.content) <= board.flash.end
    in_ram = [symbol for symbol in image.symbols.values() if symbol.section in (".data", ".bss")]
    assert in_ram
    assert all(board.ram.origin <= each.address <= each.address + each.size <= board.ram.end for each in in_ram)
    assert built.sizes.flash <= board.flash.size_bytes
    assert built.sizes.ram <= board.ram.size_bytes


def test_lenet5_does_not_fit_the_smaller_blue_pill(tmp_path):
    """The STM32F103C8 has 64 KB of flash (DS5319)."""
    workbench.need("bluepill", "gcc")
    text = (targets_folder() / "bluepill.toml").read_text()
    assert "size_bytes = 0x20000 # 128 KB" in text
    path = tmp_path / "bluepill-c8.toml"
    path.write_text(text.replace("0x20000 # 128 KB", "0x10000").replace('"bluepill"', '"bluepill-c8"'))
    with pytest.raises(CheckFailedError, match=r"flash: 7\d,\d{3} bytes, .* more than the 65,536 of bluepill-c8"):
        firmware.build(LENET5, boards.load(str(path)), tmp_path / "out", toolchain="gcc")


# --- the port: what it writes into which register ---------------------------------------------------


def stm32f4(rcc_enr: int, rcc_bit: int, usart: int) -> dict[int, tuple[int, int]]:
    """Registers of RM0090 and RM0390, for pins 2 and 3 of GPIOA with AF7; CR1 has UE, TE and RE."""
    return {
        0x40023830: (1 << 0, 1 << 0),  # RCC_AHB1ENR: GPIOAEN
        rcc_enr: (1 << rcc_bit, 1 << rcc_bit),
        0x40020020: (0xFF00, 0x7700),  # GPIOA_AFRL
        0x40020000: (0xF0, 0xA0),  # GPIOA_MODER: alternate function is 0b10
        usart + 0x08: (0xFFFF, 139),  # USARTDIV = 16,000,000 / 115,200 = 138.9
        usart + 0x0C: (0x200C, 0x200C),
    }


def nrf52(tx_pin: int, rx_pin: int, tx_port: int) -> dict[int, tuple[int, int]]:
    """Registers of the nRF52840's and nRF52833's Product Specifications."""
    return {
        0x40000000: (1, 1),  # CLOCK TASKS_HFCLKSTART
        0x4001E540: (1, 1),  # NVMC ICACHECNF: CACHEEN
        0x40000558: (0xFF, 0x5A),  # APPROTECT.DISABLE: SwDisable, because UICR says HwDisabled
        tx_port + 0x518: (1 << tx_pin % 32, 1 << tx_pin % 32),  # DIRSET
        tx_port + 0x508: (1 << tx_pin % 32, 1 << tx_pin % 32),  # OUTSET: an idle line is high
        0x4000250C: (0x8000003F, tx_pin),  # UART PSEL.TXD: connected, port, pin
        0x40002514: (0x8000003F, rx_pin),  # PSEL.RXD
        0x40002524: (0xFFFFFFFF, 0x01D7E000),  # BAUDRATE: Baud115200
        0x40002500: (0xF, 4),  # ENABLE
    }


WRITTEN = {
    # RM0008: RCC_APB2ENR (IOPAEN, USART1EN), GPIOA_CRH (PA9 alternate push-pull 50 MHz, PA10 floating input), USART1.
    "bluepill": {
        0x40021018: (1 << 2 | 1 << 14, 1 << 2 | 1 << 14),
        0x40010804: (0xFF0, 0x4B0),
        0x40013808: (0xFFFF, 69),  # USARTDIV = 8,000,000 / 115,200 = 69.4
        0x4001380C: (0x200C, 0x200C),
    },
    "stm32f4-discovery": stm32f4(0x40023840, 17, 0x40004400),  # RCC_APB1ENR: USART2EN
    "nucleo-f446re": stm32f4(0x40023840, 17, 0x40004400),
    "netduinoplus2": {
        0x40023830: (1 << 0, 1 << 0),
        0x40023844: (1 << 4, 1 << 4),  # RCC_APB2ENR: USART1EN
        0x40020024: (0xFF0, 0x770),  # GPIOA_AFRH: PA9, PA10
        0x40020000: (0xF << 18, 0xA << 18),
        0x40011008: (0xFFFF, 139),
        0x4001100C: (0x200C, 0x200C),
    },
    # RM0351.
    "nucleo-l476rg": {
        0x40021000: (1 << 8, 1 << 8),  # RCC_CR: HSION
        0x40021008: (3, 1),  # RCC_CFGR: SW is HSI16
        0x4002104C: (1 << 0, 1 << 0),  # RCC_AHB2ENR: GPIOAEN
        0x40021058: (1 << 17, 1 << 17),  # RCC_APB1ENR1: USART2EN
        0x48000020: (0xFF00, 0x7700),  # GPIOA_AFRL
        0x48000000: (0xF0, 0xA0),  # GPIOA_MODER
        0x4000440C: (0xFFFF, 139),  # USART_BRR
        0x40004400: (0xD, 0xD),  # USART_CR1: UE, RE, TE
    },
    # RP2040 Datasheet: 2.16 (XOSC), 2.15.7 (CLOCKS), 2.14.3 (RESETS), 2.19.6.1 (IO_BANK0), 4.2.8 (UART0).
    "pico": {
        0x4002400C: (0x3FFF, 47),  # XOSC_STARTUP: 12 MHz * 1 ms / 256
        0x40024000: (0xFFFFFF, 0xFABAA0),  # XOSC_CTRL: enabled, 1 to 15 MHz
        0x4000B03C: (1, 1),  # CLK_SYS_CTRL, cleared bits: SRC is clk_ref
        0x40008030: (3, 2),  # CLK_REF_CTRL: SRC is the crystal
        0x40008048: (0x8E0, 0x800),  # CLK_PERI_CTRL: enabled, from clk_sys
        0x4000F000: (0xFFFFFFFF, 1 << 5 | 1 << 8 | 1 << 22),  # RESETS, cleared bits: IO_BANK0, PADS_BANK0, UART0
        0x40014004: (0x1F, 2),  # GPIO0_CTRL: FUNCSEL 2 is UART0 TX
        0x4001400C: (0x1F, 2),  # GPIO1_CTRL: UART0 RX
        0x40034024: (0xFFFF, 6),  # UARTIBRD: 12,000,000 / (16 * 115,200) = 6.5104
        0x40034028: (0x3F, 33),  # UARTFBRD: 0.5104 * 64 = 32.7
        0x4003402C: (0x7E, 0x70),  # UARTLCR_H: 8 bits, FIFOs, no parity, one stop bit
        0x40034030: (0x301, 0x301),  # UARTCR: UARTEN, TXE, RXE
    },
    "nrf52840-dk": nrf52(6, 8, 0x50000000),  # P0.06, P0.08
    "microbit-v2": nrf52(6, 32 + 8, 0x50000000),  # P0.06, P1.08
    "nano-33-ble": nrf52(32 + 3, 32 + 10, 0x50000300),  # P1.03, P1.10
}
VTOR, SYST_CSR = 0xE000ED08, 0xE000E010
# What these registers hold before: the reset value where it matters.
BEFORE = {
    0x10001208: 0xFFFFFF5A,  # UICR.APPROTECT: HwDisabled
    0x48000000: 0xABFFFFFF,  # the L4's GPIOA_MODER: most pins are analog
    0x40010804: 0x44444444,  # the F1's GPIOA_CRH: floating inputs
    0x40020000: 0xA8000000,  # the F4's GPIOA_MODER: the debugger's pins
}


def started(board: boards.Board, image: Elf) -> tuple[dict[int, int], bytes]:
    """(register -> what was last written to it, the banner) of firmware that has come up in Unicorn."""
    import unicorn as package

    stream = unicorn.UnicornStream(board, image, None)
    written: dict[int, int] = {}
    described = board.emulator.unicorn
    assert described is not None
    mapped = [range(region.origin, region.end) for region in described.plain_memory]
    for address, value in BEFORE.items():
        if any(address in region for region in mapped):
            stream._emulation.mem_write(address, value.to_bytes(4, "little"))

    def record(_emulation, _kind, address, _size, value, _):
        written[address] = value & 0xFFFFFFFF

    stream._emulation.hook_add(package.UC_HOOK_MEM_WRITE, record, begin=0x40000000, end=0xFFFFFFFF)
    banner = b""
    while not banner.endswith(b"\0"):
        banner += stream.read(10)
    return written, banner


@pytest.mark.parametrize("name", sorted(WRITTEN))
def test_what_the_port_sets_up(build, name):
    workbench.need(name, "gcc", "unicorn")
    board = boards.load(name)
    written, banner = started(board, Elf(build(name).elf.read_bytes()))
    assert b"self-test passed" in banner
    wrong = {
        hex(address): (hex(written.get(address, 0)), hex(value))
        for address, (mask, value) in WRITTEN[name].items()
        if written.get(address, 0) & mask != value
    }
    assert wrong == {}
    for address, before in BEFORE.items():  # other pins are left as they were
        if address in written and address in WRITTEN[name]:
            mask, _ = WRITTEN[name][address]
            assert written[address] & ~mask == before & ~mask
    if name != "pico":  # there the boot stage sets it: test_boot.py
        assert written[VTOR] == board.flash.origin  # a boot loader may have left its own
    assert written[SYST_CSR] == 5  # Armv7-M manual, B3.3.3: on, no interrupt, the processor's clock


@pytest.mark.parametrize(
    ("name", "register"),
    [("bluepill", 0x40013808), ("stm32f4-discovery", 0x40004408), ("nucleo-l476rg", 0x4000440C)],
)
def test_the_baud_rate_is_within_what_a_uart_takes(name, register):
    """The divisors of `WRITTEN`; the internal oscillators err by another 1 %, and together it may be some 3 %."""
    _, divisor = WRITTEN[name][register]
    assert abs(boards.load(name).cpu.clock_hz / divisor / BAUD - 1) < 0.01
