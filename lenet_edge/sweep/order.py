"""Which of the open configurations comes next.

A space is finite, so every sampler ends with all of it done, each configuration once. They differ in what is done
first, which counts where `--trials` stops before the end.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lenet_edge.sweep.space import Configuration, Value

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

__all__ = ["SAMPLERS", "next_ones"]

SAMPLERS: Mapping[str, str] = {
    "grid": "in the order of the space",
    "random": "in an order that the study's name decides",
    "tpe": "what promises most after the results so far (Optuna's TPE)",
}
"""Name -> what comes first."""

_AT_ONCE = 10  # that are queued while one is taken
_TRIES = 16  # suggestions of TPE before one that is near them is taken


def next_ones(
    sampler: str, opened: Sequence[Configuration], study: Study, axes: Mapping[str, Sequence[Value]]
) -> Sequence[Configuration]:
    """Those to queue now: a few at once, but for TPE, which learns from every result, one.

    Args:
        sampler: of `SAMPLERS`.
        opened: the open ones, by ascending preference.
        study: with the results so far.
        axes: the space's.
    """
    if sampler == "tpe":
        return [_suggested(opened, study, axes)] if opened else []
    if sampler == "random":
        ranks = list(range(1 + max((each.number for each in opened), default=0)))
        random.Random(study.study_name).shuffle(ranks)  # noqa: S311  # an order, no secret
        opened = sorted(opened, key=lambda each: ranks[each.number])
    return opened[:_AT_ONCE]


def _suggested(opened: Sequence[Configuration], study: Study, axes: Mapping[str, Sequence[Value]]) -> Configuration:
    """What TPE suggests, if it is open; else the open one that differs from its first suggestion in the fewest keys.

    It is asked in a study in memory, with the results and what runs: in the real one each question would be a trial.
    """
    import optuna

    known = [each for each in study.get_trials(deepcopy=False) if _tells(each, axes)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        tpe = optuna.samplers.TPESampler(multivariate=True, constant_liar=True, seed=len(known))
        asked = optuna.create_study(sampler=tpe, directions=study.directions)
        asked.add_trials(known)
        choices: dict[str, Any] = {
            name: optuna.distributions.CategoricalDistribution(list(values)) for name, values in axes.items()
        }
        by_values = {tuple(each.values.items()): each for each in opened}
        suggested = []
        for _ in range(_TRIES):
            params = asked.ask(choices).params
            suggested.append({name: params[name] for name in axes})
            if (found := by_values.get(tuple(suggested[-1].items()))) is not None:
                return found
    return min(opened, key=lambda each: sum(each.values[name] != suggested[0][name] for name in axes))


def _tells(trial: FrozenTrial, axes: Mapping[str, Sequence[Value]]) -> bool:
    """Whether it has a result, or will have."""
    return trial.state.name in ("COMPLETE", "RUNNING") and trial.params.keys() == axes.keys()
