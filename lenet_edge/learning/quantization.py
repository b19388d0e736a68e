"""Quantisation-aware training: a float LeNet-5 becomes a `QuantizedModel`.

The ranges of the activations are averages of batch maxima: over calibration
batches first, then over the batches of the first half of the training, during
which scales are refitted. Then scales and q are frozen and the weights go on
training on the exact grid that the chip will use. The float network teaches:
its outputs are part of the loss (Hinton, Vinyals, Dean 2015, "Distilling the
knowledge in a neural network").
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lenet_edge.errors import BadInputError
from lenet_edge.learning import checkpoint, qat_weights
from lenet_edge.learning.augmentation import augment
from lenet_edge.learning.fake_quantize import (
    IMAGE,
    FakeQuantizedLayer,
    FakeQuantizedLookup,
    Grid,
    LayerScales,
    round_through,
)
from lenet_edge.learning.network import LeNet5, build, load_tensors, to_tensors
from lenet_edge.learning.qat_weights import QatWeights
from lenet_edge.quantized.lookup import universal_scale
from lenet_edge.quantized.model import Flatten, Layer, Lookup, MaxPool2d, QTensor, QuantizedModel
from lenet_edge.quantized.reference import layer_outputs, quantize_images
from lenet_edge.quantized.tie_free import smallest_output_scale
from lenet_edge.quantized.verify import verify

__all__ = ["QatNetwork", "QatProgress", "QatSettings", "layer_sqnr", "load", "quantize", "to_bytes"]

_SMOOTHING = 0.98  # of the running average of batch maxima
_REFIT_STEPS = 100
_SIGMOID_RANGE = 6.3  # beyond it int8 sigmoid is at its first or last value: logit(0.5 / 256) = -6.24
_TANH_RANGE = 3.2  # likewise: artanh(1 - 0.5 / 128) = 3.12
_LOGIT_HEADROOM = 1.05


class QatNetwork(nn.Module):
    """LeNet-5 on int8: pixels in, integers in between, logits out.

    Built around the float network's own layers, which keep being trained.
    ``forward(images float32 [n, 1, 28, 28] in 0..1) -> real logits [n, classes]``;
    `integers` gives the int8 logits of the chip.
    """

    def __init__(self, network: LeNet5, grid: Grid) -> None:
        super().__init__()
        self.grid = grid
        self.network = network
        self.steps = nn.ModuleList(_steps(network, grid))
        self.ranges: dict[str, float] = {}  # layer -> largest real output, in magnitude where both signs count

    @property
    def weighted(self) -> list[FakeQuantizedLayer]:
        return [step for step in self.steps if isinstance(step, FakeQuantizedLayer)]

    def forward(self, images: Tensor) -> Tensor:
        u = round_through(images * 255).clamp(0, 255)
        return self._centred_logits(u) * self._output.scale

    def integers(self, images: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
        """Int8 images ``[n, 28, 28, 1]`` to int8 logits ``[n, classes]``."""
        pixels = images.astype(np.float32) - IMAGE.zero_point
        with torch.no_grad():
            batches = torch.split(torch.from_numpy(pixels).permute(0, 3, 1, 2), 500)
            centred = torch.cat([self._centred_logits(batch) for batch in batches])
        return (centred + self._output.zero_point).to(torch.int8).numpy()

    def layer_integers(self, image: npt.NDArray[np.int8]) -> dict[str, npt.NDArray[np.int8]]:
        """The int8 output of each layer for one image ``[28, 28, 1]``, NHWC without the batch, by layer name."""
        u = torch.from_numpy(image.astype(np.float32) - IMAGE.zero_point).permute(2, 0, 1)[None]
        outputs = {}
        with torch.no_grad():
            for step, layer in zip(self.steps, self.freeze().layers, strict=True):
                before, u = u, step(u)
                # PyTorch flattens in (c, h, w) order, the chip in (h, w, c).
                maps = before if isinstance(layer, Flatten) else u
                nhwc = maps[0].permute(1, 2, 0) if maps.ndim == 4 else maps[0]
                integers = (nhwc + layer.output.zero_point).to(torch.int8).numpy()
                outputs[layer.name] = integers.reshape(layer.output.shape)
        return outputs

    def _centred_logits(self, u: Tensor) -> Tensor:
        for step in self.steps:
            u = step(u)
        return u

    @property
    def _output(self) -> QTensor:
        scales = self.weighted[-1].scales
        assert scales is not None
        return scales.output

    # --- ranges and scales ---

    def observe_float(self, images: Tensor) -> None:
        """Add a calibration batch, float in 0..1, run through the float layers, to the ranges."""
        values = images
        with torch.no_grad():
            for step in self.steps:
                values = step.real(values) if isinstance(step, FakeQuantizedLayer) else _float_step(step, values)
                if isinstance(step, FakeQuantizedLayer):
                    self._observe(step, float(values.max()), float(values.min()))
                    if step.relu:
                        values = values.relu()

    def observe_batch(self) -> None:
        """Add the batch that `forward` just saw to the ranges."""
        for layer in self.weighted:
            self._observe(layer, layer.largest_output, layer.smallest_output)

    def _observe(self, layer: FakeQuantizedLayer, largest: float, smallest: float) -> None:
        reach = largest if layer.relu else max(largest, -smallest)
        before = self.ranges.get(layer.name, reach)
        self.ranges[layer.name] = _SMOOTHING * before + (1 - _SMOOTHING) * reach

    def fit_scales(self) -> None:
        """Set every layer's scales from the ranges and the weights as they are now."""
        current = IMAGE
        for index, step in enumerate(self.steps):
            if isinstance(step, FakeQuantizedLayer):
                follower = self.steps[index + 1] if index + 1 < len(self.steps) else None
                output = self._output_scaling(step, follower, current)
                step.set_scales(step.fit_scales(current, output, output.zero_point if step.relu else -128))
                current = output
            elif isinstance(step, FakeQuantizedLookup):
                step.set_input(current)
                current = step.output
            else:
                current = _reshaped(step, current)

    def take_scales(self, frozen: QatWeights) -> None:
        """Set every layer's scales to frozen ones."""
        current = IMAGE
        for step in self.steps:
            if isinstance(step, FakeQuantizedLayer):
                scale, zero_point = frozen.outputs[step.name]
                output = QTensor(step.output_shape(current.shape), scale, zero_point)
                clamp_min = output.zero_point if step.relu else -128
                q = frozen.q.get(step.name)
                step.set_scales(LayerScales(current, output, clamp_min, frozen.weight_scales[step.name], q))
                current = output
            elif isinstance(step, FakeQuantizedLookup):
                step.set_input(current)
                current = step.output
            else:
                current = _reshaped(step, current)

    def _output_scaling(self, step: FakeQuantizedLayer, follower: nn.Module | None, source: QTensor) -> QTensor:
        """The output tensor of a layer: its shape, and the scale that its range asks for."""
        reach = max(self.ranges[step.name], 1e-6)
        if step.relu:
            scale, zero_point = reach / 255, -128
        elif isinstance(follower, FakeQuantizedLookup):
            scale, zero_point = min(reach, _SIGMOID_RANGE if follower.function == "sigmoid" else _TANH_RANGE) / 127, 0
        else:
            scale, zero_point = reach * _LOGIT_HEADROOM / 127, 0
        if self.grid == "tie-free":  # the widest weight must fit at q = 1
            scale = max(scale, smallest_output_scale(float(step.real.weight.detach().abs().max()), source.scale))
        if isinstance(follower, FakeQuantizedLookup):
            scale = universal_scale(follower.function, scale, zero_point)
        return QTensor(step.output_shape(source.shape), float(np.float32(scale)), zero_point)

    # --- to the integer truth ---

    def freeze(self) -> QuantizedModel:
        """The layers as they are now, verified."""
        layers: list[Layer] = []
        current, columns = IMAGE, None
        for step in self.steps:
            if isinstance(step, FakeQuantizedLayer):
                layers.append(step.to_layer(columns))
                columns = None
            elif isinstance(step, FakeQuantizedLookup):
                layers.append(step.to_layer())
            elif isinstance(step, _Pool):
                window = (2, 2)
                layers.append(MaxPool2d(step.name, current, _reshaped(step, current), window, window))
            else:
                columns = current.shape
                layers.append(Flatten("flatten", current, _reshaped(step, current)))
            current = layers[-1].output
        return verify(QuantizedModel(tuple(layers)))


