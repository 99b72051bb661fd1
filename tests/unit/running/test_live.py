"""How the parts of a run are wired: what a halt or a stop keeps from leaving."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from daemon.app import Core, build_core
from daemon.config import load
from daemon.core.events import Outcome, TradingHalted
from daemon.core.reasons import HaltReason
from daemon.layers.ingestion import Transport
from daemon.running.live import Live
from daemon.running.world.sites import Site, World
from tests.fakes import FakeMarketData, FakeVenue
from tests.unit.layers.candles import BTC
from tests.unit.research.test_classifiers import FEATURES
from tests.unit.venues.orders import an_order
from tests.virtual_time import VirtualMarket, VirtualWire, run_virtual


def a_run(folder: Path, venue: FakeVenue) -> tuple[Live, Core]:
    settings = load(None, {"data.timeframe": "1h", "run.state_dir": str(folder)}, {})
    market: Any = VirtualMarket(0)
    data: Any = FakeMarketData()
    instrument: Any = SimpleNamespace(id=BTC)
    wire: Any = VirtualWire()
    site = Site(
        exchange=BTC.exchange, market="test", market_key="test", label="test", account="test",
        clock=market, market_data=data, history_data=data, venue=venue,
        instruments=(instrument,), first_open_ns=0, transport=Transport.REST,
    )  # fmt: skip
    unused: Any = None
    reporter: Any = SimpleNamespace(
        emit=print, tap=print, watch_clock=print, watch_exchange=print, watch_process=print
    )
    paths: Any = SimpleNamespace(run="test", state_dir=folder, journal=folder, halt=folder)
    core = build_core(settings, FEATURES, None, [BTC])
    live = Live(
        core, World((site,)), unused, settings, paths, reporter, wire,
        train=unused, use=unused, check=None, swap=unused,
    )  # fmt: skip
    return live, core


@pytest.mark.parametrize("is_stop", [False, True])
def test_an_entry_in_line_behind_another_order_does_not_leave_a_run_that_halted_or_stops(
    tmp_path: Path, *, is_stop: bool
) -> None:
    async def story() -> tuple[list[str], list[Any]]:
        venue = FakeVenue()
        live, core = a_run(tmp_path, venue)
        outbox = live.sites[BTC.exchange].outbox
        running = asyncio.create_task(outbox.run())
        venue.gate.clear()  # the exchange takes its time with the first one
        for name, is_exit in (("tdstop", True), ("tdentry", False), ("tdexit", True)):
            outbox.post(replace(an_order(name, instrument=BTC), is_exit=is_exit))
        await asyncio.sleep(1)
        if is_stop:
            live.stop()
        else:
            halt = TradingHalted(ts_ns=0, reason=HaltReason.OPERATOR, detail="a test")
            core.risk.halts.apply_trading_halted(halt)
        venue.gate.set()
        await outbox.idle()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return venue.sent, [await live.inbox.get() for _ in range(len(live.inbox))]

    sent, told = run_virtual(story())
    assert sent == ["tdstop", "tdexit"]
    (kept,) = (each for each in told if each.client_order_id == "tdentry")
    assert kept.outcome is Outcome.NOT_SENT
    assert kept.reason == ("the daemon stops" if is_stop else "trading is halted: operator")
