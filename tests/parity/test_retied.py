"""An ordinary residual network, moved onto the grid: every engine gives the same integers, and before they did not."""

from __future__ import annotations

import numpy as np
import residual_models

from lenet_edge.engines import ENGINES
from lenet_edge.formats import onnx, tflite
from lenet_edge.quantized.model import Add, QTensor, QuantizedModel
from lenet_edge.quantized.reference import run
from lenet_edge.quantized.runtimes import RUNTIMES
from lenet_edge.quantized.tie_free import tie_free_problem, without_last_softmax
from lenet_edge.retie import moves, retie

INTEGERS = ("tflm", "litert-builtin", "litert-reference", "litert-xnnpack", "tf-lite", "onnxruntime")
RATIOS = [(1, 1, 1, 1), (1, 2, 3, 2), (3, 5, 7, 1), (8, 1, 127, 16), (2, 3, 5, 64)]  # i, j, p, k


def test_every_engine_agrees_afterwards(tmp_path, run_cli):
    model = residual_models.residual(2)
    images = np.random.default_rng(1).integers(-128, 128, (300, *model.input.shape)).astype(np.int8)
    assert (run(model, images) != run(model, images, RUNTIMES["litert-xnnpack"])).sum() > 20
    (tmp_path / "model.tflite").write_bytes(tflite.to_bytes(model))
    moved = run_cli("retie", "model.tflite", "--out", "exact.tflite", "--json", cwd=tmp_path)
    assert moved.code == 0, moved.stderr
    assert moved.json["proof"]["disagreements"] == 0
    after = run_cli("check", "--model", "exact.tflite", "--data", "noise", "--images", 1000, "--json", cwd=tmp_path)
    assert after.code == 0, after.stderr
    ran = {engine["name"]: engine["logits_differ"] for engine in after.json["engines"] if engine["status"] == "ran"}
    assert {"tflm", "litert-xnnpack", "litert-builtin", "onnxruntime", "host_c", "host_c-x86"} <= set(ran)
    assert set(ran.values()) == {0}


def test_all_pairs_of_sums_are_the_same_in_every_runtime(tmp_path):
    """Five sums side by side, each of two inputs of 1,024 values: all 65,536 pairs in 64 images."""
    s, values = 0.0123, np.arange(-128, 128, dtype=np.int8)
    layers = [
        Add(f"sum {number}", (_tensor(i * s, 7), _tensor(j * s, -40)), _tensor(s * p / k, -3))
        for number, (i, j, p, k) in enumerate(RATIOS)
    ]
    reads = tuple((-1 - 2 * number, -2 - 2 * number) for number in range(len(layers)))
    model = QuantizedModel(tuple(layers), {}, reads, tuple(range(len(layers))))
    assert tie_free_problem(model) is None
    first, second = np.meshgrid(values, values, indexing="ij")
    pair = np.stack([first.reshape(64, 1024), second.reshape(64, 1024)], axis=1)
    images = np.repeat(pair[:, np.newaxis], len(layers), axis=1).reshape(64, -1)
    files = {"tflite": tmp_path / "sums.tflite", "onnx": tmp_path / "sums.onnx"}
    files["tflite"].write_bytes(tflite.to_bytes(model))
    files["onnx"].write_bytes(onnx.to_bytes(model, "qdq"))
    exact = [
        np.clip((2 * k * (i * (first.astype(int) - 7) + j * (second.astype(int) + 40)) + p) // (2 * p) - 3, -128, 127)
        for i, j, p, k in RATIOS
    ]
    expected = np.concatenate([part.reshape(64, 1024) for part in exact], axis=1)
    for name in ("reference", *INTEGERS):
        found = run(model, images) if name == "reference" else ENGINES[name].run(files[ENGINES[name].artefact], images)
        np.testing.assert_array_equal(found, expected, err_msg=name)


def _tensor(scale: float, zero_point: int) -> QTensor:
    return QTensor((1024,), float(np.float32(scale)), zero_point)


def test_models_of_others(shared):
    """Real ones: all can be exact but for a SOFTMAX at the end, and what it reads is 20 dB above the noise or more."""
    paths = sorted([*(shared / "models").glob("*.tflite"), *(shared / "cases" / "own").glob("*.tflite")])
    assert len(paths) >= 20
    random = np.random.default_rng(3)
    for path in paths:
        model = tflite.read(path)
        found = retie(model)
        exact = without_last_softmax(found.model)
        assert tie_free_problem(exact) is None, path.name
        last = len(without_last_softmax(model).layers) - 1
        uniform = random.integers(-128, 128, (6, *model.input.shape))
        smooth = np.clip(np.cumsum(random.normal(0, 9, uniform.shape), axis=1), -128, 127)
        for images in (uniform, smooth):
            row = moves(model, found, images.astype(np.int8))[last]
            assert row.sqnr_db is None or row.sqnr_db > 20, (path.name, row)
