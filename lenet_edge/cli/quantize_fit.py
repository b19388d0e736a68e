"""`quantize --fit-board`: the bits of each layer with which the firmware fits a board, at the best accuracy."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from lenet_edge.cli import common, quantize_work
from lenet_edge.cli.options import refuse_given
from lenet_edge.cli.places import require_place
from lenet_edge.errors import BadInputError, MissingToolError

if TYPE_CHECKING:
    from lenet_edge.bit_allocation import FlashCosts, Found, Kept, Losses
    from lenet_edge.cli.quantize_report import Report
    from lenet_edge.datasets import Dataset
    from lenet_edge.hardware.boards import Board
    from lenet_edge.learning.checkpoint import Checkpoint
    from lenet_edge.learning.network import TorchNetwork
    from lenet_edge.learning.qat_network import QatNetwork
    from lenet_edge.learning.settings import TrainingSet
    from lenet_edge.quantized.model import QuantizedModel
    from lenet_edge.records import FitRecord, FitRow, Sizes

    Trained = tuple[QatNetwork, QuantizedModel]

__all__ = ["FitOptions", "choices_of", "files_of", "fit_options", "fit_to", "kept_network", "tables"]

_ROWS = 24  # of the table: a larger front is shown in part


@dataclass(frozen=True)
class FitOptions:
    """What is to fit.

    Attributes:
        candidates: how many allocations are trained at most.
        optimize: "speed" or "size": the firmware, as `build` has it.
    """

    board: Board
    candidates: int
    optimize: str = "speed"


def fit_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--fit-board NAME``, ``--candidates N``, ``--optimize``; the command gets `fit`, None without a board."""

    @functools.wraps(command)
    def called(fit_board: Board | None, candidates: int, optimize: str, **options: Any) -> Any:
        if fit_board is None:
            refuse_given("without --fit-board", "candidates", "optimize")
        fit = None if fit_board is None else FitOptions(fit_board, candidates, optimize)
        return command(fit=fit, **options)

    for option in reversed(_OPTIONS):
        called = option(called)
    return called


_OPTIONS = (
    click.option(
        "--fit-board",
        type=common.BOARD,
        metavar="NAME",
        help="Find the bits of each layer with which the firmware fits this board, at the best accuracy on the "
        "validation set. --weight-bits F6=8 fixes a layer.",
    ),
    click.option(
        "--candidates",
        type=click.IntRange(1, 100),
        default=3,
        show_default=True,
        help="With --fit-board: train at most so many that fit, and take the best.",
    ),
    functools.partial(common.optimize_option, about="With --fit-board, as `build` has it. "),
)


def files_of(out: Path) -> tuple[Path, Path]:
    """The record and the plot, next to the model."""
    return out.with_suffix(".fit.json"), out.with_suffix(".fit.svg")


def choices_of(fit: FitOptions, weight_bits: str, network: TorchNetwork) -> dict[str, Sequence[int]]:
    """For each layer with weights the bits that it may have.

    Raises:
        BadInputError: there is no such layer, or none whose bits are still to be found.
    """
    from lenet_edge.bit_allocation import BITS
    from lenet_edge.cli.options import given
    from lenet_edge.networks.weight_bits import named_bits, weighted_layers

    names = weighted_layers(network.description)
    if not names:
        raise BadInputError("the network has no layer with weights of its own: --fit-board has nothing to find")
    fixed = named_bits(weight_bits, network.description) if given("weight_bits") else {}
    if fixed.keys() == set(names):
        raise BadInputError(
            f"--weight-bits fixes all layers, so that --fit-board has nothing to find; leave one out, or ask "
            f"`lenet-edge fits MODEL.tflite --board {fit.board.name}` about the result"
        )
    return {name: (fixed[name],) if name in fixed else BITS for name in names}


def fit_to(
    out: Path,
    saved: Checkpoint,
    network: TorchNetwork,
    dataset: Dataset,
    fit: FitOptions,
    choices: Mapping[str, Sequence[int]],
    *,
    epochs: int | None,
    seed: int,
    device: str,
) -> Report:
    """Find the bits, and write the model that has them, with the record and the plot of the search, next to `out`.

    Args:
        network: that of the checkpoint `saved`.
        choices: as of `choices_of`.
        epochs, seed, device: as the command has them.

    Raises:
        BadInputError: as of `quantize_work.quantize_to`.
        CheckFailedError: nothing fits, or the proof found a disagreement; nothing was written.
    """
    settings = {"epochs": epochs, "seed": seed, "device": device}
    suited = quantize_work.suited_to(dataset, network, saved.metadata["classes"])
    search = _Search(saved, network, suited, fit, choices, settings)
    search.require_plot()
    costs = search.costs()
    losses = search.losses(costs)
    found = search.best(costs, losses)
    qat, frozen = found.trained
    report = quantize_work.reported(network, qat, frozen, search.dataset)
    quantize_work.require_proof(report)
    record = _record(costs, losses, found, dataset.name, frozen)
    quantize_work.write(out, qat, report, _files(out, record))
    return replace(report, fit=record)


