"""The readers under test: for each, valid inputs, how they are damaged, and what is done with an input: what the
commands do, the public reader first, and where that accepts, what follows on it."""

from __future__ import annotations

import contextlib
import re
import shutil
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any

import containers
import link_replies
import mutations
import numpy as np
import onnx_damage
import valid

Mutate = Callable[[Random, bytes, Sequence[bytes]], bytes]


@dataclass(frozen=True)
class Subject:
    """A reader.

    Attributes:
        inputs: makes the valid inputs.
        mutate: (generator, an input, all inputs) -> a damaged input.
        read: (input, a folder for files) -> nothing; raises what the reader raises.
    """

    inputs: Callable[[], Sequence[bytes]]
    mutate: Mutate
    read: Callable[[bytes, Path], None]

    def input(self, name: str, seed: int) -> bytes:
        """The input of a seed: the same whenever and wherever it is asked for."""
        random = Random(f"{name} {seed}")
        inputs = self.inputs()
        return self.mutate(random, random.choice(inputs), inputs)


def _write(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


# --- the model --------------------------------------------------------------------------------------


_MACS = 2_000_000  # above that, what follows takes too long for 100,000 inputs


def read_tflite(data: bytes, folder: Path) -> None:
    from lenet_edge.errors import BadInputError
    from lenet_edge.formats import c_source, tflite, tflm
    from lenet_edge.quantized.meaning import meaning_of
    from lenet_edge.quantized.proof import compare_rules
    from lenet_edge.quantized.reference import run
    from lenet_edge.quantized.tie_free import tie_free_problem
    from lenet_edge.resources import firmware_folder

    model = tflite.read(_write(folder, "model.tflite", data))
    again = tflite.to_bytes(model)
    if tflite.from_bytes(again) != model:
        raise AssertionError("the model that is written is not the one that was read")
    if sum(int(np.prod(layer.output.shape)) for layer in model.layers) > _MACS // 100:
        return
    outputs = run(model, np.zeros((1, *model.input.shape), np.int8))
    meaning = meaning_of(model)
    with contextlib.suppress(BadInputError):  # not classes
        meaning.probabilities(outputs), meaning.predictions(outputs)
    if zlib.crc32(data) % 8:  # slow
        return
    list(import_module("lenet_edge.cli.analyze")._layer_facts(model)), tie_free_problem(model)
    with contextlib.suppress(BadInputError):  # more cases than that
        compare_rules(model, limit=20_000)
    for family in (c_source.PLAIN, "cortex_m_dsp"):
        try:
            c_source.export(c_source.make_plan(model, family), firmware_folder())
        except BadInputError:
            continue
    tflm.export(model, again, name="model", arena=tflm.HostArena(1, 1, 1, "x"))


# --- data -------------------------------------------------------------------------------------------


def read_idx(dimensions: int) -> Callable[[bytes, Path], None]:
    def read(data: bytes, folder: Path) -> None:
        from lenet_edge.datasets import idx

        idx.read_file(_write(folder, "file", data), dimensions)

    return read


def mutate_data_set(random: Random, _data: bytes, _others: Sequence[bytes]) -> bytes:
    """Which of the four files, and its damaged content."""
    which = random.randrange(4)
    return bytes([which]) + containers.damage_idx(
        random, random.choice((valid.data_set()[which], *valid.data_set())), valid.data_set()
    )


def read_data_set(data: bytes, folder: Path) -> None:
    from lenet_edge import datasets

    for number, (name, content) in enumerate(zip(valid.idx_files.NAMES, valid.data_set(), strict=True)):
        _write(folder, name, data[1:] if data[0] % 4 == number else content)
    datasets.load_test(str(folder))
    _ = datasets.load(str(folder)).validation_labels


def read_picture(data: bytes, folder: Path) -> None:
    from lenet_edge.pictures import read_picture

    path = _write(folder, "picture", data)
    image, _ = read_picture(path, invert="never" if data[-1:] == b"\1" else None)
    if image.shape != (28, 28) or image.dtype != np.uint8:
        raise AssertionError(f"the picture is {image.dtype} {image.shape}")


# --- checkpoints ------------------------------------------------------------------------------------

with_torch = True  # the short runs of the unit tests do without


def read_checkpoint(data: bytes, folder: Path) -> None:
    from lenet_edge.formats import onnx
    from lenet_edge.learning import checkpoint

    path = _write(folder, "weights.safetensors", data)
    found = checkpoint.load(path)
    checkpoint.to_bytes(found.tensors, found.metadata)
    onnx.float_to_bytes(found.tensors, *checkpoint.description(found.metadata)[:2], found.metadata["classes"])
    if with_torch:
        from lenet_edge.learning import training

        training.logits(training.load(path), np.zeros((1, 28, 28), np.uint8))


def read_partial(data: bytes, folder: Path) -> None:
    """What an interrupted `train` leaves, and `train --resume` with it."""
    path = _write(folder, "lenet5.partial.safetensors", data)
    if with_torch:
        from lenet_edge.learning import training

        data = training.TrainingSet(valid.IMAGES, valid.LABELS, valid.IMAGES, valid.LABELS)
        training.train(data, training.TrainingSettings(valid.LENET5, **valid.TRAINING), path, resume=True)
    else:
        from lenet_edge.learning import checkpoint

        checkpoint.load(path)


def read_qat(data: bytes, folder: Path) -> None:
    from lenet_edge.learning import checkpoint

    path = _write(folder, "weights.qat.safetensors", data)
    checkpoint.load(path, kind="qat")
    if with_torch:
        from lenet_edge.learning import qat_network

        qat_network.load(path).integers(np.zeros((1, 28, 28, 1), np.int8))


# --- boards, budgets, policies ----------------------------------------------------------------------


def read_board(data: bytes, folder: Path) -> None:
    """A board, and what `boards`, `build` and the linker's script take from it."""
    from lenet_edge.hardware import boards, firmware_headers

    listing = import_module("lenet_edge.cli.boards")  # the package has the command under this name
    named = re.search(rb'^name = "([a-z0-9_-]{1,50})"$', data, re.MULTILINE)
    path = folder / f"{named[1].decode() if named else 'x'}.toml"
    path.write_bytes(data)
    try:
        board = boards.load(str(path))
        listing._tables([listing._facts(board)])
        firmware_headers.board_header(valid.model(), board)
    finally:
        path.unlink()


def read_policy(data: bytes, folder: Path) -> None:
    from lenet_edge.hardware import boards

    _examine(_candidate(folder), _checked(), boards.read_policy(_write(folder, "policy.toml", data)))


@cache
def _records() -> dict[str, tuple[str, bytes]]:
    """A project's budgets and records: their places and valid contents."""
    return {
        "budgets": ("lenet-edge.toml", valid.budget_texts()[1]),
        "check": ("build/check.json", *valid.text_of(valid.check_record())),
        "manifest": (f"build/firmware/{valid.BOARD}/manifest.json", *valid.text_of(valid.manifest())),
        "bench": (f"build/bench/{valid.BOARD}.json", *valid.text_of(valid.bench_record())),
        "base": ("base.json", *valid.text_of(valid.budget_record())),
    }


def _project(folder: Path, **changed: bytes) -> Path:
    """A project whose budgets and records are valid but for what is `changed`."""
    for key, (name, content) in _records().items():
        path = folder / name
        if key in changed or not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(changed.get(key, content))
    return folder


_FORMS = ((True, False), (False, True), (False, False))  # as_json, markdown


def _budget(folder: Path, data: bytes) -> None:
    """The command `budget`, in one of its forms: JSON, for a merge request, a table."""
    as_json, markdown = _FORMS[zlib.crc32(data) % len(_FORMS)]
    import_module("lenet_edge.cli.budget").budget.callback(
        budgets_path=folder / "lenet-edge.toml",
        records=folder / "build",
        base_path=folder / "base.json",
        junit=folder / "junit.xml",
        out=folder / "out.json",
        as_json=as_json,
        markdown=markdown,
    )


def read_budgets(data: bytes, folder: Path) -> None:
    _budget(_project(folder, budgets=data), data)


# --- records ----------------------------------------------------------------------------------------


def _candidate(folder: Path, elf: bytes | None = None) -> Any:
    """The valid firmware in its folder, or one with another ELF."""
    from lenet_edge.hardware import firmware, flashing

    built = folder / "firmware"
    if not built.exists():
        built.mkdir()
        for name, content in valid.firmware_files().items():
            (built / name).write_bytes(content)
        (built / "manifest.json").write_bytes(_records()["manifest"][1])
    return flashing.Candidate(_board(), valid.model(), firmware.load(built), elf or valid.firmware_elf())


def _examine(candidate: Any, records: list[Any], policy: Any = None) -> None:
    """Ask the gate, and show its verdict as `flash` does."""
    from lenet_edge import datasets
    from lenet_edge.files import to_json
    from lenet_edge.hardware import boards, flashing

    policy = policy or boards.Policy(data="mnist")
    published = [flashing.TestSet(name, datasets.published_sha256(name), 10_000, "") for name in datasets.NAMES]
    wanted = flashing.test_set(policy.data, "policy.toml", valid.model(), published)
    to_json([asdict(each) for each in flashing.examine(candidate, records, policy, wanted)])


@cache
def _checked() -> list[Any]:
    from lenet_edge.records.check import parse_check

    return [parse_check(valid.check_record())]


@cache
def _board(name: str = valid.BOARD) -> Any:
    from lenet_edge.hardware import boards

    return boards.load(name)


def read_check_record(data: bytes, folder: Path) -> None:
    """The gate of `flash`, and `budget`."""
    from lenet_edge.hardware import flashing

    _examine(_candidate(folder), flashing.read_records([_write(folder, "check.json", data)]))
    _budget(_project(folder, check=data), data)


def read_bench_record(data: bytes, folder: Path) -> None:
    from lenet_edge.records.bench import parse_bench

    bench = import_module("lenet_edge.cli.bench")
    earlier = bench._read_earlier(_write(folder, "bench.json", data), _board())
    now = parse_bench(valid.bench_record())
    bench._grown(earlier, now, 1.0)
    bench._tables(now, earlier)


def read_bench_in_budget(data: bytes, folder: Path) -> None:
    _budget(_project(folder, bench=data), data)


def read_budget_record(data: bytes, folder: Path) -> None:
    _budget(_project(folder, base=data), data)


def read_manifest(data: bytes, folder: Path) -> None:
    """A firmware's manifest: `firmware.load`, the gate, `budget`, and a build over it."""
    from lenet_edge import records
    from lenet_edge.errors import LenetEdgeError

    _candidate(folder)
    built = folder / "firmware"
    _write(built, "manifest.json", data)
    try:
        with contextlib.suppress(LenetEdgeError):
            _examine(_candidate(folder), _checked())
        if zlib.crc32(data) % 4 == 0:
            records.write_artefact(built, {"firmware.elf": valid.firmware_elf()}, valid.model().fingerprint)
            shutil.rmtree(built)
    finally:
        if built.exists():
            _write(built, "manifest.json", _records()["manifest"][1])
    _budget(_project(folder, manifest=data), data)


def read_c_manifest(data: bytes, folder: Path) -> None:
    """What `export --target c` says of its C, which the host's engine believes."""
    from lenet_edge import records
    from lenet_edge.engines import host_c

    _write(folder, "manifest.json", data)
    host_c._require_size(records.read_exported_c(folder), np.zeros((1, *valid.model().input.shape), np.int8))


# --- firmware and devices ---------------------------------------------------------------------------


def read_elf(data: bytes, folder: Path) -> None:
    """An ELF, and what `check`, `build` and `flash` make of it."""
    from lenet_edge.hardware import elf, firmware, uf2
    from lenet_edge.hardware.layout import layout_problem

    image = elf.Elf(data, "firmware.elf")
    _ = image.sha256, image.flash_bytes, image.static_ram_bytes, elf.to_map(image)
    for symbol in image.symbols.values():
        image.content(symbol)
    firmware._ram_symbols(image)
    _examine(_candidate(folder, data), _checked())
    if not layout_problem(image, _board()):  # else `build` and `flash` refuse it
        elf.to_elf(image), elf.to_hex(image), elf.to_binary(image), uf2.to_uf2(image, 1)


def read_volume(data: bytes, folder: Path) -> None:
    """What a boot loader's volume says of its board."""
    from lenet_edge.hardware.flashing import programs

    for suffix, mark, board in ((".uf2", "INFO_UF2.TXT", "pico"), (".hex", "DETAILS.TXT", valid.BOARD)):
        _write(folder, mark, data)
        programs.identify_volume(suffix, folder, _board(board))


def _json_of(record: Callable[[], dict[str, Any]]) -> Callable[[], tuple[bytes, ...]]:
    return cache(lambda: valid.text_of(record()))


SUBJECTS: dict[str, Subject] = {
    "tflite": Subject(valid.tflites, containers.damage_tflite, read_tflite),
    "onnx": Subject(onnx_damage.files, onnx_damage.damage, onnx_damage.read),
    "idx-images": Subject(cache(lambda: valid.idx_of(3)), containers.damage_idx, read_idx(3)),
    "idx-labels": Subject(cache(lambda: valid.idx_of(1)), containers.damage_idx, read_idx(1)),
    "data-folder": Subject(valid.data_set, mutate_data_set, read_data_set),
    "picture": Subject(valid.pictures, containers.damage_picture, read_picture),
    "checkpoint": Subject(valid.checkpoints, containers.damage_safetensors, read_checkpoint),
    "partial-checkpoint": Subject(valid.partials, containers.damage_safetensors, read_partial),
    "qat": Subject(valid.qat_weights, containers.damage_safetensors, read_qat),
    "board": Subject(valid.board_texts, mutations.damage_toml, read_board),
    "policy": Subject(cache(valid.policy_texts), mutations.damage_toml, read_policy),
    "budget": Subject(cache(valid.budget_texts), mutations.damage_toml, read_budgets),
    "check-record": Subject(_json_of(valid.check_record), mutations.damage_json, read_check_record),
    "bench-record": Subject(_json_of(valid.bench_record), mutations.damage_json, read_bench_record),
    "bench-in-budget": Subject(_json_of(valid.bench_record), mutations.damage_json, read_bench_in_budget),
    "budget-record": Subject(_json_of(valid.budget_record), mutations.damage_json, read_budget_record),
    "manifest": Subject(_json_of(valid.manifest), mutations.damage_json, read_manifest),
    "c-manifest": Subject(_json_of(valid.c_manifest), mutations.damage_json, read_c_manifest),
    "elf": Subject(valid.elves, containers.damage_elf, read_elf),
    "volume": Subject(valid.volumes, mutations.damage_text, read_volume),
    "link": Subject(valid.replies, link_replies.mutate, link_replies.read),
}


def whole(name: str, data: bytes) -> bytes:
    """A valid input in the form that `Subject.mutate` gives to a damaged one."""
    if name == "data-folder":
        return bytes([valid.data_set().index(data)]) + data
    return b"\1" + data if name == "link" else data
