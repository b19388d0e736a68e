"""The seam between the generated C and the functions that compute a step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lenet_edge.formats.c_source.packing import BYTES
from lenet_edge.formats.c_source.steps import Step
from lenet_edge.formats.c_source.tables import Table

__all__ = ["Kernel"]


@dataclass(frozen=True, eq=False)
class Kernel:
    """What computes one step: int8 [height][width][channels] in, the same out, whatever it does in between.

    Attributes:
        name: for the reader of `bench`: the family, and which of its functions.
        sources: the files of `firmware/kernels` that it needs, `FOLDER/FILE`.
        calls: (inputs, output, scratch) as C expressions of type int8_t * -> the statements that compute the step; an
            input that is a constant is the name of its table.
        tables: its constants, in the order of the checksum.
        definitions: what else stands at file scope of le_model.c, after the tables: structures that point to them.
        headers: of the sources, those that the definitions and calls need besides le_kernels.h.
        scratch_bytes: of workspace, 4-byte aligned, that it needs besides input and output.
        packing: of the weights, of `packing.PACKINGS` or `packing.BYTES`.
        packs_itself: the tables are as dense as the weights allow, whatever packing is asked for.
        rows_at_once: rows of the output that it writes before it reads on, where it writes them in order and while it
            does so reads no input above the first that these rows see; 0 where it does not, or is not known to.
        parts: what is called, where that is several steps of a few rows each (`bands`): (step, kernel, how often).
        why_plain: why the family that was asked for has no fast path for this step; empty where it has one.
        runner_up: the name of the second best kernel; empty where there is no choice.
        runner_up_more: how much more that would take, by the counted costs: 0.06 for 6 %.
    """

    name: str
    sources: tuple[str, ...]
    calls: Callable[[tuple[str, ...], str, str], tuple[str, ...]]
    tables: tuple[Table, ...] = ()
    definitions: str = ""
    headers: tuple[str, ...] = ()
    scratch_bytes: int = 0
    packing: str = BYTES
    packs_itself: bool = False
    rows_at_once: int = 0
    parts: tuple[tuple[Step, Kernel, int], ...] = ()
    why_plain: str = ""
    runner_up: str = ""
    runner_up_more: float = 0.0
