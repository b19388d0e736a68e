"""What the pipeline shows at its end: the result of each step, and the single commands to go on with."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from lenet_edge import strict_json
from lenet_edge.cli import common, confusion
from lenet_edge.cli.pipeline_order import Order
from lenet_edge.cli.pipeline_steps import TARGETS, policy_of
from lenet_edge.files import RECORD_BYTES, read_bytes
from lenet_edge.records import MANIFEST, CheckRecord, read_build, read_check

if TYPE_CHECKING:
    from lenet_edge.hardware.boards import Board
    from lenet_edge.pipeline import Outcome

__all__ = ["Summary"]


class Summary:
    """The result as one JSON object, and as text; after a failure, of the steps before it."""

    def __init__(self, order: Order, outcomes: Sequence[Outcome], failure: str = "") -> None:
        self._order, self._outcomes, self._failure = order, outcomes, failure
        self._done = {outcome.name for outcome in outcomes}

    def content(self) -> dict[str, Any]:
        """What ``--json`` prints."""
        order = self._order
        return {
            "data": order.data,
            "out": str(order.out),
            "model": str(order.model),
            "steps": [vars(outcome) for outcome in self._outcomes],
            "failure": self._failure,
            **(self._quantized() if "quantize" in self._done else {}),
            **(self._checked() if "check" in self._done else {}),
            "boards": {board.name: self._board(board) for board in order.boards},
            "commands": self.by_hand(),
            "next": [] if self._failure else self.next(),
        }

    def tables(self) -> list[Table | str]:
        """What is printed otherwise."""
        order = self._order
        names = ", ".join(board.name for board in order.boards)
        table = common.new_table(f"{order.data} to {names}", "step", "", "s", left=2)
        for outcome in self._outcomes:
            table.add_row(outcome.name, self._figure(outcome.name), f"{outcome.seconds:.1f}" if outcome.why else "")
        lines: list[Table | str] = [*self._confusion(), table]
        if self._failure:
            return [*lines, f"NOT done: {self._failure}"]
        if not any(outcome.why for outcome in self._outcomes):
            lines.append("nothing has changed: no step was repeated (--force repeats all of them)")
        lines += [f"{board.name} did not run: no emulator has it" for board in order.boards if not board.emulator.names]
        lines += ["", "the same by hand:", *_indented(self.by_hand())]
        return [*lines, "", "and then:", *_indented(self.next())]

    def _confusion(self) -> list[Table | str]:
        """What int8 takes for what."""
        import numpy as np

        found = read_check(self._order.check_record).confusion if "check" in self._done else None
        return [] if found is None else confusion.tables_of(np.array(found.matrix, np.int64), found.classes)

    # --- figures ------------------------------------------------------------------------------------

    def _quantized(self) -> dict[str, Any]:
        report = _report(self._order.model.with_suffix(".json"))
        names = ("fingerprint", "float_accuracy", "int8_accuracy", "drop_points")
        proof = {name: report["proof"][name] for name in ("passed", "cases", "disagreements")}
        return {**{name: report[name] for name in names}, "proof": proof}

    def _checked(self) -> dict[str, Any]:
        record = read_check(self._order.check_record)
        ran = {engine.name: engine.logits_differ for engine in record.engines if engine.status == "ran"}
        return {"images": record.images, "passed": record.passed, "logits_differ": ran}

    def _board(self, board: Board) -> dict[str, Any]:
        if f"build {board.name}" not in self._done:
            return {}
        built = read_build(self._order.firmware(board) / MANIFEST, board.argument)
        found = {"folder": str(self._order.firmware(board)), "image_sha256": built.image_sha256}
        return {**found, "flash_bytes": built.sizes.flash, "ram_bytes": built.sizes.ram}

    def _figure(self, step: str) -> str:
        """The result of a step, in a few words."""
        from lenet_edge.learning import checkpoint

        kind, _, name = step.partition(" ")
        if kind == "build" and name:
            sizes = self._board(next(board for board in self._order.boards if board.name == name))
            return f"{sizes['flash_bytes']:,} bytes of flash, {sizes['ram_bytes']:,} of RAM"
        if kind == "check":
            return _differences(read_check(self._order.check_record), name)
        if kind == "train":
            facts = checkpoint.load(self._order.float_model).metadata
            accuracy = f"validation {100 * facts['validation_accuracy']:.2f} %"
            return f"{facts['arch']}: {accuracy}, after epoch {facts['epochs_done']}"
        if kind == "export":
            return ", ".join(str(self._order.out / target) for target in TARGETS)
        report = _report(self._order.model.with_suffix(".json"))
        proof = report["proof"]
        return (
            f"test set: float {100 * report['float_accuracy']:.2f} %, int8 {100 * report['int8_accuracy']:.2f} %; "
            f"{proof['disagreements']} disagreements in {proof['cases']:,} cases"
        )

    # --- command lines ------------------------------------------------------------------------------

    def by_hand(self) -> list[str]:
        """The single commands that do the same."""
        order = self._order
        model, data = ("--model", order.model), ("--data", order.data)
        seed = ("--seed", order.seed) if order.seed else ()
        transpose = ("--transpose",) if order.transpose else ()
        network = ("--network", order.network, *_given("--recipe", order.recipe))
        train = (*network, *transpose, *_request(order), *_given("--epochs", order.epochs), *seed)
        weights = ("--class-weights",) if order.class_weights else ()
        quantize = (*_given("--epochs", order.quantize_epochs), *(seed if order.quantize_epochs != 0 else ()))
        optimize = ("--optimize", order.optimize) if order.optimize != "speed" else ()
        folder = order.out / "firmware"
        return [
            _line("train", *data, *train, *weights, "--out", order.float_model),
            _line("quantize", "--model", order.float_model, *data, *quantize, "--out", order.model),
            *(_line("build", *_at(board), *model, *optimize, "--out", folder / board.name) for board in order.boards),
            *(_line("export", "--target", target, *model, "--out", order.out / target) for target in TARGETS),
            self._check(),
        ]

    def next(self) -> list[str]:
        """What to do with the result: look at the mistakes, run it, flash it."""
        order, lines = self._order, [f"{self._check('--sheet', self._order.out / 'worst.png')}"]
        for board in order.boards:
            what = (*_at(board), "--model", order.model, "--data", order.data, "--firmware", order.firmware(board))
            if board.emulator.names:
                lines.append(_line("run", *what))
            record = () if order.check_record == Path("build/check.json") else ("--check", order.check_record)
            policy = policy_of(order, board)
            lines.append(_line("flash", *what, *record, *(("--policy", policy) if policy.exists() else ())))
        return lines

    def _check(self, *more: object) -> str:
        order = self._order
        boards = [word for board in order.boards if board.emulator.names for word in _at(board)]
        where = ("--exports", order.out, "--out", order.check_record) if order.out != Path("build") else ()
        drop = _given("--max-drop", self._allowed())
        return _line("check", "--model", order.model, "--data", order.data, *boards, *drop, *where, *more)

    def _allowed(self) -> str | None:
        """What int8 may lose, unless that is the default of `check`."""
        if self._order.max_drop is not None:
            return f"{self._order.max_drop:g}"
        if "check" not in self._done:
            return None
        drop = read_check(self._order.check_record).max_drop
        return None if drop == common.MAX_DROP else f"{math.ceil(1e4 * drop) / 1e4:g}"


def _report(path: Path) -> Any:
    """What `quantize` said about the model."""
    return strict_json.parse(read_bytes(path, "the report", limit=RECORD_BYTES))


def _differences(record: CheckRecord, board: str) -> str:
    """How many logits differ, for one board or for all engines that are not boards."""
    from lenet_edge.parity import board_of

    ours = [each for each in record.engines if board_of(each.name) == board and each.name != "reference"]
    ran = [engine for engine in ours if engine.status == "ran"]
    absent = [engine.name for engine in ours if engine.status == "absent"]
    differ = sum(engine.logits_differ or 0 for engine in ran)
    who = f"{len(ran)} engines" if not board else ran[0].name.partition("/")[2] if ran else "nothing"
    missing = f"; not installed: {', '.join(absent)}" if absent else ""
    return f"{differ} logits differ on {record.images:,} test images ({who}{missing})"


def _request(order: Order) -> tuple[object, ...]:
    """The options of the images' size and colour, as they were given."""
    request = order.request
    size = ("--size", f"{request.width}x{request.height}") if request.width else ()
    colour = () if request.channels is None else ("--colour",) if request.channels == 3 else ("--grey",)
    module = order.module
    weights = _given("--weights", module.weights)
    scale = [_given(name, _numbers(values)) for name, values in (("--mean", module.mean), ("--std", module.std))]
    return (*size, *colour, *_given("--crop", request.crop), *weights, *scale[0], *scale[1])


def _numbers(values: tuple[float, ...] | None) -> str | None:
    return None if values is None else ",".join(f"{value:g}" for value in values)


def _given(option: str, value: object) -> tuple[object, ...]:
    return () if value is None else (option, value)


def _at(board: Board) -> tuple[object, ...]:
    return ("--board", board.argument)


def _line(*words: object) -> str:
    return shlex.join(["lenet-edge", *map(str, words)])


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"    {line}" for line in lines]
