"""A board that one plugs in, flashes anew and unplugs: an emulated one at a pseudo-terminal."""

from __future__ import annotations

import contextlib
import os
import threading

import terminals

from lenet_edge.hardware import boards
from lenet_edge.hardware.elf import Elf
from lenet_edge.hardware.emulators.unicorn import UnicornStream


class Plugged:
    """A board at a pseudo-terminal, whose device is a link that goes when it is unplugged."""

    def __init__(self, folder):
        self.device = folder / "ttyBoard"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.device.is_symlink():
            self.unplug()

    def flash(self, built):
        """As a debug probe does, through another wire: the port stays as it is."""
        stream = UnicornStream(boards.load(built.board), Elf(built.elf.read_bytes()), None)
        stream.read(60)  # the banner, which nobody hears
        self._stream = stream

    def plug_in(self, built):
        self.flash(built)
        self._master, self._port, name = terminals.serial_port()
        os.set_blocking(self._master, False)
        self.device.symlink_to(name)
        self._unplugged = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        while not self._unplugged.wait(0.002):
            with contextlib.suppress(BlockingIOError):
                data, stream = os.read(self._master, 4096), self._stream
                stream.write(data)
                while sent := stream.read(60):
                    os.write(self._master, sent)

    def unplug(self):
        self._unplugged.set()
        self._thread.join()
        self.device.unlink()
        os.close(self._master)
        os.close(self._port)