@dataclass
class _Search:
    """The steps of the search, on one network and one data set."""

    saved: Checkpoint
    network: TorchNetwork
    dataset: Dataset
    fit: FitOptions
    choices: Mapping[str, Sequence[int]]
    settings: Mapping[str, Any]

    @functools.cached_property
    def kept(self) -> Kept:
        """What an interrupted search on the same model and data, with the same settings and code, has found."""
        from lenet_edge.bit_allocation import Kept
        from lenet_edge.pipeline import own_digest

        taught = {"data": self.training_set.sha256, "teacher": self._teacher(), "settings": dict(self.settings)}
        depends_on = {"model": self.saved.sha256, **taught, "code": own_digest()}
        kept = Kept(self.network.description.name, depends_on, common.log)
        require_place(kept.folder, folder=True)
        return kept

    def _teacher(self) -> Mapping[str, Any] | None:
        """What the recipe's teacher is, of which the model has the name only; None where nothing is learnt from it."""
        from lenet_edge.networks import reader

        teacher = self._recipe.teacher
        return None if teacher is None or self.settings["epochs"] == 0 else reader.to_json(reader.load(teacher))

    @functools.cached_property
    def training_set(self) -> TrainingSet:
        from lenet_edge.learning.training import TrainingSet

        return TrainingSet.of(self.dataset)

    def require_plot(self) -> None:
        """See, before the work, whether the plot can be drawn; `MissingToolError` where it cannot."""
        from lenet_edge.report.training_curve import require_plot

        require_plot(Path("plot.svg"))

    def costs(self) -> FlashCosts:
        """What each choice takes, of the network with 8 bits as post-training quantisation gives it."""
        from lenet_edge.bit_allocation import costs_on, require_room
        from lenet_edge.learning import qat_training

        common.log(f"what fits {self.fit.board.name}: bytes of each layer ...")
        settings = quantize_work.settings_of(self._recipe, 0, {}, seed=0, grid="tie-free", device="cpu")
        qat = qat_training.quantize(self.network, self.network.description, self.training_set, settings)
        costs = costs_on(self.fit.board, self._frozen(qat, {}), self.choices, self.fit.optimize)
        require_room(costs)
        return replace(costs, build=self._built)

    def _built(self, model: QuantizedModel) -> tuple[Sizes, str] | None:
        """The firmware's sizes, each layer packed as densely as it can be; None without a compiler."""
        from lenet_edge.formats.c_source.packing import BYTES, densest_packings
        from lenet_edge.hardware import firmware

        packing = ",".join(f"{name}={each}" for name, each in densest_packings(model).items()) or BYTES
        try:
            return firmware.measure(model, self.fit.board, optimize=self.fit.optimize, packing=packing)
        except MissingToolError as error:
            common.log(f"flash is estimated: {error}")
            return None

    def losses(self, costs: FlashCosts) -> Losses:
        """What each choice loses alone."""
        from lenet_edge.learning.sensitivity import added_losses

        choices = {name: tuple(sizes) for name, sizes in costs.tables.items() if len(sizes) > 1}
        most = sum(each < 8 for sizes in choices.values() for each in sizes)
        there = sum(f"{name}={each}" in self.kept.divergences for name, sizes in choices.items() for each in sizes)
        common.log(f"what each layer loses with few bits: {most} short trainings{self._of_which(there)} ...")

        def say(name: str, bits: int, loss: float) -> None:
            common.log(f"{name} with {bits} bits: {loss:+.5f} nats on the validation set")

        settings = quantize_work.settings_of(self._recipe, grid="tie-free", bits={"": 2}, **self.settings)
        return added_losses(self.network, self.training_set, choices, settings, say, self.kept.divergence)

    def _of_which(self, there: int) -> str:
        return f", of which {self.kept.folder} has {there}" if there else ""

    def best(self, costs: FlashCosts, losses: Losses) -> Found[Trained]:
        """Train those that are expected to lose least."""
        from lenet_edge.bit_allocation import candidates_on, train_best

        return train_best(costs, candidates_on(costs, losses), self.fit.candidates, self._train, common.log)

    def _train(self, bits: Mapping[str, int]) -> tuple[Trained, QuantizedModel, float]:
        from lenet_edge.networks.weight_bits import few_bits_of
        from lenet_edge.quantized.accuracy import accuracy_of

        few = few_bits_of(bits)
        qat = kept_network(self._file_of(bits), self._mark(bits)) or self._trained(bits, few)
        frozen = self._frozen(qat, few)
        accuracy = accuracy_of(frozen, self.dataset.validation_images, self.dataset.validation_labels)
        return (qat, frozen), frozen, accuracy

    def _trained(self, bits: Mapping[str, int], few: Mapping[str, int]) -> QatNetwork:
        """Trained and kept; as its file has it, so that a search that goes on from there finds the same."""
        from lenet_edge.files import write_file
        from lenet_edge.learning import qat_network, qat_weights

        settings = quantize_work.settings_of(self._recipe, grid="tie-free", bits=few, **self.settings)
        qat = quantize_work.train(self.network, self.saved, self.dataset, settings)
        weights, path = qat.weights(self._frozen(qat, few)), self._file_of(bits)
        marked = replace(weights, metadata={**weights.metadata, "search": self._mark(bits)})
        write_file(path, qat_weights.to_bytes(marked))
        return qat_network.load(path)

    def _file_of(self, bits: Mapping[str, int]) -> Path:
        from lenet_edge.bit_allocation import in_words

        return self.kept.weights_file(in_words(bits))

    def _mark(self, bits: Mapping[str, int]) -> list[str]:
        from lenet_edge.bit_allocation import in_words

        return [self.kept.digest, in_words(bits)]

    def _frozen(self, qat: QatNetwork, few: Mapping[str, int]) -> QuantizedModel:
        return quantize_work.frozen_of(qat, self.saved, self.dataset, "tie-free", few)

    @property
    def _recipe(self) -> Any:
        return self.network.description.recipe


