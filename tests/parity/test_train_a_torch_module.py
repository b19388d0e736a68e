"""A PyTorch module from `train` to the engines, and random ones against PyTorch itself."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lenet_edge.cli import main
from lenet_edge.errors import BadInputError
from lenet_edge.learning import checkpoint, training
from lenet_edge.learning.torch_module.importing import load

NET = """
from torch import nn

def block(inputs, outputs):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs, eps=1e-3), nn.ReLU6()
    )

class Net(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.features = nn.Sequential(block(1, 4), nn.MaxPool2d(2), block(4, 6), nn.AdaptiveAvgPool2d(2))
        self.classifier = nn.Sequential(nn.Flatten(), nn.Dropout(0.1), nn.Linear(24, num_classes))

    def forward(self, images):
        return self.classifier(self.features(images))
"""


@pytest.fixture
def data(tmp_path):
    """16x16 images of three classes: a bright bar on the left, in the middle, on the right."""
    rng = np.random.default_rng(0)
    sets = {}
    for name, count in (("train", 240), ("test", 60)):
        labels = (np.arange(count) % 3).astype(np.uint8)
        images = rng.integers(0, 90, (count, 16, 16), dtype=np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[:, 5 * label + 1 : 5 * label + 4] += 150
        sets |= {f"x_{name}": images, f"y_{name}": labels}
    np.savez(tmp_path / "bars.npz", **sets)
    return tmp_path / "bars.npz"


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        main([*map(str, arguments), "--json"])
    output = capsys.readouterr()
    return ended.value.code or 0, json.loads(output.out) if output.out else None, output.err


def test_own_weights_without_training(tmp_path, data, capsys):
    (tmp_path / "my_net.py").write_text(NET, encoding="utf-8")
    namespace = {}
    exec(NET, namespace)  # noqa: S102  # the text above
    module = namespace["Net"](3)
    for each in module.modules():
        if isinstance(each, torch.nn.BatchNorm2d):
            each.running_mean.normal_()
            each.running_var.uniform_(0.3, 2)
    torch.save(module.state_dict(), tmp_path / "w.pt")
    out = tmp_path / "out.safetensors"
    network = ("--network", f"{tmp_path / 'my_net.py'}:Net", "--weights", tmp_path / "w.pt")
    code, result, said = run(capsys, "train", *network, "--epochs", 0, "--data", data, "--out", out)
    assert code == 0, said
    assert result["arch"] == "my_net-Net"
    assert "taken over as" in said
    images = np.random.default_rng(1).integers(0, 256, (20, 16, 16), dtype=np.uint8)
    ours = training.logits(training.network_of(checkpoint.load(out)), images)
    with torch.no_grad():
        theirs = module.eval()(torch.from_numpy(images)[:, None].float() / 255).numpy()
    assert np.abs(ours - theirs).max() < 1e-5 * max(1, np.abs(theirs).max())


def test_trained_quantized_and_checked(tmp_path, data, capsys):
    (tmp_path / "my_net.py").write_text(NET, encoding="utf-8")
    out, model = tmp_path / "out.safetensors", tmp_path / "model.tflite"
    arguments = ("--network", f"{tmp_path / 'my_net.py'}:Net", "--data", data)
    code, result, said = run(capsys, "train", *arguments, "--epochs", 1, "--out", out)
    assert code == 0, said
    assert result["test_accuracy"] > 0.9
    quantize = ("--model", out, "--data", data, "--epochs", 1, "--out", model)
    code, _, said = run(capsys, "quantize", "--int8", *quantize)
    assert code == 0, said
    code, result, said = run(
        capsys, "check", "--model", model, "--data", data, "--float", out, "--out", tmp_path / "check.json"
    )
    assert code == 0, (said, result)


def test_a_module_with_its_weights_is_quantised_at_once(tmp_path, data, capsys, monkeypatch):
    """Without training, by `quantize` alone; the float weights are where `train` would leave them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_net.py").write_text(NET, encoding="utf-8")
    namespace = {}
    exec(NET, namespace)  # noqa: S102  # the text above
    torch.save(namespace["Net"](3).state_dict(), tmp_path / "w.pt")
    module = ("--model", "my_net.py:Net", "--data", data, "--epochs", 0)
    code, result, said = run(capsys, "quantize", *module, "--weights", "w.pt", "--mean", "0.4", "--std", "0.3")
    assert code == 0, said
    assert result["proof"]["disagreements"] == 0
    assert result["out"] == "build/my_net-Net-int8.tflite"
    assert (tmp_path / "build" / "my_net-Net.safetensors").is_file()
    for arguments, wanted in (((), "--weights FILE has to say"), (("--weights", "w.pt", "--images", 5), "--images")):
        code, _, said = run(capsys, "quantize", *module, *arguments)
        assert code == 2
        assert wanted in " ".join(said.split())
    code, _, said = run(capsys, "quantize", "--weights", "w.pt")
    assert code == 2
    assert "--weights has no effect without a PyTorch module" in said


def test_options_of_modules_need_a_module(tmp_path, capsys):
    code, _, said = run(capsys, "train", "--epochs", 0, "--out", tmp_path / "x.safetensors")
    assert code == 2
    assert "--weights" in said
    code, _, said = run(capsys, "train", "--mean", "0.5", "--out", tmp_path / "x.safetensors")
    assert code == 2
    assert "--mean has no effect without a PyTorch module" in said
    code, _, said = run(capsys, "train", "--network", tmp_path / "none.py", "--out", tmp_path / "x.safetensors")
    assert code == 3
    assert "none.py does not exist" in said


LAYERS = st.one_of(
    st.tuples(
        st.just("conv"),
        st.integers(1, 5),  # channels
        st.sampled_from([1, 2, 3]),  # window
        st.sampled_from([1, 2]),  # stride
        st.sampled_from([0, 1, "same"]),
        st.booleans(),  # bias
    ),
    st.tuples(st.just("depthwise"), st.integers(1, 2), st.sampled_from([1, 3])),
    st.tuples(st.sampled_from(["norm", "relu", "relu6", "max", "average", "dropout"])),
)


def module_of(layers, classes):
    """The Sequential of a drawn list, with normalisations as a training leaves them."""
    channels, modules = 1, []
    for kind, *numbers in layers:
        if kind == "conv":
            outputs, window, stride, padding, bias = numbers
            stride = 1 if padding == "same" else stride
            padding = 0 if padding == 1 and window == 1 else padding
            modules.append(torch.nn.Conv2d(channels, outputs, window, stride, padding, bias=bias))
            channels = outputs
        elif kind == "depthwise":
            modules.append(torch.nn.Conv2d(channels, channels * numbers[0], numbers[1], groups=channels))
            channels *= numbers[0]
        elif kind == "norm":
            norm = torch.nn.BatchNorm2d(channels)
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.3, 2)
            modules.append(norm)
        else:
            made = {"relu": torch.nn.ReLU(), "relu6": torch.nn.ReLU6(), "dropout": torch.nn.Dropout(0.2)}
            made |= {"max": torch.nn.MaxPool2d(2), "average": torch.nn.AvgPool2d(2)}
            modules.append(made[kind])
    return torch.nn.Sequential(*modules, torch.nn.Flatten(), torch.nn.LazyLinear(classes))


