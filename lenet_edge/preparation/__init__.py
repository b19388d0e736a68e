"""From a picture or a camera's frame to the image that a network takes, in integers (numpy only)."""

from lenet_edge.preparation.centring import BlankFrameError
from lenet_edge.preparation.ranges import int8_values, to_int8
from lenet_edge.preparation.settings import MNIST, Crop, Invert, Preparation, from_json, to_json
from lenet_edge.preparation.steps import prepare, prepare_and_tell

__all__ = [
    "MNIST",
    "BlankFrameError",
    "Crop",
    "Invert",
    "Preparation",
    "from_json",
    "int8_values",
    "prepare",
    "prepare_and_tell",
    "to_int8",
    "to_json",
]
