"""F19 to F26: quiet markets, floods, blocked loops, dead peers and unknown words, through ccxt."""

import asyncio
import gc
import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from daemon.core.clock import WireClock
from daemon.core.errors import ExchangeUnreachable
from daemon.core.events import Input
from daemon.embedded.fault_kinds import FaultKind
from daemon.venues.ccxt_market import CcxtMarket
from tests.exchange.feeding import ETH, IDS, PATIENT, feeding
from tests.exchange.test_ccxt_market import Heard, a_market, drop_streams
from tests.soak._chaos_market import Plan
from tests.soak.ingestion import outcome_of

CLOSED = {"stream": "kline", "candle": "closed"}
PRICES = '"o":"1","c":"1","h":"1","l":"1","v":"1","x":true'
NOVEL_FRAMES = (
    '{"e":"noveltyEvent","E":1,"s":"BTCUSDT"}',
    f'{{"e":"kline","s":"NOVELUSDT","k":{{"t":0,"T":1,"s":"NOVELUSDT","i":"1h",{PRICES}}}}}',
    f'{{"e":"kline","s":"BTCUSDT","k":{{"t":0,"T":1,"s":"BTCUSDT","i":"7w",{PRICES}}}}}',
    '{"stream":"novelty","data":{"INSURANCE_FUND":[]}}',
    "hello",
    "",
)


async def test_f19_a_quiet_market_raises_no_alarm(tmp_path: Path) -> None:
    rule = {"kind": "drop", "stream": "kline", "candle": "partial"}
    async with feeding(tmp_path, rule, config=replace(PATIENT, stale_after_s=5.0)) as fed:
        await fed.reach(30)

        fed.assert_true_to_the_exchange(30)
        assert not fed.stale()


async def test_f20_a_flood_and_a_slow_consumer_lose_no_bar_and_hold_no_more_than_a_bound(
    tmp_path: Path,
) -> None:
    async def slowly(_event: Input) -> None:
        await asyncio.sleep(0.06)

    rule = {"kind": "burst", "stream": "kline", "count": 300, "every": 3}
    async with feeding(tmp_path, rule, config=PATIENT, publish=slowly) as fed:
        await fed.reach(12)

        fed.assert_true_to_the_exchange(12)
        assert fed.missed() == []


def block(seconds: float) -> None:
    """Keep the event loop from doing anything, as a fit in the wrong place would."""
    wire = WireClock()
    until_s = wire.monotonic_s() + seconds
    while wire.monotonic_s() < until_s:
        sum(range(10_000))


async def test_f21_a_loop_blocked_until_the_exchange_gives_up_on_us_costs_no_bar(
    tmp_path: Path,
) -> None:
    async with feeding(tmp_path, {"kind": "pong_within", "sec": 0.3, "times": 1}) as fed:
        await fed.reach(3)
        (socket,) = fed.data._client.clients.values()
        block(1.5)
        await fed.until(lambda: "FeedRecovered" in fed.kinds())
        reached = fed.reached(ETH)
        await fed.reach(reached + 5)

        assert fed.data._client.clients[socket.url] is not socket
        fed.assert_true_to_the_exchange(reached + 5)


async def test_f22_a_peer_that_answers_no_ping_is_left_without_a_bar_lost(tmp_path: Path) -> None:
    def impatient(data: CcxtMarket) -> None:
        data._client.streaming = {**data._client.streaming, "keepAlive": 100}

    rules: list[dict[str, Any]] = [
        {"kind": "no_pong", "times": 1},
        {"kind": "stall", **CLOSED, "nth": [6]},
    ]
    async with feeding(tmp_path, *rules, config=PATIENT, prepare=impatient) as fed:
        await fed.until(lambda: "FeedRecovered" in fed.kinds())
        await fed.reach(20)

        assert "stream ended" in fed.stale()[0].action
        fed.assert_true_to_the_exchange(20)


