"""Every TFLite interpreter against the reference: all logits, and layer by layer."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
import sample_models

from lenet_edge.engines import litert, tensorflow, tflite_runtime, tflm, worker
from lenet_edge.errors import BadInputError, LenetEdgeError, MissingToolError, NothingToRunError
from lenet_edge.formats import tflite
from lenet_edge.quantized import reference
from lenet_edge.quantized.model import QuantizedModel

ENGINES = {
    "litert-reference": (partial(litert.run, kernels="reference"), partial(litert.layer_outputs, kernels="reference")),
    "litert-builtin": (partial(litert.run, kernels="builtin"), partial(litert.layer_outputs, kernels="builtin")),
    "litert-xnnpack": (partial(litert.run, kernels="xnnpack"), partial(litert.layer_outputs, kernels="xnnpack")),
    "tflm": (tflm.run, tflm.layer_outputs),
    "tflite-runtime": (tflite_runtime.run, tflite_runtime.layer_outputs),
    "tensorflow": (tensorflow.run, tensorflow.layer_outputs),
}
QUICK = [name for name in ENGINES if name != "tensorflow"]  # importing tensorflow takes seconds
TIE_FREE = ("lenet5", "lenet5_sigmoid", "every_layer")
CASES = [(engine, sample, seed) for engine in QUICK for sample in TIE_FREE for seed in (11, 12, 13)]
CASES += [("tensorflow", sample, 11) for sample in TIE_FREE]


@cache
def sample_of(name: str, seed: int, *grid: str):
    return getattr(sample_models, name)(seed, *grid)


def images_for(model, count: int = 120, seed: int = 0) -> np.ndarray:
    """Noise, and the two images whose pixels are all black or all white."""
    noise = np.random.default_rng(seed).integers(-128, 128, (count, *model.input.shape), dtype=np.int8)
    edges = np.stack([np.full(model.input.shape, value, np.int8) for value in (-128, 127)])
    return np.concatenate([noise, edges])


def saved(model, folder: Path) -> Path:
    path = folder / "model.tflite"
    path.write_bytes(tflite.to_bytes(model))
    return path


@pytest.mark.parametrize(("engine", "sample", "seed"), CASES)
def test_every_logit_is_the_emulators(engine, sample, seed, tmp_path):
    model = sample_of(sample, seed)
    images = images_for(model, seed=seed)
    logits = ENGINES[engine][0](saved(model, tmp_path), images)
    assert logits.dtype == np.int8
    np.testing.assert_array_equal(logits, reference.run(model, images))
    assert len(np.unique(logits, axis=0)) > 20  # the images are told apart


@pytest.mark.parametrize("engine", ENGINES)
def test_every_layer_is_the_emulators(engine, tmp_path):
    model = sample_of("lenet5_sigmoid", 21) if engine == "tensorflow" else sample_of("every_layer", 21)
    check_layers(engine, model, tmp_path)


@pytest.mark.parametrize("engine", QUICK)
def test_every_layer_of_lenet5_is_the_emulators(engine, tmp_path):
    check_layers(engine, sample_of("lenet5", 22), tmp_path)


def check_layers(engine: str, model, folder: Path) -> None:
    path, images = saved(model, folder), images_for(model, 1)
    run, layer_outputs = ENGINES[engine]
    layers, logits = layer_outputs(path, images[0])
    assert list(layers) == [layer.name for layer in model.layers]
    for layer, expected in zip(model.layers, reference.layer_outputs(model, images[:1]), strict=True):
        np.testing.assert_array_equal(layers[layer.name], expected[0], err_msg=layer.name)
    np.testing.assert_array_equal(logits, run(path, images)[0])


def test_on_an_ordinary_model_the_engines_differ(tmp_path):
    """The positive control: the comparison above can fail."""
    model = sample_of("lenet5", 31, "ordinary")
    path, images = saved(model, tmp_path), images_for(model, 200)
    expected = reference.run(model, images)
    np.testing.assert_array_equal(tflm.run(path, images), expected)
    for kernels in ("reference", "builtin", "xnnpack"):
        assert (litert.run(path, images, kernels) != expected).any(), kernels


@pytest.mark.parametrize("engine", ["tflm", "litert-reference", "litert-builtin", "tflite-runtime"])
def test_average_pooling_is_that_of_the_integer_kernels(engine, tmp_path):
    check_single_layer(engine, "mean", tmp_path)


@pytest.mark.parametrize("engine", ["tflm", "litert-reference"])  # the built-in kernel computes in float32
def test_softmax_is_that_of_the_fixed_point_kernels(engine, tmp_path):
    check_single_layer(engine, "softmax", tmp_path)


def check_single_layer(engine: str, name: str, folder: Path) -> None:
    layer = next(layer for layer in sample_of("average_pool_softmax", 1).layers if layer.name == name)
    model = QuantizedModel((layer,))
    images = images_for(model, 400)
    images[200:] //= 8  # closer values, so that a softmax is not one-hot
    logits = ENGINES[engine][0](saved(model, folder), images)
    np.testing.assert_array_equal(logits, reference.run(model, images).reshape(logits.shape))


def test_no_images_give_no_logits(tmp_path):
    model = sample_of("every_layer", 1)
    images = np.empty((0, *model.input.shape), np.int8)
    assert tflm.run(saved(model, tmp_path), images).shape == (0, 5)


# --- what may go wrong ------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_a_truncated_file_is_bad_input(engine, tmp_path):
    model = sample_of("every_layer", 1)
    path = saved(model, tmp_path)
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(BadInputError, match=r"model\.tflite"):
        ENGINES[engine][0](path, images_for(model, 1))


@pytest.mark.parametrize("engine", QUICK)
def test_a_missing_file_is_bad_input(engine, tmp_path):
    with pytest.raises(BadInputError, match=r"none\.tflite"):
        ENGINES[engine][0](tmp_path / "none.tflite", np.zeros((1, 28, 28, 1), np.int8))


@pytest.mark.parametrize("engine", QUICK)
def test_images_of_another_shape_or_type_are_bad_input(engine, tmp_path):
    path = saved(sample_of("lenet5", 1), tmp_path)
    for images in (np.zeros((1, 28, 27, 1), np.int8), np.zeros((1, 28, 28, 1), np.uint8)):
        with pytest.raises(BadInputError, match="the model takes int8"):
            ENGINES[engine][0](path, images)


def test_damaged_files_end_in_a_result_or_an_error(tmp_path):
    """TFLM trusts its file; what it does with a damaged one must stay in the worker."""
    model = sample_of("every_layer", 1)
    path, random = saved(model, tmp_path), np.random.default_rng(5)
    original = path.read_bytes()
    refused = 0
    for _ in range(12):
        damaged = bytearray(original)
        for position in random.integers(0, len(damaged), 20):
            damaged[position] ^= 1 << int(random.integers(8))
        path.write_bytes(damaged)
        try:
            assert tflm.run(path, images_for(model, 1)).dtype == np.int8
        except LenetEdgeError:
            refused += 1
    assert refused


def test_a_model_that_xnnpack_does_not_take_is_not_passed_off_as_xnnpack(tmp_path):
    model = sample_of("every_layer", 1)
    path = saved(model, tmp_path)
    # tflite-runtime's own default leaves this model to its built-in kernels, which the worker must notice.
    with pytest.raises(NothingToRunError, match="XNNPACK takes none of the model's operators"):
        worker.infer(
            "tflite_runtime",
            path,
            images_for(model, 1),
            kernels="xnnpack",
            install="x",
            python=str(tflite_runtime.python()),
        )


def test_xnnpack_says_that_it_is_there(tmp_path):
    """LiteRT's own log line, next to the operator list that the worker looks at."""
    model = sample_of("lenet5", 1)
    path, images = saved(model, tmp_path), tmp_path / "images.npy"
    np.save(images, images_for(model, 1))
    created = {}
    for kernels in ("builtin", "xnnpack"):
        files = [path, images, tmp_path / "logits.npy"]
        _, stderr = worker.call("ai_edge_litert", [f"--kernels={kernels}"], files, install="x")
        created[kernels] = "XNNPACK delegate" in stderr
    assert created == {"builtin": False, "xnnpack": True}


