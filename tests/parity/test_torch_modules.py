"""PyTorch modules of one's own as networks: what is taken over computes the same, the rest is named with its line."""

import io
import pickle
from textwrap import dedent

import numpy as np
import pytest
import safetensors.torch
import torch

from lenet_edge.errors import BadInputError
from lenet_edge.learning.torch_module import is_module
from lenet_edge.learning.torch_module.importing import Normalization, load
from lenet_edge.networks.description import Addition

HEAD = """
import torch
from torch import nn
from torch.nn import functional as F
"""
TAIL = "nn.Flatten(), nn.LazyLinear(classes))"

RESIDUAL = """
import operator
class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride > 1:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
    def forward(self, x):
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        SUM
        return self.relu(out)
class net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU())
        self.blocks = nn.Sequential(Block(4, 4, 1), Block(4, 6, 2))
        self.fc = nn.Linear(6, classes)
    def forward(self, x):
        return self.fc(self.blocks(self.stem(x)).mean((2, 3)))
"""
SUMS = {
    "out += identity": "out += identity",
    "torch.add": "out = torch.add(identity, out, alpha=0.5)",
    "iadd": "out = operator.iadd(out, identity)",
    "a difference": "out = identity - out",
    "three": "out = out + (identity + F.relu(out))",
}
TAKEN = {
    **{f"residual, {name}": RESIDUAL.replace("SUM", code) for name, code in SUMS.items()},
    "before the activation": """
class net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.bn, self.relu = nn.BatchNorm2d(4), nn.ReLU(inplace=True)
        self.fc1, self.fc2, self.fc = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, classes)
    def forward(self, x):
        x = self.conv1(x)
        x = x + self.conv2(F.relu(self.bn(x)))
        x = self.relu(x) + F.max_pool2d(x, 1)
        x = (2 * x + x).mean((2, 3))
        x = x - torch.tanh(self.fc1(x))
        y = self.fc2(x)
        return self.fc(F.dropout(y + F.relu(y) + y + y, 0.1, self.training))
""",
    "with the image": "class net(nn.Module):\n def __init__(self, classes):\n  super().__init__()\n  "
    "self.conv, self.fc = nn.Conv2d(1, 1, 3, padding=1), nn.Linear(1, classes)\n"
    " def forward(self, x):\n  x = x - 0.5\n  return self.fc((x + self.conv(x)).mean((2, 3)))",
    "plain": "def net(classes): return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), " + TAIL,
    "relu after pooling": "def net(classes): return nn.Sequential(nn.Conv2d(1, 4, 3), nn.MaxPool2d(2), nn.ReLU(), "
    + TAIL,
    "average, tanh": "def net(classes): return nn.Sequential(nn.Conv2d(1, 4, 5, padding=2), nn.Tanh(), "
    "nn.AvgPool2d(2), nn.Sigmoid(), nn.Conv2d(4, 5, 3, stride=2, padding=1), nn.AdaptiveAvgPool2d(1), " + TAIL,
    "normalised": "def net(classes): return nn.Sequential(nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), "
    "nn.ReLU6(), nn.Flatten(), nn.Linear(400, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(), nn.Linear(8, classes))",
    "normalised first and late": "def net(classes): return nn.Sequential(nn.BatchNorm2d(1), nn.Conv2d(1, 4, 3, "
    "padding=1), nn.ReLU(), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(576, 8), nn.ReLU(), nn.BatchNorm1d(8), "
    "nn.Linear(8, classes), nn.BatchNorm1d(classes))",
    "depthwise": "def net(classes): return nn.Sequential(nn.Conv2d(1, 4, 3, padding='same'), nn.ReLU6(), "
    "nn.Conv2d(4, 8, 3, groups=4, stride=(2, 1)), nn.ReLU6(), nn.Conv2d(8, 6, 1), nn.AdaptiveAvgPool2d((1, 1)), "
    "nn.Dropout2d(0.1), nn.Identity(), " + TAIL,
    "all convolutions": "def net(classes): return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), "
    "nn.Conv2d(4, classes, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())",
    "a last convolution": "def net(classes): return nn.Sequential(nn.Conv2d(1, 4, 3, 2), nn.ReLU(), "
    "nn.Conv2d(4, classes, 5), nn.Flatten(), nn.LogSoftmax(1))",
    "asymmetric zeros": "def net(classes): return nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), "
    "nn.Conv2d(1, 4, 3, stride=2), nn.ReLU(inplace=True), " + TAIL,
    "functions": """
class net(nn.Module):
    def __init__(self, num_classes=3):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 6, 3)
        self.fc = nn.Linear(6, 12)
        self.out = nn.Parameter(torch.randn(12, num_classes))
        self.register_buffer("mean", torch.tensor([0.13]).view(1, 1, 1))
    def forward(self, x):
        x = (x - self.mean) / 0.3
        x = F.max_pool2d(F.relu(self.conv1(x * 2 - 1)), 2)
        x = F.relu_(self.conv2(x)).mul(0.5)
        x = F.dropout(x, training=self.training).mean((2, 3))
        x = torch.clamp(self.fc(x.view(x.size(0), -1)), min=0)
        return F.softmax(x @ self.out, dim=-1)
""",
    "blocks": """
class Block(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs, eps=1e-3)
        self.act = nn.ReLU(inplace=True)
    def forward(self, x):
        return self.act(self.bn(self.conv(x)))
class net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.features = nn.Sequential(Block(1, 4), nn.MaxPool2d(2), Block(4, 8), nn.AdaptiveMaxPool2d(2))
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(32, 10), nn.Sigmoid(), nn.Linear(10, classes))
    def forward(self, x):
        return self.classifier(self.features(x)).squeeze()
""",
}


