"""Live as on a real exchange: its own client, an arming, signed orders that arrive, a small start.

The exchange is a stand-in: an embedded one whose market runs in real time, one bar a second.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from daemon.config import config_hash, load
from daemon.core.clock import WireClock
from daemon.core.events import BoundBy, CanaryBegun, KeyChecked, OrderApproved, OrderFilled
from daemon.core.timeframes import NS_PER_S, floor_to_grid, rfc3339
from daemon.running.reporting import Reporter
from daemon.running.session import Session
from daemon.running.world.real import real_site
from daemon.running.world.sites import Site, World
from daemon.store.golive import Entry, GoliveState, GoliveStore
from daemon.store.journal_reader import JournalReader
from daemon.store.runs import RunSpec, new_run, run_id_for
from daemon.venues.embedded_link import EmbeddedLink
from tests.e2e.test_paper_on_a_real_market import AHEAD_NS, HISTORY_BARS, OnMarketTime
from tests.exchange.processes import serving
from tests.unit.running.paper_story import an_arming

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.config import Settings

pytestmark = pytest.mark.timeout(300)
BARS = 20


def _settings(folder: Path, ready: dict[str, str]) -> Settings:
    environ = {
        "TRADINGD__EXCHANGE__API_KEY": ready["key"],
        "TRADINGD__EXCHANGE__API_SECRET": ready["secret"],
    }
    told = {
        "run.state_dir": folder / "state",
        "run.mode": "live",
        "data.exchange": "binance",
        "data.symbols": ("BTC/USDT",),
        "data.timeframe": "1s",
        "data.history_bars": HISTORY_BARS,
        "data.max_decision_age_ratio": 1.0,  # a whole second: the machine is shared
        "model.trees": 30,
        "model.folds": 3,
        "signal.confidence_min_ratio": 0.02,
        "signal.cost_margin_bps": 0,
        "risk.trade_unknown_model": "always",
        "execution.clock_offset_max_ms": 60_000,  # its market's time is not this machine's
        "execution.fee_bps": 0.01,
        "execution.slippage_bps": 0.01,
    }
    return load(None, told, environ)


async def _site(settings: Settings, ready: dict[str, str]) -> Site:
    urls = {name: ready[name] for name in ("rest", "stream", "ws_api")}
    symbols = settings.data.symbols
    site = await real_site(settings, exchange="binance", symbols=symbols, mode="live", urls=urls)
    told: Any = OnMarketTime(site.market_data, EmbeddedLink(ready["rest"]))
    site.market_data = told
    site.clock.anchor(await told.server_ns())
    site.on_wire_time = lambda _ns: None  # its server's time, which signatures carry, is ours
    site.first_open_ns = floor_to_grid(site.clock.now_ns(), NS_PER_S)
    return site


async def test_an_armed_daemon_sends_small_signed_orders_to_the_exchange(tmp_path: Path) -> None:
    now_ns = WireClock().now_ns() // NS_PER_S * NS_PER_S
    arguments = [
        *("--timeframe", "1s", "--speed", "1", "--start", "now", "--edge", "0.9"),
        *("--history-bars", "4000", "--from", rfc3339(now_ns + AHEAD_NS)),
    ]
    async with serving(tmp_path / "exchange", *arguments) as child:
        settings = _settings(tmp_path, child.ready)
        spec = RunSpec(
            run=run_id_for(now_ns, "test"),
            created_ns=now_ns,
            mode="live",
            market="binance",
            symbols=settings.data.symbols,
            timeframe="1s",
            seed=settings.run.seed,
            config_hash=config_hash(settings),
            bars=BARS,
            exchange_name="binance",
        )
        paths = new_run(settings.run.state_dir, spec)
        arming = an_arming(settings)
        GoliveStore(settings.run.state_dir).write(
            GoliveState(arming=arming), Entry(ts="now", what="arm", who="a test")
        )
        async with asyncio.timeout(240):
            world = World((await _site(settings, child.ready),))
            try:
                reporter = Reporter(settings, spec, paths)
                await Session(settings, spec, paths, world, reporter).run()
            finally:
                await world.close()
        client = child.client()
        try:
            sent = await client.fetch_my_trades("BTC/USDT")
        finally:
            await client.close()

    journal = JournalReader.open(paths.journal)
    fills = [event for _, event in journal.read_kinds(OrderFilled)]
    entries = [each for _, each in journal.read_kinds(OrderApproved) if not each.is_exit]
    begun = journal.latest(CanaryBegun)
    assert fills
    assert {each.trade_id for each in fills} == {str(each["id"]) for each in sent}
    assert begun is not None
    assert (begun.armed_ns, begun.ratio) == (arming.at_ns, settings.golive.canary_ratio)
    assert {each.bound_by for each in entries} == {BoundBy.CANARY}
    most = float(settings.risk.allotted_quote) * settings.risk.max_position_ratio
    assert all(each.notional_quote <= most * begun.ratio for each in entries)
    assert journal.latest(KeyChecked) is not None
