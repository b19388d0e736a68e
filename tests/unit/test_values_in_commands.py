"""`predict` on files of values and on models without classes; `analyze` of graphs."""

import json

import numpy as np
import pytest
import sample_models
import written_files
from click.testing import CliRunner
from sample_models import ModelBuilder

from lenet_edge.cli import cli
from lenet_edge.errors import BadInputError
from lenet_edge.formats import tflite
from lenet_edge.quantized.model import QTensor

SINGLE = ModelBuilder(2, image=QTensor((4,), 0.5, 3)).fully_connected("out", 1, relu=False).build()
CLASSES = ModelBuilder(2, image=QTensor((4,), 0.5, 3)).fully_connected("out", 3, relu=False).build()


@pytest.fixture
def lenet_edge(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(command, model, *arguments):
        data = model if isinstance(model, bytes) else tflite.to_bytes(model)
        (tmp_path / "m.tflite").write_bytes(data)
        where = ("m.tflite",) if command == "analyze" else ("--model", "m.tflite")
        done = CliRunner().invoke(cli, [command, *arguments, *where])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done

    return call


def test_each_row_of_a_file_is_an_input(lenet_edge, tmp_path):
    (tmp_path / "x.csv").write_text("a,b,c,d\n0,0,0,0\n1,2,3,4\n")
    np.save("y.npy", np.array([5, 7, 9, 11], np.int8))
    found = json.loads(lenet_edge("predict", CLASSES, "x.csv", "y.npy", "--json").stdout)["predictions"]
    assert [each["picture"] for each in found] == ["x.csv, input 0", "x.csv, input 1", "y.npy"]
    assert found[1]["logits"] == found[2]["logits"] != found[0]["logits"]  # 1 / 0.5 + 3 is 5
    assert sum(found[0]["distribution"].values()) == pytest.approx(1)
    assert found[0]["values"] is None


def test_outputs_that_are_not_classes_are_real_values(lenet_edge, tmp_path):
    (tmp_path / "x.csv").write_text("1,2,3,4\n")
    found = json.loads(lenet_edge("predict", SINGLE, "x.csv", "--json").stdout)["predictions"][0]
    output = SINGLE.output
    assert found["values"] == [(found["logits"][0] - output.zero_point) * output.scale]
    assert (found["class"], found["distribution"]) == (None, None)
    table = lenet_edge("predict", SINGLE, "x.csv").stdout
    assert f"{found['values'][0]:.6g}" in table


def test_what_does_not_go_with_files_of_values(lenet_edge, tmp_path):
    (tmp_path / "x.csv").write_text("1,2,3,4\n")
    for arguments, said in (
        (("x.csv", "y.png"), "not both"),
        (("x.csv", "--centred"), "no effect with files of values"),
    ):
        done = lenet_edge("predict", CLASSES, *arguments)
        assert done.exit_code == 2
        assert said in " ".join(done.output.split())
    with pytest.raises(BadInputError, match=r"x\.csv, line 1 has 4 values, but the model takes 784"):
        lenet_edge("predict", sample_models.lenet5(1), "x.csv")


def test_analyze_shows_what_each_layer_reads_and_the_ends(lenet_edge):
    chain = json.loads(lenet_edge("analyze", CLASSES, "--json").stdout)
    assert [layer["reads"] for layer in chain["layers"]] == [["input"]]
    assert chain["ends"] == {}
    assert "reads" not in lenet_edge("analyze", CLASSES).stdout
    graph = json.loads(lenet_edge("analyze", written_files.with_two_ends(), "--json").stdout)
    assert [layer["reads"] for layer in graph["layers"]] == [["input 1"], ["input 2"]]
    assert "reads" in lenet_edge("analyze", written_files.with_two_ends()).stdout
    floating = lenet_edge("analyze", written_files.with_ends("float32")).stdout
    assert "the file's inputs are float32, and fed as such" in floating
