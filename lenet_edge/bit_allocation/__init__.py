"""Which layers get how many bits, so that the firmware fits a board and the network loses least.

`pareto` finds the allocations that none beats in both bytes and expected loss, `flash` knows the bytes of each,
`search` trains the best that fit. What is lost is measured by the caller, which trains: nothing here imports torch.
"""

from lenet_edge.bit_allocation.flash import BITS, FlashCosts, costs_on
from lenet_edge.bit_allocation.pareto import Allocation, Choice, front
from lenet_edge.bit_allocation.search import Candidate, Found, Losses, candidates_on, require_room, train_best

__all__ = [
    "BITS",
    "Allocation",
    "Candidate",
    "Choice",
    "FlashCosts",
    "Found",
    "Losses",
    "candidates_on",
    "costs_on",
    "front",
    "require_room",
    "train_best",
]
