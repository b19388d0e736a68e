"""The sizes in the manifest of exported C were believed: with fewer classes than there are, the C wrote beyond them.

The files are held to their SHA-256 in the manifest; the manifest itself is text that anybody can edit.
"""

import json

import pytest
import sample_models

from lenet_edge.cli.artefacts import Artefacts
from lenet_edge.errors import BadInputError
from lenet_edge.formats import c_source, tflite
from lenet_edge.records import read_exported_c, write_artefact
from lenet_edge.resources import firmware_folder

MODEL = sample_models.every_layer()


@pytest.fixture
def exports(tmp_path):
    contents = c_source.export(c_source.make_plan(MODEL, c_source.PLAIN), firmware_folder())
    write_artefact(
        tmp_path / "c",
        contents,
        MODEL.fingerprint,
        target="c",
        **c_source.facts(c_source.make_plan(MODEL, c_source.PLAIN)),
    )
    return tmp_path


def change(exports, **facts):
    path = exports / "c" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | facts))


def made(exports):
    with Artefacts(exports / "x.tflite", MODEL, tflite.to_bytes(MODEL), exports, kinds=["c"]) as artefacts:
        return (artefacts["c"] / "manifest.json").read_text()


def test_what_export_wrote_is_taken(exports):
    assert json.loads(made(exports))["classes"] == 5


@pytest.mark.parametrize("fact", [{"classes": 1}, {"input_bytes": 1}, {"workspace_bytes": 8}, {"steps": []}])
def test_another_size_is_refused(exports, fact):
    change(exports, **fact)
    with pytest.raises(BadInputError, match=f"another {next(iter(fact))} than this version exports; export it again"):
        made(exports)


@pytest.mark.parametrize(
    "fact",
    [
        {"classes": True},
        {"classes": -1},
        {"classes": 2.0},
        {"workspace_bytes": 10**18},
        {"input_bytes": "13"},
        {"steps": 7},
        {"steps": [1]},
        {"steps": [{"shows": 3}]},
        {"files": []},
        {"steps": None},
    ],
)
def test_what_cannot_be_a_size_is_refused_by_the_engine(exports, fact):
    change(exports, **fact)
    with pytest.raises(BadInputError, match="is not what `lenet-edge export --target c` writes"):
        read_exported_c(exports / "c")


def test_nesting_is_refused_by_the_engine(exports):
    (exports / "c" / "manifest.json").write_text("[" * 100_000)
    with pytest.raises(BadInputError, match="is not what `lenet-edge export --target c` writes"):
        read_exported_c(exports / "c")
