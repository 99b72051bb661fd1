"""A search over a classifier's parameters: tries many, keeps the best, and says what that costs.

Belongs here: what is varied, and the count and comparison of what was tried. Each trial is an
ordinary walk-forward; the verdict on the one that is kept belongs in `judgement`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from daemon.research.datasets import TrainingRefused
from daemon.research.net_returns import calibrated_forward, net_returns
from daemon.research.overfitting import probability_of_overfitting
from daemon.research.walkforward import walk

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from daemon.research.datasets import Dataset
    from daemon.research.series import FloatArray, Series
    from daemon.research.settings import TrainingSettings
    from daemon.research.walkforward import Progress

AUC_OF_NOTHING = 0.5


@dataclass(frozen=True, slots=True)
class Searched:
    """The settings that were kept, with the number of trials in them.

    `overfitting` is the probability of backtest overfitting over all trials; None where their
    returns are too few to say.
    """

    settings: TrainingSettings
    overfitting: float | None


def search(
    series: Sequence[Series],
    dataset: Dataset,
    settings: TrainingSettings,
    *,
    trials: int,
    seed: int,
    progress: Progress,
) -> Searched:
    """The best of `trials` by the AUC of a purged walk-forward, the given settings among them.

    Optuna's tree-structured Parzen estimator, seeded: the same input gives the same search. The
    trials are counted, so that the Sharpe ratio of the one that is kept is deflated by them, and
    their net returns are compared (Bailey et al. 2017). Raises `TrainingRefused` without Optuna,
    for one's own class, whose parameters nobody here knows, and where nothing can be learnt.
    """
    space = SPACES.get(settings.classifier)
    if space is None:
        raise TrainingRefused(
            f"{settings.classifier} cannot be searched; searched are {', '.join(SPACES)}"
        )
    optuna = _optuna()
    returns: list[FloatArray] = []
    tried: list[TrainingSettings] = []

    def score(trial: Any) -> float:
        # The first trial is what was configured, so the search can never do worse than that.
        candidate = settings if trial.number == 0 else space(trial, settings)
        walked = walk(dataset, candidate, seed=seed, progress=lambda *_: None)
        calibrated = calibrated_forward(walked, candidate)
        returns.append(net_returns(series, walked, calibrated, candidate).ratio)
        tried.append(candidate)
        progress(len(tried), trials, "searching")
        area = walked.skill().auc
        return AUC_OF_NOTHING if area is None else area

    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=10)
    )
    study.optimize(score, n_trials=trials, catch=())
    best = replace(tried[study.best_trial.number], trials=settings.trials - 1 + trials)
    return Searched(best, _overfitting(np.column_stack(returns)))


def _overfitting(returns: FloatArray) -> float | None:
    traded = returns[:, returns.any(axis=0)]
    try:
        return probability_of_overfitting(traded)
    except ValueError:
        return None


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise TrainingRefused(
            "a search needs Optuna, which is not installed: pip install 'tradingd[search]'"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def _forest(trial: Any, settings: TrainingSettings) -> TrainingSettings:
    return replace(
        settings,
        max_depth=trial.suggest_int("max_depth", 2, 10),
        min_samples_leaf=trial.suggest_int("min_samples_leaf", 5, 200, log=True),
        sample_ratio=trial.suggest_float("sample_ratio", 0.2, 1.0),
    )


def _regression(trial: Any, settings: TrainingSettings) -> TrainingSettings:
    return _with(settings, C=trial.suggest_float("C", 1e-4, 10.0, log=True))


def _boosting(trial: Any, settings: TrainingSettings) -> TrainingSettings:
    shaped = replace(
        settings,
        max_depth=trial.suggest_int("max_depth", 2, 8),
        min_samples_leaf=trial.suggest_int("min_samples_leaf", 5, 200, log=True),
    )
    return _with(shaped, learning_rate=trial.suggest_float("learning_rate", 0.005, 0.2, log=True))


def _with(settings: TrainingSettings, **own: float) -> TrainingSettings:
    parameters = json.dumps(settings.own_parameters | own, sort_keys=True)
    return replace(settings, parameters=parameters)


SPACES: dict[str, Callable[[Any, TrainingSettings], TrainingSettings]] = {
    "random_forest": _forest,
    "extra_trees": _forest,
    "logistic": _regression,
    "gradient_boosting": _boosting,
    "lightgbm": _boosting,
}
