"""What `sweep` does on this machine: trials, tests, and the files that it leaves."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from lenet_edge.cli import common, picture_options, sweep_tables
from lenet_edge.errors import BadInputError, CheckFailedError, MissingToolError
from lenet_edge.files import write_file
from lenet_edge.version import __version__

if TYPE_CHECKING:
    from lenet_edge.cli.sweep_options import Asked
    from lenet_edge.datasets import Dataset
    from lenet_edge.hardware.boards import Board
    from lenet_edge.preparation.request import PreparationRequest
    from lenet_edge.quantized.model import QuantizedModel
    from lenet_edge.records import SweepRecord
    from lenet_edge.sweep.plan import Plan
    from lenet_edge.sweep.space import Space
    from lenet_edge.sweep.storage import Storage
    from lenet_edge.sweep.study import Claim, SweepStudy
    from lenet_edge.sweep.worker import Outcome, WorkerSettings

__all__ = ["Here", "joined", "require_plot"]


def require_plot() -> None:
    """See, before the work, whether the plot can be drawn.

    Raises:
        MissingToolError: matplotlib is not installed.
    """
    try:
        import markupsafe  # noqa: F401
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise MissingToolError(
            f"the plot is drawn by matplotlib, which cannot be imported ({error}). "
            "Install with: pip install 'lenet-edge[sweep]'"
        ) from error


def joined(storage: Storage, name: str, asked: Asked, space: Space | None, told: tuple[int | None, str | None]) -> Here:
    """Make the study, or join it.

    Args:
        space: None joins one that exists.
        told: a heartbeat and a sampler; None takes the study's, or the usual.

    Raises:
        BadInputError: there is no such study, it sweeps something else, or its images are not those here.
    """
    from lenet_edge.sweep.plan import Plan, data_digest
    from lenet_edge.sweep.study import open_study

    if space is None:
        study = open_study(storage, name, None, *told)
        _warn_of_versions(study.plan)
        here = Here(study, name, _board(study.plan.board), lambda: _same_data(study.plan, asked.data))
        if asked.data is not None:
            _ = here.dataset  # who names one wants to know whether it is the study's, also where nothing is left to do
        return here
    board, data = _board(asked.board), asked.data or "mnist"
    transpose = picture_options.transposes(data, asked.transpose)
    dataset = _load(data, asked.request, transpose=transpose)
    from lenet_edge.sweep.trial import require_networks  # torch takes seconds

    require_networks(space, dataset)
    plan = Plan(space, data, data_digest(dataset), asked.request, transpose, asked.board)
    study = open_study(storage, name, plan, *told)
    _warn_of_versions(study.plan)
    return Here(study, name, board, lambda: dataset)


class Here:
    """A study on this machine.

    Attributes:
        name: the study's.
        board: whose flash is counted; None counts weights and biases.
    """

    def __init__(self, study: SweepStudy, name: str, board: Board | None, load: Callable[[], Dataset]) -> None:
        self.study, self.name, self.board, self._load = study, name, board, load

    @cached_property
    def dataset(self) -> Dataset:
        """The study's, as it is here."""
        return self._load()

    def require_apart(self, folder: Path, data: str | None) -> None:
        """Refuse to write the folders of trials into that of the pictures, each of which would be a class there.

        Args:
            data: as this worker names it; None takes the study's.

        Raises:
            BadInputError: the folder is that of the data set, or within one of pictures.
        """
        from lenet_edge.datasets import NAMES, stores_arrays

        named = data or self.study.plan.data
        pictures, out = Path(named).resolve(), folder.resolve()
        within = pictures in out.parents and not stores_arrays(named)
        if named not in NAMES and pictures.is_dir() and (out == pictures or within):
            raise BadInputError(f"--out {folder} is in the folder of the data set, {named}: choose another place")

    def work(self, folder: Path, settings: WorkerSettings, device: str) -> None:
        """Take trials until none is open, or as many as the settings allow."""
        from lenet_edge.sweep.worker import work

        if settings.most == 0 or all(each.state == "complete" for each in self.study.standings()):
            return
        _ = self.dataset  # what is wrong with it is known before a trial is taken
        count = work(self.study, lambda claim: self._trial(claim, folder, device), settings, common.log)
        common.log(f"this worker completed {count} trial{'' if count == 1 else 's'}")

    def test(self, folder: Path) -> None:
        """Measure the models of this machine on the test set, those that nobody has measured."""
        from lenet_edge.sweep.trial import test_model

        elsewhere = 0
        for each in self.study.standings():
            if each.attempt is None or each.attempt.result is None or each.tested is not None:
                continue
            result = each.attempt.result
            if not (file := folder / str(result["file"])).exists():
                elsewhere += 1
                continue
            self.study.note_test(each.attempt.trial, test_model(file, str(result["fingerprint"]), self.dataset))
        if elsewhere:
            common.log(f"{elsewhere} models are not in {folder}: run sweep --test on the machines that have them, too")

    def write(self, folder: Path) -> SweepRecord:
        """Write the record and the plot."""
        from lenet_edge.records import WrongRecordError, write_sweep
        from lenet_edge.sweep.summary import record_of

        record = record_of(self.study, self.name)
        try:
            write_sweep(folder / "sweep.json", record)
        except WrongRecordError as error:  # anybody may write to a database
            where = f"the study {self.name!r} in {record.storage}"
            raise BadInputError(f"{where} has results that no sweep has noted: {error}") from None
        if (plot := sweep_tables.draw(record, f"accuracy against flash: study {self.name}")) is not None:
            write_file(folder / "sweep.svg", plot)
        return record

    def _trial(self, claim: Claim, folder: Path, device: str) -> Outcome:
        """Train and quantise in a folder of its own."""
        from lenet_edge.sweep.trial import run_trial
        from lenet_edge.sweep.worker import Outcome

        started, own = time.monotonic(), _own_folder(folder, claim.folder)
        found = run_trial(self.study.plan.space, claim.configuration, self.dataset, own, device, common.log)
        flash = self._flash(found.model)
        result = {
            "validation_accuracy": found.validation_accuracy,
            "float_validation_accuracy": found.float_validation_accuracy,
            "flash_bytes": flash,
            "seconds": round(time.monotonic() - started, 3),
            "fingerprint": found.model.fingerprint,
            "file": f"{own.name}/{found.file.name}",
            "lenet_edge": __version__,
        }
        return Outcome((found.validation_accuracy, flash), result)

    def _flash(self, model: QuantizedModel) -> int:
        from lenet_edge.estimate import estimate
        from lenet_edge.formats.c_source import weight_bytes

        if self.board is None:
            return weight_bytes(model)
        found = estimate(model, self.board)
        if found.flash_bytes is None:
            raise CheckFailedError(f"the firmware of {self.board.name} cannot hold it: {found.problem}")
        return found.flash_bytes