@pytest.mark.parametrize(
    "frame",
    [
        {"text": '{"e":"kline"'},
        {"text": "[]"},
        {"text": "[1,2]"},
        {"text": '{"e":"kline","s":"BTCUSDT"}'},
        {"text": '{"e":"kline","s":"BTCUSDT","k":{"t":"soon"}}'},
        {"hex": "fffe"},
    ],
)
async def test_f23_one_frame_that_cannot_be_read_never_ends_the_feed_and_is_never_uncatchable(
    tmp_path: Path, frame: dict[str, Any]
) -> None:
    async with feeding(tmp_path, {"kind": "frame", **CLOSED, **frame, "nth": [4]}) as fed:
        await fed.until(lambda: "FeedRecovered" in fed.kinds())
        await fed.reach(10)
        gc.collect()

        fed.assert_true_to_the_exchange(10)
        assert fed.strays == []


async def test_f24_frames_in_words_nobody_knows_change_nothing(tmp_path: Path) -> None:
    rules = [{"kind": "frame", **CLOSED, "text": text, "every": 2} for text in NOVEL_FRAMES]
    async with feeding(tmp_path, *rules, config=PATIENT) as fed:
        await fed.reach(15)

        fed.assert_true_to_the_exchange(15)
        assert not fed.stale()
        assert fed.lab.faults.strikes[FaultKind.FRAME] >= 15
        assert [fed.feed.counts(each).reconnects for each in IDS] == [0, 0]


async def test_f24_instruments_with_unknown_words_are_read_as_before(tmp_path: Path) -> None:
    async with a_market(tmp_path) as (lab, data):
        lab.faults.add({"kind": "unknown_words", "path": "/api/v3/exchangeInfo"})

        (novel,) = await data.instruments(["BTC/USDT"])

        assert lab.faults.strikes == {FaultKind.UNKNOWN_WORDS: 1}
        assert (str(novel.tick), str(novel.lot)) == ("0.01", "0.00001")
        assert "NOVEL/USDT" in data._client.markets


def is_ours(kept: object) -> bool:
    """Of the daemon, its client or its tasks; the exchange here keeps the bars it has played."""
    ours = ("ccxt", "asyncio", "_asyncio", "aiohttp", "daemon.core", "daemon.venues")
    return str(type(kept).__module__).startswith(ours)  # of a few types it is no text


async def test_f25_the_number_of_objects_stays_level_over_bars_and_reconnects(
    tmp_path: Path,
) -> None:
    async with a_market(tmp_path) as (lab, data):
        await data.instruments(["BTC/USDT", "ETH/USDT"])
        counts: list[int] = []
        for _ in range(4):
            btc, eth = (Heard(data, each) for each in IDS)
            await btc.next()
            await eth.next()
            for _ in range(60):
                await lab.play(1)
                await btc.closed()
                await eth.closed()
            await drop_streams(data)
            for heard in (btc, eth):
                await asyncio.wait({heard.task})
                assert isinstance(heard.task.exception(), ExchangeUnreachable)
            await asyncio.sleep(0.06)
            gc.collect()
            counts.append(sum(map(is_ours, gc.get_objects())))

        # Two rounds more brought 240 bars and two connections: what is kept of each would show.
        assert counts[3] - counts[1] < 40


async def test_f26_a_server_that_drops_who_subscribes_to_too_much_is_lived_with(
    tmp_path: Path,
) -> None:
    rule = {"kind": "streams_max", "count": 1, "until": 15}
    async with feeding(tmp_path, rule) as fed:
        await fed.reach(20)
        await fed.until(lambda: "FeedRecovered" in fed.kinds())

        fed.assert_true_to_the_exchange(20)
        assert fed.lab.faults.strikes[FaultKind.STREAMS_MAX] >= 1


def test_all_of_it_at_once_leaves_the_exchanges_own_bars_and_its_true_outages() -> None:
    outcome = outcome_of(Plan(seed=1, bars=60, symbols=4, bars_per_s=10))

    assert list(outcome.faults) == []
    assert len(outcome.outages) > 0
    assert json.dumps(outcome.story.events) != "{}"
