"""F11 to F18: history with holes, odd pages and spoiled rows, through the real ccxt client."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import ccxt
import pytest
from msgspec.structs import replace

from daemon.core.bars import BarRejectReason, MissCause
from daemon.embedded.fault_kinds import FaultKind
from daemon.layers.ingestion import load_history
from tests.exchange.fake_market import FakeMarket
from tests.exchange.feeding import BTC, FROM_NS, HOUR_NS, PATIENT, QUICK, feeding, slot_of
from tests.exchange.loopback import loopback
from tests.exchange.test_ccxt_market import a_market

OUTAGE = MissCause.OUTAGE


async def test_f11_an_exchange_frozen_for_more_than_a_day_is_stale_with_its_age_and_heals(
    tmp_path: Path,
) -> None:
    rules = [
        {"kind": "page_frozen", "from": 4, "until": 34},
        {"kind": "drop", "stream": "kline", "from": 4, "until": 34},
    ]
    async with feeding(tmp_path, *rules) as fed:
        await fed.until(lambda: bool(fed.stale()))
        age_s = fed.stale()[0].silent_s
        await fed.until(lambda: "FeedRecovered" in fed.kinds())
        await fed.reach(40)

        assert age_s > QUICK.stale_after_s
        fed.assert_true_to_the_exchange(40)
        assert fed.missed() == []


async def test_f12_bars_the_exchange_does_not_have_are_an_outage_told_before_the_next_bar(
    tmp_path: Path,
) -> None:
    rule = {"kind": "bar_missing", "symbol": "BTC/USDT", "from": 5, "until": 8}
    async with feeding(tmp_path, rule, config=PATIENT) as fed:
        await fed.reach(12)
        kinds = [type(event).__name__ for event in fed.events]
        after = [bar.open_ns for bar in fed.bars()].index(FROM_NS + 8 * HOUR_NS)

        assert fed.missed() == [(5, 3, OUTAGE)]
        assert (
            kinds.index("BarsMissed")
            < [at for at, event in enumerate(fed.events) if event in closings(fed)][after]
        )
        fed_btc = [slot for slot in fed.slots() if slot < 12]
        assert fed_btc == [0, 1, 2, 3, 4, 8, 9, 10, 11]


def closings(fed: Any) -> list[Any]:
    return [
        event
        for event in fed.events
        if type(event).__name__ == "BarsClosed" and event.bars[0].instrument == BTC
    ]


async def test_f12_a_missing_hour_in_history_is_told_as_one_outage(tmp_path: Path) -> None:
    async with a_market(tmp_path) as (lab, data):
        lab.faults.add({"kind": "bar_missing", "from": -30, "until": -20})

        history = await load_history(
            data,
            BTC,
            timeframe_ns=HOUR_NS,
            since_ns=FROM_NS - 50 * HOUR_NS,
            until_ns=FROM_NS,
            page_limit=data.page_limit,
        )

        told = [(slot_of(each.first_open_ns), each.count, each.cause) for each in history.missed]
        assert told == [(-30, 10, OUTAGE)]
        assert len(history.bars) == 40


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "page_short", "count": 1},  # F13: 99 of 100
        {"kind": "page_short", "count": 3, "probability": 0.7},
        {"kind": "page_descending"},  # F13
        {"kind": "page_doubled"},  # F13
        {"kind": "page_shifted", "bars": 900, "every": 3},  # F14: old data as newest
        {"kind": "page_unlimited", "every": 2},  # F14: the limit ignored
        {"kind": "bar_value", "field": "all", "told": "rest", "times": 1, "probability": 0.05},
    ],
)
async def test_f13_f14_history_is_whole_whatever_its_pages_look_like(
    tmp_path: Path, rule: dict[str, Any]
) -> None:
    async with a_market(tmp_path, FakeMarket(history_bars=2_345)) as (lab, data):
        lab.faults.add(rule)

        history = await load_history(
            data,
            BTC,
            timeframe_ns=HOUR_NS,
            since_ns=FROM_NS - 2_345 * HOUR_NS,
            until_ns=FROM_NS - 50 * HOUR_NS,
            page_limit=300,
        )

        assert [slot_of(bar.open_ns) for bar in history.bars] == list(range(-2_345, -50))
        assert history.missed == ()


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ({"field": "all"}, BarRejectReason.MALFORMED),
        ({"field": "close", "value": "NaN"}, BarRejectReason.NOT_FINITE),
        ({"field": "low", "value": -1}, BarRejectReason.NOT_POSITIVE),
        ({"field": "volume", "value": -1}, BarRejectReason.NOT_POSITIVE),
        ({"field": "prices", "value": 0}, BarRejectReason.NOT_POSITIVE),  # F17: delisted as 0
    ],
)
async def test_f15_f17_a_row_of_nonsense_is_quarantined_and_its_slot_with_it(
    tmp_path: Path, rule: dict[str, Any], reason: BarRejectReason
) -> None:
    spoiled = {"kind": "bar_value", "symbol": "BTC/USDT", "nth": [4], **rule}
    async with feeding(tmp_path, spoiled, config=PATIENT) as fed:
        await fed.reach(8)

        # One without a time speaks of no slot that could be known.
        cause = OUTAGE if rule["field"] == "all" else MissCause.QUARANTINED
        assert fed.missed() == [(3, 1, cause)]
        assert reason in fed.refused()
        assert [slot for slot in fed.slots() if slot < 8] == [0, 1, 2, 4, 5, 6, 7]


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "bar_value", "field": "all"},
        {"kind": "bar_value", "field": "time", "value": 1_704_067_200},  # seconds
        {"kind": "bar_value", "field": "time", "value": 1_904_067_200_000},  # the year 2030
        {"kind": "bar_swapped"},  # F16
    ],
)
async def test_f15_f16_a_row_that_is_spoiled_once_costs_no_bar(
    tmp_path: Path, rule: dict[str, Any]
) -> None:
    # Half of the bars come by REST alone, and each row is spoiled the first time it is told there.
    rules: list[dict[str, Any]] = [
        {"kind": "drop", "stream": "kline", "candle": "closed", "every": 3},
        {**rule, "told": "rest", "times": 1},
    ]
    async with feeding(tmp_path, *rules, config=PATIENT) as fed:
        await fed.reach(10)

        fed.assert_true_to_the_exchange(10)
        assert fed.missed() == []


async def test_f16_columns_in_another_order_are_seen_and_never_believed(tmp_path: Path) -> None:
    async with feeding(tmp_path, {"kind": "bar_swapped", "nth": [4]}, config=PATIENT) as fed:
        await fed.reach(8)

        assert fed.refused() == {BarRejectReason.INCONSISTENT}
        assert fed.missed() == [(3, 1, MissCause.QUARANTINED)]


async def test_f16_the_price_of_now_in_a_bar_of_the_past_is_put_right_by_a_second_reading(
    tmp_path: Path,
) -> None:
    rules: list[dict[str, Any]] = [
        {"kind": "drop", "stream": "kline", "candle": "closed"},
        {"kind": "bar_current_price", "told": "rest", "times": 1, "from": 3},
    ]
    async with feeding(tmp_path, *rules, config=replace(PATIENT, revision_check_s=0.2)) as fed:
        await fed.reach(10)
        await fed.until(lambda: all(each in settled(fed) for each in range(3, 10)))

        assert fed.missed() == []
        for slot, close in settled(fed).items():
            assert close == 50_001.0 + slot


def settled(fed: Any) -> dict[int, float]:
    """Closes as they are known now, revisions included."""
    closes = {slot_of(bar.open_ns): bar.close for bar in fed.bars()}
    for each in fed.revised():
        if each.bar.instrument == BTC:
            closes[slot_of(each.bar.open_ns)] = each.bar.close
    return closes


async def test_f17_a_book_with_a_price_of_nothing_is_no_book(tmp_path: Path) -> None:
    async with a_market(tmp_path) as (lab, data):
        await data.instruments(["BTC/USDT"])
        body = '{"lastUpdateId":1,"bids":[["0.00","3.56"]],"asks":[["50000.1","1"]]}'
        lab.faults.add({"kind": "body_after", "path": "/api/v3/depth", "body": body, "times": 1})

        book = await data.book(BTC, 5)

        assert lab.faults.strikes == {FaultKind.BODY_AFTER: 1}
        assert book.bids[0][0] == Decimal("49999.99")


async def test_f18_a_closed_candle_that_is_lost_is_fetched(tmp_path: Path) -> None:
    rule = {"kind": "drop", "stream": "kline", "candle": "closed", "every": 2}
    async with feeding(tmp_path, rule, config=PATIENT) as fed:
        await fed.reach(12)

        fed.assert_true_to_the_exchange(12)


async def test_f18_a_lost_change_of_the_book_is_an_error_for_its_stream_and_none_for_our_book(
    tmp_path: Path,
) -> None:
    async with loopback(tmp_path) as lab:
        watching = lab.client.watch_order_book("BTC/USDT")
        await lab.play_until(watching)
        lab.faults.add({"kind": "drop", "stream": "depth", "symbol": "BTC/USDT", "nth": [1]})

        async def watch_on() -> None:
            for _ in range(5):
                await lab.play_until(lab.client.watch_order_book("BTC/USDT"))

        with pytest.raises(ccxt.ChecksumError):
            await watch_on()
        fresh = await lab.client.fetch_order_book("BTC/USDT", 5)
        assert len(fresh["bids"]) == 5
