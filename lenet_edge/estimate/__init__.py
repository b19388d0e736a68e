"""What a model will take on a board, before it is trained or built: flash, RAM and instructions."""

from lenet_edge.estimate.board import FITS, IMPOSSIBLE, TIGHT, TOO_BIG, Count, Estimate, at_least, estimate, with_sizes
from lenet_edge.estimate.made_up import MOST_WEIGHTS, made_up_model, weights_of

__all__ = [
    "FITS",
    "IMPOSSIBLE",
    "MOST_WEIGHTS",
    "TIGHT",
    "TOO_BIG",
    "Count",
    "Estimate",
    "at_least",
    "estimate",
    "made_up_model",
    "weights_of",
    "with_sizes",
]
