"""What `lenet-edge quantize` says of its result: accuracy, signal-to-noise ratio of each layer, proof."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from lenet_edge.cli import common, confusion

if TYPE_CHECKING:
    from lenet_edge.parity import FloatComparison
    from lenet_edge.quantized.model import QuantizedModel
    from lenet_edge.quantized.proof import Proof
    from lenet_edge.records import FitRecord

__all__ = ["Report", "tables"]


@dataclass(frozen=True)
class Report:
    """What `quantize` says of the result.

    Attributes:
        answers: those of the int8 model on the test images.
        proof: None for an ordinary grid, which has none.
        fit: what --fit-board found; a record of its own.
    """

    frozen: QuantizedModel
    comparison: FloatComparison
    answers: confusion.Answers
    sqnr_db: Mapping[str, float]
    proof: Proof | None
    fit: FitRecord | None = None

    def content(self) -> dict[str, object]:
        """The JSON object: the report next to the model."""
        proof = self.proof
        return {
            "fingerprint": self.frozen.fingerprint,
            **self.frozen.metadata,
            "float_accuracy": self.comparison.float_accuracy,
            "int8_accuracy": self.answers.accuracy,
            "drop_points": self.comparison.drop_points,
            "drop_interval": list(self.comparison.drop_interval),
            "mcnemar_p": self.comparison.mcnemar_p,
            "confusion": asdict(self.answers.recorded()),
            "sqnr_db": self.sqnr_db,
            "proof": None
            if proof is None
            else {
                "passed": proof.passed,
                "cases": proof.cases,
                "disagreements": proof.disagreements,
                "layers": [asdict(layer) for layer in proof.layers],
            },
        }


def tables(out: Path, report: Report) -> list[Table | str]:
    """As the terminal shows it."""
    comparison = report.comparison
    low, high = comparison.drop_interval
    return [
        *(_proof_tables(report.proof, report.sqnr_db) if report.proof is not None else [_sqnr_table(report.sqnr_db)]),
        f"test set: float {100 * comparison.float_accuracy:.2f} %, int8 {100 * report.answers.accuracy:.2f} %, "
        f"drop {comparison.drop_points:.2f} points (95 % interval {low:.2f} to {high:.2f})",
        f"{out}: model {report.frozen.fingerprint}",
    ]


def _proof_tables(proof: Proof, sqnr_db: Mapping[str, float]) -> list[Table | str]:
    rules = list(dict.fromkeys(rule for layer in proof.layers for rule in layer.disagreements))
    title = "proof: cases in which a rounding rule differs from the ideal result"
    table = common.new_table(title, "layer", "channels", "q", "cases", *rules, "SQNR dB")
    for layer in proof.layers:
        q = "table" if layer.q_min is None else f"{layer.q_min}..{layer.q_max}"
        counts = [str(layer.disagreements.get(rule, "")) for rule in rules]
        sqnr = f"{sqnr_db[layer.name]:.1f}" if layer.name in sqnr_db else ""
        table.add_row(common.short_name(layer.name), str(layer.channels), q, f"{layer.cases:,}", *counts, sqnr)
    return [table, f"{proof.cases:,} cases under every rule, {proof.disagreements} disagreements"]


def _sqnr_table(sqnr_db: Mapping[str, float]) -> Table:
    table = common.new_table("ordinary int8: no proof, runtimes will differ (see `check`)", "layer", "SQNR dB")
    for name, value in sqnr_db.items():
        table.add_row(common.short_name(name), f"{value:.1f}")
    return table
