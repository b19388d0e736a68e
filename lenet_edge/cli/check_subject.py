"""What `check` and `pipeline` check: a model with its test images, the files that the engines get, the verdict."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lenet_edge.cli import common, confusion, inputs
from lenet_edge.cli.like import LIKE, as_asked
from lenet_edge.cli.options import refuse_given
from lenet_edge.cli.preparing import AS_RECORDED, PrepareOptions
from lenet_edge.errors import BadInputError, one_line

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lenet_edge.engines import Absent, Engine
    from lenet_edge.hardware.boards import Board
    from lenet_edge.parity import Check
    from lenet_edge.quantized.model import QuantizedModel
    from lenet_edge.records import CheckRecord, EngineResult

__all__ = ["Checked", "Subject"]


@dataclass(frozen=True, eq=False)
class Checked:
    """The result of a check: its record, the comparison behind it, and what int8 says if there are labels."""

    record: CheckRecord
    result: Check
    answers: confusion.Answers | None


@dataclass(frozen=True, eq=False)
class Subject:
    """What is checked.

    Attributes:
        path: of the int8 model.
        content: its bytes, from which `model` was read.
        data: the data set as it was named; `tests` are its images.
        exports: the folder in which `export` left its folders, and `build` those of the firmware.
    """

    path: Path
    model: QuantizedModel
    content: bytes
    data: str
    tests: inputs.Inputs
    exports: Path

    @classmethod
    def read(
        cls,
        path: Path,
        data: str,
        image_count: int | None,
        exports: Path,
        *,
        transpose: bool | None = None,
        prepare: PrepareOptions = AS_RECORDED,
        like: str | None = None,
    ) -> Subject:
        """Read a model and its test images; `BadInputError` if they do not fit each other.

        Args:
            like: the runtime of `check --like`; our C then computes its integers, where it can.
        """
        from lenet_edge.formats import int8_models

        loaded, content = int8_models.load(path)
        if like in LIKE:
            loaded = as_asked(loaded, like)
        tests = inputs.test_inputs(loaded, data, image_count, transpose, prepare)
        return cls(path, loaded, content, data, tests, exports)

    def check(
        self,
        engines: Mapping[str, Engine],
        boards: Sequence[Board],
        float_model: Path | None,
        *,
        max_drop: float,
        require_all: bool = False,
        like: str | None = None,
    ) -> Checked:
        """Run the engines, those of the boards among them, and judge.

        Args:
            float_model: the one to compare with; None takes the one next to the model. With `like` there is none.
            max_drop, require_all, like: as `parity.judge` has them.
        """
        from lenet_edge.parity import judge

        warnings = (*inputs.model_warnings(self.model, pictures=self.tests.are_pictures), *self.tests.remarks)
        compared = (None, None) if like else _float_logits(float_model, self.path, self.model, self.tests)
        float_logits, float_sha256 = compared
        found, firmware = self.run(engines, boards, float_logits, predict=like is not None)
        result = judge(found, max_drop=max_drop, require_all=require_all, like=like)
        answers = _answers(self, result, float_logits)
        matrix = None if answers is None else answers.recorded()
        facts = {"data": one_line(self.data), "float_sha256": float_sha256, "max_drop": max_drop, "firmware": firmware}
        return Checked(
            _record(result, self.tests, **facts, warnings=warnings, confusion=matrix),
            result,
            answers,
        )

    def run(
        self,
        engines: Mapping[str, Engine],
        boards: Sequence[Board],
        float_logits: npt.NDArray[np.float32] | None = None,
        *,
        predict: bool = False,
    ) -> tuple[Check, dict[str, str]]:
        """Run the engines, without a verdict; also the SHA-256 of the firmware of each board that is there."""
        from lenet_edge.parity import check as run_check

        common.log(f"checking {self.path} on {len(self.tests.images)} images of {self.data}")
        with _artefacts(self, engines, boards) as (files, firmware), common.counted("engines", len(engines) + 1) as ran:
            found = run_check(
                *(self.model, files, self.tests.images, self.tests.labels),
                engines=engines,
                float_logits=float_logits,
                predict=predict,
                report=lambda result: _log_engine(result, ran),
            )
        return found, firmware


@contextmanager
def _artefacts(
    subject: Subject, engines: Mapping[str, Engine], boards: Sequence[Board]
) -> Iterator[tuple[Mapping[str, Path | Absent], dict[str, str]]]:
    """What the engines run, by kind of file, and the SHA-256 of each board's image; all private copies."""
    from lenet_edge.cli.artefacts import Artefacts
    from lenet_edge.files import temporary_folder

    kinds = [engine.artefact for engine in engines.values()]
    model = (subject.path, subject.model, subject.content)
    with temporary_folder() as private, Artefacts(*model, subject.exports, kinds=kinds) as artefacts:
        firmware = {board.name: _firmware(board, subject, private) for board in boards}
        files = {**artefacts, **{f"firmware/{name}": path for name, (path, _) in firmware.items()}}
        yield files, {name: digest for name, (_, digest) in firmware.items() if digest}


