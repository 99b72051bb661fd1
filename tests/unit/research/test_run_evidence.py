import math
from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pytest

from daemon.core import events as e
from daemon.layers.monitoring.skill import auc
from daemon.research.run_evidence import RunEvidence
from tests.builders import HOUR_NS, a_bar, a_bars_closed, a_resolution, an_equity_mark

START_NS = 1_704_067_200_000_000_000


def a_run(bars: int, seed: int, *, knows: float, earns: float) -> Iterator[e.Event]:
    """A market whose directions are told with `knows`, and an account that earns `earns` a bar."""
    rng = np.random.default_rng(seed)
    ups = rng.integers(0, 2, bars + 1).tolist()
    sizes = (0.001 + 0.01 * rng.random(bars + 1)).tolist()
    equity = 10_000.0
    close = 100.0
    for slot in range(bars):
        open_ns = START_NS + slot * HOUR_NS
        close *= math.exp(sizes[slot] if ups[slot] else -sizes[slot])
        yield a_bars_closed(ts_ns=open_ns + HOUR_NS, bars=(a_bar(open_ns=open_ns, close=close),))
        equity *= 1.0 + earns + 0.001 * float(rng.normal())
        yield an_equity_mark(ts_ns=open_ns + HOUR_NS, equity_quote=Decimal(repr(equity)))
        if slot:
            said = 0.5 + knows * (ups[slot] - 0.5) + 0.3 * float(rng.random() - 0.5)
            yield a_resolution(
                predicted_close_ns=open_ns, probability_up=said, outcome=ups[slot],
                ts_ns=open_ns + HOUR_NS,
            )  # fmt: skip


def judged(bars: int, *, knows: float, earns: float, entries: int = 100) -> dict[str, object]:
    evidence = RunEvidence(HOUR_NS)
    for event in a_run(bars, 1, knows=knows, earns=earns):
        evidence.note(event)
    return evidence.fields(entries=entries)


def test_a_run_that_knows_and_earns_shows_an_edge() -> None:
    found = judged(600, knows=0.2, earns=0.0005)

    assert found["edge_shown"] is True
    assert found["failed"] == []
    assert found["auc_n"] == 599
    assert str(found["verdict"]).startswith("Edge shown")
    # What was earned is the sum of the returns from mark to mark.
    marks = [
        float(event.equity_quote)
        for event in a_run(600, 1, knows=0.2, earns=0.0005)
        if isinstance(event, e.EquityMarked)
    ]
    total = sum(after / before - 1.0 for before, after in pairwise(marks))
    assert found["net_return_ratio"] == pytest.approx(total, abs=1e-6)


def test_a_run_that_knows_and_does_not_earn_shows_none() -> None:
    found = judged(600, knows=0.2, earns=0.0)

    assert found["edge_shown"] is False
    assert found["failed"] == ["net_return_above_zero", "deflated_sharpe"]


def test_a_run_that_earns_and_does_not_know_shows_none() -> None:
    found = judged(600, knows=0.0, earns=0.0005)

    assert found["edge_shown"] is False
    assert "auc_above_chance" in str(found["failed"])


def test_the_baseline_is_minus_the_return_of_the_deciding_bar() -> None:
    evidence = RunEvidence(HOUR_NS)
    events = list(a_run(300, 1, knows=0.2, earns=0.0))
    closes = [event.bars[0].close for event in events if isinstance(event, e.BarsClosed)]
    outcomes = [
        float(event.outcome or 0) for event in events if isinstance(event, e.PredictionResolved)
    ]

    for event in events:
        evidence.note(event)

    returns = [0.0, *(math.log(new / old) for old, new in pairwise(closes))]
    expected = auc([-one for one in returns[:-1]], outcomes)
    found = evidence.fields(entries=0)
    assert found["baseline_auc"] == pytest.approx(expected, abs=1e-6)


def test_a_run_without_outcomes_or_marks_shows_none_and_earns_nothing() -> None:
    found = RunEvidence(HOUR_NS).fields(entries=0)

    assert found["auc"] is None
    assert found["edge_shown"] is False
    assert (found["net_return_ratio"], found["sharpe"], found["deflated_sharpe"]) == (0, 0, 0)


def test_slots_without_a_mark_earned_nothing_and_the_last_mark_of_a_slot_counts() -> None:
    evidence = RunEvidence(HOUR_NS)
    marks = ((0, "100"), (1, "200"), (1, "110"), (4, "121"))
    for slot, equity in marks:
        evidence.note(an_equity_mark(ts_ns=slot * HOUR_NS, equity_quote=Decimal(equity)))

    found = evidence.fields(entries=100)

    assert found["net_return_ratio"] == pytest.approx(0.2)
    returns = np.array([0.1, 0.0, 0.0, 0.1])
    expected = returns.mean() / returns.std(ddof=1) * math.sqrt(8_760)
    assert found["sharpe"] == pytest.approx(expected, abs=1e-5)
