"""A search keeps the best of what it tried, counts it all, and says how lucky the best may be."""

import importlib.util
from dataclasses import replace

import pytest

from daemon.layers.features.catalog import reference_features
from daemon.research.search import Searched, search
from daemon.research.training import TrainingRefused, TrainingSettings, train
from daemon.research.walkforward import labelled, walk
from tests.unit.research.markets import a_market_with_edge, a_random_walk

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("optuna") is None, reason="optuna is not installed"
)

FEATURES = reference_features("1h")
SMALL = TrainingSettings(n_estimators=10, folds=3, max_depth=2, allow_short=True)
TRIALS = 4


def searched(settings: TrainingSettings, bars: int = 1_200, *, has_edge: bool = True) -> Searched:
    series = [a_market_with_edge(bars, 1) if has_edge else a_random_walk(bars, 1)]
    dataset = labelled(series, FEATURES, settings)
    return search(series, dataset, settings, trials=TRIALS, seed=7, progress=lambda *_: None)


def test_the_same_search_gives_the_same_settings_and_counts_its_trials() -> None:
    first = searched(SMALL)

    assert first == searched(SMALL)
    assert first.settings.trials == TRIALS
    assert first.overfitting is None or 0.0 <= first.overfitting <= 1.0


def test_what_is_kept_is_never_worse_than_what_was_configured() -> None:
    found = searched(SMALL)
    dataset = labelled([a_market_with_edge(1_200, 1)], FEATURES, SMALL)

    areas = [
        walk(dataset, each, seed=7, progress=lambda *_: None).skill().auc
        for each in (SMALL, found.settings)
    ]

    assert areas[0] is not None
    assert areas[1] is not None
    assert areas[1] >= areas[0]


def test_the_verdict_on_a_searched_model_knows_of_the_trials() -> None:
    found = searched(SMALL)
    made = train(
        [a_market_with_edge(1_200, 1)], FEATURES, found.settings, seed=7, market="synthetic",
        timeframe="1h", progress=lambda *_: None, overfitting=1.0,
    )  # fmt: skip

    assert made.manifest.net_return.trials == TRIALS
    assert "overfitting" in made.manifest.failed
    assert made.manifest.edge_shown is False


def test_parameters_that_are_searched_join_those_that_were_given() -> None:
    logistic = replace(SMALL, classifier="logistic", parameters='{"fit_intercept": false}')

    found = searched(logistic, has_edge=False)

    assert found.settings.own_parameters["fit_intercept"] is False


def test_ones_own_class_cannot_be_searched() -> None:
    with pytest.raises(TrainingRefused, match="cannot be searched"):
        searched(replace(SMALL, classifier="package.module:Class"))
