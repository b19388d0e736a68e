"""`check --board` ran an ELF, then read it again to hash it: after a build in between, `flash` wrote what never ran.

Each file is read once; what all engines and tools get is a private copy of those bytes. Here the files change at the
moment at which somebody else could change them.
"""

import hashlib
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import made_elf
import numpy as np
import pytest
import sample_models

from lenet_edge.cli.artefacts import Artefacts, qat_weights_of
from lenet_edge.cli.check_subject import _firmware
from lenet_edge.engines import board, board_engine, host_c, worker
from lenet_edge.errors import BadInputError
from lenet_edge.formats import c_source, onnx, tflite
from lenet_edge.hardware import boards, session
from lenet_edge.hardware.elf import Elf
from lenet_edge.learning import checkpoint
from lenet_edge.records import write_artefact
from lenet_edge.resources import firmware_folder, targets_folder

MODEL = sample_models.lenet5(51)
RAN, LATER = made_elf.firmware(b"ran"), made_elf.firmware(b"later")
SIZES = dict.fromkeys(("code", "tables", "weights", "buffers", "stack", "input_image"), 1)


def built(folder: Path, elf: bytes = RAN) -> Path:
    words = {"toolchain": "gcc", "optimize": "speed", "family": "plain", "image_sha256": Elf(elf).sha256}
    write_artefact(folder, {"firmware.elf": elf}, MODEL.fingerprint, board="microbit", sizes=SIZES, **words)
    return folder


# --- firmware ---------------------------------------------------------------------------------------


def test_the_hash_on_record_is_of_the_copy_that_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = built(tmp_path / "build/firmware/microbit")
    subject = SimpleNamespace(model=MODEL, exports=Path("build"))
    copy, digest = _firmware(boards.load("microbit"), subject, tmp_path / "private")
    built(folder, LATER)
    assert copy.name == "microbit"
    assert (copy / "firmware.elf").read_bytes() == RAN
    assert digest == Elf(RAN).sha256 != Elf(LATER).sha256


def test_all_workers_of_a_board_run_one_copy(tmp_path, monkeypatch):
    """A build that ends while the first of three workers runs changes nothing for the others."""
    folder = built(tmp_path / "firmware")
    monkeypatch.setattr(board.os, "cpu_count", lambda: 3)
    seen = []

    def run_process(argv, _timeout_s):
        (elf,) = [Path(word) for word in argv if word.endswith(".elf")]
        assert folder not in elf.parents
        assert MODEL.fingerprint in argv
        seen.append(elf.read_bytes())
        built(folder, LATER)
        np.save(argv[-1], np.zeros((len(np.load(argv[-2])), 10), np.int8))
        return 0, ""

    monkeypatch.setattr(worker, "run_process", run_process)
    logits = board.run(folder, np.zeros((300, 28, 28, 1), np.int8), board=boards.load("microbit"), emulator="unicorn")
    assert logits.shape == (300, 10)
    assert seen == [RAN] * 3


def test_an_emulator_gets_the_bytes_that_the_hash_is_of(tmp_path, monkeypatch):
    """In a private ELF of nothing else: no section, symbol or note of the file reaches it."""
    path = tmp_path / "firmware.elf"
    path.write_bytes(RAN)
    got = []

    def start(_board, elf, _name, _count):
        path.write_bytes(LATER)
        got.append(elf)
        got.append(Elf(elf.read_bytes()))
        raise BadInputError("far enough")

    monkeypatch.setattr(session, "_start", start)
    with pytest.raises(BadInputError, match="far enough"), session.connect(boards.load("microbit"), path, "0" * 64):
        pass
    assert got[0] != path
    assert got[1].segments == Elf(RAN).segments
    assert not got[1].symbols


def test_an_emulator_does_not_get_an_elf_of_two_meanings(tmp_path):
    path = tmp_path / "firmware.elf"
    evil = made_elf.Sect(".evil", 0x8000, b"evil")
    path.write_bytes(made_elf.elf([made_elf.Part(0, 0, Elf(RAN).segments[0].content)], [evil]))
    with pytest.raises(BadInputError, match=r"firmware\.elf: the section '\.evil'.*lenet-edge build --board microbit"):
        session.connect(boards.load("microbit"), path, "0" * 64).__enter__()


def test_the_toml_of_a_board_is_what_was_read_first(tmp_path):
    """Each worker reads it, as no other process can be given a `Board`; one that reads another says so."""
    path, made = tmp_path / "microbit.toml", built(tmp_path / "firmware")
    text = (targets_folder() / "microbit.toml").read_text()
    path.write_text(text)
    _, engine = board_engine(boards.load(str(path)), "unicorn")
    path.write_text(text + "\n[policy]\nimages = 1\n")
    with pytest.raises(BadInputError, match="was changed while its firmware ran"):
        engine.run(made, np.zeros((1, 28, 28, 1), np.int8))


