"""Nothing a fold uses may know what comes after its first decision: model, threshold, calibration.

The future is made another one altogether, prices and volumes alike, and whatever was known before
it has to keep every bit.
"""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from daemon.core.labels import LabelKind
from daemon.layers.features.catalog import reference_features
from daemon.research.compiling import compile_forest
from daemon.research.datasets import labelled_rows
from daemon.research.net_returns import calibrated_forward, net_returns
from daemon.research.payoffs import surest_calls
from daemon.research.series import Series
from daemon.research.settings import TrainingSettings
from daemon.research.walkforward import Plan, Walked, labelled, walk_all
from tests.unit.research.markets import HOUR_NS, a_market_with_edge

HORIZON = 3
SETTINGS = TrainingSettings(
    n_estimators=10,
    folds=4,
    horizon_bars=HORIZON,
    fee_bps=0.0,
    slippage_bps=0.0,
    cost_margin_bps=0.0,
    confidence_min_ratio=0.02,
)
SERIES = a_market_with_edge(1_500, seed=3)


def walked(series: Series) -> Walked:
    dataset = labelled_rows([series], reference_features("1h"), horizon_bars=HORIZON)
    return walk_all([Plan(dataset, SETTINGS)], seed=1, progress=lambda *_: None)[0]


@cache
def as_it_was() -> Walked:
    return walked(SERIES)


def with_another_future(after_ns: int, seed: int) -> Series:
    """The same bars up to `after_ns`, and others in the same places from then on."""
    ohlcv = SERIES.ohlcv.copy()
    later = np.flatnonzero(SERIES.close_ns > after_ns)
    rng = np.random.default_rng(seed)
    ohlcv[later, :4] *= np.exp(np.cumsum(0.02 * rng.normal(size=len(later))))[:, np.newaxis]
    ohlcv[later, 4] = rng.permutation(ohlcv[later, 4])
    return Series(SERIES.symbol, SERIES.open_ns, ohlcv, HOUR_NS)


@pytest.mark.parametrize("fold", [1, 2, 3])
def test_another_future_leaves_model_calibration_and_threshold_of_a_fold_as_they_were(
    fold: int,
) -> None:
    before = as_it_was()
    start_ns = before.walked.folds[fold].test_start_ns
    series = with_another_future(start_ns, seed=fold)

    after = walked(series)

    assert [each.test_start_ns for each in after.walked.folds] == [
        each.test_start_ns for each in before.walked.folds
    ]
    arrays = [compile_forest(each.models[fold]).arrays() for each in (before, after)]
    for name, array in arrays[0].items():
        assert array.tobytes() == arrays[1][name].tobytes()
    known = [calibrated_forward(each.walked, SETTINGS) for each in (before, after)]
    assert known[0].payoffs[fold] == known[1].payoffs[fold]
    # The fold's first decision stands on bars that are the same, so it has to be the same.
    decided = before.walked.dataset.decided_ns[before.walked.tested]
    until = decided <= start_ns
    assert until.sum() > 200
    for name in ("probability", "standard_error"):
        first, second = (getattr(each, name)[until] for each in known)
        assert first.tobytes() == second.tobytes()
    assert before.walked.raw[until].tobytes() == after.walked.raw[until].tobytes()
    assert before.walked.raw[~until].tobytes() != after.walked.raw[~until].tobytes()


def test_another_future_leaves_what_was_earned_before_it_as_it_was() -> None:
    before = as_it_was().walked
    cut_ns = before.folds[2].test_start_ns
    series = with_another_future(cut_ns, seed=9)

    after = walked(series).walked

    earned = [
        net_returns([one], walk, calibrated_forward(walk, SETTINGS), SETTINGS)
        for one, walk in ((SERIES, before), (series, after))
    ]
    known = earned[0].close_ns < cut_ns
    assert known.sum() > 100
    assert np.count_nonzero(earned[0].ratio[known]) > 10
    assert earned[0].ratio[known].tobytes() == earned[1].ratio[known].tobytes()
    assert earned[0].ratio[~known].tobytes() != earned[1].ratio[~known].tobytes()


def test_how_sure_a_call_has_to_be_is_not_taken_from_its_own_fold() -> None:
    before = as_it_was().walked
    last = before.fold == 3
    raw = before.raw.copy()
    raw[last] = 0.5 + (raw[last] - 0.5) * 10.0

    exaggerated = surest_calls(replace(before, raw=raw))

    # Had the limit been that of the fold itself, a tenth of its calls would be sure as ever.
    usual = surest_calls(before)
    assert usual is not None
    assert exaggerated is not None
    assert exaggerated.n > usual.n + 0.5 * int(last.sum())


def test_open_outcomes_of_the_fold_before_do_not_count() -> None:
    walk = as_it_was().walked
    ends_ns = walk.dataset.label_end_ns[walk.tested]
    start_ns = walk.folds[2].test_start_ns
    is_open = (walk.fold < 2) & (ends_ns > start_ns)
    assert is_open.sum() == HORIZON - 1
    up = walk.dataset.up.copy()
    up[walk.tested[is_open]] = 1 - up[walk.tested[is_open]]

    flipped = calibrated_forward(replace(walk, dataset=replace(walk.dataset, up=up)), SETTINGS)

    usual = calibrated_forward(walk, SETTINGS)
    now = walk.fold == 2
    assert flipped.probability[now].tobytes() == usual.probability[now].tobytes()


def test_which_rows_teach_a_fold_does_not_hang_on_moves_that_end_in_it() -> None:
    """A barrier is reached before the horizon is over, and the dead zone asks for all of it."""
    settings = replace(
        SETTINGS,
        horizon_bars=24,
        embargo_bars=0,
        label=LabelKind.TRIPLE_BARRIER.value,
        profit_barrier=0.3,
        stop_barrier=0.3,
        dead_zone_bps=100.0,
    )
    plan = [Plan(labelled([SERIES], reference_features("1h"), settings), settings)]
    before = walk_all(plan, seed=1, progress=lambda *_: None)[0]
    start_ns = before.walked.folds[1].test_start_ns
    series = with_another_future(start_ns, seed=1)

    plan = [Plan(labelled([series], reference_features("1h"), settings), settings)]
    after = walk_all(plan, seed=1, progress=lambda *_: None)[0]

    assert before.walked.folds[1].train_rows == after.walked.folds[1].train_rows
    first, second = (compile_forest(each.models[1]).arrays() for each in (before, after))
    assert all(array.tobytes() == second[name].tobytes() for name, array in first.items())
