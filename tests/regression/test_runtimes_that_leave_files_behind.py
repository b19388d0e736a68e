"""ONNX Runtime 1.32 starts its telemetry when it is imported, which left a file .ses in $TMPDIR."""

from __future__ import annotations

import os
import subprocess
import sys

PROGRAM = """
from lenet_edge.engines import onnxruntime
print(onnxruntime.version())
try:
    onnxruntime.run(__import__("pathlib").Path(__import__("sys").argv[1]), None, optimize=True)
except Exception as error:
    print(type(error).__name__)
import onnxruntime
"""


def test_onnx_runtime_sends_and_leaves_nothing(tmp_path):
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    (tmp_path / "not.onnx").write_bytes(b"no model")
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, tmp_path / "not.onnx"],
        env={**environment, "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "BadInputError" in done.stdout, done.stdout + done.stderr
    assert not os.listdir(temporary)
