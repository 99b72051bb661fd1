import math
from dataclasses import replace

import numpy as np
import pytest

from daemon.layers.features.catalog import reference_features
from daemon.research.controls import control_of, shuffled
from daemon.research.datasets import Dataset, labelled_rows
from daemon.research.settings import TrainingSettings
from daemon.research.walkforward import walk
from tests.unit.research.markets import a_market_with_edge, a_series

FEATURES = reference_features("1h")
SETTINGS = TrainingSettings(n_estimators=300, folds=6)


def rows() -> Dataset:
    rising = a_series(100.0 * np.exp(np.cumsum(np.tile([0.01, 0.02, -0.01], 300))), symbol="B/Q")
    return labelled_rows([a_market_with_edge(900, 1), rising], FEATURES, horizon_bars=1)


def test_only_outcomes_are_shuffled_and_each_symbol_keeps_its_own() -> None:
    dataset = rows()

    made, settings, _ = shuffled(dataset, SETTINGS, seed=1)

    assert (settings.folds, settings.n_estimators) == (2, 100)
    assert made.features is dataset.features
    assert not np.array_equal(made.up, dataset.up)
    for number in range(2):
        mine = dataset.symbol == number
        assert made.up[mine].sum() == dataset.up[mine].sum()
    assert shuffled(dataset, SETTINGS, seed=1).dataset.up.tobytes() == made.up.tobytes()
    assert shuffled(dataset, SETTINGS, seed=2).dataset.up.tobytes() != made.up.tobytes()


def test_a_smaller_forest_stays_as_small_as_it_is() -> None:
    plan = shuffled(rows(), replace(SETTINGS, n_estimators=7), seed=1)

    assert plan.settings.n_estimators == 7


def test_a_strong_edge_is_gone_once_its_outcomes_are_shuffled() -> None:
    dataset = labelled_rows([a_market_with_edge(2_000, 1)], FEATURES, horizon_bars=1)
    small = replace(SETTINGS, n_estimators=30)

    areas = []
    for seed in range(4):
        plan = shuffled(dataset, small, seed=seed)
        control = control_of(walk(*plan[:2], seed=1, progress=lambda *_: None))
        assert control is not None
        areas.append((control.auc - 0.5) / control.standard_error)

    assert max(map(abs, areas)) < 4.0
    assert abs(float(np.mean(areas))) < 1.5


def test_a_test_that_was_learnt_from_does_not_pass() -> None:
    dataset = labelled_rows([a_market_with_edge(2_000, 1)], FEATURES, horizon_bars=1)
    plan = shuffled(dataset, replace(SETTINGS, n_estimators=30), seed=1)
    walked = walk(*plan[:2], seed=1, progress=lambda *_: None)

    # As if outcomes of the test had come into the training: a little of each is told.
    told = replace(walked, raw=walked.raw + 0.02 * (2.0 * walked.up - 1.0))

    control = control_of(told)
    assert control is not None
    assert control.auc > 0.5 + 4.0 * control.standard_error


def test_the_standard_error_is_that_of_mann_and_whitney_by_hand() -> None:
    dataset = labelled_rows([a_market_with_edge(900, 1)], FEATURES, horizon_bars=1)
    walked = walk(*shuffled(dataset, replace(SETTINGS, n_estimators=2), seed=1)[:2], seed=1,
                  progress=lambda *_: None)  # fmt: skip
    ups, n = int(walked.up.sum()), len(walked.up)

    control = control_of(walked)

    assert control is not None
    assert control.n == n
    assert control.standard_error == pytest.approx(math.sqrt((n + 1) / (12 * ups * (n - ups))))