def _answers(subject: Subject, result: Check, float_logits: npt.NDArray[np.float32] | None) -> confusion.Answers | None:
    """What the int8 model says of each image; None where there are no labels, or no classes."""
    tests = subject.tests
    if tests.labels is None or result.logits is None:
        return None
    from lenet_edge.quantized.meaning import meaning_of

    meaning = meaning_of(subject.model)
    of_float = None if float_logits is None else float_logits.argmax(axis=1)
    said, probabilities = meaning.predictions(result.logits), meaning.probabilities(result.logits)
    return confusion.Answers(tests.pixels, tests.labels, probabilities, meaning.classes, tests.files, of_float, said)


def _float_logits(
    chosen: Path | None, model: Path, loaded: QuantizedModel, tests: inputs.Inputs
) -> tuple[npt.NDArray[np.float32] | None, str | None]:
    """The float network's logits and its file's SHA-256; None where there is no float model and none was asked for."""
    if tests.labels is None:
        refuse_given("where the images have no labels, or the model no classes", "float_model", "max_drop", "sheet")
        return None, None
    from lenet_edge.cli.artefacts import float_model_of
    from lenet_edge.learning import checkpoint

    path, expected = chosen or float_model_of(model), loaded.metadata.get("float_sha256")
    if chosen is None and (expected is None or not path.exists()):
        common.log(f"no float model to compare with ({path}); name one with --float")
        return None, None
    data = checkpoint.read(path)
    digest = hashlib.sha256(data).hexdigest()
    if chosen is None and digest != expected:
        common.log(f"{path} is not the float model that {model} was made from: no comparison; name one with --float")
        return None, None
    from lenet_edge.learning import training
    from lenet_edge.quantized.meaning import meaning_of

    logits = training.logits(training.network_of(checkpoint.from_bytes(data, str(path))), tests.pixels)
    if logits.shape[1] != len(meaning_of(loaded).classes):
        raise BadInputError(
            f"the float model {path} has {logits.shape[1]} classes, {model} has {len(meaning_of(loaded).classes)}"
        )
    return logits, digest


def _firmware(board: Board, subject: Subject, private: Path) -> tuple[Path | Absent, str]:
    """The firmware of a board, built where it is of another model, copied to a folder below `private`.

    Returns:
        That folder or why there is none, the SHA-256 of the image in it or "".
    """
    from lenet_edge.engines import Absent
    from lenet_edge.errors import MissingToolError
    from lenet_edge.files import read_bytes, write_files
    from lenet_edge.hardware import firmware
    from lenet_edge.hardware.elf import Elf
    from lenet_edge.hardware.layout import require_layout
    from lenet_edge.records import MANIFEST, read_manifest, require_manifest

    folder = common.firmware_of(board.name, subject.exports)
    manifest = read_manifest(folder)
    if manifest is None or manifest.fingerprint != subject.model.fingerprint:
        common.log(f"building the firmware of {board.name}")
        try:
            firmware.build(subject.model, board, folder)
        except MissingToolError as error:
            return Absent(str(error)), ""
        manifest = require_manifest(folder)
    path = folder / "firmware.elf"
    elf = read_bytes(path, "the firmware", f"Make it with: lenet-edge build --board {board.argument}")
    image = Elf(elf, str(path))
    require_layout(image, board, str(path))
    copy = private / board.name
    write_files(copy, {path.name: elf, MANIFEST: manifest.to_bytes()})
    return copy, image.sha256


def _log_engine(result: EngineResult, ran: Callable[[], object]) -> None:
    ran()
    if result.status == "ran":
        outcome = "the reference" if result.name == "reference" else f"{result.logits_differ} logits differ"
        common.log(f"  {result.name}: {outcome}, {result.seconds:.1f} s")
    else:
        common.log(f"  {result.name}: {result.status} ({result.message})")


def _record(result: Check, tests: inputs.Inputs, **facts: Any) -> CheckRecord:
    """The record of a check, with the command's own `facts`, which are fields of the record."""
    from lenet_edge.records import CheckRecord

    comparison = result.comparison
    return CheckRecord(
        fingerprint=result.fingerprint,
        data_sha256=tests.data_sha256,
        data_images=tests.data_images,
        images=result.images,
        float_accuracy=None if comparison is None else comparison.float_accuracy,
        int8_accuracy=result.int8_accuracy,
        drop_points=None if comparison is None else comparison.drop_points,
        drop_interval=None if comparison is None else comparison.drop_interval,
        mcnemar_p=None if comparison is None else comparison.mcnemar_p,
        passed=result.passed,
        problems=result.problems,
        engines=result.engines,
        like=result.like,
        **facts,
    )
