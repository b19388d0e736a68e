"""/dev/zero was read until the memory was full, a pipe was waited for, and 3 GB were read before they were refused."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lenet_edge import budget
from lenet_edge.cli.artefacts import _read_exported
from lenet_edge.datasets import idx, wheel
from lenet_edge.engines import onnxruntime
from lenet_edge.errors import BadInputError
from lenet_edge.files import MODEL_BYTES, read_bytes
from lenet_edge.formats import tflite
from lenet_edge.hardware import boards, firmware
from lenet_edge.hardware.flashing import read_records
from lenet_edge.learning import checkpoint
from lenet_edge.pictures import read_picture
from lenet_edge.records import read_bench, read_exported_c, read_manifest

# What reads a file of the user's, by its path.
READERS = {
    "model": tflite.read,
    "float model": checkpoint.load,
    "QAT weights": lambda path: checkpoint.load(path, "qat"),
    "IDX": lambda path: idx.read_file(path, 3),
    "picture": read_picture,
    "board": lambda path: boards.load(str(path)),
    "policy": boards.read_policy,
    "budgets": budget.read_budgets,
    "base record": budget.read_base,
    "bench record": lambda path: read_bench(path, "microbit"),
    "check record": lambda path: read_records([path]),
    "ONNX": onnxruntime._content,
    "wheel": wheel.read,
    "exported file": lambda path: _read_exported(path.parent, path.name, ""),
}
# What reads a file of that name in a folder.
FOLDERS = {"firmware": firmware.load, "exported C": read_exported_c}


def strange_files(folder: Path) -> dict[str, Path]:
    """Kind -> something that is not a file of plausible size; each can be named like a .toml, as a board must be."""
    found = {kind: folder / f"{kind}.toml" for kind in ("pipe", "socket", "huge", "device", "link")}
    os.mkfifo(found["pipe"])
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(found["socket"]))
    with found["huge"].open("wb") as stream:
        stream.truncate(3 << 30)  # sparse: it takes no room
    found["device"].symlink_to("/dev/zero")
    found["link"].symlink_to(found["pipe"])
    return found | {"folder": folder}


@pytest.fixture
def strange(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a socket's path may have 107 bytes
    return strange_files(Path())


@pytest.mark.timeout(60)
@pytest.mark.parametrize("reader", READERS)
def test_every_reader_refuses_them_at_once(strange, reader):
    for kind, path in strange.items():
        if kind == "folder" and reader == "board":
            continue  # not the name of a TOML
        started = time.monotonic()
        with pytest.raises(BadInputError):
            READERS[reader](path)
        assert time.monotonic() - started < 5, kind


@pytest.mark.timeout(60)
@pytest.mark.parametrize("reader", FOLDERS)
@pytest.mark.parametrize("kind", ["pipe", "socket", "huge", "device", "link"])
def test_nor_is_a_manifest_that_is_none(strange, reader, kind):
    strange[kind].rename("manifest.json")
    assert read_manifest(Path()) is None
    with pytest.raises(BadInputError):
        FOLDERS[reader](Path())


@pytest.mark.parametrize(
    ("kind", "said"),
    [("pipe", "it is a pipe"), ("link", "it is a pipe"), ("device", "it is a device"), ("socket", "it is a socket")],
)
def test_the_message_says_what_it_is(strange, kind, said):
    with pytest.raises(
        BadInputError, match=rf"the file {kind}\.toml cannot be read: {said}, not a regular file\. Do\."
    ):
        read_bytes(strange[kind], "the file", "Do.")


def test_a_link_to_a_file_is_fine(tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    assert read_bytes(tmp_path / "link", "the file") == b"content"


def test_the_limit_is_held_exactly(tmp_path):
    (tmp_path / "file").write_bytes(bytes(100))
    assert len(read_bytes(tmp_path / "file", "the file", limit=100)) == 100
    with pytest.raises(BadInputError, match="100 bytes, and 99 at most"):
        read_bytes(tmp_path / "file", "the file", limit=99)
    assert read_bytes(Path("/proc/self/status"), "the file")  # a regular file whose size is said to be 0
    with pytest.raises(BadInputError, match="too large"):
        read_bytes(Path("/proc/self/status"), "the file", limit=9)
    assert MODEL_BYTES < 1 << 30


@pytest.mark.parametrize("name", ["null\0", "half\ud800", "x" * 5000])
def test_what_is_not_a_path(name):
    with pytest.raises(BadInputError, match="cannot be read"):
        read_bytes(Path(name), "the file")


def test_a_gzip_bomb_takes_no_memory(tmp_path):
    """A million zeros for each kilobyte; its header claims a gigabyte, of which the file has a hundredth."""
    import gzip

    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(idx.header((2**20, 32, 32)) + bytes(10 << 20)) + bytes(2 << 20))
    code = (
        "import sys; from pathlib import Path; from lenet_edge.datasets import idx; idx.read_file(Path(sys.argv[1]), 3)"
    )

    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))

    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code, path],
        preexec_fn=limit,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "BadInputError" in done.stderr
    assert "MemoryError" not in done.stderr
