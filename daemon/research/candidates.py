"""Several forests walked forward over the same rows, and what picking the best of them is worth.

Belongs here: comparing and picking. Judging the one that was picked belongs to `evaluation`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from daemon.research.controls import control_of, shuffled
from daemon.research.datasets import Dataset
from daemon.research.evaluation import Evaluated, evaluate, require_enough
from daemon.research.judgement import judge_walk
from daemon.research.net_returns import calibrated_forward, net_returns
from daemon.research.overfitting import BLOCKS, probability_of_overfitting
from daemon.research.series import FloatArray, Series
from daemon.research.settings import TrainingSettings
from daemon.research.sharpe import sharpe_ratio
from daemon.research.walkforward import Plan, Progress, Walked, walk_all


@dataclass(frozen=True, slots=True, eq=False)
class Picked:
    """The candidate with the best net Sharpe ratio, judged as one of so many."""

    settings: TrainingSettings
    evaluated: Evaluated
    sharpes: tuple[float, ...]  # per bar, of the candidates in the order given; empty for one
    overfitting: float | None


def pick(
    series: Sequence[Series],
    dataset: Dataset,
    candidates: Sequence[TrainingSettings],
    *,
    seed: int,
    progress: Progress,
) -> Picked:
    """Walk forward with every candidate and judge the best, which has to be better than luck.

    The one with the highest Sharpe ratio after costs is picked, by AUC where none of them traded.
    Its own Sharpe ratio is deflated by at least the number of candidates, and the probability that
    the pick was overfitting joins the declared tests. One candidate is simply judged. Raises
    `TrainingRefused` as `evaluate` does.
    """
    if len(candidates) == 1:
        (only,) = candidates
        alone = evaluate(series, dataset, only, seed=seed, progress=progress)
        return Picked(only, alone, (), None)
    require_enough(dataset)
    plans = [Plan(dataset, settings) for settings in candidates]
    *made, control = walk_all(
        [*plans, shuffled(dataset, candidates[0], seed=seed)], seed=seed, progress=progress
    )
    returns = np.column_stack(
        [_returns(series, one, settings) for one, settings in zip(made, candidates, strict=True)]
    )
    sharpes = tuple(sharpe_ratio(column) for column in returns.T)
    place = _best(made, sharpes)
    trials = max(candidates[place].trials, len(candidates))
    settings = replace(candidates[place], trials=trials)
    overfitting = _overfitting(returns)
    judged = judge_walk(
        series,
        made[place].walked,
        settings,
        seed=seed,
        control=control_of(control.walked),
        overfitting=overfitting,
    )
    spent_s = sum(one.fit_cpu_s for one in (*made, control))
    return Picked(settings, Evaluated(made[place], judged, spent_s), sharpes, overfitting)


def _returns(series: Sequence[Series], made: Walked, settings: TrainingSettings) -> FloatArray:
    known = calibrated_forward(made.walked, settings)
    return net_returns(series, made.walked, known, settings).ratio


def _best(made: Sequence[Walked], sharpes: Sequence[float]) -> int:
    areas = [one.walked.skill().auc or 0.0 for one in made]
    return max(range(len(made)), key=lambda place: (sharpes[place], areas[place], -place))


def _overfitting(returns: FloatArray) -> float | None:
    """None where there was nothing to choose by."""
    if len(returns) < 2 * BLOCKS or not returns.any():
        return None
    return probability_of_overfitting(returns)
