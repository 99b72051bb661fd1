"""Every item of the go-live gate: met by a good month, and each of them can fail."""

import random
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from daemon.config import GoliveSection
from daemon.core import events as e
from daemon.core.bars import MissCause
from daemon.core.manifests import NetReturn
from daemon.core.timeframes import DAY_NS, parse_time
from daemon.running.golive.items import Backtested, Evidence, Item, band_of, items, walked_band
from daemon.running.golive.paper_record import Record
from daemon.store.golive import ClockCheck, GoliveState, KeyCheck, Override
from tests.builders import (
    HOUR_NS,
    MODEL,
    a_bars_missed,
    a_flatten_requested,
    a_journal_thinned,
    a_model_activated,
    a_position_changed,
    a_reconciled,
    a_resume_requested,
    an_equity_mark,
)
from tests.unit.running.paper_story import (
    BTC,
    DAYS,
    HOURS,
    TRADE_RETURN,
    paper_month,
    trades,
)
from tests.unit.store.test_models import a_manifest

NOW_NS = parse_time("2026-11-01T00:00Z")
CONFIG = GoliveSection()
MONTH = paper_month(NOW_NS)
IDS = (
    *("paper_days", "paper_outcomes", "bars_seen", "paper_trades", "paper_drawdown", "reconciled"),
    *("journal", "kill_switch", "skill", "band", "key_scope", "clock", "stops"),
)
CHECKED = GoliveState(
    key=KeyCheck(exchange="binance", key="k", at_ns=NOW_NS - HOUR_NS),
    clock=ClockCheck(exchange="binance", at_ns=NOW_NS - HOUR_NS, offset_ms=-80.0, error_ms=40.0),
)


def a_record(events: list[e.Event], *, now_ns: int = NOW_NS, window_days: float = 90.0) -> Record:
    record = Record(
        since_ns=now_ns - round(window_days * DAY_NS),
        max_late_ns=HOUR_NS // 2,
        timeframe_ns=HOUR_NS,
    )
    record.read(events)
    return record


def a_backtest(mean: float = TRADE_RETURN) -> Backtested:
    told = [x.closed_return_ratio for x in trades(200, mean) if isinstance(x, e.PositionChanged)]
    return Backtested(run="b", returns=tuple(x for x in told if x is not None))


def evidence(record: Record | None = None, **changes: Any) -> Evidence:
    good = Evidence(
        now_ns=NOW_NS,
        record=record or a_record(MONTH),
        runs=("20261001T000000-0000",),
        tested=a_backtest(),
        state=CHECKED,
        exchange="binance",
        key="k",
        stops="",
    )
    return replace(good, **changes)


def judged(found: Evidence, config: GoliveSection = CONFIG) -> dict[str, Item]:
    return {each.id: each for each in items(found, config)}


def unmet(found: Evidence) -> set[str]:
    return {each.id for each in items(found, CONFIG) if not each.met}


def test_a_good_month_meets_every_item() -> None:
    found = judged(evidence())

    assert tuple(found) == IDS
    assert [each.id for each in found.values() if not each.met] == []
    assert found["paper_days"].value == DAYS
    assert found["bars_seen"].measured == f"{HOURS} of {HOURS}, 100.0%"


def test_nothing_known_meets_nothing_and_every_item_says_what_to_do() -> None:
    nothing = Evidence(
        now_ns=NOW_NS, record=a_record([]), runs=(), state=GoliveState(), exchange="binance"
    )

    found = items(nothing, CONFIG)

    assert [each.met for each in found] == [False] * len(IDS)
    assert all(each.measured and each.todo and each.required for each in found)


Spoil = Callable[[list[e.Event]], list[e.Event]]


def _and(*more: e.Event) -> Spoil:
    return lambda month: [*month, *more]


def _without(*kinds: type[e.Event]) -> Spoil:
    return lambda month: [each for each in month if not isinstance(each, kinds)]


def _half_late(_: list[e.Event]) -> list[e.Event]:
    return paper_month(NOW_NS, seen_every=2)


def _unskilled(month: list[e.Event]) -> list[e.Event]:
    return [
        replace(each, probability_up=0.5 + (index % 7) * 0.01)
        if isinstance(each, e.PredictionResolved)
        else each
        for index, each in enumerate(month)
    ]