# PyTorch's own word about how it pads for an even window.
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@settings(max_examples=25, deadline=None)
@given(st.lists(LAYERS, min_size=1, max_size=7), st.integers(0, 1000))
def test_random_chains(tmp_path_factory, layers, seed):
    torch.manual_seed(seed)
    module = module_of(layers, 3).eval()
    try:
        module(torch.rand(2, 1, 17, 14))
    except RuntimeError:
        return  # a map became empty
    folder = tmp_path_factory.mktemp("chain")
    torch.save(module.state_dict(), folder / "w.pt")
    (folder / "net.py").write_text(
        "import torch, sys\nfrom test_train_a_torch_module import module_of\n"
        f"net = module_of({layers!r}, 3).eval()\nnet(torch.rand(2, 1, 17, 14))\n",
        encoding="utf-8",
    )
    taken = load(f"{folder / 'net.py'}:net", (17, 14, 1), 3, weights=folder / "w.pt")
    assert taken.largest_difference <= 1e-5 * max(1, taken.largest_logit)


def test_a_padding_with_nothing_but_zeros_is_named(tmp_path):
    (tmp_path / "net.py").write_text(
        "from torch import nn\nnet = nn.Sequential(nn.Conv2d(1, 2, 1, padding=1), nn.Flatten(), nn.LazyLinear(2))\n",
        encoding="utf-8",
    )
    with pytest.raises(BadInputError, match=r"Conv2d at net\.py:2 0: its padding is not smaller than its window"):
        load(f"{tmp_path / 'net.py'}:net", (6, 6, 1), 2)
