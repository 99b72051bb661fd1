from dataclasses import replace

import numpy as np
import pytest

from daemon.core.manifests import FoldResult, PayoffEstimate, Payoffs
from daemon.layers.features.catalog import reference_features
from daemon.research.datasets import Dataset
from daemon.research.net_returns import Calibrated, NetReturns, calibrated_forward, net_returns
from daemon.research.series import FloatArray, Series
from daemon.research.settings import TrainingSettings
from daemon.research.walkforward import WalkForward, walk_forward
from tests.unit.research.markets import HOUR_NS, a_market_with_edge, a_series, without

EVEN = PayoffEstimate(100, 50, 50, 0.02, 0.02, "threshold")
CLOSES = np.array([100.0, 101.0, 99.0, 99.0, 102.0, 101.0, 103.0])
FREE = TrainingSettings(fee_bps=0.0, slippage_bps=0.0, confidence_min_ratio=0.1)
COSTLY = replace(FREE, fee_bps=20.0, slippage_bps=5.0)


def a_fold(start_ns: int, end_ns: int) -> FoldResult:
    """A fold of this span, of which nothing else is asked."""
    return FoldResult(1, start_ns, start_ns, end_ns, 1, None, 0.0, 1.0, None)


def traded(
    series: Series,
    probability: dict[int, float],
    settings: TrainingSettings = FREE,
    error: float = 0.0,
) -> NetReturns:
    """Trade these probabilities, by bar; the first row is the fold that is not traded."""
    bars = np.array([0, *sorted(probability)], dtype=np.int64)
    n = len(bars)
    nothing = np.zeros(n)
    dataset = Dataset(
        symbols=(series.symbol,),
        timeframe_ns=HOUR_NS,
        features=np.zeros((n, 1)),
        up=np.zeros(n, dtype=np.int64),
        forward_log_return=nothing,
        last_log_return=nothing,
        decided_ns=series.close_ns[bars],
        label_end_ns=series.close_ns[bars] + HOUR_NS,
        return_end_ns=series.close_ns[bars] + HOUR_NS,
        teaches=np.ones(n, dtype=np.bool_),
        symbol=np.zeros(n, dtype=np.int64),
        bar=bars,
    )
    fold = np.array([0] + [1] * (n - 1))
    walked = WalkForward(dataset, np.arange(n), fold, np.full(n, 0.5), bars, ())
    said: FloatArray = np.array([np.nan, *(probability[bar] for bar in sorted(probability))])
    calibrated = Calibrated(said, np.full(n, error), (None, Payoffs(0.1, EVEN, EVEN)))
    return net_returns([series], walked, calibrated, settings)


def test_a_long_earns_the_bars_it_is_held_and_ends_with_its_horizon() -> None:
    made = traded(a_series(CLOSES), {1: 0.5, 2: 0.9, 3: 0.9, 4: 0.5, 5: 0.5})

    assert made.ratio == pytest.approx([0.0, 0.0, 102 / 99 - 1, 0.0, 0.0])
    assert made.entries == 1


def test_each_change_of_position_pays_one_side_and_holding_on_pays_nothing() -> None:
    made = traded(a_series(CLOSES), {1: 0.5, 2: 0.9, 3: 0.9, 4: 0.5, 5: 0.5}, COSTLY)

    assert made.ratio == pytest.approx([0.0, -0.0025, 102 / 99 - 1, -0.0025, 0.0])


def test_an_entry_has_to_be_worth_both_sides_and_a_held_position_only_more_than_nothing() -> None:
    # The gross edge at 0.6 is 0.2 * 2 % = 0.4 %, the round trip costs 0.5 %.
    entered = traded(a_series(CLOSES), {1: 0.5, 2: 0.6, 3: 0.6, 4: 0.5}, COSTLY)
    held = traded(a_series(CLOSES), {1: 0.5, 2: 0.9, 3: 0.6, 4: 0.5}, COSTLY)

    assert entered.entries == 0
    assert held.ratio[2] == pytest.approx(102 / 99 - 1)


def test_a_probability_is_shrunk_by_its_uncertainty_before_it_is_believed() -> None:
    sure = traded(a_series(CLOSES), {1: 0.5, 3: 0.65}, COSTLY, error=0.01)
    unsure = traded(a_series(CLOSES), {1: 0.5, 3: 0.65}, COSTLY, error=0.1)

    assert (sure.entries, unsure.entries) == (1, 0)


def test_a_confident_fall_closes_a_long_and_opens_a_short_only_where_that_is_allowed() -> None:
    says = {1: 0.5, 2: 0.9, 3: 0.1, 4: 0.5}
    series = a_series(CLOSES)

    assert traded(series, says).ratio == pytest.approx([0.0, 0.0, 0.0, 0.0])
    short = traded(series, says, replace(FREE, allow_short=True))
    assert short.ratio == pytest.approx([0.0, 0.0, -(102 / 99 - 1), 0.0])
    assert short.entries == 2


def test_a_position_over_a_hole_takes_the_whole_move_and_is_closed_behind_it() -> None:
    made = traded(without(a_series(CLOSES), [3]), {1: 0.5, 2: 0.9, 4: 0.5}, FREE)

    assert made.close_ns.tolist() == (a_series(CLOSES).close_ns[1:6]).tolist()
    assert made.ratio == pytest.approx([0.0, 102 / 99 - 1, 0.0, 0.0, 0.0])


def test_calibration_and_payoffs_of_a_fold_come_from_the_folds_before_it_alone() -> None:
    settings = TrainingSettings(n_estimators=10, folds=4)
    walked = walk_forward(
        [a_market_with_edge(900, seed=1)],
        reference_features("1h"),
        settings,
        seed=1,
        progress=lambda *_: None,
    )
    last = walked.fold == 3
    outcomes = walked.dataset.up.copy()
    outcomes[walked.tested[last]] = 1 - outcomes[walked.tested[last]]
    other = replace(walked, dataset=replace(walked.dataset, up=outcomes))

    as_it_was = calibrated_forward(walked, settings)
    with_another_end = calibrated_forward(other, settings)

    assert np.isnan(as_it_was.probability[walked.fold == 0]).all()
    assert as_it_was.probability.tobytes() == with_another_end.probability.tobytes()
    assert as_it_was.payoffs == with_another_end.payoffs
