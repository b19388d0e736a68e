"""Networks of many shapes: those that `fits` estimates from, and others that its estimates are tested on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import numpy as np
from random_chains import Chain
from random_operators import KINDS, random_operator

from lenet_edge.errors import BadInputError
from lenet_edge.estimate import made_up_model
from lenet_edge.networks.description import (
    AveragePooling,
    Convolution,
    DepthwiseConvolution,
    FullyConnected,
    ImageShape,
    MaxPooling,
    Network,
)
from lenet_edge.quantized import rescale
from lenet_edge.quantized.model import (
    WEIGHTED,
    Add,
    AveragePool2d,
    Concatenate,
    Conv2d,
    DepthwiseConv2d,
    Layer,
    Mean,
    Multiply,
    Pad,
    QTensor,
    QuantizedModel,
    Rescale,
    Slice,
    Subtract,
    Transpose,
    expected_output_shape,
)
from lenet_edge.quantized.verify import verify

Two, Three, Five = (2, 2), (3, 3), (5, 5)
_MOST_SEEDS = 200
_LENETS = 7  # of `measured`, which come first


def _conv(name: str, channels: int, window: tuple[int, int], stride: int = 1, padding: str = "same", by: str = "relu"):
    return Convolution(name, channels, window, (stride, stride), padding, by)  # type: ignore[arg-type]


def _depthwise(name: str, window: tuple[int, int], stride: int = 1, by: str = "relu"):
    return DepthwiseConvolution(name, window, (stride, stride), "same", 1, by)  # type: ignore[arg-type]


def lenet5(by: str = "relu", maps: tuple[int, int] = (6, 16), pooling=MaxPooling) -> Network:
    features = (
        _conv("C1", maps[0], Five, by=by),
        pooling("S2", Two, Two),
        _conv("C3", maps[1], Five, padding="valid", by=by),
        pooling("S4", Two, Two),
    )
    hidden = (FullyConnected("C5", 120, by), FullyConnected("F6", 84, by))  # type: ignore[arg-type]
    return Network("lenet5", "LeNet-5", features, (*hidden, FullyConnected("OUTPUT", None)))


def separable(width: int = 8) -> Network:
    features = (
        _conv("stem", width, Three, 2),
        _depthwise("d1", Three),
        _conv("p1", 2 * width, (1, 1)),
        _depthwise("d2", Three, 2),
        _conv("p2", 3 * width, (1, 1)),
        AveragePooling("mean", None),
    )
    return Network("separable", "depthwise separable", features, (FullyConnected("out", None),))


def depthwise(width: int) -> Network:
    """Five of 3 x 3, of which two have a stride: the usual ones have kernels of their own."""
    features = (
        _conv("c", width, (1, 1)),
        _depthwise("d1", Three),
        _depthwise("d2", Three, 2),
        _conv("p", 2 * width, (1, 1)),
        _depthwise("d3", Three),
        _depthwise("d4", Three, 2),
        _depthwise("d5", Three),
    )
    return Network("depthwise", "depthwise", features, (FullyConnected("out", None),))


def tiny() -> Network:
    features = (
        _conv("c1", 4, Three),
        MaxPooling("s1", Two, Two),
        _conv("c2", 8, Three),
        MaxPooling("s2", Two, Two),
    )
    return Network("tiny", "small", features, (FullyConnected("out", None),))


def mlp(first: int = 64) -> Network:
    layers = (FullyConnected("h1", first, "relu"), FullyConnected("h2", 30, "relu"), FullyConnected("out", None))
    return Network("mlp", "fully connected", (), layers)


def mixed() -> Network:
    """What the others lack: a pooling by itself, a stride, windows of 1, sums that are not pooled."""
    features = (
        _conv("c1", 10, Three, padding="valid"),
        MaxPooling("s1", Three, Two),
        _conv("c2", 12, Three, 2),
        _conv("c3", 20, (1, 1)),
        _depthwise("d", Five),
        _conv("c4", 18, Five),
    )
    return Network("mixed", "many kinds", features, (FullyConnected("out", None),))


def pooled_depthwise(width: int = 9) -> Network:
    """Depthwise layers of 3 x 3 with a pooling behind each."""
    features = (
        _conv("stem", width, Three, padding="same"),
        _depthwise("d1", Three),
        MaxPooling("s1", Two, Two),
        _depthwise("d2", Three),
        MaxPooling("s2", Two, Two),
    )
    return Network("pooled-depthwise", "depthwise, pooled", features, (FullyConnected("out", None),))


def strided_depthwise() -> Network:
    """A depthwise layer of 3 x 3 with a stride and none without: a part of what both take."""
    features = (_conv("stem", 7, Three), _depthwise("d1", Three, 2))
    return Network("strided-depthwise", "depthwise, stride 2", features, (FullyConnected("out", None),))


def few(maps: tuple[int, ...], widths: tuple[int, ...], stride: int = 2) -> Network:
    """3 x 3 on one channel, 1 x 1 on few, with and without an activation, and small fully connected layers."""
    features = [_conv("c", maps[0], Three, stride)]
    for number, width in enumerate(maps[1:]):
        features.append(_conv(f"p{number}", width, (1, 1), by="relu" if number % 2 else "none"))
    hidden = [FullyConnected(f"h{number}", width, "relu") for number, width in enumerate(widths)]
    layers = (*features, AveragePooling("mean", None))
    return Network("few", "few inputs", layers, (*hidden, FullyConnected("out", None)))


def unseen() -> Network:
    """Not measured."""
    features = (
        _conv("c1", 7, Five, padding="valid"),
        MaxPooling("s1", Two, Two),
        _depthwise("d1", Three),
        _conv("c2", 24, Three),
        MaxPooling("s2", Two, Two),
    )
    return Network("unseen", "another", features, (FullyConnected("h", 40, "relu"), FullyConnected("out", None)))


def drawn(seed: int) -> tuple[Network, ImageShape]:
    """Layers of any kind and size, for images of any size."""
    random = np.random.default_rng(seed)

    def pick(*choices):
        return choices[random.integers(len(choices))]

    height, width, channels = (int(random.integers(10, 20)), int(random.integers(10, 20)), pick(1, 1, 3))
    layers, side = [], min(height, width)
    for number in range(int(random.integers(3, 6))):
        taps = pick(*[taps for taps in (1, 3, 3, 5) if taps <= side])
        stride, padding = pick(1, 1, 1, 2), pick("same", "valid")
        if pick(0, 0, 0, 1):
            layers.append(_depthwise(f"d{number}", (taps, taps), stride))
            padding = "same"
        else:
            layers.append(_conv(f"c{number}", int(random.integers(3, 21)), (taps, taps), stride, padding))
        side = -(-(side - (taps - 1 if padding == "valid" else 0)) // stride)
        if side >= 4 and pick(0, 1):
            window = pick(2, 2, 3)
            layers.append(MaxPooling(f"s{number}", (window, window), (2, 2)))
            side = (side - window) // 2 + 1
    hidden = FullyConnected("h", int(random.integers(5, 50)), "relu")
    return Network(f"drawn-{seed}", "random", tuple(layers), (hidden, FullyConnected("out", None))), (
        height,
        width,
        channels,
    )


def made_up(network: Network, image_shape: ImageShape, classes: int) -> QuantizedModel:
    """With numbers for names."""
    return made_up_model(network, image_shape, [str(number) for number in range(classes)])


def ordinary(model: QuantizedModel) -> QuantizedModel:
    """The same shapes off the tie-free grid."""
    layers = [
        replace(each, bias=each.bias | np.int32(1)) if isinstance(each, WEIGHTED) else each for each in model.layers
    ]
    return QuantizedModel(tuple(layers), model.metadata)


def light(model: QuantizedModel) -> QuantizedModel:
    """Depthwise weights of a quarter, and even, as trained ones are: of a window their products fit one int16."""
    layers = [
        replace(each, weights=(each.weights // 8 * 2).astype(np.int8)) if isinstance(each, DepthwiseConv2d) else each
        for each in model.layers
    ]
    return QuantizedModel(tuple(layers), model.metadata)


def _third_party(seed: int, shape: tuple[int, int, int], outputs: int, window: tuple[int, int]) -> QuantizedModel:
    """What models of other tools have besides."""
    chain = Chain(seed, shape).conv(6, (3, 3), padding="same").pool(window, kind=AveragePool2d)
    return chain.pool((2, 2)).flatten().fully_connected(outputs).softmax().build()


def measured() -> list[QuantizedModel]:
    """On the tie-free grid; LeNet-5 first."""
    return [
        made_up(lenet5(), (28, 28, 1), 10),
        made_up(lenet5("sigmoid"), (20, 20, 1), 11),
        made_up(lenet5(maps=(4, 10)), (32, 30, 1), 7),
        made_up(lenet5(maps=(5, 8)), (30, 32, 1), 4),
        made_up(lenet5(maps=(6, 9)), (36, 31, 1), 3),
        made_up(lenet5(maps=(4, 12)), (28, 44, 1), 6),
        made_up(lenet5(maps=(8, 5)), (26, 18, 1), 8),
        made_up(separable(), (24, 24, 3), 10),
        made_up(separable(5), (16, 20, 1), 4),
        made_up(depthwise(4), (18, 25, 1), 5),
        made_up(depthwise(10), (13, 11, 3), 4),
        light(made_up(depthwise(16), (12, 14, 1), 3)),
        light(made_up(depthwise(6), (15, 10, 1), 4)),
        made_up(tiny(), (16, 16, 1), 10),
        made_up(tiny(), (20, 20, 3), 3),
        made_up(mlp(), (16, 16, 1), 10),
        made_up(mlp(17), (10, 10, 1), 5),
        made_up(pooled_depthwise(), (16, 18, 1), 5),
        made_up(pooled_depthwise(20), (13, 12, 3), 4),
        made_up(strided_depthwise(), (17, 14, 3), 5),
        made_up(mixed(), (16, 16, 3), 30),
        made_up(mixed(), (13, 13, 1), 7),
        *(made_up(*drawn(seed), 2 + seed) for seed in range(10)),
        *map(multiplied, range(4)),
        *(made_up(lenet5("tanh", maps, AveragePooling), (20, 22, 1), 7) for maps in ((6, 16), (5, 8), (8, 12))),
        *_of_few_inputs(),
    ]


def _of_few_inputs() -> list[QuantizedModel]:
    return [
        made_up(few((8, 12, 16, 16), (24, 8, 12)), (18, 20, 1), 10),
        made_up(few((4, 8, 12, 4), (32, 16), stride=1), (11, 13, 1), 4),
        made_up(few((16, 4, 16, 12), (48, 6)), (15, 26, 1), 5),
        made_up(few((12, 7, 8), (8, 40), stride=1), (12, 9, 1), 8),
        made_up(few((5, 16, 9, 4, 16), (16, 20)), (21, 12, 1), 2),
    ]


def multiplied(seed: int) -> QuantizedModel:
    """Depthwise layers with several outputs for each input channel."""
    window, stride = (((3, 3), (1, 1)), ((3, 3), (2, 2)), ((5, 2), (1, 1)), ((2, 3), (2, 1)))[seed]
    chain = Chain(seed, (9 + 2 * seed, 12 - seed, 3 + seed), tie_free=True)
    chain.depthwise(2 + seed // 2, window, stride, "same")
    return chain.depthwise(2, (3, 3), (1, 2), "same").flatten().fully_connected(4).build()


def measured_off_the_grid() -> list[QuantizedModel]:
    """With the double rounding; what such models of other tools have besides."""
    others = [
        ((14, 12, 2), 9, (2, 2)),
        ((9, 10, 1), 3, (3, 3)),
        ((16, 16, 3), 40, (2, 4)),
        ((12, 18, 1), 12, (5, 2)),
        ((20, 20, 1), 5, (4, 4)),
        ((8, 8, 4), 17, (1, 2)),
    ]
    own = measured()[: -len(_of_few_inputs())]
    chosen = [model for index, model in enumerate(own) if index < _LENETS or index % 3 == 1 or _has_depthwise(model)]
    softmax = Chain(9, (8, 8, 1)).flatten().fully_connected(6).softmax().build()
    return [
        *map(ordinary, (*chosen, *_of_few_inputs())),
        *(_third_party(seed, *each) for seed, each in enumerate(others, 3)),
        softmax,
    ]


def _has_depthwise(model: QuantizedModel) -> bool:
    return any(isinstance(layer, DepthwiseConv2d) for layer in model.layers)


def operators() -> Iterator[QuantizedModel]:
    """What only graphs have: operators on tensors, convolutions with gaps or groups; in a row, and four of each alone.

    Of one that is alone the outputs are also those whose largest is searched: what each costs cannot be told apart.
    """
    yield from (in_a_row(seed, *each) for seed, each in enumerate(_ROWS))
    for kind in KINDS:
        found = (_operator(kind, seed) for seed in range(_MOST_SEEDS))
        yield from islice((model for model in found if model is not None), 4)


def _operator(kind: str, seed: int) -> QuantizedModel | None:
    """None where TFLM does not take it, or it takes no image."""
    try:
        model = random_operator(kind, seed)
    except BadInputError:
        return None
    return model if len(model.inputs) == 1 and len(model.input.shape) == 3 else None


_ROWS = (
    ((8, 8, 4), 1, 2),
    ((5, 9, 6), 2, 1),
    ((12, 7, 3), 2, 3),
    ((10, 10, 8), 1, 4),
    ((3, 4, 10), 1, 5),
    ((14, 16, 2), 3, 2),
    ((6, 5, 1), 2, 2),
    ((16, 16, 16), 2, 4),
    ((7, 11, 5), 1, 5),
    ((20, 6, 4), 2, 2),
    ((9, 8, 1), 1, 2),
)


def _tensor(shape: tuple[int, ...], scale: float, zero_point: int) -> QTensor:
    return QTensor(shape, float(np.float32(scale)), zero_point)


class _Row:
    """Layers that read the one before, or others."""

    def __init__(self, image: QTensor, seed: int) -> None:
        self.image, self.random = image, np.random.default_rng(seed)
        self.layers: list[Layer] = []
        self.reads: list[tuple[int, ...]] = []

    def add(self, kind, output: QTensor | None, *rest, sources: tuple[int, ...] | None = None) -> QTensor:
        """A layer and its output; one for which none is given only moves what it reads."""
        read = (len(self.layers) - 1,) if sources is None else sources
        tensors = tuple(self.image if index < 0 else self.layers[index].output for index in read)
        given = tensors if kind in (Add, Subtract, Multiply, Concatenate) else tensors[0]
        draft = kind(f"{len(self.layers)}", given, output or tensors[0], *rest)
        made = replace(draft, output=replace(draft.output, shape=expected_output_shape(draft)))
        self.layers.append(made)
        self.reads.append(read)
        return made.output

    def convolve(self, kind, sizes: tuple[int, ...], dilation: tuple[int, int]) -> None:
        weights, outputs = (
            self.random.integers(-128, 128, sizes).astype(np.int8),
            sizes[-1 if kind is DepthwiseConv2d else 0],
        )
        bias = self.random.integers(-999, 999, outputs).astype(np.int32)
        rest = (weights, bias, np.full(outputs, 0.004, np.float32), (1, 1), "same", -128, 127, dilation)
        self.add(kind, _tensor((1, 1, 1), 0.05, -5), *rest)

    def model(self) -> QuantizedModel:
        return verify(QuantizedModel(tuple(self.layers), {}, tuple(self.reads), (len(self.layers) - 1,)))


def in_a_row(seed: int, shape: tuple[int, int, int], gap: int, groups: int) -> QuantizedModel:
    """Every operator on tensors once, then convolutions with gaps and with groups.

    Args:
        shape: of the image, of which `groups` divides twice the channels.
        gap: of windows and slices, and how far it is padded.
    """
    row, channels, outputs = _Row(_tensor(shape, 0.02, 3), seed), shape[2], 2 * (gap + groups)
    row.add(Add, _tensor(shape, 0.03, -7), -128, 127, sources=(-1, -1))
    row.add(Subtract, _tensor(shape, 0.04, 9), -128, 127, sources=(0, -1))
    product = row.add(Multiply, _tensor(shape, 0.02, 0), -128, 127, sources=(1, 0))
    leaky = _tensor(shape, 0.01, 5)
    row.add(Rescale, leaky, "LEAKY_RELU", rescale.table("LEAKY_RELU", product, leaky, 0.1), 0.1)
    height, width, _ = row.add(Pad, None, (gap, gap, 0), (gap, 0, 0), 5).shape
    row.add(Slice, _tensor((height - gap, -(-width // gap), channels), 0.01, 5), (gap, 0, 0), (1, gap, 1))
    row.add(Transpose, None, (1, 0, 2))
    row.add(Concatenate, None, 2, sources=(6, 6))
    row.convolve(Conv2d, (2 * groups, 3, 3, 2 * channels // groups), (gap, gap))
    row.convolve(Conv2d, (outputs, 1 + gap, 3, groups), (1, 1))
    row.convolve(DepthwiseConv2d, (3, 1 + groups, outputs), (gap + 1, 2))
    row.add(Mean, _tensor((1, 1, outputs), 0.05, -5), (0, 1))
    return row.model()


def tested() -> dict[str, QuantizedModel]:
    """Those that estimates are compared on; none was measured."""
    return {
        "unseen": made_up(unseen(), (24, 24, 1), 12),
        "separable": made_up(separable(6), (22, 22, 3), 6),
        "mlp": made_up(mlp(40), (14, 14, 1), 10),
        "ordinary": ordinary(made_up(unseen(), (20, 20, 1), 5)),
        "in a row": in_a_row(60, (9, 13, 6), 2, 3),
        **{f"drawn {seed}": made_up(*drawn(seed), 5) for seed in (100, 101)},
    }
