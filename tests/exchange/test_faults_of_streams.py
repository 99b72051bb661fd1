"""F01 to F10: streams that stall, repeat, break and lie, through the real ccxt client."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from daemon.core.bars import BarRejectReason, BarSource
from daemon.embedded.fault_kinds import FaultKind
from tests.exchange.feeding import BTC, ETH, FROM_NS, HOUR_NS, PATIENT, QUICK, feeding

CLOSED = {"stream": "kline", "candle": "closed", "symbol": "BTC/USDT"}
LOCKSTEP = replace(QUICK, market_rate=0.0, lockstep_silence_s=0.2, lockstep_stale_after_s=0.3)


async def test_f01_a_stream_that_falls_silent_while_pings_are_answered_is_found_by_its_progress(
    tmp_path: Path,
) -> None:
    async with feeding(tmp_path, {"kind": "stall", **CLOSED, "nth": [4]}) as fed:
        await fed.until(lambda: "FeedRecovered" in fed.kinds())
        await fed.reach(25)

        assert fed.stale()[0].instrument == BTC
        assert "behind REST" in fed.stale()[0].action
        fed.assert_true_to_the_exchange(25)
        assert fed.missed() == fed.missed(ETH) == []


async def test_f02_the_same_message_for_ever_is_no_sign_of_life(tmp_path: Path) -> None:
    async with feeding(tmp_path, {"kind": "repeat", **CLOSED, "nth": [4]}) as fed:
        await fed.until(lambda: "FeedRecovered" in fed.kinds())
        await fed.reach(25)

        assert fed.stale()[0].instrument == BTC
        fed.assert_true_to_the_exchange(25)


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1011])
async def test_f03_a_connection_that_is_closed_at_a_moment_of_its_own_choice_costs_no_bar(
    tmp_path: Path, code: int
) -> None:
    rule = {"kind": "close", "code": code, "from": 5, "times": 1}
    async with feeding(tmp_path, rule) as fed:
        await fed.until(lambda: "FeedRecovered" in fed.kinds())
        await fed.reach(15)

        assert "stream ended" in fed.stale()[0].action
        fed.assert_true_to_the_exchange(15)


async def test_f04_a_gap_that_nobody_tells_is_seen_by_the_slots_themselves(tmp_path: Path) -> None:
    async with feeding(
        tmp_path, {"kind": "drop", **CLOSED, "nth": [4], "bars": 3}, config=PATIENT
    ) as fed:
        await fed.reach(15)

        fed.assert_true_to_the_exchange(15)
        assert {bar.source for bar in fed.bars()} > {BarSource.STREAM}
        assert fed.stale() == []


async def test_f05_what_was_lost_around_a_reconnect_is_fetched_before_the_next_bar_goes_out(
    tmp_path: Path,
) -> None:
    rule = {"kind": "close", "stream": "kline", "candle": "closed", "nth": [5], "bars": 4}
    async with feeding(tmp_path, rule) as fed:
        await fed.until(lambda: "FeedRecovered" in fed.kinds())
        await fed.reach(20)

        fed.assert_true_to_the_exchange(20)
        assert fed.missed() == fed.missed(ETH) == []


async def test_f06_bars_that_close_between_history_and_subscription_are_fetched(
    tmp_path: Path,
) -> None:
    rule = {"kind": "deaf", "stream": "kline", "bars": 1, "nth": [1, 2]}
    async with feeding(tmp_path, rule, config=LOCKSTEP, late_slots=3) as fed:
        await fed.reach(2)
        await fed.lab.play(2)
        await fed.reach(4)

        assert fed.slots()[:4] == fed.slots(ETH)[:4] == [0, 1, 2, 3]
        assert fed.bars()[0].source is BarSource.BACKFILL
        fed.assert_true_to_the_exchange(4)


async def test_f06_a_subscription_that_hears_nothing_at_first_loses_nothing(tmp_path: Path) -> None:
    async with feeding(tmp_path, {"kind": "deaf", "stream": "kline", "bars": 5}) as fed:
        await fed.reach(15)

        fed.assert_true_to_the_exchange(15)


async def test_f07_candles_of_the_past_change_nothing(tmp_path: Path) -> None:
    async with feeding(
        tmp_path, {"kind": "old", **CLOSED, "bars": 3, "every": 2}, config=PATIENT
    ) as fed:
        await fed.reach(15)

        fed.assert_true_to_the_exchange(15)
        assert fed.refused() <= {BarRejectReason.OUT_OF_ORDER}
        assert not fed.stale()
        assert not fed.revised()


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "unflagged", **CLOSED, "every": 2},
        {"kind": "late", "stream": "kline", "sec": 0.08, "probability": 0.5},
        {"kind": "late", **CLOSED, "sec": 0.13},
    ],
)
async def test_f08_an_unfinished_candle_never_passes_for_a_bar(
    tmp_path: Path, rule: dict[str, Any]
) -> None:
    async with feeding(tmp_path, rule, config=PATIENT) as fed:
        await fed.reach(20)

        fed.assert_true_to_the_exchange(20)
        assert fed.missed() == []


async def test_f09_a_bar_that_changes_after_its_close_is_a_revision_with_both_numbers(
    tmp_path: Path,
) -> None:
    rule = {"kind": "bar_unsettled", "told": "stream", "symbol": "BTC/USDT", "nth": [4]}
    async with feeding(tmp_path, rule, config=replace(PATIENT, revision_check_s=0.3)) as fed:
        await fed.until(lambda: bool(fed.revised()))
        await fed.reach(10)

        (revised,) = fed.revised()
        assert revised.was.open_ns == revised.bar.open_ns == FROM_NS + 3 * HOUR_NS
        assert (revised.was.volume, revised.bar.volume) == (3.69, 4.1)
        assert fed.slots()[:10] == list(range(10))


@pytest.mark.parametrize("late_s", [0.0, 0.03, 0.06, 0.09])
async def test_f10_a_bar_may_come_at_any_moment_of_the_next_one_without_an_alarm(
    tmp_path: Path, late_s: float
) -> None:
    async with feeding(tmp_path, {"kind": "late", **CLOSED, "sec": late_s}, config=PATIENT) as fed:
        await fed.reach(8)

        fed.assert_true_to_the_exchange(8)
        assert fed.stale() == []


async def test_f05_handshakes_that_are_refused_are_repeated_more_and_more_rarely(
    tmp_path: Path,
) -> None:
    rules = [
        {"kind": "close", "from": 3, "times": 1},
        {"kind": "refused", "status": 503, "from": 3, "until": 25},
    ]
    async with feeding(tmp_path, *rules) as fed:
        await fed.reach(20)
        struck = fed.lab.faults.strikes[FaultKind.REFUSED]
        await fed.until(lambda: "FeedRecovered" in fed.kinds())

        assert 1 <= struck <= 20
        fed.assert_true_to_the_exchange(20)
