"""`quantize --model build/mine.safetensors` wrote build/lenet5-int8.tflite, which may have been of another float model,
and `check` did not find the float model that it was made from.
"""

import picture_files
import pytest

NETWORK = """
summary = "one layer"
activation = "relu"
[recipe]
epochs = 1
learning_rate = 1e-2
least_steps = 1
[[classifier]]
name = "OUTPUT"
type = "fully-connected"
"""


def test_it_is_named_after_the_float_model(call, tmp_path):
    pytest.importorskip("torch")
    picture_files.write(tmp_path / "photos", classes=2, each=8, size=8)
    (tmp_path / "net.toml").write_text(NETWORK, encoding="utf-8")
    (tmp_path / "build").mkdir()
    other = tmp_path / "build/net-int8.tflite"
    other.write_bytes(b"of another float model")
    assert call("train", "--network", "net.toml", "--data", "photos", "--out", "build/mine.safetensors").returncode == 0
    assert call("quantize", "--model", "build/mine.safetensors", "--data", "photos", "--epochs", "0").returncode == 0
    assert other.read_bytes() == b"of another float model"
    checked = ("check", "--model", "build/mine-int8.tflite", "--data", "photos", "--max-drop", "100")
    done = call(*checked, "--engine", "tflm", "--engine", "litert-reference")
    assert done.returncode == 0, done.stderr
    assert "drop" in done.stdout  # it found build/mine.safetensors