class _Pool(nn.Module):
    """2x2 max-pooling, exact on integers."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def forward(self, values: Tensor) -> Tensor:
        return F.max_pool2d(values, 2)


def _steps(network: LeNet5, grid: Grid) -> Iterator[nn.Module]:
    """The steps of the int8 network, one per layer of the `QuantizedModel`."""
    modules = [*network.features.named_children(), ("flatten", nn.Flatten()), *network.classifier.named_children()]
    owner = ""
    for index, (name, module) in enumerate(modules):
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            owner = name
            relu = index + 1 < len(modules) and isinstance(modules[index + 1][1], nn.ReLU)
            yield FakeQuantizedLayer(name, module, grid, relu=relu)
        elif isinstance(module, nn.Sigmoid):
            yield FakeQuantizedLookup(f"{owner}/sigmoid", "sigmoid")
        elif isinstance(module, nn.Tanh):
            yield FakeQuantizedLookup(f"{owner}/tanh", "tanh")
        elif isinstance(module, nn.MaxPool2d):
            yield _Pool(name)
        elif isinstance(module, nn.Flatten):
            yield module
        elif not isinstance(module, nn.ReLU):
            raise BadInputError(f"{name}: {type(module).__name__} cannot be quantised yet; max-pooling can")


def _float_step(step: nn.Module, values: Tensor) -> Tensor:
    if isinstance(step, FakeQuantizedLookup):
        return torch.tanh(values) if step.function == "tanh" else torch.sigmoid(values)
    result: Tensor = step(values)
    return result


def _reshaped(step: nn.Module, tensor: QTensor) -> QTensor:
    """What pooling or flattening makes of a tensor."""
    if isinstance(step, _Pool):
        height, width, channels = tensor.shape
        return QTensor((height // 2, width // 2, channels), tensor.scale, tensor.zero_point)
    return QTensor((int(np.prod(tensor.shape)),), tensor.scale, tensor.zero_point)


# --- training ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class QatSettings:
    """How `quantize` trains.

    Attributes:
        epochs: 0 is post-training quantisation: calibration alone.
        seed: of batches and augmentation.
        grid: "tie-free" or "ordinary".
        learning_rate: AdamW's at the start; it falls to 0 along a cosine.
        device: of torch.
    """

    epochs: int = 4
    seed: int = 0
    grid: Grid = "tie-free"
    learning_rate: float = 5e-4
    batch: int = 128
    device: str = "cpu"


@dataclass(frozen=True)
class QatProgress:
    """Where the training is: after a batch, or after an epoch with its validation accuracy (0..1)."""

    epoch: int
    batch: int
    batches: int
    validation_accuracy: float | None = None


def quantize(
    network: LeNet5,
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.uint8],
    validation_images: npt.NDArray[np.uint8],
    validation_labels: npt.NDArray[np.uint8],
    settings: QatSettings,
    report: Callable[[QatProgress], None] = lambda _: None,
) -> QatNetwork:
    """Quantise a float network, fine-tuned on the grid unless ``settings.epochs`` is 0.

    The weights after the last epoch are kept, for the reason that `training` gives.

    Args:
        network: the float network; it stays as it is and teaches.
        images, labels: the training set, uint8 ``[n, 28, 28]`` and ``[n]``.
        validation_images, validation_labels: for the accuracy that is reported after each epoch; they choose nothing.
        report: called after every batch and every epoch.

    Returns:
        The network on int8, in evaluation mode on the CPU, scales frozen.
    """
    teacher = copy.deepcopy(network).eval().to(settings.device)
    qat = QatNetwork(copy.deepcopy(network), settings.grid).to(settings.device)
    pixels = torch.from_numpy(images).to(settings.device)
    for batch in torch.split(pixels[:4096], settings.batch):
        qat.observe_float(batch[:, None].float() / 255)
    qat.fit_scales()
    if settings.epochs:
        validation = (validation_images, validation_labels)
        targets = torch.from_numpy(labels.astype(np.int64)).to(settings.device)
        _fine_tune(qat, teacher, pixels, targets, validation, settings, report)
    return qat.eval().to("cpu")


def _fine_tune(
    qat: QatNetwork,
    teacher: LeNet5,
    pixels: Tensor,
    targets: Tensor,
    validation: tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]],
    settings: QatSettings,
    report: Callable[[QatProgress], None],
) -> None:
    batches = len(pixels) // settings.batch + (len(pixels) % settings.batch > 0)
    qat.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(qat.parameters(), lr=settings.learning_rate, weight_decay=0, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.epochs * batches)
    frozen_from = settings.epochs // 2
    for epoch in range(settings.epochs):
        generator = torch.Generator().manual_seed(settings.seed * 1000 + epoch)
        order = torch.randperm(len(pixels), generator=generator)
        if epoch == frozen_from:
            qat.fit_scales()
        qat.train()
        for step, index in enumerate(torch.split(order, settings.batch)):
            chosen = index.to(pixels.device)
            batch = augment(pixels[chosen][:, None].float() / 255, generator)
            batch = batch.contiguous(memory_format=torch.channels_last)
            loss = _loss(qat(batch), teacher, batch, targets[chosen])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            _keep_on_grid(qat, step, frozen=epoch >= frozen_from)
            report(QatProgress(epoch, step + 1, batches))
        report(QatProgress(epoch, batches, batches, _accuracy(qat, *validation)))


def _keep_on_grid(qat: QatNetwork, step: int, *, frozen: bool) -> None:
    """Frozen scales hold the weights in their range; before that the scales follow the weights."""
    if frozen:
        for layer in qat.weighted:
            layer.project()
    else:
        qat.observe_batch()
        if step % _REFIT_STEPS == _REFIT_STEPS - 1:
            qat.fit_scales()


def _loss(logits: Tensor, teacher: LeNet5, images: Tensor, targets: Tensor) -> Tensor:
    """Half from the labels, half from the float network's distribution."""
    with torch.no_grad():
        taught = F.log_softmax(teacher(images), dim=1)
    from_teacher = F.kl_div(F.log_softmax(logits, dim=1), taught, log_target=True, reduction="batchmean")
    return 0.5 * F.cross_entropy(logits, targets, label_smoothing=0.05) + 0.5 * from_teacher


