"""After `export --target c --frames 320x240/rgb565` `check` failed: the entry `frames` of the manifest was unknown."""

import pytest
import sample_models

from lenet_edge.formats import tflite
from lenet_edge.records import read_exported_c

OPTIONS = [
    "--frames 320x240/rgb565",
    "--name meter",
    "--kernels x86",
    "--optimize size",
    "--weight-packing auto",
    "--like onnxruntime",
    "--kernels x86 --frames 32x24/yuv422 --name meter --weight-packing 8",
]


@pytest.mark.parametrize("options", OPTIONS)
def test_every_manifest_of_exported_c_is_read(options, call, tmp_path):
    (tmp_path / "m.tflite").write_bytes(tflite.to_bytes(sample_models.lenet5(51)))
    done = call("export", "--target", "c", "--model", "m.tflite", *options.split())
    assert done.returncode == 0, done.stderr
    found = read_exported_c(tmp_path / "build/c")
    assert found.frames == (options.split("--frames ")[1].split()[0] if "--frames" in options else None)


def test_check_runs_it(call, model):
    assert call("export", "--target", "c", "--model", model, "--frames", "320x240/rgb565").returncode == 0
    engines = ("--engine", "host_c", "--engine", "tflm", "--engine", "litert-reference")
    done = call("check", "--model", model, "--data", "noise", "--images", "3", *engines)
    assert done.returncode == 0, done.stderr
    assert "host_c: 0 logits differ" in done.stderr