def _own_folder(folder: Path, name: str) -> Path:
    """A new folder; one of this name may be there from another storage."""
    for number in range(1, 1000):
        own = folder / (name if number == 1 else f"{name}-{number}")
        try:
            own.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise BadInputError(
                f"cannot make the folder {own}: {error.strerror}. Choose another place with --out"
            ) from None
        return own
    raise BadInputError(f"{folder} has a thousand folders {name}: choose another place with --out")


def _board(name: str | None) -> Board | None:
    from lenet_edge.hardware import boards

    return None if name is None else boards.load(name)


def _warn_of_versions(plan: Plan) -> None:
    if plan.version != __version__:
        common.log(f"warning: the study was made by lenet-edge {plan.version}; this is {__version__}, which may train")
        common.log("differently: use one version for all workers, or take another --study")


def _same_data(plan: Plan, data: str | None) -> Dataset:
    """The study's data set, which may have another name here."""
    from lenet_edge.sweep.plan import data_digest, require_same_data

    dataset = _load(data or plan.data, plan.request, transpose=plan.transpose)
    require_same_data(plan, data_digest(dataset), data or plan.data)
    return dataset


def _load(data: str, request: PreparationRequest, *, transpose: bool) -> Dataset:
    from lenet_edge import datasets

    return datasets.load(data, request, transpose=transpose, progress=common.log)