def _accuracy(qat: QatNetwork, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.uint8]) -> float:
    device = next(qat.parameters()).device
    qat.eval()
    with torch.no_grad():
        batches = torch.split(torch.from_numpy(images)[:, None], 500)
        predicted = torch.cat([qat(batch.to(device).float() / 255).argmax(1).cpu() for batch in batches])
    return float((predicted.numpy() == labels).mean())


# --- the QAT weights as a file ----------------------------------------------------------------------


def to_bytes(qat: QatNetwork, frozen: QuantizedModel) -> bytes:
    """The fine-tuned weights with the frozen scales, as a checkpoint of kind "qat".

    Args:
        frozen: the model that they became; its metadata and fingerprint go along.
    """
    tensors = to_tensors(qat.network)
    outputs = {}
    for layer in qat.weighted:
        assert layer.scales is not None
        tensors[f"grid.{layer.name}.weight_scales"] = layer.scales.weight_scales
        if layer.scales.q is not None:
            tensors[f"grid.{layer.name}.q"] = layer.scales.q
        outputs[layer.name] = [layer.scales.output.scale, layer.scales.output.zero_point]
    facts = {**frozen.metadata, "kind": "qat", "fingerprint": frozen.fingerprint, "outputs": outputs}
    return checkpoint.to_bytes(tensors, facts)


