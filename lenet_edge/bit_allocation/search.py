"""From what layers cost and lose to the models that fit: the front, and the training of its best."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from lenet_edge.bit_allocation.flash import FlashCosts, fewest, require_possible, with_bits
from lenet_edge.bit_allocation.pareto import Choice, front
from lenet_edge.errors import CheckFailedError
from lenet_edge.estimate import Estimate
from lenet_edge.quantized.model import QuantizedModel

__all__ = ["Candidate", "Found", "Losses", "candidates_on", "in_words", "require_room", "train_best"]

Losses = Mapping[str, Mapping[int, float]]
"""Layer -> bits -> what is lost where this layer alone has them; see `learning.sensitivity`."""

Trained = TypeVar("Trained")

_MOST_EXACT = 64  # of a front that are estimated one by one, each in a fraction of a second


@dataclass(frozen=True)
class Candidate:
    """An allocation of the front.

    Attributes:
        bits: of each layer.
        flash_bytes: of the firmware: estimated for its shapes; of those that were tried, as built.
        over_bytes, ram_over_bytes: how many bytes of flash and of RAM are more than the board's budgets.
        expected_loss: that it adds to the network of 8 bits, as the sum over the layers.
        validation_accuracy: of the int8 model, 0..1; None unless it was trained.
    """

    bits: Mapping[str, int]
    flash_bytes: int
    over_bytes: int
    expected_loss: float
    validation_accuracy: float | None = None
    ram_over_bytes: int = 0

    @property
    def fits(self) -> bool:
        return not self.over_bytes and not self.ram_over_bytes


@dataclass(frozen=True)
class Found(Generic[Trained]):
    """What the search found.

    Attributes:
        candidates: the front, by ascending bytes.
        chosen: the one of them that is best, and
        trained: what its training gave.
    """

    candidates: tuple[Candidate, ...]
    chosen: Candidate
    trained: Trained


def require_room(costs: FlashCosts) -> None:
    """Refuse, before anything is trained, a board on which not even the fewest bits fit.

    Raises:
        CheckFailedError: they do not; the message has the bytes that are over, and what would help.
    """
    bits = fewest(costs)
    least = costs.of(bits)
    require_possible(costs.board, least)
    if least.ram_over:
        raise CheckFailedError(
            f"nothing fits {costs.board.name}: the network takes {least.ram_over:,} bytes more RAM than "
            f"{costs.board.ram_budget_bytes:,}, whatever the bits of its weights: give it smaller images or narrower "
            "first layers, or take a larger board: `lenet-edge fits` shows which"
        )
    if least.flash_over:
        largest = max(costs.tables, key=lambda name: costs.tables[name][bits[name]])
        raise CheckFailedError(
            f"nothing fits {costs.board.name}: with the fewest bits ({in_words(bits)}) the firmware still takes "
            f"{least.flash_over:,} bytes more than {costs.board.flash_budget_bytes:,} of flash. Make {largest} "
            f"narrower, whose weights take {costs.tables[largest][bits[largest]]:,} of them, or take a larger board: "
            "`lenet-edge fits` shows which"
        )


def candidates_on(costs: FlashCosts, losses: Losses) -> list[Candidate]:
    """The allocations that none beats in both flash and expected loss, by ascending flash.

    Fewer bits are never expected to lose less than more bits: that one training says so is chance. What the layers take
    adds up, but for code that several of them share: a small front is therefore estimated as a whole, one by one.
    """
    layers = [_choices(sizes, losses.get(name, {})) for name, sizes in costs.tables.items()]
    budget = costs.board.flash_budget_bytes
    found = [
        Candidate(
            dict(zip(costs.layers, each.bits, strict=True)),
            flash := costs.base + each.bytes,
            max(0, flash - budget),
            each.loss,
        )
        for each in front(layers, costs.once)
    ]
    if len(found) > _MOST_EXACT:
        return found
    return _unbeaten([_estimated(costs, each, costs.of(each.bits)) for each in found])


def _unbeaten(candidates: Sequence[Candidate]) -> list[Candidate]:
    kept: list[Candidate] = []
    for each in sorted(candidates, key=lambda one: (one.flash_bytes, one.expected_loss)):
        if not kept or each.expected_loss < kept[-1].expected_loss:
            kept.append(each)
    return kept


def _choices(sizes: Mapping[int, int], losses: Mapping[int, float]) -> list[Choice]:
    found, least = [], 0.0
    for bits in sorted(sizes, reverse=True):
        least = max(least, losses.get(bits, 0.0))
        found.append(Choice(bits, sizes[bits], least))
    return found


def train_best(
    costs: FlashCosts,
    candidates: Sequence[Candidate],
    most: int,
    train: Callable[[Mapping[str, int]], tuple[Trained, QuantizedModel, float]],
    say: Callable[[str], None],
) -> Found[Trained]:
    """Train those that fit and are expected to lose least; the one with the best validation accuracy is chosen.

    Args:
        candidates: the front.
        most: how many are trained.
        train: bits -> whatever it likes to keep, the int8 model, its accuracy on the validation set.

    Raises:
        CheckFailedError: none of those that were trained fits.
    """
    after, best = list(candidates), list[tuple[int, Trained]]()
    for index in _promising(costs, after, most):
        say(f"training {in_words(candidates[index].bits)}")
        kept, model, accuracy = train(candidates[index].bits)
        found = _measured(costs, candidates[index], model, accuracy)
        say(f"{in_words(found.bits)}: int8 validation accuracy {100 * accuracy:.2f} %, {standing(found)}")
        after[index] = found
        if found.fits and (not best or _rank(found) > _rank(after[best[0][0]])):
            best = [(index, kept)]
    if not best:
        raise _none_fits(costs, candidates, after)
    (index, kept), *_ = best
    return Found(tuple(after), after[index], kept)


def _none_fits(costs: FlashCosts, before: Sequence[Candidate], after: Sequence[Candidate]) -> CheckFailedError:
    tried = [now for was, now in zip(before, after, strict=True) if now is not was]
    nearest = min(tried or after, key=lambda each: (each.over_bytes, each.ram_over_bytes))
    return CheckFailedError(
        f"nothing fits {costs.board.name}: the smallest firmware that was tried, {in_words(nearest.bits)}, takes "
        f"{standing(nearest)}. Make the network narrower, or take a larger board: `lenet-edge fits` shows which"
    )


def _promising(costs: FlashCosts, candidates: list[Candidate], most: int) -> Iterator[int]:
    """The indices of those to train: that fit, the least expected loss first.

    These are built before they are trained, if there is a compiler. What the estimates miss at least is learnt from
    that, so that few are built that do not fit. It is a guess: where none fits that way, those that it left out are
    built as well, the smallest first.
    """
    count, missed, budget, left_out = 0, 0, costs.board.flash_budget_bytes, list[int]()
    for index in sorted(range(len(candidates)), key=lambda index: candidates[index].expected_loss):
        each = candidates[index]
        if count == most or each.flash_bytes > budget:
            continue
        if each.flash_bytes + missed > budget:
            left_out.append(index)
            continue
        candidates[index] = _built(costs, each)
        missed = max(0, min(missed or budget, candidates[index].flash_bytes - each.flash_bytes))
        if candidates[index].fits:
            count += 1
            yield index
    for index in sorted(left_out, key=lambda index: candidates[index].flash_bytes):
        if count:
            return
        candidates[index] = _built(costs, candidates[index])
        if candidates[index].fits:
            count += 1
            yield index


def _built(costs: FlashCosts, candidate: Candidate) -> Candidate:
    return _estimated(costs, candidate, costs.exactly(with_bits(costs.model, candidate.bits)))


def _measured(costs: FlashCosts, candidate: Candidate, model: QuantizedModel, accuracy: float) -> Candidate:
    """The candidate with what its model takes, whose weights may want another kernel."""
    return replace(_estimated(costs, candidate, costs.exactly(model)), validation_accuracy=accuracy)


def _estimated(costs: FlashCosts, candidate: Candidate, found: Estimate) -> Candidate:
    require_possible(costs.board, found)
    assert found.flash_bytes is not None
    return replace(candidate, flash_bytes=found.flash_bytes, over_bytes=found.flash_over, ram_over_bytes=found.ram_over)


def _rank(candidate: Candidate) -> tuple[float, int]:
    assert candidate.validation_accuracy is not None
    return candidate.validation_accuracy, -candidate.flash_bytes


def in_words(bits: Mapping[str, int]) -> str:
    """Bits as ``--weight-bits`` has them."""
    return ",".join(f"{name}={each}" for name, each in bits.items())


def standing(candidate: Candidate) -> str:
    """Its flash, and whether it fits."""
    over = candidate.over_bytes, candidate.ram_over_bytes
    words = [f"{by:,} bytes{of} over" for of, by in zip(("", " of RAM"), over, strict=True) if by]
    return f"{candidate.flash_bytes:,} bytes of flash, {' and '.join(words) or 'fits'}"
