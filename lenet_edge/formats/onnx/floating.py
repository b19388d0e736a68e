"""The float LeNet-5 as ONNX, from the tensors of a checkpoint (numpy only)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from lenet_edge import __version__
from lenet_edge.errors import BadInputError
from lenet_edge.formats.onnx.graph import GraphBuilder

__all__ = ["float_to_bytes"]

_ACTIVATIONS = {"relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh"}
_SUBSAMPLINGS = {"max": "MaxPool", "average": "AveragePool"}


def float_to_bytes(
    tensors: Mapping[str, npt.NDArray[np.float32]], activation: str, subsampling: str, classes: Sequence[str]
) -> bytes:
    """The float network as ONNX: ``image`` float ``[n, 1, 28, 28]`` in 0..1 to ``logits`` and ``distribution``.

    LeCun et al. 1998, section II.B: C1 pads the image to the paper's 32x32,
    the activation follows each convolution and hidden layer, a softmax over
    the logits is the distribution over the classes.

    Args:
        tensors: float32 by PyTorch's names, ``features.C1.weight`` and so on; C5's
            400 columns in (channel, row, column) order.
        activation: "relu", "sigmoid" or "tanh".
        subsampling: "max" or "average", of 2x2 windows.
        classes: the names of the classes.

    Raises:
        BadInputError: a tensor is missing or has another shape, or there is no such activation or subsampling.
    """
    for kind, name, known in (("activation", activation, _ACTIVATIONS), ("subsampling", subsampling, _SUBSAMPLINGS)):
        if name not in known:
            raise BadInputError(f"there is no {kind} {name!r}; choose one of: {', '.join(known)}")
    _check(tensors, len(classes))
    builder = GraphBuilder()
    builder.tensor("inputs", "image", np.float32, (1, 28, 28))
    layers = _Layers(builder, tensors, _ACTIVATIONS[activation], _SUBSAMPLINGS[subsampling])
    features = layers.features("image")
    logits = layers.classifier(builder.node("Flatten", [features], "flatten", axis=1))
    builder.node("Softmax", [logits], "distribution", axis=1)
    for name in ("logits", "distribution"):
        builder.tensor("outputs", name, np.float32, (len(classes),))
    facts = {"activation": activation, "classes": json.dumps(list(classes)), "lenet_edge": __version__}
    return builder.finish("lenet5", {**facts, "subsampling": subsampling})


def _check(tensors: Mapping[str, npt.NDArray[np.float32]], classes: int) -> None:
    shapes: dict[str, tuple[int, ...]] = {
        "features.C1": (6, 1, 5, 5),
        "features.C3": (16, 6, 5, 5),
        "classifier.C5": (120, 400),
        "classifier.F6": (84, 120),
        "classifier.OUTPUT": (classes, 84),
    }
    for layer, shape in shapes.items():
        for name, expected in ((f"{layer}.weight", shape), (f"{layer}.bias", shape[:1])):
            if name not in tensors:
                raise BadInputError(f"the float network lacks the tensor {name}; export the checkpoint of a LeNet-5")
            if tensors[name].shape != expected:
                found = list(tensors[name].shape)
                raise BadInputError(f"the float network's tensor {name} has shape {found}, expected {list(expected)}")


class _Layers:
    """Adds the two parts of the network to a graph."""

    def __init__(
        self, builder: GraphBuilder, tensors: Mapping[str, npt.NDArray[np.float32]], squash: str, subsample: str
    ) -> None:
        self.builder, self.tensors, self.squash, self.subsample = builder, tensors, squash, subsample

    def features(self, current: str) -> str:
        for convolution, subsampling, padding in (("C1", "S2", 2), ("C3", "S4", 0)):
            current = self._weighted("Conv", f"features.{convolution}", current, convolution, pads=[padding] * 4)
            current = self.builder.node(self.squash, [current], f"{convolution}_activation")
            current = self.builder.node(self.subsample, [current], subsampling, kernel_shape=[2, 2], strides=[2, 2])
        return current

    def classifier(self, current: str) -> str:
        for name in ("C5", "F6"):
            current = self._weighted("Gemm", f"classifier.{name}", current, name, transB=1)
            current = self.builder.node(self.squash, [current], f"{name}_activation")
        return self._weighted("Gemm", "classifier.OUTPUT", current, "logits", name="OUTPUT", transB=1)

    def _weighted(
        self, operator: str, layer: str, current: str, output: str, name: str = "", **attributes: object
    ) -> str:
        parts = [f"{layer}.{part}" for part in ("weight", "bias")]
        constants = [self.builder.constant(part, self.tensors[part], np.float32) for part in parts]
        return self.builder.node(operator, [current, *constants], output, name, **attributes)
