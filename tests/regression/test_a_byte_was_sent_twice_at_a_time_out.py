"""A reader's time-out stopped Unicorn amid an access to the UART, and it repeated that access when it went on.

A byte was then sent twice, or one that the firmware had taken was lost. It is stopped at a look at a flag, which can be
repeated, and from outside only where the firmware leaves the UART alone.
"""

import time
from threading import Event

import pytest

from lenet_edge.hardware.boards import Flag, Uart, UartReceive, UartTransmit
from lenet_edge.hardware.emulators.unicorn.uart import UartModel, Watchdog

DATA, FLAGS = 0, 4
UART = Uart(
    0x40004000, 0x400, UartReceive(DATA, ready=Flag(FLAGS, 2, 2)), UartTransmit(8, ready=Flag(FLAGS, 1, 0)), "nowhere"
)


@pytest.fixture
def machine():
    stops = []
    uart = UartModel(UART, lambda: stops.append("at a flag"))
    uart.received.extend(b"ab")
    return uart, stops


def test_it_stops_at_a_flag_and_nowhere_else(machine):
    uart, stops = machine
    uart.stop_soon = True
    assert uart.read(None, DATA, 4, None) == ord("a")
    uart.write(None, 8, 4, ord("x"), None)
    assert (stops, bytes(uart.sent)) == ([], b"x")
    uart.read(None, FLAGS, 4, None)
    assert stops == ["at a flag"]
    assert list(uart.received) == [ord("b")]


def test_firmware_that_talks_is_not_stopped_from_outside(machine):
    uart, _ = machine
    stopped = Event()
    watchdog = Watchdog(0.0, uart, stopped.set)
    until = time.monotonic() + 0.3
    while time.monotonic() < until:
        uart.write(None, 8, 4, 0, None)
    assert uart.stop_soon
    assert not stopped.is_set()
    watchdog.end()


def test_firmware_that_leaves_the_uart_alone_is(machine):
    uart, _ = machine
    stopped = Event()
    watchdog = Watchdog(0.0, uart, stopped.set)
    assert stopped.wait(5)
    watchdog.end()
