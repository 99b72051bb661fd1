from dataclasses import replace

import pytest

from daemon.layers.features.catalog import reference_features
from daemon.research.candidates import Picked, pick
from daemon.research.datasets import TrainingRefused, labelled_rows
from daemon.research.evaluation import evaluate
from daemon.research.series import Series
from daemon.research.settings import TrainingSettings
from tests.unit.research.markets import a_market_with_edge, a_random_walk

SETTINGS = TrainingSettings(n_estimators=20, folds=3)
FEATURES = reference_features("1h")
SERIES = a_market_with_edge(1_500, seed=1)


def picked(series: Series, *candidates: TrainingSettings) -> Picked:
    dataset = labelled_rows([series], FEATURES, horizon_bars=1)
    return pick([series], dataset, candidates, seed=1, progress=lambda *_: None)


def test_the_best_sharpe_ratio_is_picked_and_pays_for_the_number_of_candidates() -> None:
    stump, deep = replace(SETTINGS, max_depth=1), replace(SETTINGS, max_depth=6)

    found = picked(SERIES, stump, deep)

    assert found.sharpes[1] > found.sharpes[0]
    assert found.settings == replace(deep, trials=2)
    assert found.evaluated.judged.net_return.trials == 2
    assert found.overfitting is not None
    assert found.overfitting < 0.25


def test_more_trials_than_candidates_stay_as_many() -> None:
    many = replace(SETTINGS, trials=50)

    assert picked(SERIES, many, replace(many, max_depth=2)).settings.trials == 50


def test_one_candidate_is_judged_as_it_is_alone() -> None:
    dataset = labelled_rows([SERIES], FEATURES, horizon_bars=1)
    alone = evaluate([SERIES], dataset, SETTINGS, seed=1, progress=lambda *_: None)

    found = picked(SERIES, SETTINGS)

    assert found.overfitting is None
    assert found.evaluated.judged == alone.judged


def test_where_no_candidate_trades_the_pick_is_by_auc_and_luck_is_not_known() -> None:
    costly = replace(SETTINGS, fee_bps=500.0)

    found = picked(SERIES, replace(costly, max_depth=1), costly)

    assert found.sharpes == (0.0, 0.0)
    assert found.settings == replace(costly, trials=2)
    assert found.overfitting is None


def test_too_few_rows_to_learn_from_are_refused() -> None:
    with pytest.raises(TrainingRefused, match="too few to learn from"):
        picked(a_random_walk(100, seed=1), SETTINGS)
