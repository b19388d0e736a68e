"""The kernel that takes least is chosen, by what was counted of each kind."""

from __future__ import annotations

import json

import estimated_networks
import pytest
import sample_models

from lenet_edge.formats import c_source
from lenet_edge.formats.c_source import choice
from lenet_edge.formats.c_source.costs import COSTS_FORMAT, FILE, costs, parse_costs
from lenet_edge.formats.c_source.families import FAMILIES, plain
from lenet_edge.formats.c_source.loops import kind_of_kernel, loops_of
from lenet_edge.quantized.model import WEIGHTED
from lenet_edge.records.fields import WrongRecordError

COUNTED = tuple(core.kernels for core in costs().cores)


def choices(model, family):
    """Of each step with weights that the family can compute: its kernel, and what each candidate would take."""
    plan = c_source.make_plan(model, family)
    known = next(core for core in costs().cores if core.kernels == family).counts
    for placed in plan.steps:
        if isinstance(placed.step.layer, WEIGHTED):
            found = choice.candidates(family, placed.step, "x", divisible=plan.divisible)
            if not isinstance(found, str):
                kernels = [*found, plain.kernel(placed.step, "x", divisible=plan.divisible)]
                kinds = [kind_of_kernel(placed.step, kernel, divisible=True) for kernel in kernels]
                needs = [
                    known[kind].of(loops_of(placed.step, kernel)) for kind, kernel in zip(kinds, kernels, strict=True)
                ]
                yield placed.kernel, dict(zip((kernel.name for kernel in kernels), needs, strict=True))


@pytest.mark.parametrize("family", sorted(set(COUNTED)))
def test_the_kernel_that_takes_least_is_chosen_and_the_runner_up_named(family):
    seen = 0
    for model in (*estimated_networks.measured(), sample_models.lenet5(1)):
        for kernel, needs in choices(model, family):
            seen += 1
            best, second, *_ = sorted(needs, key=needs.__getitem__)
            assert kernel.name == best
            more = f"{needs[second] / needs[best] - 1:.0%}"
            assert kernel.runner_up == f"{second}, which would take {more} more"
            assert bool(kernel.why_plain) == (best == "plain")
    assert seen > 50


def test_a_family_that_was_not_counted_keeps_its_own_order():
    assert "x86" not in COUNTED
    for placed in c_source.make_plan(sample_models.lenet5(1), "x86").steps:
        (first, *_) = choice.candidates("x86", placed.step, "x", divisible=True)
        assert (placed.kernel.name, placed.kernel.runner_up) == (first.name, "")


def test_every_family_but_x86_was_counted():
    assert {*COUNTED, "plain", "x86"} == set(FAMILIES)


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
