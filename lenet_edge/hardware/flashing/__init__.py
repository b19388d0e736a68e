"""From checked firmware to a running board: the gate, the tools that write, and the stages that prove it runs."""

from lenet_edge.hardware.flashing.flashers import COPIES, EMULATOR, FLASHERS, Commands, Job, commands, target_of
from lenet_edge.hardware.flashing.gate import Candidate, Condition, TestSet, examine, read_records
from lenet_edge.hardware.flashing.stages import Flashed, Stage, flash

__all__ = [
    "COPIES",
    "EMULATOR",
    "FLASHERS",
    "Candidate",
    "Commands",
    "Condition",
    "Flashed",
    "Job",
    "Stage",
    "TestSet",
    "commands",
    "examine",
    "flash",
    "read_records",
    "target_of",
]
