"""The network on int8: its forward pass computes the integers of the chip, its backward pass is straight-through.

Activations are float32 tensors that hold integers, ``u = integer - zero_point``.
Weights and biases are rounded to their grid, so that every product and every
partial sum of a convolution is an integer below 2^24, which float32 holds
exactly; the requantisation is the float32 rule, multiply and round half to
even. On the tie-free grid that rule is proved equal to every other one, so
what training sees is what every runtime computes.

The steps of the network have one interface, `qat_step.Step`: on integers, on real numbers, and the layer of the model
that each becomes. A convolution, a depthwise convolution, a full connection and an average are one kind of step,
`FakeQuantizedLayer`: they differ in their `Operation`. A sum is a `FakeQuantizedSum`.

The gradient is computed as if there were no rounding (Bengio, Leonard, Courville 2013,
"Estimating or propagating gradients through stochastic neurons").
"""

from lenet_edge.learning.fake_quantize.addition import FakeQuantizedSum
from lenet_edge.learning.fake_quantize.lookup import FakeQuantizedLookup
from lenet_edge.learning.fake_quantize.maps import FakeQuantizedMap, flatten, max_pool
from lenet_edge.learning.fake_quantize.operation import Operation, average_of, connection_of, convolution_of
from lenet_edge.learning.fake_quantize.rounding import round_through
from lenet_edge.learning.fake_quantize.weighted import FakeQuantizedLayer, FarApart, LayerScales

__all__ = [
    "FakeQuantizedLayer",
    "FakeQuantizedLookup",
    "FakeQuantizedMap",
    "FakeQuantizedSum",
    "FarApart",
    "LayerScales",
    "Operation",
    "average_of",
    "connection_of",
    "convolution_of",
    "flatten",
    "max_pool",
    "round_through",
]