@pytest.mark.parametrize(
    ("spoil", "ids", "text"),
    [
        (lambda _: paper_month(NOW_NS, bars=29 * 24), {"paper_days"}, "29 days"),
        (_and(a_model_activated(model="another")), {"paper_outcomes", "skill"}, "0 of another"),
        (_half_late, {"bars_seen"}, f"{HOURS // 2} of {HOURS}, 50.0%"),
        (_and(an_equity_mark(ts_ns=NOW_NS, drawdown_ratio=0.11)), {"paper_drawdown"}, "11.00%"),
        (_without(e.EquityMarked), {"paper_drawdown"}, "never valued"),
        (
            _and(a_reconciled(ts_ns=NOW_NS, is_clean=False, differences=("order td1 is gone",))),
            {"reconciled"},
            "1 of 2 differed: order td1 is gone",
        ),
        (_without(e.Reconciled), {"reconciled"}, "never compared"),
        (_without(e.HaltRequested), {"kill_switch"}, "halt never, flatten"),
        (_without(e.FlattenRequested), {"kill_switch"}, "flatten never"),
        (_unskilled, {"skill"}, "0.5"),
        (_without(e.PositionChanged), {"paper_trades", "kill_switch", "band"}, "0"),
    ],
)
def test_an_item_fails_by_what_the_journals_say(spoil: Spoil, ids: set[str], text: str) -> None:
    found = evidence(a_record(spoil(MONTH)))

    assert unmet(found) == ids
    assert any(text in each.measured for each in items(found, CONFIG) if each.id in ids)


@pytest.mark.parametrize(
    ("changes", "item", "text"),
    [
        ({"now_ns": NOW_NS + 8 * DAY_NS}, "paper_days", "newest bar 8.0 days ago"),
        ({"now_ns": NOW_NS + 15 * DAY_NS}, "kill_switch", "halt 15.5 days ago"),
        ({"broken": "row 7 was changed"}, "journal", "row 7 was changed"),
        ({"tested": None}, "band", "no backtest of this configuration"),
        (
            {"tested": Backtested(run="b", returns=(0.001,) * 5 + (0.002,) * 5)},
            "band",
            "no backtest",
        ),
        ({"key": None}, "key_scope", "no key is configured"),
        ({"key": "other"}, "key_scope", "another key was checked"),
        ({"now_ns": NOW_NS + 2 * DAY_NS}, "key_scope", "checked 2.0 days ago"),
        ({"now_ns": NOW_NS + 2 * DAY_NS}, "clock", "measured 2.0 days ago"),
        ({"exchange": "kraken"}, "clock", "never measured"),
        ({"stops": "okx takes no stop orders"}, "stops", "okx takes no stop orders"),
    ],
)
def test_an_item_fails_by_what_is_known_beside_the_journals(
    changes: dict[str, Any], item: str, text: str
) -> None:
    found = judged(evidence(**changes))[item]

    assert not found.met
    assert text in found.measured


@pytest.mark.parametrize("mean", [-0.004, 0.008])
def test_trades_outside_of_the_backtests_band_are_no_proof_whether_worse_or_better(
    mean: float,
) -> None:
    found = judged(evidence(tested=a_backtest(mean)))["band"]

    assert not found.met
    assert "by backtest b, n 200" in found.measured


def test_the_band_is_wide_for_few_trades_and_holds_nine_of_ten() -> None:
    rng = random.Random(3)
    known = [rng.gauss(0.001, 0.01) for _ in range(60)]
    few, many = band_of(known, 5), band_of(known, 500)
    assert few[1] - few[0] > many[1] - many[0]
    inside = 0
    for _ in range(1_000):
        low, high = band_of([rng.gauss(0.001, 0.01) for _ in range(60)], 50)
        inside += low <= sum(rng.gauss(0.001, 0.01) for _ in range(50)) / 50 <= high
    assert 870 < inside < 930