def load(path: Path) -> QatNetwork:
    """The network that `to_bytes` wrote, in evaluation mode on the CPU.

    Raises:
        BadInputError: see `qat_weights.load`; also scales that do not fit the weights.
    """
    found = qat_weights.load(path)
    network = build(found.metadata["arch"], len(found.metadata["classes"]))
    load_tensors(network, found.tensors)
    qat = QatNetwork(network, found.grid)  # type: ignore[arg-type]
    try:
        qat.take_scales(found)
    except BadInputError as error:  # a weight that does not fit
        raise BadInputError(f"{path}: its scales do not fit its weights: {error}; quantize again") from None
    return qat.eval()


def layer_sqnr(qat: QatNetwork, images: npt.NDArray[np.uint8]) -> dict[str, float]:
    """Signal-to-quantisation-noise of each layer with weights or a table, in dB.

    The signal is the float network with the same (fine-tuned) weights, the noise
    its difference to the dequantised output of the int8 network, both before
    pooling and without the image's own error. What a sigmoid reads is held to
    the range that its table tells apart: beyond it nothing is lost.
    """
    ratios = {}
    values = torch.from_numpy(images)[:, None].float() / 255
    layers = qat.freeze().layers
    integers = layer_outputs(qat.freeze(), quantize_images(images))
    followers = [*layers[1:], None]
    with torch.no_grad():
        for step, layer, follower, outputs in zip(qat.steps, layers, followers, integers, strict=True):
            values = step.real(values) if isinstance(step, FakeQuantizedLayer) else _float_step(step, values)
            if isinstance(step, FakeQuantizedLayer) and step.relu:
                values = values.relu()
            if isinstance(step, (FakeQuantizedLayer, FakeQuantizedLookup)):
                signal = (values.permute(0, 2, 3, 1) if values.ndim == 4 else values).double().numpy()
                if isinstance(follower, Lookup):
                    signal = signal.clip(*(_real(np.array([-128, 127]), layer.output)))
                ratios[layer.name] = _decibels(signal, _real(outputs, layer.output))
    return ratios


def _real(integers: npt.NDArray[Any], tensor: QTensor) -> npt.NDArray[np.float64]:
    return (integers.astype(np.float64) - tensor.zero_point) * tensor.scale


def _decibels(signal: npt.NDArray[np.float64], measured: npt.NDArray[np.float64]) -> float:
    noise = float(np.square(signal - measured).sum())
    return 10 * float(np.log10(np.square(signal).sum() / max(noise, 1e-30)))