def test_an_absent_interpreter_names_the_command(tmp_path):
    model = sample_of("every_layer", 1)
    elsewhere = str(tflite_runtime.python())  # an environment without LiteRT
    with pytest.raises(MissingToolError, match=r"No module named 'ai_edge_litert'.*Install with: do this"):
        worker.infer(
            "ai_edge_litert",
            saved(model, tmp_path),
            images_for(model, 1),
            kernels="default",
            install="do this",
            python=elsewhere,
        )


def test_an_absent_environment_names_the_command(tmp_path, monkeypatch):
    monkeypatch.setenv(tflite_runtime.PYTHON_VARIABLE, str(tmp_path / "python"))
    with pytest.raises(MissingToolError, match=r"-m venv .*pip install tflite-runtime==2\.14\.0 numpy==1\.26\.4"):
        tflite_runtime.version()


def test_versions():
    assert tflite_runtime.version() == "2.14.0"
    for engine in (litert, tensorflow, tflm):
        assert engine.version()[0].isdigit()


def test_a_worker_that_takes_too_long_is_ended(tmp_path):
    path = saved(sample_of("every_layer", 1), tmp_path)
    with pytest.raises(LenetEdgeError, match="did not finish"):
        worker.call("tflite_micro", ["--arena"], [path], install="x", timeout_s=0.01)


def children_of(process: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def wait_until(condition, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_an_interrupt_ends_the_worker_as_well(tmp_path):
    path = saved(sample_of("lenet5", 1), tmp_path)
    code = (
        "import numpy, sys; from pathlib import Path; from lenet_edge.engines import tflm\n"
        "tflm.run(Path(sys.argv[1]), numpy.zeros((200_000, 28, 28, 1), numpy.int8))"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(path)], stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: children_of(parent.pid))
        child = children_of(parent.pid)[0]
        parent.send_signal(signal.SIGINT)  # to the parent alone
        assert parent.wait(30) != 0
        wait_until(lambda: not Path(f"/proc/{child}").exists())
    finally:
        parent.kill()
        parent.wait()


# --- the arena ------------------------------------------------------------------------------------------------


def test_the_smallest_arena_is_the_smallest(tmp_path):
    # this sample's allocation needs more than its inference
    path = saved(sample_of("every_layer", 3), tmp_path)
    arena = tflm.arena(path)
    assert arena.head + arena.tail == arena.total
    code = (
        "import sys; from tflite_micro import runtime\n"
        "model = runtime.Interpreter.from_file(sys.argv[1], arena_size=int(sys.argv[2]))\n"
        "model.invoke()"
    )
    outcome = {}
    for size in (arena.smallest - 16, arena.smallest):
        argv = [sys.executable, "-c", code, str(path), str(size)]
        outcome[size] = subprocess.run(argv, capture_output=True).returncode == 0
    assert outcome == {arena.smallest - 16: False, arena.smallest: True}


def test_an_account_of_unknown_form_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "call", lambda *_, **__: ('{"smallest": 16}', "arena total: 3"))
    with pytest.raises(LenetEdgeError, match="new form"):
        tflm.arena(tmp_path / "model.tflite")
