"""From checked firmware to a running board: the gate, the tools that write, and the stages that prove it runs."""

from lenet_edge.hardware.flashing.connection import (
    WITH_PROBE,
    Connection,
    choose_tool,
    command_lines,
    find_connection,
)
from lenet_edge.hardware.flashing.flashers import COPIES, EMULATOR, FLASHERS, Commands, Job, commands, target_of
from lenet_edge.hardware.flashing.gate import Candidate, Condition, examine, read_records
from lenet_edge.hardware.flashing.log import FlashLog
from lenet_edge.hardware.flashing.policies import Asked, TestSet, asked_of, test_set
from lenet_edge.hardware.flashing.stages import Flashed, flash
from lenet_edge.hardware.flashing.verdict import Verdict, judge, refusal

__all__ = [
    "COPIES",
    "EMULATOR",
    "FLASHERS",
    "WITH_PROBE",
    "Asked",
    "Candidate",
    "Commands",
    "Condition",
    "Connection",
    "FlashLog",
    "Flashed",
    "Job",
    "TestSet",
    "Verdict",
    "asked_of",
    "choose_tool",
    "command_lines",
    "commands",
    "examine",
    "find_connection",
    "flash",
    "judge",
    "read_records",
    "refusal",
    "target_of",
    "test_set",
]
