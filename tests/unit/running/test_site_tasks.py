"""What still enters from an exchange once a stop was asked for."""

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

from daemon.config import load
from daemon.core.bars import MissCause
from daemon.core.events import (
    BarsClosed,
    BarsMissed,
    ExchangeBack,
    ExchangeLost,
    FeedRecovered,
    FeedStale,
    Input,
)
from daemon.layers.ingestion import Transport
from daemon.running.site_tasks import SiteTasks
from daemon.venues.turns import Turns
from tests.fakes import FakeMarketData
from tests.unit.layers.candles import BTC, HOUR_NS, a_bar, a_raw, open_of
from tests.virtual_time import VirtualMarket, VirtualWire, run_virtual


def tasks_of(put: Callable[[Input], Awaitable[None]], stop: asyncio.Event) -> SiteTasks:
    async def at_once() -> None: ...

    clock = VirtualMarket(open_of(0))
    data = FakeMarketData()
    data.clock, data.rows[BTC] = clock, [a_raw(0), a_raw(2), a_raw(3)]
    site: Any = SimpleNamespace(
        exchange=BTC.exchange, venue=None, link=None, transport=Transport.REST,
        market_rate=1.0, tell_doubts_to=lambda _: None, market_data=data, clock=clock,
        page_limit=10,
        instruments=[SimpleNamespace(id=BTC)], sends_empty_bars=True, is_lockstep=False,
        key=None,
    )  # fmt: skip
    reporter: Any = SimpleNamespace(
        emit=lambda *_said, **_fields: None,
        watch_clock=lambda *_: None,
        watch_exchange=lambda *_: None,
    )
    wire: Any = VirtualWire()
    return SiteTasks(
        site, load(None, {"data.timeframe": "1h"}, {}), wire=wire, reporter=reporter, put=put,
        stop=stop, is_quiet=lambda: True, rest=at_once,
        on_over=lambda: None, turns=Turns(is_ordered=False), fence=lambda _is_exit: "",
    )  # fmt: skip


def heard(*, is_stopping: bool) -> list[Input]:
    """Three hours of an exchange that lacks the second one."""

    async def run() -> list[Input]:
        events: list[Input] = []
        stop = asyncio.Event()

        async def put(event: Input) -> None:
            events.append(event)

        tasks = tasks_of(put, stop)
        feed = tasks.feed(put, {BTC: a_bar(-1)}, {}, None)
        if is_stopping:
            stop.set()
        running = asyncio.create_task(feed.run())
        await asyncio.sleep(3 * HOUR_NS / 1e9 + 60)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return [each for each in events if not isinstance(each, FeedStale | FeedRecovered)]

    return run_virtual(run())


def test_after_a_stop_a_hole_does_not_stand_for_the_bars_that_were_kept_out() -> None:
    first, missed, third = heard(is_stopping=False)

    assert isinstance(first, BarsClosed)
    assert isinstance(missed, BarsMissed)
    assert (missed.first_open_ns, missed.cause) == (open_of(1), MissCause.OUTAGE)
    assert isinstance(third, BarsClosed)
    assert heard(is_stopping=True) == []


def test_an_account_that_nobody_can_read_loses_its_exchange_though_that_tells_the_time() -> None:
    async def run() -> list[Input]:
        events: list[Input] = []

        async def put(event: Input) -> None:
            events.append(event)

        tasks = tasks_of(put, asyncio.Event())
        for why in ("", "no answer", "no answer still"):
            await tasks._on_unread(why)
            await tasks._wire_ns()
        assert tasks.is_lost
        await tasks._on_unread("")
        assert not tasks.is_lost
        return events

    lost, back = run_virtual(run())

    assert isinstance(lost, ExchangeLost)
    assert lost.error == "no answer"
    assert isinstance(back, ExchangeBack)
