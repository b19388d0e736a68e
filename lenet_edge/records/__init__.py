"""The records that commands leave for one another: for each its format, a dataclass, one strict reader, one writer.

| record | by | reader |
|---|---|---|
| `build/check.json` | `check` | `read_check` |
| `build/firmware/BOARD/manifest.json` | `build` | `read_build` |
| `build/TARGET/manifest.json` | `export` | `read_manifest`; for C: `read_exported_c` |
| `build/bench/BOARD.json` | `bench` | `read_bench` |
| `build/budget.json` | `budget` | `read_budget` |
| `build/pipeline.json` | `pipeline` | `read_pipeline` |
| `build/flash.log` | `flash` | `read_flash_log` |
| the `.json` next to the int8 model | `quantize` | `read_quantize` |
| the `.fit.json` next to it | `quantize --fit-board` | `read_fit` |
| `build/sweep/STUDY/sweep.json` | `sweep` | `read_sweep` |

A record decides what gets onto a board, and it is a file that anybody can edit: it is read as data. Every figure has
a type and a range, an unknown field is refused, and so are figures that contradict each other, so that none of them is
taken for a result. A record of another version is refused with the command that makes it again.
"""

from lenet_edge.records.artefact import MANIFEST, Manifest, read_manifest, require_manifest, write_artefact
from lenet_edge.records.bench import BenchRecord, LayerCount, read_bench, write_bench
from lenet_edge.records.budget import BudgetRecord, Measure, read_budget, write_budget
from lenet_edge.records.build import BuildRecord, Sizes, read_build, write_build
from lenet_edge.records.check import OUR_C, CheckRecord, Difference, EngineResult, read_check, shortfall, write_check
from lenet_edge.records.confusion import Confusion
from lenet_edge.records.exported_c import ExportedC, read_exported_c
from lenet_edge.records.fields import WrongRecordError
from lenet_edge.records.fit import FitChoice, FitRecord, FitRow, read_fit
from lenet_edge.records.flash import FlashEvent, FlashResult, FlashStage, append_flash, read_flash_log
from lenet_edge.records.pipeline import PipelineRecord, StepRecord, read_pipeline, write_pipeline
from lenet_edge.records.quantize import ProofRecord, ProvedLayer, QuantizeRecord, read_quantize
from lenet_edge.records.sweep import SweepRecord, SweepRow, read_sweep, write_sweep

__all__ = [
    "MANIFEST",
    "OUR_C",
    "BenchRecord",
    "BudgetRecord",
    "BuildRecord",
    "CheckRecord",
    "Confusion",
    "Difference",
    "EngineResult",
    "ExportedC",
    "FitChoice",
    "FitRecord",
    "FitRow",
    "FlashEvent",
    "FlashResult",
    "FlashStage",
    "LayerCount",
    "Manifest",
    "Measure",
    "PipelineRecord",
    "ProofRecord",
    "ProvedLayer",
    "QuantizeRecord",
    "Sizes",
    "StepRecord",
    "SweepRecord",
    "SweepRow",
    "WrongRecordError",
    "append_flash",
    "read_bench",
    "read_budget",
    "read_build",
    "read_check",
    "read_exported_c",
    "read_fit",
    "read_flash_log",
    "read_manifest",
    "read_pipeline",
    "read_quantize",
    "read_sweep",
    "require_manifest",
    "shortfall",
    "write_artefact",
    "write_bench",
    "write_budget",
    "write_build",
    "write_check",
    "write_pipeline",
    "write_sweep",
]
