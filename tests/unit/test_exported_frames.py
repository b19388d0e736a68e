"""`export --frames`: what is added, and that nothing is without it."""

from __future__ import annotations

import json

import pytest
import sample_models
from click.testing import CliRunner

from lenet_edge.cli import cli
from lenet_edge.errors import BadInputError
from lenet_edge.formats import c_source, projects, tflite
from lenet_edge.preparation import Preparation, to_json
from lenet_edge.preparation.frames import FrameShape
from lenet_edge.quantized.model import QuantizedModel
from lenet_edge.resources import firmware_folder

MODEL = sample_models.lenet5(7)
FRAMES = FrameShape(320, 240, "rgb565")
ADDED = {
    *("le_prepare.h", "le_prepare.c", "le_prepare_steps.h", "le_prepare_centre.c"),
    *("le_preparation.h", "le_preparation.c"),
}


def files(target, frames, model=MODEL, prefix="le"):
    plan = c_source.make_plan(model)
    if target == "c":
        return c_source.export(plan, firmware_folder(), frames)
    return projects.export(plan, firmware_folder(), target, "lenet5", prefix, frames)


@pytest.mark.parametrize("target", ["c", *projects.PROJECTS])
def test_le_prepare_comes_with_frames_alone(target):
    without, found = files(target, None), files(target, FRAMES)
    place = "" if target == "c" else "src/"
    assert {f"{place}{name}" for name in ADDED} <= set(found) - set(without)
    assert not any(b"prepare" in content.lower() for content in without.values())
    sources = {name for name in without if name.startswith(f"{place}le_")}
    assert {name: found[name] for name in sources} == {name: without[name] for name in sources}
    compiled = {name for name in ADDED if name.endswith(".c")}
    for name in {"CMakeLists.txt"} & set(found):
        assert all(source in found[name].decode() for source in compiled)


@pytest.mark.parametrize("target", projects.PROJECTS)
def test_all_names_have_the_prefix(target):
    found = files(target, FRAMES, prefix="meter")
    assert {"src/meter_prepare.h", "src/meter_preparation.c"} <= set(found)
    for name, content in found.items():
        assert b"le_prepar" not in content.replace(b"meter_prepar", b""), name
    (example,) = (content for name, content in found.items() if name.endswith("example_frame.h"))
    assert b"METER_FRAME_RGB565" in example


def test_the_header_has_the_settings_of_the_model():
    settings = Preparation(28, 28, 1, crop=(4, 5, 60, 70), invert="always", low=-1.0, high=1.0)
    model = QuantizedModel(MODEL.layers, {"preparation": to_json(settings)})
    text = files("c", FRAMES, model)["le_preparation.c"].decode()
    assert "{28, 28, 1, LE_CROP_BOX, LE_INVERT_ALWAYS, 0, 4, 5, 60, 70, le_pixel_values}" in text


@pytest.mark.parametrize(
    ("frames", "settings", "said"),
    [
        (FrameShape(8, 8, "grey8"), Preparation(28, 28, crop=(0, 0, 9, 9)), "does not hold the crop of 9×9"),
        (
            FrameShape(1, 5, "grey8"),
            Preparation(28, 28, centred=True),
            "frames 1x5/grey8, an upright bar: shows nothing",
        ),
    ],
)
def test_frames_of_which_nothing_comes(frames, settings, said):
    model = QuantizedModel(MODEL.layers, {"preparation": to_json(settings)})
    with pytest.raises(BadInputError, match=said):
        files("arduino", frames, model)


@pytest.mark.parametrize("target", ["c", "arduino"])
def test_a_model_without_pictures(target):
    with pytest.raises(BadInputError, match="pictures and frames are made into"):
        files(target, FRAMES, sample_models.every_layer(3))


def call(folder, *arguments):
    (folder / "model.tflite").write_bytes(tflite.to_bytes(MODEL))
    argv = ["export", "--model", str(folder / "model.tflite"), "--out", str(folder / "out"), "--json"]
    return CliRunner().invoke(cli, [*argv, *arguments])


@pytest.mark.parametrize("target", ["c", "zephyr"])
def test_the_manifest_names_the_frames(target, tmp_path):
    done = call(tmp_path, "--target", target, "--frames", "320x240/rgb565")
    assert json.loads(done.stdout)["frames"] == "320x240/rgb565"
    assert "frames" not in json.loads(call(tmp_path, "--target", target).stdout)


@pytest.mark.parametrize("target", ["tflite", "onnx", "tflm"])
def test_only_c_has_frames(target, tmp_path):
    done = call(tmp_path, "--target", target, "--frames", "320x240/rgb565")
    assert done.exit_code == 2
    assert "--frames has no effect" in done.stderr
