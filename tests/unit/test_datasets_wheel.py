"""The wheel's pickle: what is admitted, what is refused, and that hashes come first."""

import gzip
import hashlib
import os
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from idx_files import small_arrays

from lenet_edge.datasets import wheel
from lenet_edge.errors import BadInputError

TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS = small_arrays(train=12, test=3)


def as_float(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), 784).astype(np.float32) / 256


def three_pairs() -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    return (
        (as_float(TRAIN_IMAGES[:10]), TRAIN_LABELS[:10].astype(np.int64)),
        (as_float(TRAIN_IMAGES[10:]), TRAIN_LABELS[10:].astype(np.int64)),
        (as_float(TEST_IMAGES), TEST_LABELS.astype(np.int64)),
    )


def write_wheel(path: Path, pickled: bytes, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel with that member; its hashes become the wanted ones."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mnist/data/mnist.pkl.gz", gzip.compress(pickled))
    monkeypatch.setattr(wheel, "WHEEL_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    monkeypatch.setattr(wheel, "PICKLE_SHA256", hashlib.sha256(pickled).hexdigest())
    return path


def python2_pickle(values: np.ndarray) -> bytes:
    """A float32 vector as Python 2 and numpy 1 pickled it: byte strings, and 0 and 1 for False and True."""
    raw = values.astype("<f4").tobytes()
    return (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        + b"(K\x01K" + bytes([len(values)]) + b"\x85"
        + b"cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        + b"\x89T" + struct.pack("<I", len(raw)) + raw + b"tb."
    )  # fmt: skip


def test_pixels_come_back_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = wheel.read(write_wheel(tmp_path / "w.whl", pickle.dumps(three_pairs(), protocol=3), monkeypatch))
    wanted = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)
    for got, array in zip(arrays, wanted, strict=True):
        assert got.dtype == np.uint8
        np.testing.assert_array_equal(got, array)


def test_all_pixel_values_survive() -> None:
    values = np.arange(256)
    np.testing.assert_array_equal(np.rint((values / 256).astype(np.float32) * np.float32(256)), values)


def test_a_pickle_of_python_2() -> None:
    values = np.array([0, 0.25, -3, 200.5], np.float32)
    np.testing.assert_array_equal(wheel.unpickle(python2_pickle(values)), values)


class Attack:
    """Unpickled without care, makes a folder."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_function_is_refused_and_not_called(tmp_path: Path, protocol: int) -> None:
    target = tmp_path / "made"
    data = pickle.dumps(Attack(target), protocol=protocol)
    with pytest.raises(BadInputError, match="mkdir, which is not admitted"):
        wheel.unpickle(data)
    assert not target.exists()
    pickle.loads(data)  # noqa: S301 - the attack is a real one
    assert target.exists()


def test_arrays_of_objects_are_refused() -> None:
    with pytest.raises(BadInputError, match="only numbers"):
        wheel.unpickle(pickle.dumps(np.array([None, {}], dtype=object), protocol=3))


@given(st.binary(max_size=60))
def test_any_bytes_give_a_value_or_our_error(data: bytes) -> None:
    try:
        wheel.unpickle(b"\x80\x02" + data)
    except BadInputError as error:
        assert "pickle" in str(error)  # noqa: PT017 - any other error fails the test by itself


def test_another_wheel_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "w.whl"
    path.write_bytes(b"not even a zip file")
    with pytest.raises(BadInputError, match=r"w\.whl has SHA-256 [0-9a-f]{64}, not 0e3e0a08"):
        wheel.read(path)


def test_another_pickle_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "made"
    path = write_wheel(tmp_path / "w.whl", pickle.dumps(Attack(target)), monkeypatch)
    monkeypatch.setattr(wheel, "PICKLE_SHA256", "0" * 64)
    with pytest.raises(BadInputError, match=r"mnist\.pkl\.gz has SHA-256"):
        wheel.read(path)


@pytest.mark.parametrize("content", [None, [1, 2, 3], ((1, 2), (3, 4), (5, 6)), [(np.zeros(3), np.zeros(3))] * 3])
def test_another_structure_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: object) -> None:
    path = write_wheel(tmp_path / "w.whl", pickle.dumps(content, protocol=3), monkeypatch)
    with pytest.raises(BadInputError, match="three pairs"):
        wheel.read(path)


def test_a_wheel_without_the_member_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_wheel(tmp_path / "w.whl", b"", monkeypatch)
    monkeypatch.setattr(wheel, "MEMBER", "mnist/data/elsewhere.gz")
    with pytest.raises(BadInputError, match=r"elsewhere\.gz cannot be read"):
        wheel.read(path)


def test_a_missing_wheel_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"gone\.whl does not exist"):
        wheel.read(tmp_path / "gone.whl")