def written(folder, text, name="my_net.py"):
    (folder / name).write_text(HEAD + dedent(text), encoding="utf-8")
    return str(folder / name)


def trained(module):
    """Normalisations as a training leaves them."""
    for each in module.modules():
        if isinstance(each, (torch.nn.BatchNorm2d, torch.nn.BatchNorm1d)):
            torch.nn.init.uniform_(each.weight, 0.5, 2)
            torch.nn.init.normal_(each.bias)
            each.running_mean.normal_()
            each.running_var.uniform_(0.2, 3)
    return module


@pytest.mark.parametrize("name", TAKEN)
def test_it_computes_the_same(tmp_path, name):
    file = written(tmp_path, TAKEN[name] + "\nraw = net(3).eval()\nraw(torch.rand(2, 1, 12, 12))\n")
    namespace = {}
    exec((tmp_path / "my_net.py").read_text(encoding="utf-8"), namespace)  # noqa: S102  # the text is above
    torch.save(trained(namespace["raw"]).state_dict(), tmp_path / "w.pt")
    taken = load(f"{file}:net", (12, 12, 1), 3, weights=tmp_path / "w.pt")
    # load compares the two itself, and refuses what differs.
    assert 0 <= taken.largest_difference <= 1e-5 * max(1, taken.largest_logit)
    assert all(np.isfinite(array).all() for array in taken.tensors.values())
    assert taken.network.classifier[-1].outputs is None


def test_names_and_normalisations_of_blocks(tmp_path):
    taken = load(written(tmp_path, TAKEN["blocks"]) + ":net", (12, 12, 1), 3)
    names = [layer.name for layer in (*taken.network.features, *taken.network.classifier)]
    assert names == ["conv0_conv", "pool1", "conv2_conv", "pool3", "linear1", "linear3"]
    assert taken.network.features[0].batch_norm
    assert taken.tensors["features.conv0_conv_norm.running_var"].shape == (4,)
    assert taken.network.features[0].activation == "relu"
    assert taken.network.classifier[0].activation == "sigmoid"


def test_the_same_seed_gives_the_same_weights(tmp_path):
    reference = written(tmp_path, TAKEN["plain"]) + ":net"
    first, same, other = (load(reference, (12, 12, 1), 3, seed=seed).tensors for seed in (1, 1, 2))
    assert all((first[name] == same[name]).all() for name in first)
    assert any((first[name] != other[name]).any() for name in first)


@pytest.mark.parametrize("padding", [0, 1])
def test_a_normalisation_of_the_images_is_part_of_the_network(tmp_path, padding):
    text = f"net = nn.Sequential(nn.Conv2d(3, 4, 3, padding={padding}), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2))"
    taken = load(
        written(tmp_path, text) + ":net", (9, 8, 3), 2, normalization=Normalization((0.4, 0.5, 0.6), (0.2, 0.25, 0.3))
    )
    assert len(taken.network.features) == 1 + padding  # zeros around the map are exact only behind a layer of its own
    assert taken.largest_difference < 1e-5