def kept_network(path: Path, mark: Sequence[str]) -> QatNetwork | None:
    """What an interrupted search trained; None where it did not, or its file cannot be used.

    Args:
        mark: what the metadata of its own files have as "search".
    """
    from lenet_edge.learning import qat_network, qat_weights

    if not path.exists():
        return None
    try:
        if qat_weights.load(path).metadata.get("search") != list(mark):
            raise BadInputError(f"{path} is of another search")
        network = qat_network.load(path)
    except BadInputError as error:
        common.log(f"training again: {error}")
        return None
    common.log(f"{path} has them, trained before")
    return network


# --- what it leaves -------------------------------------------------------------------------------


def _record(costs: FlashCosts, losses: Losses, found: Found[Trained], data: str, frozen: QuantizedModel) -> FitRecord:
    from lenet_edge.records import FitChoice, FitRecord, FitRow

    return FitRecord(
        board=costs.board.name,
        flash_budget_bytes=costs.board.flash_budget_bytes,
        data=data,
        fingerprint=frozen.fingerprint,
        chosen=found.candidates.index(found.chosen),
        optimize=costs.optimize,
        choices=tuple(
            FitChoice(name, bits, size, losses.get(name, {}).get(bits, 0.0))
            for name, sizes in costs.tables.items()
            for bits, size in sizes.items()
        ),
        front=tuple(FitRow(**vars(each)) for each in found.candidates),
    )


def _files(out: Path, record: FitRecord) -> dict[str, bytes]:
    from lenet_edge.files import to_json
    from lenet_edge.report.charts import Point, draw_allocations, standing_alone

    points = [Point(row.flash_bytes, row.expected_loss, row.validation_accuracy) for row in record.front]
    budget = (record.board, record.flash_budget_bytes)
    plot = draw_allocations(points, record.chosen, budget, "fit", f"bits of the layers that fit {record.board}")
    written, drawn = files_of(out)
    return {written.name: to_json(record.content()).encode(), drawn.name: standing_alone(plot)}


def tables(out: Path, record: FitRecord | None) -> list[Table | str]:
    """The front, and what was chosen; nothing where nothing was searched."""
    if record is None:
        return []
    layers = list(record.front[0].bits)
    title = f"what fits {record.board}: {record.flash_budget_bytes:,} bytes of flash"
    columns = [*map(common.short_name, layers), "flash", "expected loss", "int8 %", "verdict"]
    table = common.new_table(title, "", *columns, left=1)
    table.columns[-1].justify = "left"
    for place in _shown(record):
        row = record.front[place]
        chosen = place == record.chosen
        table.add_row(str(place), *_cells(row, layers), _verdict(row, chosen=chosen), style="bold" if chosen else None)
    written, drawn = files_of(out)
    notes = [] if len(record.front) <= _ROWS else [f"{len(record.front)} allocations are in the record"]
    return [table, *notes, f"{written}: the record, {drawn}: the plot"]


def _cells(row: FitRow, layers: Sequence[str]) -> list[str]:
    accuracy = "" if row.validation_accuracy is None else f"{100 * row.validation_accuracy:.2f}"
    bits = [str(row.bits[name]) for name in layers]
    return [*bits, f"{row.flash_bytes:,}", f"{row.expected_loss:.5f}", accuracy]


def _verdict(row: FitRow, *, chosen: bool) -> str:
    over = [f"{by:,} bytes of {what}" for what, by in (("flash", row.over_bytes), ("RAM", row.ram_over_bytes)) if by]
    return f"{' and '.join(over)} over" if over else "FITS, chosen" if chosen else "FITS"


def _shown(record: FitRecord) -> list[int]:
    """The places of the rows that are shown: what was trained, and others evenly."""
    count = len(record.front)
    if count <= _ROWS:
        return list(range(count))
    trained = {place for place, row in enumerate(record.front) if row.validation_accuracy is not None}
    evenly = {round(step * (count - 1) / (_ROWS - 1)) for step in range(_ROWS)}
    return sorted(trained | evenly)