def test_the_engine_of_a_board_has_its_name():
    assert board_engine(boards.load("microbit"), "qemu")[1].artefact == "firmware/microbit"


# --- what the other engines get ---------------------------------------------------------------------


@pytest.fixture
def exported(tmp_path) -> Path:
    """A folder as `quantize` and `export` leave it."""
    (tmp_path / "model.tflite").write_bytes(tflite.to_bytes(MODEL))
    qat_weights_of(tmp_path / "model.tflite").write_bytes(b"weights")
    form = {"target": "onnx", "form": "qdq"}
    write_artefact(tmp_path / "onnx", {"model-int8.onnx": onnx.to_bytes(MODEL, form="qdq")}, MODEL.fingerprint, **form)
    made = c_source.export(c_source.make_plan(MODEL), firmware_folder())
    write_artefact(tmp_path / "c", made, MODEL.fingerprint, target="c", **c_source.facts(c_source.make_plan(MODEL)))
    return tmp_path


def files_of(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_engines_get_the_bytes_that_were_read(exported):
    path = exported / "model.tflite"
    loaded, content = tflite.load(path)
    original = {path: path.read_bytes() for path in files_of(exported)}
    with Artefacts(path, loaded, content, exported, kinds=["tflite", "weights", "onnx", "c"]) as artefacts:
        for name in original:
            name.write_bytes(b"something else")
        assert artefacts["tflite"].read_bytes() == tflite.to_bytes(MODEL)
        assert artefacts["tflite"].name == "model.tflite"
        assert artefacts["weights"].read_bytes() == b"weights"
        assert artefacts["onnx"].read_bytes() == original[exported / "onnx/model-int8.onnx"]
        folder = artefacts["c"]
        found = {exported / "c" / name.relative_to(folder): name.read_bytes() for name in files_of(folder)}
    assert found == {name: content for name, content in original.items() if exported / "c" in name.parents}


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_the_compiler_gets_the_files_that_were_compared(exported, monkeypatch):
    path = exported / "model.tflite"
    loaded, content = tflite.load(path)
    with Artefacts(path, loaded, content, exported, kinds=["c"]) as artefacts:
        for name in (exported / "c").glob("*.c"):
            name.write_text("#error edited meanwhile\n")
        logits = host_c.run(artefacts["c"], np.zeros((1, 28, 28, 1), np.int8))
    assert logits.shape == (1, 10)


@pytest.mark.parametrize("name", ["c/le_model.c", "onnx/model-int8.onnx"])
def test_a_file_that_is_not_the_manifest_s_is_named(exported, name):
    path = exported / "model.tflite"
    if not (exported / name).exists():
        name = f"c/{min(path.name for path in (exported / 'c').glob('*.c'))}"
    (exported / name).write_bytes(b"edited")
    loaded, content = tflite.load(path)
    artefacts = Artefacts(path, loaded, content, exported, kinds=["onnx", "c"])
    with pytest.raises(BadInputError, match=r"is not what .*manifest\.json says; export it again"):
        artefacts.__enter__()


def test_a_manifest_that_names_files_elsewhere_is_not_used(exported):
    """`export` is then as if it had not been run: the C is made now."""
    manifest = json.loads((exported / "c/manifest.json").read_text())
    secret = exported / "secret.c"
    secret.write_text("secret")
    manifest["files"]["../secret.c"] = hashlib.sha256(b"secret").hexdigest()
    (exported / "c/manifest.json").write_text(json.dumps(manifest))
    loaded, content = tflite.load(exported / "model.tflite")
    with Artefacts(exported / "model.tflite", loaded, content, exported, kinds=["c"]) as artefacts:
        assert {path.name for path in artefacts["c"].parent.rglob("*")} & {"secret.c"} == set()
        assert (artefacts["c"] / "manifest.json").exists()


# --- the float model --------------------------------------------------------------------------------


def test_the_hash_of_a_checkpoint_is_of_what_was_loaded(tmp_path):
    path = tmp_path / "x.safetensors"
    facts = {"kind": "float", "arch": "lenet5", "classes": list("0123456789"), "dataset": "mnist"}
    shapes = checkpoint.weight_shapes(facts)
    checkpoint.save(path, {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}, facts)
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    assert checkpoint.load(path).sha256 == expected
    assert checkpoint.from_bytes(checkpoint.read(path), "x").sha256 == expected