def test_what_two_branches_read_stays_as_it_is(tmp_path):
    taken = load(written(tmp_path, TAKEN["before the activation"]) + ":net", (12, 12, 1), 3)
    layers = {layer.name: layer for layer in (*taken.network.features, *taken.network.classifier)}
    sums = [layer.inputs for layer in layers.values() if isinstance(layer, Addition)]
    assert sums[0] == ("conv1", "conv2")
    assert len(sums) == 6  # 2 x + x is a factor
    assert layers["conv1"].activation == "none"
    assert not layers["conv1"].batch_norm  # bn reads what the short cut does, so that it is a layer of its own
    assert layers["bn"].activation == "relu"
    assert layers["bn"].batch_norm
    assert [note for note in taken.notes if "relu" in note]


BRANCHES = {
    "a concatenation": ("torch.cat([x, y], 1)", "cat at my_net.py:13: branches may meet in an addition"),
    "a product": ("x * y", "mul at my_net.py:13: branches may meet in an addition"),
    "other shapes": ("x + y.mean((2, 3), keepdim=True)", "only equal ones can be"),
    "two maps": ("self.fc(x.flatten(1)) + self.fc(y.flatten(1))", "two different maps are flattened"),
}


@pytest.mark.parametrize("name", BRANCHES)
def test_branches_that_cannot_meet(tmp_path, name):
    code, said = BRANCHES[name]
    text = f"""
class net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(1, 2, 3), nn.LazyLinear(3)
    def forward(self, x):
        x = F.relu(self.conv(x))
        y = F.max_pool2d(x, 1) * 2
        x = {code}
        return x if x.ndim == 2 else self.fc(x.flatten(1))
"""
    with pytest.raises(BadInputError, match=said.replace(".", r"\.")):
        load(written(tmp_path, text) + ":net", (9, 9, 1), 3)


UNSUPPORTED = """
class net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.more = nn.Conv2d(4, 4, 3, padding=1, dilation=2)
        self.odd = nn.LeakyReLU()
        self.fc = nn.LazyLinear(3)
    def forward(self, x):
        x = self.conv(x)
        y = F.gelu(x)
        x = x * y
        x = self.odd(x)
        x = self.more(x)
        return self.fc(x.permute(0, 2, 3, 1).flatten(1))
"""


def test_all_that_is_unsupported_is_named_with_its_line(tmp_path):
    with pytest.raises(BadInputError) as caught:
        load(written(tmp_path, UNSUPPORTED) + ":net", (12, 12, 1), 3)
    text = (HEAD + UNSUPPORTED).splitlines()
    said = str(caught.value)
    for code in ("F.gelu(x)", "x * y", "self.odd(x)", "self.more(x)", "x.permute"):
        line = next(number for number, each in enumerate(text, 1) if code in each)
        assert f"my_net.py:{line}" in said, (code, said)
    assert "use ReLU, ReLU6, Sigmoid or Tanh" in said
    assert "branches may meet in an addition" in said


def test_the_line_of_a_sequential_is_where_it_is_written(tmp_path):
    text = (
        "net = nn.Sequential(\n    nn.Conv2d(1, 4, 3),\n    nn.LeakyReLU(),\n    nn.Flatten(),\n    nn.LazyLinear(3))"
    )
    with pytest.raises(BadInputError, match=r"LeakyReLU at my_net\.py:7 1: use ReLU"):
        load(written(tmp_path, text) + ":net", (12, 12, 1), 3)


LINEAR = "nn.Sequential(nn.Flatten(), nn.Linear(144, 3))"
TRAPS = {
    "syntax": ("def net(:\n", r"executing the file failed at my_net\.py:5: SyntaxError"),
    "no such name": (f"Other = {LINEAR}", r"nothing called 'net'\. It has: .*my_net\.py:Other"),
    "raises": ("1 / 0", r"at my_net\.py:5: ZeroDivisionError"),
    "exits": ("raise SystemExit(0)", "SystemExit"),
    "import": ("import no_such_package_of_mine", "No module named 'no_such_package_of_mine'"),
    "arguments": ("def net(width): pass", "it needs width"),
    "no module": ("net = 3", "is a int, not a torch.nn.Module"),
    "gives none": ("def net(): return 3", "gives a int"),
    "classes": ("net = nn.Sequential(nn.Flatten(), nn.Linear(144, 4))", r"gives \[4\] values .* 3 classes"),
    "channels": ("net = nn.Sequential(nn.Conv2d(3, 4, 3))", "running it on images of 1 x 12 x 12 failed"),
    "several outputs": (
        f"class net(nn.Module):\n def __init__(s):\n  super().__init__()\n  s.a={LINEAR}\n"
        " def forward(s, x): return s.a(x), 1",
        "gives a tuple",
    ),
    "control flow": (
        f"class net(nn.Module):\n def __init__(s):\n  super().__init__()\n  s.a={LINEAR}\n def forward(s, x):\n"
        "  if x.sum() > 3: x = x * 2\n  return s.a(x)",
        r"what my_net\.py:10 does depends on the values",
    ),
    "random": (
        f"class net(nn.Module):\n def __init__(s):\n  super().__init__()\n  s.a={LINEAR}\n"
        " def forward(s, x): return s.a(F.dropout(x))",
        "drops in evaluation",
    ),
    "not a number": (f"net = {LINEAR}\nnet[1].weight.data[0, 0] = float('nan')", "1.weight has values that are not"),
    "logits rectified": ("net = nn.Sequential(nn.Flatten(), nn.Linear(144, 3), nn.ReLU())", "relu follows the logits"),
}


