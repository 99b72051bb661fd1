import math

import numpy as np
import pytest

from daemon.reports.facts import gather
from daemon.reports.figures import (
    buy_and_hold,
    costs,
    data_sha256,
    figures,
    monthly,
    reliability,
    wilson,
)
from tests.builders import BTC, HOUR_NS, OPEN_NS, a_run_opened, an_equity_mark
from tests.unit.reports.stories import D, a_story, closed


def test_gross_less_fees_and_slippage_is_net() -> None:
    known = costs(gather(a_story()))

    assert (known.net, known.fees, known.slippage) == (D(7), D(2), D(3))
    assert known.gross - known.fees - known.slippage == known.net
    assert known.share_of_gross == 5 / 12


def test_costs_have_no_share_of_a_gross_loss() -> None:
    worth = a_run_opened().allotted_quote
    lost = an_equity_mark(equity_quote=worth - 10)

    assert costs(gather([a_run_opened(), lost])).share_of_gross is None


def test_few_slots_have_a_return_but_neither_interval_nor_sharpe() -> None:
    known = figures(gather(a_story()))

    assert known.net_return.value == pytest.approx(7 / float(a_run_opened().allotted_quote))
    assert known.net_return.low is None
    assert known.sharpe.value is None


def test_many_slots_have_a_return_and_a_sharpe_with_intervals() -> None:
    worth = float(a_run_opened().allotted_quote)
    returns = np.random.default_rng(7).normal(0.001, 0.01, 400)
    marks = [
        an_equity_mark(ts_ns=OPEN_NS + k * HOUR_NS, equity_quote=D(str(round(float(value), 6))))
        for k, value in enumerate(worth * np.cumprod(1 + returns))
    ]

    known = figures(gather([a_run_opened(), *marks]), trials=10)

    once = returns.mean() / returns.std(ddof=1)
    assert known.sharpe.value == pytest.approx(once * math.sqrt(365 * 24), rel=1e-3)
    assert known.sharpe.low is not None
    assert known.sharpe.value is not None
    assert known.sharpe.low < known.sharpe.value
    assert known.net_return.low is not None
    assert known.deflated_sharpe is not None
    assert 0.0 < known.deflated_sharpe < 1.0


def test_equity_that_never_moves_has_no_sharpe() -> None:
    marks = [
        an_equity_mark(ts_ns=OPEN_NS + k * HOUR_NS, equity_quote=a_run_opened().allotted_quote)
        for k in range(100)
    ]

    assert figures(gather([a_run_opened(), *marks])).sharpe.value is None


def test_wilson_is_the_textbook_interval() -> None:
    # 10 of 20, Newcombe (1998) method 3: 0.2993 to 0.7007.
    known = wilson(10, 20)

    assert known.value == 0.5
    assert known.low == pytest.approx(0.2993, abs=1e-4)
    assert known.high == pytest.approx(0.7007, abs=1e-4)


def test_reliability_counts_what_was_resolved_and_nothing_else() -> None:
    (bin_,) = reliability(gather(a_story()))

    assert (bin_.low, bin_.high, bin_.n, bin_.came) == (0.7, 0.8, 2, 0.5)


def test_a_month_ends_with_the_mark_at_its_last_moment() -> None:
    february_ns = 1_706_745_600 * 10**9  # 2024-02-01T00:00Z
    worth = a_run_opened().allotted_quote
    marks = [
        an_equity_mark(ts_ns=february_ns - 1, equity_quote=worth * 2),
        an_equity_mark(ts_ns=february_ns, equity_quote=worth * 3),
        an_equity_mark(ts_ns=february_ns + 1, equity_quote=worth * 6),
    ]

    assert monthly(gather([a_run_opened(), *marks])) == [(2024, 1, 2.0), (2024, 2, 1.0)]


def test_buy_and_hold_follows_the_closes() -> None:
    values = [value for _, value in buy_and_hold(gather(a_story()))]

    worth = float(a_run_opened().allotted_quote)
    assert values == [worth, pytest.approx(worth * 1.12)]


def test_the_hash_of_the_data_sees_every_number() -> None:
    one = gather([a_run_opened(), closed(0, 100.0), closed(1, 101.0)])
    other = gather([a_run_opened(), closed(0, 100.0), closed(1, 101.5)])

    assert data_sha256(one) != data_sha256(other)
    assert data_sha256(one) == data_sha256(
        gather([a_run_opened(), closed(0, 100.0), closed(1, 101.0)])
    )
    assert list(one.bars) == [BTC]
