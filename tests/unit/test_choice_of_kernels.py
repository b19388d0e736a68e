"""The kernel that takes least is chosen, by what was counted of each kind."""

from __future__ import annotations

import json

import estimated_networks
import pytest
import sample_models
from random_chains import Chain

from lenet_edge.formats import c_source
from lenet_edge.formats.c_source import choice
from lenet_edge.formats.c_source.costs import COSTS_FORMAT, FILE, costs, parse_costs
from lenet_edge.formats.c_source.families import FAMILIES, plain
from lenet_edge.formats.c_source.fusing import fuse
from lenet_edge.formats.c_source.loops import kind_of_kernel, loops_of
from lenet_edge.quantized.model import WEIGHTED
from lenet_edge.records.fields import WrongRecordError

COUNTED = tuple(core.kernels for core in costs().cores if not FAMILIES[core.kernels].is_small)


def needs_of(step, family):
    """What each kernel of a step would take; nothing for a step that only the plain one can compute."""
    known = next(core for core in costs().cores if core.kernels == family).counts
    found = choice.candidates(family, step, "x", divisible=True)
    if isinstance(found, str):
        return {}
    kernels = [*found, plain.kernel(step, "x", divisible=True)]
    kinds = [kind_of_kernel(step, kernel, divisible=True) for kernel in kernels]
    needs = [known[kind].of(loops_of(step, kernel)) for kind, kernel in zip(kinds, kernels, strict=True)]
    return dict(zip((kernel.name for kernel in kernels), needs, strict=True))


def weighted_steps(*models):
    return [step for model in models for step in fuse(model) if isinstance(step.layer, WEIGHTED)]


@pytest.mark.parametrize("family", sorted(set(COUNTED)))
def test_the_kernel_that_takes_least_is_chosen_and_the_runner_up_named(family):
    """Of steps that are the only one."""
    seen = 0
    for step in weighted_steps(*estimated_networks.measured(), sample_models.lenet5(1)):
        (kernel,), needs = choice.choose(family, [step], ["x"], divisible=True), needs_of(step, family)
        if needs:
            seen += 1
            best, second, *_ = sorted(needs, key=needs.__getitem__)
            assert kernel.name == best
            assert kernel.runner_up == second
            assert kernel.runner_up_more == pytest.approx(needs[second] / needs[best] - 1, abs=6e-4)
            assert bool(kernel.why_plain) == (best == "plain")
    assert seen > 50


@pytest.mark.parametrize("family", sorted(set(COUNTED)))
def test_a_kernel_of_its_own_saves_at_least_a_hundredth(family):
    """For each step: another one whose code the others need anyway would make the model 1 % slower."""
    given_up = 0
    for model in (*estimated_networks.measured(), sample_models.lenet5(1)):
        placed = [each for each in c_source.make_plan(model, family).steps if isinstance(each.step.layer, WEIGHTED)]
        needs = [needs_of(each.step, family) for each in placed]
        least = sum(min(need.values()) for need in needs if need)
        for each, need in zip(placed, needs, strict=True):
            others = {file for other in placed if other is not each for file in other.kernel.sources}
            in_turns = bool(each.kernel.parts)  # with another step, by bands of rows: not one of the candidates
            if need and not in_turns and not others.issuperset(each.kernel.sources):
                kernels = [*choice.candidates(family, each.step, "x", divisible=True)]
                for kernel in [*kernels, plain.kernel(each.step, "x", divisible=True)]:
                    if others.issuperset(kernel.sources):
                        assert need[kernel.name] - need[each.kernel.name] >= 0.0099 * least
            given_up += bool(need) and not in_turns and need[each.kernel.name] > min(need.values())
    assert given_up > 0 or family not in ("rv32", "cortex_m_base")


@pytest.mark.parametrize("family", ["neon", "x86"])
def test_a_family_that_was_not_counted_keeps_its_own_order(family):
    assert family not in COUNTED
    for placed in c_source.make_plan(sample_models.lenet5(1), family).steps:
        (first, *_) = choice.candidates(family, placed.step, "x", divisible=True)
        assert (placed.kernel.name, placed.kernel.runner_up) == (first.name, "")


def test_every_family_but_those_of_hosts_was_counted():
    assert {*(core.kernels for core in costs().cores), "plain", "neon", "x86"} == set(FAMILIES)


def test_kernels_that_are_there_for_their_few_bytes_are_taken_whatever_they_take():
    plan = c_source.make_plan(sample_models.lenet5(1), "rv32e")
    assert {placed.kernel.name for placed in plan.steps} == {"compact windows, 2 x 2", "compact matrix"}


def test_kernels_that_are_there_for_their_few_bytes_take_no_turns_by_bands_of_rows():
    """These took 208 bytes of flash more, and 4 of RAM."""
    chain = Chain(16, (11, 11, 1), tie_free=True).conv(4, (3, 3), padding="same", clamp=(-128, 127))
    chain.depthwise(1, (3, 3), padding="valid", clamp=(-128, 127)).conv(6, (1, 1), clamp=(-128, 127))
    model = chain.flatten().fully_connected(4).build()
    assert not any(placed.step.ahead for placed in c_source.make_plan(model, "rv32e").steps)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content.pop("format"), "its format is None"),
        (lambda content: content.update(format=COSTS_FORMAT + 1), "another version's"),
        (lambda content: content["cores"][0].update(unit="seconds"), "unit is 'seconds'"),
        (lambda content: content["cores"][0].update(units=1), "'units' is not known"),
        (lambda content: next(iter(content["cores"][0]["counts"].values())).update(low=-2), "low is -2"),
    ],
)
def test_a_wrong_record_is_refused(change, message):
    content = json.loads(FILE.read_text(encoding="utf-8"))
    parse_costs(content)
    change(content)
    with pytest.raises(WrongRecordError, match=message):
        parse_costs(content)
