"""Which layers get how many bits, so that the firmware fits a board and the network loses least.

`pareto` finds the allocations that none beats in both bytes and expected loss, `flash` knows the bytes of each,
`search` trains the best that fit, `kept` has what was found until a search was interrupted. What is lost is measured by
the caller, which trains: nothing here imports torch.
"""

from lenet_edge.bit_allocation.flash import BITS, FlashCosts, costs_on
from lenet_edge.bit_allocation.kept import Kept
from lenet_edge.bit_allocation.pareto import Allocation, Choice, front
from lenet_edge.bit_allocation.search import Candidate, Found, Losses, candidates_on, in_words, require_room, train_best

__all__ = [
    "BITS",
    "Allocation",
    "Candidate",
    "Choice",
    "FlashCosts",
    "Found",
    "Kept",
    "Losses",
    "candidates_on",
    "costs_on",
    "front",
    "in_words",
    "require_room",
    "train_best",
]
