"""From a float model to the tie-free grid: calibrated, moved, fitted, and compared layer by layer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lenet_edge.post_training.float_model import FloatModel, PixelRange, real_pictures
from lenet_edge.preparation import Preparation, to_int8
from lenet_edge.quantized.layers import Layer
from lenet_edge.quantized.model import QuantizedModel
from lenet_edge.quantized.reference import layer_outputs
from lenet_edge.retie import Retied, retie, tune

__all__ = ["Quantized", "quantize"]

FloatArray = npt.NDArray[np.float64]
UInt8Array = npt.NDArray[np.uint8]

_TUNED_ON, _FEWEST_TUNED_ON, _MOST_VALUES = 300, 16, 1 << 26
_AT_ONCE = 16


@dataclass(frozen=True, eq=False)
class Quantized:
    """A float model in int8.

    Attributes:
        ordinary: with scales as usual, per channel.
        retied: the same on the tie-free grid; None where the ordinary grid was asked for.
    """

    ordinary: QuantizedModel
    retied: Retied | None

    @property
    def model(self) -> QuantizedModel:
        """The result."""
        return self.ordinary if self.retied is None else self.retied.model

    def sqnr_db(
        self, float_model: FloatModel, images: UInt8Array, pixels: PixelRange, preparation: Preparation
    ) -> dict[str, float]:
        """Signal-to-quantisation-noise of each layer's output, in dB, with the errors of all layers before it.

        Args:
            images: as of `quantize`; those that it was not calibrated on.
            pixels: what black and white are to the float file.
            preparation: of the model: what they are to the int8 one.
        """
        signal, noise = dict[str, float](), dict[str, float]()
        for start in range(0, len(images), _AT_ONCE):
            part = images[start : start + _AT_ONCE]
            wanted = float_model.layers(real_pictures(part, pixels))
            for name, found in self._outputs(to_int8(part, preparation, *_scaling(self.model))).items():
                if name in wanted and wanted[name].size == found.size:
                    real = wanted[name].astype(np.float64).reshape(found.shape)
                    signal[name] = signal.get(name, 0) + float(np.square(real).sum())
                    noise[name] = noise.get(name, 0) + float(np.square(real - found).sum())
        return {name: 10 * float(np.log10(signal[name] / max(noise[name], 1e-30))) for name in signal if signal[name]}

    def _outputs(self, images: npt.NDArray[np.int8]) -> Mapping[str, FloatArray]:
        """The real outputs of the layers that the ordinary model has."""
        outputs = list(map(_real, self.model.layers, layer_outputs(self.model, images)))
        if self.retied is None:
            places = dict(enumerate(range(len(outputs))))
        else:
            places = {index: place for index, place in self.retied.place.items() if place >= 0}
        return {self.ordinary.layers[index].name: outputs[place] for index, place in places.items()}


def quantize(
    float_model: FloatModel, images: UInt8Array, pixels: PixelRange, preparation: Preparation, *, tie_free: bool
) -> Quantized:
    """Calibrate on images, and move the result onto the tie-free grid.

    Args:
        images: uint8 ``[n, h, w]`` or ``[n, h, w, c]``, training images.
        pixels: what black and white are to the float file.
        preparation: of the int8 model; its `low` and `high` are ``float_model.entered(pixels)``.

    Raises:
        BadInputError: the model cannot be quantised.
    """
    ordinary = float_model.int8(real_pictures(images, pixels), pixels)
    if not tie_free:
        return Quantized(ordinary, None)
    images = images[: _tuned_on(ordinary)]
    found = float_model.layers(real_pictures(images, pixels))
    real = {index: found[layer.name] for index, layer in enumerate(ordinary.layers) if layer.name in found}
    entering = to_int8(images, preparation, *_scaling(ordinary))
    return Quantized(ordinary, tune(ordinary, retie(ordinary), entering, real))


def _tuned_on(model: QuantizedModel) -> int:
    """How many images tune: all of their activations are in memory at once."""
    values = sum(math.prod(layer.output.shape) for layer in model.layers)
    return min(_TUNED_ON, max(_FEWEST_TUNED_ON, _MOST_VALUES // max(1, values)))


def _scaling(model: QuantizedModel) -> tuple[float, int]:
    return model.input.scale, model.input.zero_point


def _real(layer: Layer, values: npt.NDArray[np.int8]) -> FloatArray:
    real: FloatArray = (values.astype(np.float64) - layer.output.zero_point) * layer.output.scale
    return real
