"""A LEAKY_RELU of slope 0 is left out of the file as FlatBuffers leaves out defaults, came back as the integer 0, and
gave the model another fingerprint: what had been written could not be read."""

import numpy as np

from lenet_edge.formats import tflite
from lenet_edge.quantized.model import QTensor, QuantizedModel, Rescale
from lenet_edge.quantized.rescale import table


def test_it_is_read_back():
    tensor = QTensor((4,), float(np.float32(0.05)), 3)
    layer = Rescale("leaky", tensor, tensor, "LEAKY_RELU", table("LEAKY_RELU", tensor, tensor, 0.0), 0.0)
    model = QuantizedModel((layer,))
    assert tflite.from_bytes(tflite.to_bytes(model)) == model
