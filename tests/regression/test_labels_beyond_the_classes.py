"""Labels 0 to 9 against a model of five classes: `check` ran for a minute and "passed" at 49.5 %; `run` ended in a
traceback.

Now nothing runs: exit 3, and a message that says which labels and how many classes.
"""

import idx_files
import numpy as np
import pytest
from sample_models import ModelBuilder

from lenet_edge.formats import tflite


@pytest.fixture
def folder(tmp_path):
    """Ten images, labels 0 to 9; models of five classes, and of one LOGISTIC output."""
    arrays = idx_files.small_arrays(train=24, test=10)
    arrays[3] = np.arange(10, dtype=np.uint8)
    idx_files.write_folder(tmp_path / "data", arrays)
    for name, outputs in (("five", 5), ("binary", 1), ("ten", 10)):
        builder = ModelBuilder(7).conv("C1", 3).pool("S2").flatten().fully_connected("OUT", outputs, relu=False)
        model = (builder.lookup("LOGISTIC") if outputs == 1 else builder).build()
        (tmp_path / f"{name}.tflite").write_bytes(tflite.to_bytes(model))
    return tmp_path


@pytest.mark.parametrize(("name", "classes"), [("five", 5), ("binary", 2)])
@pytest.mark.parametrize(
    "command",
    [
        ("check",),
        ("check", "--images", 2),  # the data set is the wrong one, whatever part of it is looked at
        ("run", "--board", "microbit"),
        ("bench", "--board", "microbit"),
        ("bench", "--host"),
    ],
)
def test_nothing_runs(call, folder, name, classes, command):
    done = call(*command, "--model", folder / f"{name}.tflite", "--data", "data")
    assert done.returncode == 3
    assert f"the labels of data are 0 to 9, and the model has {classes} classes, 0 to {classes - 1}" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not (folder / "build").exists()


def test_as_many_classes_as_labels_are_fine(answer, folder):
    engines = ("--engine", "tflm", "--engine", "litert-reference")
    assert answer("check", "--model", folder / "ten.tflite", "--data", "data", *engines)["passed"]
