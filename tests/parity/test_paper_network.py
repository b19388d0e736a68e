"""`lenet5-1998` in training: its float network is the paper's formulas, and QAT leaves what is fixed as it is."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lenet_edge.engines import ENGINES
from lenet_edge.formats import tflite
from lenet_edge.learning import checkpoint, qat_network, qat_training, qat_weights, training
from lenet_edge.learning.network import build, fold
from lenet_edge.networks import reader
from lenet_edge.quantized.proof import prove
from lenet_edge.quantized.reference import run

IMAGES = np.random.default_rng(5).integers(0, 256, (96, 28, 28), dtype=np.uint8)
LABELS = (np.arange(96) % 10).astype(np.uint8)
SHORT = 'epochs = {}\nquantize_epochs = 2\nbatch = 32\nleast_steps = 3\naugmentation = false\n[[features]]\nname = "C1"'


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    text = (reader.networks_folder() / "lenet5-1998.toml").read_text(encoding="utf-8")
    head, _, rest = text.partition("[recipe]")
    layers = rest.partition('[[features]]\nname = "C1"')[2]
    path = tmp_path_factory.mktemp("networks") / "paper.toml"
    path.write_text(f"{head}[recipe]\n{SHORT.format(1)}{layers}", encoding="utf-8")
    return reader.load(str(path))


@pytest.fixture(scope="module")
def trained(described, tmp_path_factory):
    """A float training of three batches, then two epochs of QAT, which is what fixes and moves weights."""
    folder = tmp_path_factory.mktemp("trained")
    data = training.TrainingSet(IMAGES, LABELS, IMAGES[:20], LABELS[:20])
    settings = training.TrainingSettings(described, [*"0123456789"], "noise")
    saved = training.train(data, settings, folder / "partial.safetensors")
    network = training.network_of(saved)
    how = qat_training.QatSettings(epochs=2, batch=32)
    qat = qat_training.quantize(network, network.description, data, how)
    frozen = qat.freeze()
    return SimpleNamespace(saved=saved, qat=qat, frozen=frozen, folder=folder, data=data, settings=settings)


def squashed(values):
    return 1.7159 * np.tanh(2 / 3 * values)


def convolved(maps, weight, bias):
    """Maps ``[n, c, h, w]``, kernels ``[o, c, 5, 5]``: tap by tap."""
    rows, columns = maps.shape[2] - 4, maps.shape[3] - 4
    taps = [
        np.einsum("nchw,oc->nohw", maps[:, :, r : r + rows, c : c + columns], weight[:, :, r, c])
        for r in range(5)
        for c in range(5)
    ]
    return sum(taps) + bias[:, None, None]


def subsampled(maps, weight, bias):
    sums = maps[:, :, ::2, ::2] + maps[:, :, 1::2, ::2] + maps[:, :, ::2, 1::2] + maps[:, :, 1::2, 1::2]
    return sums * weight.reshape(-1, 1, 1) + bias[:, None, None]


def test_the_float_network_is_the_papers_formulas(described):
    network = build(described).eval()
    network.initialize(1.0, torch.Generator().manual_seed(3))
    w = {name: tensor.detach().double().numpy() for name, tensor in network.state_dict().items()}

    def of(layer):
        return w[f"{layer}.weight"], w[f"{layer}.bias"]

    images = IMAGES[:4] / 255
    maps = squashed(convolved(np.pad(images, ((0, 0), (2, 2), (2, 2)))[:, None], *of("features.C1")))
    maps = squashed(subsampled(maps, *of("features.S2")))
    weight, bias = of("features.C3")
    table = described.features[2].connections
    alone = [convolved(maps[:, list(seen)], weight[[o]][:, list(seen)], bias[[o]]) for o, seen in enumerate(table)]
    maps = squashed(subsampled(squashed(np.concatenate(alone, 1)), *of("features.S4")))
    x = maps.reshape(len(maps), -1)
    for layer in ("C5", "F6"):
        weight, bias = of(f"classifier.{layer}")
        x = squashed(x @ weight.T + bias)
    codes = [[1 if each == "#" else -1 for each in "".join(code)] for code in described.classifier[-1].codes]
    distances = ((x[:, None] - np.array(codes)) ** 2).sum(2)  # the paper's equation 7

    for module in (network, fold(network)):
        with torch.no_grad():
            logits = module(torch.from_numpy(images[:, None]).float()).double().numpy()
        np.testing.assert_allclose(logits - logits[:, :1], distances[:, :1] - distances, atol=2e-3)
        np.testing.assert_array_equal(logits.argmax(1), distances.argmin(1))


def test_training_and_qat_leave_what_is_fixed(trained):
    table = np.zeros((16, 6), bool)
    for channel, seen in enumerate(trained.qat.network.description.features[2].connections):
        table[channel, list(seen)] = True
    weights = trained.saved.tensors["features.C3.weight"]
    assert not weights[~table].any()
    assert weights[table].all()
    layers = {layer.name: layer for layer in trained.frozen.layers}
    integers = layers["C3"].weights.transpose(0, 3, 1, 2)
    assert not integers[~table].any()
    assert integers[table].any(axis=(1, 2)).all()
    for name in ("S2", "S4"):
        kernels = layers[name].weights.reshape(4, -1)
        assert (kernels == kernels[0]).all()
    codes = [[each == "#" for each in "".join(code)] for code in trained.qat.network.description.classifier[-1].codes]
    output = layers["OUTPUT"]
    np.testing.assert_array_equal(output.weights > 0, codes)
    assert len(np.unique(np.abs(output.weights))) == 1
    assert not output.bias.any()


def test_it_is_proved_and_runs_alike(trained):
    assert prove(trained.frozen).passed
    images = (IMAGES[:64, ..., None] ^ 0x80).view(np.int8)
    expected = run(trained.frozen, images)
    path = trained.folder / "model.tflite"
    path.write_bytes(tflite.to_bytes(trained.frozen))
    assert tflite.from_bytes(path.read_bytes()) == trained.frozen
    np.testing.assert_array_equal(ENGINES["tflm"].run(path, images), expected)
    again = trained.folder / "qat.safetensors"
    again.write_bytes(qat_weights.to_bytes(trained.qat.weights(with_metadata(trained))))
    np.testing.assert_array_equal(qat_network.load(again).integers(images), expected)


def with_metadata(trained):
    keys = ("arch", "classes", "dataset", "network", "image_shape", "preparation")
    metadata = {key: trained.saved.metadata[key] for key in keys}
    return SimpleNamespace(metadata=metadata, fingerprint=trained.frozen.fingerprint)


def test_an_interrupted_training_goes_on(trained):
    """The partial checkpoint has no moments of the codes, which are not trained."""
    resumed = training.train(trained.data, trained.settings, trained.folder / "partial.safetensors", resume=True)
    for name, tensor in trained.saved.tensors.items():
        np.testing.assert_array_equal(resumed.tensors[name], tensor)
    checkpoint.from_bytes(checkpoint.to_bytes(resumed.tensors, resumed.metadata), "here")