def test_without_a_backtest_the_models_own_walk_forward_is_the_band() -> None:
    net = NetReturn(
        per_bar_ratio=0.0001, per_bar_low=0.00002, per_bar_high=0.00018, total_ratio=0.1,
        bars=1_000, entries=100, sharpe=1.0, sharpe_low=0.1, sharpe_high=2.0,
        deflated_sharpe=0.9, trials=1,
    )  # fmt: skip
    manifest = msgspec.structs.replace(a_manifest(), net_return=net)

    limits = walked_band(manifest, 100)

    assert limits is not None
    low, high = limits
    # 0.1 % a trade; its interval of 0.08 % either way is 1.96 deviations of the mean of 100.
    assert low == pytest.approx(0.001 - 1.645 * 0.0008 / 1.96 * 2**0.5, rel=1e-2)
    assert high == pytest.approx(0.001 + 1.645 * 0.0008 / 1.96 * 2**0.5, rel=1e-2)
    found = judged(evidence(tested=None, manifest=manifest))["band"]
    assert "by the walk-forward of" in found.measured
    assert walked_band(a_manifest(), 100) is None  # three entries are none


def test_an_override_takes_the_place_of_skill_for_its_own_model_alone() -> None:
    mine = Override(model=MODEL, reason="a test of the rails", who="me", at_ns=NOW_NS)
    record = a_record(_unskilled(MONTH))
    for model, is_met in ((MODEL, True), ("another", False)):
        state = replace(CHECKED, override=replace(mine, model=model))
        found = judged(evidence(record, state=state))["skill"]
        assert (found.met, found.is_overridden) == (is_met, is_met)
        assert ("a test of the rails" in found.measured) is is_met


def test_a_refused_key_and_a_clock_that_is_off_are_unmet() -> None:
    assert CHECKED.key is not None
    assert CHECKED.clock is not None
    key = replace(CHECKED.key, refused="binance: the key may move money out (enableWithdrawals)")
    clock = replace(CHECKED.clock, offset_ms=470.0)
    found = judged(evidence(state=replace(CHECKED, key=key, clock=clock)))

    assert not found["key_scope"].met
    assert "may move money out" in found["key_scope"].measured
    assert not found["clock"].met  # by what it may be wrong by


def test_what_left_the_window_proves_nothing() -> None:
    record = a_record(MONTH, window_days=10.0)

    assert len(record.days) == 10
    assert record.expected_bars == record.seen_bars == 240
    assert unmet(evidence(record)) == {"paper_days", "paper_outcomes", "paper_trades"}


def test_a_flatten_counts_when_it_closed_something_and_was_not_called_off() -> None:
    held = a_position_changed(ts_ns=NOW_NS, instrument=BTC)
    flat = a_position_changed(
        ts_ns=NOW_NS + 2, instrument=BTC, quantity=held.dust, closed_return_ratio=0.1
    )
    asked = a_flatten_requested(ts_ns=NOW_NS + 1)
    assert a_record([held, asked, flat]).flattened_ns == NOW_NS + 2
    assert a_record([held, asked]).flattened_ns is None
    assert a_record([flat, asked, flat]).flattened_ns is None
    assert a_record([held, asked, a_resume_requested(), flat]).flattened_ns is None


def test_slots_without_trades_were_seen_and_outages_and_time_between_runs_were_not() -> None:
    first_ns = NOW_NS - HOURS * HOUR_NS
    quiet = a_bars_missed(instrument=BTC, first_open_ns=NOW_NS, count=4, cause=MissCause.NO_TRADES)
    blind = a_bars_missed(instrument=BTC, first_open_ns=NOW_NS + 4 * HOUR_NS, count=6)
    later = paper_month(NOW_NS + 30 * HOUR_NS, bars=10)
    record = a_record([*MONTH, quiet, blind], now_ns=NOW_NS)
    record.read(later)

    assert record.expected_bars == HOURS + 30
    assert record.seen_bars == HOURS + 4 + 10
    assert record.slots[BTC].first_ns == first_ns
    record.read(later)  # the same slots again add nothing
    assert record.seen_bars == HOURS + 4 + 10


def test_pruned_bars_are_told() -> None:
    found = evidence(a_record([*MONTH, a_journal_thinned(bars={"binance": 12})]))

    assert "12 bars that were pruned" in judged(found)["paper_days"].measured


def test_the_exchange_in_the_box_is_asked_neither_for_a_key_nor_for_its_clock() -> None:
    found = judged(evidence(is_in_the_box=True, state=GoliveState(), key=None))

    assert found["key_scope"].met
    assert found["clock"].met
