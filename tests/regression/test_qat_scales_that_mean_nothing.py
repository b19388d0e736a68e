"""Scales of the QAT weights were taken as they came: 1e-320 kept `check` busy for minutes, a huge zero point broke it.

So did scales that are missing, of another type or not finite; read here without torch.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lenet_edge.errors import BadInputError
from lenet_edge.learning import checkpoint, qat_weights

SHAPES = {"features.C1": 6, "features.C3": 16, "classifier.C5": 120, "classifier.F6": 84, "classifier.OUTPUT": 3}
LAYERS = {name.split(".")[1]: channels for name, channels in SHAPES.items()}
METADATA = {"kind": "qat", "arch": "lenet5", "classes": ["a", "b", "c"], "dataset": "mnist", "grid": "tie-free"}
TENSORS = {name: np.zeros(shape, np.float32) for name, shape in checkpoint.weight_shapes(METADATA).items()}
SCALES = {f"grid.{name}.weight_scales": np.full(channels, 0.25, np.float32) for name, channels in LAYERS.items()}
Q = {f"grid.{name}.q": np.full(channels, 3, np.int64) for name, channels in LAYERS.items()}
OUTPUTS = {name: [0.5, 0] for name in LAYERS}


def written(folder: Path, tensors: dict[str, np.ndarray | None] | None = None, **changes: object) -> Path:
    """The file with other tensors (None: without it) or metadata."""
    all_tensors = {**TENSORS, **SCALES, **Q, **(tensors or {})}
    kept = {name: tensor for name, tensor in all_tensors.items() if tensor is not None}
    path = folder / "x.qat.safetensors"
    checkpoint.save(path, kept, METADATA | {"outputs": OUTPUTS} | changes)
    return path


def refused(path: Path) -> str:
    with pytest.raises(BadInputError, match="quantize again") as caught:
        qat_weights.load(path)
    return str(caught.value)


def test_what_quantize_writes_is_read(tmp_path):
    found = qat_weights.load(written(tmp_path))
    assert found.outputs["C3"] == (0.5, 0)
    assert found.q["F6"].tolist() == [3] * 84
    assert found.weight_scales["OUTPUT"].tolist() == [0.25] * 3
    assert found.tensors.keys() == TENSORS.keys()
    without_q = dict.fromkeys(Q)
    assert qat_weights.load(written(tmp_path, without_q, grid="ordinary")).q == {}


@pytest.mark.parametrize(
    "output",
    [
        *([1e-320, 0], [0.0, 0], [-0.5, 0], [1e30, 0], [0.1, 0], [0.5, 2**60], [0.5, 128], [0.5, -129], [0.5, 0.0]),
        *([0.5], [0.5, 0, 0], [1, 0], [True, 0], [0.5, True], ["0.5", 0], [None, 0], 0.5, None, {}, "ab"),
    ],
)
def test_an_output_that_means_nothing(tmp_path, output):
    """0.1 is not a float32: it cannot be what was written."""
    assert "C5" in refused(written(tmp_path, outputs={**OUTPUTS, "C5": output}))


@pytest.mark.parametrize("outputs", [None, [], 3, {}, {"C1": [0.5, 0]}, {**OUTPUTS, "C9": [0.5, 0]}])
def test_outputs_of_other_layers(tmp_path, outputs):
    assert "one for each of C1, C3, C5, F6, OUTPUT" in refused(written(tmp_path, outputs=outputs))


@pytest.mark.parametrize("value", [0, -0.25, np.nan, np.inf, 1e-30, 1e30])
def test_a_weight_scale_that_means_nothing(tmp_path, value):
    scales = SCALES["grid.C1.weight_scales"].copy()
    scales[3] = value
    path = written(tmp_path, {"grid.C1.weight_scales": scales})
    with pytest.raises(BadInputError, match=r"weight scale is not within|not finite"):
        qat_weights.load(path)


@pytest.mark.parametrize("q", [0, -1, 2, 255, 1025, 2**40])
def test_a_q_that_the_grid_does_not_have(tmp_path, q):
    assert "q is not one of the grid" in refused(written(tmp_path, {"grid.OUTPUT.q": np.full(3, q)}))


@pytest.mark.parametrize("name", ["grid.C3.q", "grid.C3.weight_scales"])
def test_a_tensor_that_is_missing_or_another(tmp_path, name):
    good = {**SCALES, **Q}[name]
    for other in (None, good[:-1], good[None], good.astype(np.float64), good.astype(np.int32)):
        assert "of a layer are not" in refused(written(tmp_path, {name: other}))


def test_a_tensor_besides(tmp_path):
    assert "grid.C9.q besides" in refused(written(tmp_path, {"grid.C9.q": np.ones(3, np.int64)}))
    assert "grid.C1.q besides" in refused(written(tmp_path, grid="ordinary"))


@pytest.mark.parametrize("grid", [None, 1, "x" * 5000, ["tie-free"], {}])
def test_another_grid(tmp_path, grid):
    assert len(refused(written(tmp_path, grid=grid))) < 300


@pytest.mark.parametrize(
    ("bits", "words"),
    [
        ({"S2": 2}, "bits of weights are not those of"),  # a pooling has no weights
        ({"C5": 3}, "not 8, 4 or 2"),
        ({"C5": "2"}, "not 8, 4 or 2"),
        ({"C5": True}, "not 8, 4 or 2"),
        ({"C5": 2.0}, "not 8, 4 or 2"),
        (["C5"], "bits of weights are not those of"),
        (None, "bits of weights are not those of"),
    ],
)
def test_bits_of_weights_that_mean_nothing(tmp_path, bits, words):
    assert words in refused(written(tmp_path, weight_bits=bits))
    assert qat_weights.load(written(tmp_path, weight_bits={"C5": 2})).bits == {"C5": 2}
