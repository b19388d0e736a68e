"""What a sweep does first: the samplers differ in that, and in nothing else."""

from collections import Counter
from pathlib import Path

import optuna
import pytest

from lenet_edge.errors import BadInputError
from lenet_edge.preparation.request import PreparationRequest
from lenet_edge.sweep.order import SAMPLERS, next_ones
from lenet_edge.sweep.plan import Plan
from lenet_edge.sweep.space import make_space
from lenet_edge.sweep.storage import open_storage
from lenet_edge.sweep.study import open_study

AXES = {"learning_rate": [1e-3, 2e-3, 4e-3, 8e-3], "epochs": [5, 10, 20, 40], "seed": [0, 1, 2, 3]}
optuna.logging.set_verbosity(optuna.logging.ERROR)


def plan_of(axes, sampler="grid"):
    space = make_space({}, axes, Path("x"))
    return Plan(space, "mnist", "0" * 64, PreparationRequest(), sampler=sampler)


def study_of(space, results):
    """A study in memory with the results of some configurations."""
    study = optuna.create_study(directions=["maximize", "minimize"], study_name="s")
    choices = {name: optuna.distributions.CategoricalDistribution(values) for name, values in space.axes.items()}
    for each in space.configurations():
        if each.number in results:
            made = optuna.trial.create_trial(
                params=dict(each.values), distributions=choices, values=results[each.number]
            )
            study.add_trial(made)
    return study


def test_grid_and_random_are_orders_of_all(tmp_path):
    space = plan_of(AXES).space
    every, study = space.configurations(), study_of(space, {})
    assert [each.number for each in next_ones("grid", every, study, space.axes)] == list(range(10))
    first = next_ones("random", every, study, space.axes)
    assert len({each.number for each in first}) == 10
    assert first != every[:10]
    assert next_ones("random", every, study, space.axes) == first  # every worker has the same order
    rest = [each for each in every if each not in first]
    assert not {each.number for each in next_ones("random", rest, study, space.axes)} & {each.number for each in first}


def test_tpe_prefers_what_was_good():
    """Half of the space is done; what is good has the learning rate 4e-3 and 20 epochs. Chance takes one in 16."""
    space = plan_of(AXES).space
    every = space.configurations()

    def good(each):
        return (each.values["learning_rate"] == 4e-3) + (each.values["epochs"] == 20)

    done = {each.number: (0.9 + 0.04 * good(each), 1000.0) for each in every if each.number % 2}
    opened = [each for each in every if each.number not in done]
    taken = []
    for _ in range(6):
        (chosen,) = next_ones("tpe", opened, study_of(space, done), space.axes)
        assert chosen in opened
        taken.append(good(chosen))
        opened.remove(chosen)
        done[chosen.number] = (0.9 + 0.04 * good(chosen), 1000.0)
    assert sum(taken) >= 6  # by chance 3 of 12


def test_tpe_takes_what_is_left():
    """Its suggestions are done: it takes the open one that is most like them."""
    space = plan_of({"seed": [0, 1, 2]}).space
    every = space.configurations()
    study = study_of(space, {0: (0.9, 1.0), 2: (0.8, 1.0)})
    assert next_ones("tpe", [every[1]], study, space.axes) == [every[1]]
    assert next_ones("tpe", [], study, space.axes) == []


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_each_configuration_completes_once(tmp_path, sampler):
    plan = plan_of({"seed": [0, 1], "epochs": [5, 10]}, sampler)
    storage = open_storage(f"sqlite:///{tmp_path}/s.db")
    workers = [open_study(storage, "s", plan, None) for _ in range(2)]
    done = []
    while claims := [claim for study in workers if (claim := study.take(3)) is not None]:
        for claim in claims:
            assert workers[0].complete(claim, (0.5 + claim.configuration.number / 10, 100), {})
            done.append(claim.configuration.number)
    assert Counter(done) == Counter(range(4))
    assert open_study(storage, "s", None, None).plan.sampler == sampler
    other = next(name for name in SAMPLERS if name != sampler)
    with pytest.raises(BadInputError, match=f"has the sampler {sampler}, not {other}; leave --sampler out"):
        open_study(storage, "s", None, None, other)


def test_a_study_from_before_there_was_a_choice():
    content = plan_of(AXES).to_json()
    del content["sampler"]
    assert Plan.from_json(content, "s").sampler == "grid"
    with pytest.raises(BadInputError, match="its sampler 'best' is not known"):
        Plan.from_json({**content, "sampler": "best"}, "s")