@pytest.mark.parametrize("name", TRAPS)
def test_traps(tmp_path, name):
    text, message = TRAPS[name]
    with pytest.raises(BadInputError, match=message):
        load(written(tmp_path, text) + ":net", (12, 12, 1), 3)


def test_what_it_prints_is_no_result(tmp_path, capfd):
    load(written(tmp_path, f"print('hello')\nnet = {LINEAR}") + ":net", (12, 12, 1), 3)
    output = capfd.readouterr()
    assert output.out == ""
    assert output.err == "hello\n"


@pytest.mark.parametrize("wrap", ["plain", "module.", "model.module.", "nested", "safetensors"])
def test_weights_as_people_save_them(tmp_path, wrap):
    reference = written(tmp_path, f"net = {LINEAR}") + ":net"
    state = {name: torch.rand(shape) for name, shape in (("1.weight", (3, 144)), ("1.bias", (3,)))}
    path = tmp_path / "w"
    if wrap == "safetensors":
        path.write_bytes(safetensors.torch.save(state))
    elif wrap == "nested":
        torch.save({"epoch": 3, "state_dict": {f"model.{name}": value for name, value in state.items()}}, path)
    else:
        torch.save({("" if wrap == "plain" else wrap) + name: value for name, value in state.items()}, path)
    taken = load(reference, (12, 12, 1), 3, weights=path)
    assert (taken.tensors["classifier.linear1.weight"] == state["1.weight"].numpy()).all()


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_a_pickle_is_not_executed(tmp_path):
    reference = written(tmp_path, f"net = {LINEAR}") + ":net"
    whole = io.BytesIO()
    torch.save(torch.nn.Linear(2, 2), whole)
    bomb = io.BytesIO()
    torch.save({"1.weight": Bomb(tmp_path / "executed")}, bomb)
    plain = pickle.dumps(Bomb(tmp_path / "executed"))
    for data in (whole.getvalue(), bomb.getvalue(), plain):
        (tmp_path / "w.pt").write_bytes(data)
        with pytest.raises(BadInputError, match=r"could run any code.*torch\.save\(net\.state_dict"):
            load(reference, (12, 12, 1), 3, weights=tmp_path / "w.pt")
    assert not (tmp_path / "executed").exists()


def test_weights_of_another_network_and_damage(tmp_path):
    reference, path = written(tmp_path, f"net = {LINEAR}") + ":net", tmp_path / "w.pt"
    for state, message in (
        ({"1.weight": torch.ones(3, 144)}, "1.bias is missing"),
        ({"1.weight": torch.ones(3, 144), "1.bias": torch.ones(3), "x": torch.ones(1)}, "x is not in the module"),
        ({"1.weight": torch.ones(3, 143), "1.bias": torch.ones(3)}, r"1.weight is \[3, 143\] there and \[3, 144\]"),
        ({"1.weight": torch.full((3, 144), torch.inf), "1.bias": torch.ones(3)}, "not finite"),
        ([1, 2], "holds a list"),
    ):
        torch.save(state, path)
        with pytest.raises(BadInputError, match=message):
            load(reference, (12, 12, 1), 3, weights=path)
    whole = path.read_bytes()
    for data in (whole[:-100], whole[:50], b"", b"not weights at all"):
        path.write_bytes(data)
        with pytest.raises(BadInputError, match="state dict"):
            load(reference, (12, 12, 1), 3, weights=path)


def test_what_counts_as_a_module():
    assert is_module("my_net.py:Net")
    assert is_module("my_net.py")
    assert is_module("package.nets:Net")
    assert not is_module("lenet5")
    assert not is_module("my_net.toml")
