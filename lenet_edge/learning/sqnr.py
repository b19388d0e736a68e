"""What quantisation costs each layer: its signal-to-quantisation-noise ratio."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from lenet_edge.learning.network import planes
from lenet_edge.learning.qat_network import QatNetwork
from lenet_edge.quantized.model import Add, Lookup, QTensor, Weighted
from lenet_edge.quantized.reference import layer_outputs, quantize_images

__all__ = ["layer_sqnr"]


def layer_sqnr(qat: QatNetwork, images: npt.NDArray[np.uint8]) -> dict[str, float]:
    """Signal-to-quantisation-noise of each layer with weights or a table and of each sum, in dB.

    The signal is the float network with the same (fine-tuned) weights, the noise
    its difference to the dequantised output of the int8 network, both before
    pooling and without the image's own error. What a sigmoid reads is held to
    the range that its table tells apart: beyond it nothing is lost.
    """
    ratios = {}
    frozen = qat.freeze()
    layers, integers = frozen.layers, layer_outputs(frozen, quantize_images(images))
    followers = [*layers[1:], None]
    with torch.no_grad():
        reals = qat.real_outputs(planes(images).float() / 255)
        for values, layer, follower, outputs in zip(reals, layers, followers, integers, strict=True):
            if isinstance(layer, (Weighted, Lookup, Add)):
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
