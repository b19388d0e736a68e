"""The records that commands leave for one another: their fields, and one strict reader for each.

A record decides what gets onto a board, and it is a file that anybody can edit: it is read as data. Every figure has
a type and a range, and figures that contradict each other are refused, so that none of them is taken for a result.
"""

from lenet_edge.records.boards import BENCH_FORMAT, BenchRecord, BuildRecord, parse_bench, parse_build
from lenet_edge.records.check import CHECK_FORMAT, CheckRecord, EngineRecord, parse_check, read_check, write_check
from lenet_edge.records.fields import Fields, WrongRecordError, load_object, read_record

__all__ = [
    "BENCH_FORMAT",
    "CHECK_FORMAT",
    "BenchRecord",
    "BuildRecord",
    "CheckRecord",
    "EngineRecord",
    "Fields",
    "WrongRecordError",
    "load_object",
    "parse_bench",
    "parse_build",
    "parse_check",
    "read_check",
    "read_record",
    "write_check",
]
