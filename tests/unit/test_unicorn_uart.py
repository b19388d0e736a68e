"""The UART model alone, as TOML describes it: no processor runs."""

from __future__ import annotations

import re

import pytest

from lenet_edge.hardware import boards
from lenet_edge.hardware.boards import Flag, Uart, UartReceive, UartTransmit
from lenet_edge.hardware.emulators.unicorn.uart import PATIENCE, UartModel


class Machine:
    """An emulation that notes when it is told to stop."""

    def __init__(self, described: Uart) -> None:
        self.stops = 0
        self.uart = UartModel(described, self.stop)
        self.base = described.base % 4096

    def stop(self) -> None:
        self.stops += 1

    def read(self, register: int) -> int:
        return self.uart.read(None, self.base + register, 4, None)

    def write(self, register: int, value: int) -> None:
        self.uart.write(None, self.base + register, 4, value, None)


def machine(receive: UartReceive, transmit: UartTransmit, base: int = 0x40004000) -> Machine:
    return Machine(Uart(base, 0x400, receive, transmit, "nowhere"))


FLAGGED = UartReceive(0, ready=Flag(4, 2, 2))
SENDING = UartTransmit(0, ready=Flag(4, 1, 0))


def test_ready_flags_of_both_directions_in_one_register():
    device = machine(FLAGGED, SENDING)
    assert device.read(4) == 0  # room to send is a 0 in bit 0, no byte a 0 in bit 1
    device.uart.received.extend(b"ab")
    assert device.read(4) == 2
    assert (device.read(0), device.read(4)) == (ord("a"), 2)
    assert (device.read(0), device.read(4)) == (ord("b"), 0)


def test_a_flag_that_is_0_when_there_is_a_byte():
    device = machine(UartReceive(0, ready=Flag(8, 0x30, 0x10)), UartTransmit(4, ready=Flag(12, 0x80, 0x80)))
    assert (device.read(8), device.read(12)) == (0x20, 0x80)
    device.uart.received.append(1)
    assert device.read(8) == 0x10


def test_an_empty_value_in_the_data_register():
    device = machine(UartReceive(4, empty=0x80000000), UartTransmit(0, ready=Flag(0, 0x80000000, 0)))
    assert device.read(4) == 0x80000000
    device.uart.received.extend(b"\0\xff")
    assert [device.read(4) for _ in range(3)] == [0, 0xFF, 0x80000000]
    assert device.read(0) == 0  # not full


def test_what_is_written_is_sent():
    device = machine(FLAGGED, UartTransmit(0x28))
    for value in (0, 0x1FF, 65):
        device.write(0x28, value)
    device.write(0, 66)  # another register
    device.write(8, 66)
    assert bytes(device.uart.sent) == b"\0\xff\x41"


def test_it_sleeps_only_when_nothing_is_there_and_not_at_once():
    device = machine(FLAGGED, SENDING)
    for _ in range(PATIENCE - 1):
        device.read(4)
    assert device.stops == 0
    device.read(4)
    assert device.stops == 1


def test_sending_is_no_idling():
    device = machine(FLAGGED, SENDING)
    for _ in range(10):  # as port_putc waits for room
        device.read(4)
        device.write(0, 1)
    assert device.stops == 0


def test_it_does_not_sleep_while_there_are_bytes():
    device = machine(FLAGGED, SENDING)
    device.uart.received.extend(bytes(100))
    for _ in range(100):
        assert device.read(4) & 2
        device.read(0)
    assert device.stops == 0


def test_other_registers_read_as_0():
    device = machine(FLAGGED, SENDING)
    device.uart.received.append(7)
    assert [device.read(register) for register in (8, 12, 0x100)] == [0, 0, 0]
    assert list(device.uart.received) == [7]


def test_registers_count_from_the_base_not_from_the_page():
    device = machine(FLAGGED, SENDING, base=0x40004400)
    device.uart.received.extend(b"x")
    assert (device.read(4), device.read(0)) == (2, ord("x"))
    assert device.uart.read(None, 0, 4, None) == 0  # the start of the page


@pytest.mark.parametrize("name", [name for name in boards.board_names() if boards.load(name).uart is not None])
def test_every_board_waits_sleeps_and_receives(name):
    """Each port's own loops, in Python: wait for a byte, wait for room."""
    described = boards.load(name).uart
    assert described is not None
    device = Machine(described)
    receive, transmit = described.receive, described.transmit

    def has_byte() -> bool:
        if receive.ready is not None:
            return device.read(receive.ready.offset) & receive.ready.mask == receive.ready.value
        return device.read(receive.data) != receive.empty

    for _ in range(PATIENCE):
        assert device.stops == 0
        assert not has_byte()
    assert device.stops == 1
    device.uart.received.append(0x5A)
    if receive.ready is not None:
        assert has_byte()
    assert device.read(receive.data) == 0x5A
    assert transmit.ready is not None
    assert device.read(transmit.ready.offset) & transmit.ready.mask == transmit.ready.value
    device.write(transmit.data, 0xA5)
    assert bytes(device.uart.sent) == b"\xa5"
    assert re.search(r"\d|manual|Manual", described.source)
