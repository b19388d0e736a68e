"""The engine that compiles the exported C: its results, and what it says when something is missing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import sample_models

from lenet_edge.engines import host_c
from lenet_edge.errors import BadInputError, LenetEdgeError, MissingToolError
from lenet_edge.formats import c_source
from lenet_edge.quantized import reference
from lenet_edge.records import write_artefact

FIRMWARE = Path(__file__).parents[2] / "firmware"
COMPILER = next((path for path in map(shutil.which, ("cc", "gcc", "clang")) if path), None)
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="a C compiler (cc, gcc or clang) is missing")


def write(folder, model):
    write_artefact(
        folder,
        c_source.export(c_source.make_plan(model), FIRMWARE),
        model.fingerprint,
        **c_source.facts(c_source.make_plan(model)),
    )
    return folder


def images_for(model, count=5):
    return np.random.default_rng(0).integers(-128, 128, (count, *model.input.shape)).astype(np.int8)


@pytest.fixture
def model():
    return sample_models.every_layer(3)


@pytest.fixture
def folder(model, tmp_path):
    return write(tmp_path / "c", model)


@pytest.fixture(autouse=True)
def _no_choice(monkeypatch):
    monkeypatch.delenv("CC", raising=False)


# --- what it computes ---------------------------------------------------------------------------------


@needs_compiler
def test_logits_are_the_emulators(model, folder):
    images = images_for(model)
    np.testing.assert_array_equal(host_c.run(folder, images), reference.run(model, images))
    np.testing.assert_array_equal(host_c.run(folder, images[::2]), reference.run(model, images[::2]))  # not contiguous
    assert host_c.run(folder, images[:0]).shape == (0, 5)


@needs_compiler
@pytest.mark.parametrize("sample", ["lenet5_sigmoid", "every_layer", "average_pool_softmax"])
def test_layers_are_the_emulators(sample, tmp_path):
    """Of a step that leaves what no layer of the model has there is nothing to see."""
    model = getattr(sample_models, sample)(4)
    (image,) = images_for(model, 1)
    found, logits = host_c.layer_outputs(write(tmp_path / "c", model), image)
    outputs = reference.layer_outputs(model, image[np.newaxis])
    expected = {layer.name: output[0] for layer, output in zip(model.layers, outputs, strict=True)}
    for name, values in found.items():
        np.testing.assert_array_equal(values, expected[name].ravel(), err_msg=name)
    np.testing.assert_array_equal(logits, expected[model.layers[-1].name])
    if sample == "lenet5_sigmoid":
        assert list(found) == ["S2", "S4", "C5", "C5/sigmoid", "F6", "F6/sigmoid", "OUTPUT"]


@needs_compiler
def test_other_sources_in_the_folder_are_none_of_its_business(model, folder):
    (folder / "mine.c").write_text("this is not C")
    images = images_for(model, 2)
    np.testing.assert_array_equal(host_c.run(folder, images), reference.run(model, images))


@needs_compiler
def test_cc_may_have_options(model, folder, monkeypatch):
    monkeypatch.setenv("CC", f"{COMPILER} -O0")
    images = images_for(model, 2)
    np.testing.assert_array_equal(host_c.run(folder, images), reference.run(model, images))
    assert host_c.version()


# --- what it says -------------------------------------------------------------------------------------


def test_without_a_compiler(model, folder, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingToolError, match="apt-get install gcc"):
        host_c.version()
    with pytest.raises(MissingToolError, match="apt-get install gcc"):
        host_c.run(folder, images_for(model))


@pytest.mark.parametrize("named", ["no-such-compiler", "/no/such/compiler -O2", "'unbalanced"])
def test_a_cc_that_names_nothing(named, monkeypatch):
    monkeypatch.setenv("CC", named)
    with pytest.raises(MissingToolError, match="CC") as raised:
        host_c.version()
    assert named.split()[0] in str(raised.value)


@pytest.mark.parametrize(
    "content",
    [None, "", "{", "[]", "3", "{}", '{"classes": 5, "input_bytes": 286, "steps": []}', b"\xff\xfe"],
    ids=str,
)
def test_a_folder_without_a_manifest_of_ours(content, model, folder):
    manifest = folder / "manifest.json"
    if content is None:
        manifest.unlink()
    else:
        manifest.write_bytes(content if isinstance(content, bytes) else content.encode())
    for call in (host_c.run, lambda place, images: host_c.layer_outputs(place, images[0])):
        with pytest.raises(BadInputError, match=r"manifest\.json.*[Ee]xport again"):
            call(folder, images_for(model))


def test_a_manifest_with_an_entry_of_another_type(model, folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    for key in ("classes", "input_bytes", "workspace_bytes", "steps", "files"):
        (folder / "manifest.json").write_text(json.dumps({**manifest, key: "five"}))
        with pytest.raises(BadInputError, match="export again"):
            host_c.run(folder, images_for(model))


@needs_compiler
@pytest.mark.parametrize("broken", ["text", "missing", "kernels"])
def test_a_folder_that_does_not_compile(broken, model, folder):
    if broken == "text":
        (folder / "le_model.c").write_text("int le_infer(void) { return nothing; }\n")
    elif broken == "missing":
        (folder / "le_lookup.c").unlink()
    else:
        header = (folder / "le_kernels.h").read_text()
        (folder / "le_kernels.h").write_text(header.replace("KERNELS_VERSION 1", "KERNELS_VERSION 7"))
    with pytest.raises(LenetEdgeError, match="does not compile") as raised:
        host_c.run(folder, images_for(model))
    said = {"text": "nothing", "missing": "le_lookup.c", "kernels": "export the model again"}
    assert said[broken] in str(raised.value)


@pytest.mark.parametrize("shape", [(2, 28, 28, 1), (1, 13, 11, 1), (1, 286 * 2)])
def test_images_of_another_size(shape, folder):
    with pytest.raises(BadInputError, match="286 bytes"):
        host_c.run(folder, np.zeros(shape, np.int8))
    with pytest.raises(BadInputError, match="286 bytes"):
        host_c.layer_outputs(folder, np.zeros(shape[1:], np.int8))
