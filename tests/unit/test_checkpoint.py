"""Checkpoints are read with numpy alone; whatever is in a file, reading gives a checkpoint or a BadInputError."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from lenet_edge.errors import BadInputError
from lenet_edge.learning import checkpoint

LABELS = ["zero", "one", "two"]
METADATA: dict[str, Any] = {
    "kind": "float",
    "arch": "lenet5",
    "classes": LABELS,
    "dataset": "mnist",
    "epochs": 3,
    "seed": 0,
    "validation_accuracy": 0.5,
}
# Written out, not computed: LeNet-5 for three classes.
SHAPES = {
    "features.C1.weight": (6, 1, 5, 5),
    "features.C1.bias": (6,),
    "features.C3.weight": (16, 6, 5, 5),
    "features.C3.bias": (16,),
    "classifier.C5.weight": (120, 400),
    "classifier.C5.bias": (120,),
    "classifier.F6.weight": (84, 120),
    "classifier.F6.bias": (84,),
    "classifier.OUTPUT.weight": (3, 84),
    "classifier.OUTPUT.bias": (3,),
}


def random_tensors() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in SHAPES.items()}


GOOD = checkpoint.to_bytes(random_tensors(), METADATA)
HEADER_END = 8 + int.from_bytes(GOOD[:8], "little")
TENSOR_ENDS = [
    HEADER_END + entry["data_offsets"][1]
    for name, entry in json.loads(GOOD[8:HEADER_END]).items()
    if name != "__metadata__"
]


def refused(data: bytes, kind: str = "float") -> str:
    """The message with which `data` is refused."""
    with pytest.raises(BadInputError, match=r"^some\.safetensors ") as caught:
        checkpoint.from_bytes(data, "some.safetensors", kind)
    return str(caught.value)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    tensors = random_tensors()
    checkpoint.save(tmp_path / "x.safetensors", tensors, METADATA)
    loaded = checkpoint.load(tmp_path / "x.safetensors")
    assert METADATA.items() <= loaded.metadata.items()
    assert loaded.tensors.keys() == tensors.keys()
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(loaded.tensors[name], tensor)
    assert loaded.resume == {}


def test_loaded_metadata_saves_to_the_same_bytes() -> None:
    loaded = checkpoint.from_bytes(GOOD, "x")
    assert checkpoint.to_bytes(loaded.tensors, loaded.metadata) == GOOD


def test_order_of_tensors_and_metadata_does_not_matter() -> None:
    tensors = dict(reversed(random_tensors().items()))
    assert checkpoint.to_bytes(tensors, dict(reversed(METADATA.items()))) == GOOD


def test_memory_layout_of_a_tensor_does_not_matter() -> None:
    tensors = {name: np.asfortranarray(tensor) for name, tensor in random_tensors().items()}
    assert checkpoint.to_bytes(tensors, METADATA) == GOOD


def test_bytes_do_not_depend_on_the_hash_seed() -> None:
    program = (
        "import hashlib, numpy as np; from lenet_edge.learning import checkpoint as c;"
        "shapes = c.weight_shapes({'arch': 'lenet5', 'classes': [*range(10)]});"
        "t = {n: np.zeros(s, np.float32) for n, s in shapes.items()};"
        "print(hashlib.sha256(c.to_bytes(t, {'classes': ['x', 'y'], 'arch': 'a'})).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True, text=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def test_reading_does_not_import_torch() -> None:
    program = "import sys; import lenet_edge.learning.checkpoint; print('torch' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert ran.stdout == "False\n"


def test_resume_tensors_are_kept_apart() -> None:
    step = np.array(7, np.int64)
    history = np.zeros((0, 2))
    loaded = checkpoint.from_bytes(
        checkpoint.to_bytes(random_tensors() | {"resume.step": step, "resume.history": history}, METADATA), "x"
    )
    assert loaded.tensors.keys() == SHAPES.keys()
    assert loaded.resume["step"] == 7
    assert loaded.resume["step"].shape == ()
    assert loaded.resume["history"].shape == (0, 2)


def test_qat_checkpoints_may_have_more_tensors() -> None:
    data = checkpoint.to_bytes(random_tensors() | {"grid.C1.q": np.arange(6)}, METADATA | {"kind": "qat"})
    loaded = checkpoint.from_bytes(data, "x", kind="qat")
    np.testing.assert_array_equal(loaded.tensors["grid.C1.q"], np.arange(6))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"absent\.safetensors does not exist.*lenet-edge train"):
        checkpoint.load(tmp_path / "absent.safetensors")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="cannot be read"):
        checkpoint.load(tmp_path)


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "huge.safetensors"
    with path.open("wb") as stream:
        stream.truncate(100 << 30)  # sparse: it takes no room on the disk, but it would in memory
    with pytest.raises(BadInputError, match="107,374,182,400 bytes"):
        checkpoint.load(path)


def test_truncated_files_are_refused() -> None:
    lengths = {*range(HEADER_END + 2), *TENSOR_ENDS, len(GOOD) - 1} - {len(GOOD)}
    for length in lengths:
        refused(GOOD[:length])


@pytest.mark.parametrize("bit", range(8))
def test_every_bit_flip_in_the_header_is_refused(bit: int) -> None:
    for position in range(HEADER_END):
        data = bytearray(GOOD)
        data[position] ^= 1 << bit
        refused(bytes(data))


@given(position=st.integers(0, len(GOOD) - 1), bit=st.integers(0, 7))
def test_bit_flips_are_refused(position: int, bit: int) -> None:
    data = bytearray(GOOD)
    data[position] ^= 1 << bit
    refused(bytes(data))


@given(
    edits=st.lists(st.tuples(st.integers(0, HEADER_END + 100), st.integers(0, 255)), min_size=1, max_size=20),
    length=st.integers(0, len(GOOD)),
)
def test_damage_gives_the_checkpoint_or_a_bad_input_error(edits: list[tuple[int, int]], length: int) -> None:
    data = bytearray(GOOD)
    for position, value in edits:
        data[position] = value
    data = data[:length]
    try:
        loaded = checkpoint.from_bytes(bytes(data), "x")
    except BadInputError:
        return
    assert checkpoint.to_bytes(loaded.tensors, loaded.metadata) == GOOD


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused(data: bytes) -> None:
    refused(data)


def with_header(header: str, payload: bytes = b"") -> bytes:
    encoded = header.encode()
    return len(encoded).to_bytes(8, "little") + encoded + payload


@pytest.mark.parametrize(
    "header",
    [
        "{}",
        '{"__metadata__":null}',
        '{"__metadata__":{}}',
        '{"__metadata__":{"lenet_edge":""}}',
        '{"__metadata__":{"lenet_edge":"null"}}',
        '{"__metadata__":{"lenet_edge":"3"}}',
        '{"__metadata__":{"lenet_edge":"[]"}}',
        '{"__metadata__":{"lenet_edge":"{\\"format\\":NaN}"}}',
        '{"__metadata__":{"lenet_edge":"{\\"format\\":1,\\"x\\":\\"\\\\ud800\\"}"}}',
        '{"__metadata__":{"lenet_edge":"' + "[" * 100_000 + '"}}',
        '{"__metadata__":{"lenet_edge":"{\\"format\\":1,\\"x\\":' + "[" * 900 + "]" * 900 + '}"}}',
        '{"__metadata__":{"lenet_edge":"{\\"format\\":' + "1" * 5000 + '}"}}',
        '{"a":{"dtype":"F32","shape":[0,9223372036854775807],"data_offsets":[0,0]}}',
        '{"a":{"dtype":"F32","shape":[0,18446744073709551615],"data_offsets":[0,0]}}',
        '{"a":{"dtype":"F32","shape":[' + "0," * 99 + '0],"data_offsets":[0,0]}}',
        '{"a":{"dtype":"BF16","shape":[0],"data_offsets":[0,0]}}',
        '{"a":{"dtype":"F8_E4M3","shape":[0],"data_offsets":[0,0]}}',
    ],
)
def test_odd_headers_are_refused(header: str) -> None:
    refused(with_header(header))


# --- files of others --------------------------------------------------------------------------------


def test_foreign_safetensors_are_refused() -> None:
    assert "not written by lenet-edge" in refused(safetensors.numpy.save(random_tensors()))


def test_an_empty_file_is_called_empty() -> None:
    assert "it is empty" in refused(b"")


class Bomb:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return exec, ("raise SystemExit('it was unpickled')",)


def test_pickles_are_refused_and_not_run(tmp_path: Path) -> None:
    assert "pickle" in refused(pickle.dumps(Bomb()))
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/data.pkl", pickle.dumps(Bomb()))
    assert ".pt format" in refused(path.read_bytes())


def test_a_tflite_model_is_called_one() -> None:
    assert ".tflite" in refused(b"\x1c\0\0\0TFL3" + bytes(100))


def test_another_kind_is_refused() -> None:
    assert "'float' weights, not 'qat'" in refused(GOOD, kind="qat")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": LABELS[:2]}, "classifier.OUTPUT.weight is float32 [3, 84], not float32 [2, 84]"),
        ({"classes": 3}, "does not say"),
        ({"classes": []}, "does not say"),
        ({"arch": None}, "does not say"),
        ({"dataset": 7}, "does not say"),
    ],
)
def test_metadata_that_do_not_fit_are_refused(change: dict[str, Any], message: str) -> None:
    assert message in refused(checkpoint.to_bytes(random_tensors(), METADATA | change))


@pytest.mark.parametrize("name", SHAPES)
def test_tensors_of_another_network_are_refused(name: str) -> None:
    tensors = random_tensors()
    tensor = tensors[name]
    without = {key: value for key, value in tensors.items() if key != name}
    assert f"{name} is missing" in refused(checkpoint.to_bytes(without, METADATA))
    for other in (tensor[None], tensor[:-1], tensor.astype(np.float64), tensor.astype(np.int32)):
        assert f"another network: {name} is" in refused(checkpoint.to_bytes(tensors | {name: other}, METADATA))


def test_a_larger_network_is_refused() -> None:
    more = random_tensors() | {"features.C7.weight": np.zeros(3, np.float32)}
    assert "has the tensor features.C7.weight besides" in refused(checkpoint.to_bytes(more, METADATA))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused(value: float) -> None:
    tensors = random_tensors()
    tensors["classifier.F6.bias"][5] = value
    assert "classifier.F6.bias has values that are not finite" in refused(checkpoint.to_bytes(tensors, METADATA))


def test_an_unwritable_place_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(BadInputError, match="cannot write"):
        checkpoint.save(tmp_path / "file" / "x.safetensors", random_tensors(), METADATA)
    assert (tmp_path / "file").read_bytes() == b"old"
