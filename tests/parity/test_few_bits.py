"""Weights of 4 and 2 bits: on the grid, at their levels, the same integers; their steps are learnt."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lenet_edge import datasets
from lenet_edge.learning import qat_network, qat_weights
from lenet_edge.learning.fake_quantize.few_bits import LearnedSteps
from lenet_edge.learning.network import build
from lenet_edge.learning.qat_training import QatSettings, frozen_after, quantize
from lenet_edge.learning.training import TrainingSet
from lenet_edge.networks import reader
from lenet_edge.networks.folding import folded
from lenet_edge.quantized.proof import prove
from lenet_edge.quantized.reference import quantize_images, run
from lenet_edge.quantized.tie_free import ADMISSIBLE_Q, tie_free_problem

BITS = {"C1": 4, "C3": 2, "C5": 2, "F6": 4}  # OUTPUT has 8
LEVELS = {8: 63, 4: 7, 2: 1}


def quantized(
    epochs: int, arch: str = "lenet5", bits: dict[str, int] | None = None, batch: int = 128
) -> qat_network.QatNetwork:
    """A random network, on noise; a weight far beyond the others is in each layer of few bits."""
    torch.manual_seed(0)
    network = build(reader.load(arch)).eval()
    with torch.no_grad():
        network.features.C3.weight[0, 0, 0, 0] = 3.0
        network.classifier.F6.weight[5, 7] = -4.0
    labels = np.random.default_rng(0).integers(0, 10, 128).astype(np.uint8)
    pixels = datasets.noise(128, 0)[:128]
    data = TrainingSet(pixels, labels, pixels[:64], labels[:64])
    settings = QatSettings(epochs=epochs, learning_rate=2e-3, batch=batch, bits=BITS if bits is None else bits)
    return quantize(network, reader.load(arch), data, settings)


@pytest.mark.parametrize(("epochs", "arch"), [(0, "lenet5"), (4, "lenet5"), (2, "lenet5-sigmoid")])
def test_the_model_is_exact_and_has_only_its_levels(epochs: int, arch: str) -> None:
    qat = quantized(epochs, arch)
    frozen = qat.freeze()
    assert tie_free_problem(frozen) is None
    assert prove(frozen).passed
    images = quantize_images(datasets.noise(50, seed=7))
    np.testing.assert_array_equal(qat.integers(images), run(frozen, images))
    layers = {layer.name: layer.weights for layer in frozen.layers if hasattr(layer, "weights")}
    for name, weights in layers.items():
        levels = LEVELS[BITS.get(name, 8)]
        seen = set(np.unique(weights))
        assert seen <= {2 * level for level in range(-levels, levels + 1)}, name
        assert len(seen) >= min(3, levels), name


def test_the_file_of_weights_brings_the_same_network_back(tmp_path) -> None:
    qat = quantized(0)
    facts = {"arch": "lenet5", "classes": list("0123456789"), "dataset": "x", "grid": "tie-free", "weight_bits": BITS}
    frozen = qat.freeze().with_metadata(**facts)
    path = tmp_path / "model.qat.safetensors"
    path.write_bytes(qat_weights.to_bytes(qat.weights(frozen)))
    assert qat_network.load(path).freeze() == frozen


@pytest.mark.parametrize(("epochs", "batch"), [(2, 128), (1, 32)])
def test_training_moves_the_steps_and_then_holds_them(epochs: int, batch: int) -> None:
    before, after = quantized(0, bits={"C5": 2}), quantized(epochs, bits={"C5": 2}, batch=batch)
    first, second = (
        next(layer for layer in qat.weighted if layer.name == "C5").learned.steps for qat in (before, after)
    )
    assert (first != second).float().mean() > 0.5  # a channel that is never active learns nothing
    layer = next(layer for layer in after.weighted if layer.name == "C5")
    assert not layer.learns
    real = layer.scales.output.scale / (layer.scales.q * layer.scales.input.scale)
    np.testing.assert_allclose(real, second.detach().abs().numpy(), rtol=0.35)  # q = 3 is 40 % from q = 5


def test_the_first_half_of_a_short_run_trains_the_steps() -> None:
    """Usual numbers of epochs keep what they had: half of 8 bits' epochs, three quarters of few bits'."""
    assert [frozen_after(epochs, 10, {}) for epochs in (1, 2, 4, 5)] == [0, 10, 20, 20]
    assert [frozen_after(epochs, 10, {"C5": 8}) for epochs in (1, 4)] == [0, 20]
    assert [frozen_after(epochs, 10, BITS) for epochs in (2, 3, 4, 14, 16)] == [10, 20, 30, 100, 120]
    assert [frozen_after(1, batches, BITS) for batches in (1, 2, 3, 10)] == [0, 1, 2, 5]


def test_all_bits_8_is_the_network_without_few_bits() -> None:
    assert quantized(1, bits={}).freeze() == quantized(1, bits={"C5": 8}).freeze()


def test_q_is_the_admissible_one_nearest_by_ratio() -> None:
    steps = LearnedSteps(torch.ones(400, 3), 1)
    with torch.no_grad():
        steps.steps[:] = torch.logspace(-6, 1, 400)
    found = steps.q(0.5, 0.25).numpy()
    wanted = 0.25 / (0.5 * steps.steps.detach().numpy().astype(np.float64))
    distance = np.abs(np.log(np.array(ADMISSIBLE_Q)[None] / wanted[:, None]))
    chosen = np.abs(np.log(found / wanted))
    np.testing.assert_allclose(chosen, distance.min(1), atol=1e-5)
    assert np.isin(found, ADMISSIBLE_Q).all()


@pytest.mark.parametrize("levels", [1, 7])
def test_the_gradient_of_a_step_is_that_of_the_error_it_makes(levels: int) -> None:
    """Within the levels a step's gradient is (rounded - exact), beyond it the last level: the paper's equation 3."""
    weight = torch.tensor([[0.2, -0.7, 1.4, -30.0]])
    steps = LearnedSteps(weight, levels)
    with torch.no_grad():
        steps.steps[:] = 1.0
    exact = (weight / steps.unit()[:, None]).clamp(-levels, levels)
    rounded = exact + (exact.round() - exact).detach()
    (rounded * steps.unit()[:, None]).sum().backward()
    each = [0 - 0.2, -1 + 0.7, 1 - 1.4 if levels > 1 else 1, -levels]
    assert float(steps.steps.grad[0]) == pytest.approx(sum(each) * steps.scaling[0].item(), rel=1e-5)


@pytest.mark.parametrize("bits", [4, 2])
def test_connections_that_do_not_exist_count_nowhere_in_the_first_steps(bits: int) -> None:
    """C3 of the paper: each channel's step comes from its own kernels, although the others hold numbers."""
    network = build(folded(reader.load("lenet5-1998")))
    qat = qat_network.QatNetwork(network, network.description, (28, 28, 1), "tie-free", {"C3": bits})
    c3 = next(layer for layer in network.description.features if layer.name == "C3")
    learned = next(layer for layer in qat.weighted if layer.name == "C3").learned
    weight = network.features.C3.weight.detach()
    assert sorted(set(map(len, c3.connections))) == [3, 4, 6]
    for channel, seen in enumerate(c3.connections):
        alone = LearnedSteps(weight[channel : channel + 1, list(seen)], learned.levels)
        assert learned.steps[channel].item() == pytest.approx(alone.steps[0].item(), rel=1e-5)
        assert learned.scaling[channel].item() == pytest.approx((25 * len(seen) * learned.levels) ** -0.5, rel=1e-6)


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--weight-bits", "4", "--grid", "ordinary"), 2, "--weight-bits is for the tie-free grid"),
        (("--weight-bits", "C5=3"), 3, "'3' is not 8, 4 or 2"),
        (("--weight-bits", "c5=2"), 3, "do you mean C5?"),
    ],
)
def test_the_command_refuses_before_anything_is_loaded(run_cli, float_model, tmp_path, options, code, message) -> None:
    outcome = run_cli("quantize", "--model", float_model, "--data", tmp_path / "none", *options, cwd=tmp_path)
    assert outcome.code == code
    assert message in " ".join(outcome.stderr.split())


@pytest.fixture
def float_model(tmp_path):
    from lenet_edge.learning import checkpoint
    from lenet_edge.learning.network import to_tensors

    path = tmp_path / "lenet5.safetensors"
    facts = {"kind": "float", "arch": "lenet5", "classes": list("0123456789"), "dataset": "x"}
    checkpoint.save(path, to_tensors(build(reader.load("lenet5"))), facts)
    return path
