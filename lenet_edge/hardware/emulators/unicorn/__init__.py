"""Unicorn: runs the whole ELF in this process, with a model of the board's UART; no root, no other program.

The firmware is the shipped one. It runs only while somebody reads from the
stream, and stops when it asks for a byte that is not there: nothing is waited
for, and two runs are equal to the last instruction.
"""

from lenet_edge.hardware.emulators.unicorn.stream import UnicornStream, start, version

__all__ = ["UnicornStream", "start", "version"]
