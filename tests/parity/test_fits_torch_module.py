"""`lenet-edge fits my_net.py:Net`: a PyTorch module is a network there, too."""

import json

import pytest

from lenet_edge.cli import main

NET = """
from torch import nn

class Net(nn.Sequential):
    def __init__(self, num_classes, in_channels):
        super().__init__(
            nn.Conv2d(in_channels, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU6(),
            nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, num_classes),
        )
"""
SAME = """
summary = "the same"
[[features]]
name = "a"
type = "convolution"
channels = 8
window = 3
stride = 2
padding = 1
activation = "relu6"
[[features]]
name = "b"
type = "depthwise"
window = 3
padding = "same"
activation = "relu"
[[features]]
name = "c"
type = "average-pooling"
[[classifier]]
name = "d"
type = "fully-connected"
"""


@pytest.fixture
def fits(tmp_path, monkeypatch, capsys):
    """``fits(what)``: exit code, what --json says, stderr; in a folder with a module and a network."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_net.py").write_text(NET, encoding="utf-8")
    (tmp_path / "same.toml").write_text(SAME, encoding="utf-8")

    def asked(what):
        with pytest.raises(SystemExit) as ended:
            main(["fits", what, "--size", "24x20", "--colour", "--classes", "4", "--board", "microbit", "--json"])
        output = capsys.readouterr()
        return ended.value.code or 0, json.loads(output.out) if output.out else None, output.err

    return asked


def test_a_module_takes_what_its_description_takes(fits):
    code, found, log = fits("my_net.py:Net")
    assert code == 0, log
    assert "taken over as 4 layers" in log
    _, same, _ = fits("same.toml")
    assert (found.pop("of"), same.pop("of")) == ("my_net.py:Net", "same.toml")
    assert found == same


def test_a_module_that_is_none(fits):
    code, found, log = fits("my_net.py:Other")
    assert (code, found) == (3, None)
    assert "Other" in log
