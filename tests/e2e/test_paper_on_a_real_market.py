"""Paper trading as on a real exchange: its own client, real time, fills in process, nothing sent.

The exchange is a stand-in: an embedded one whose market runs in real time, one bar a second.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from daemon.config import config_hash, load
from daemon.core.clock import WireClock
from daemon.core.events import BarsClosed, OrderFilled, Reconciled, RunOpened
from daemon.core.timeframes import NS_PER_S, floor_to_grid, rfc3339
from daemon.exchange_process import Endpoint
from daemon.reporting import Reporter
from daemon.session import Session
from daemon.sites import World
from daemon.store.journal_reader import JournalReader
from daemon.store.runs import RunPaths, RunSpec, new_run, run_id_for
from daemon.venues.embedded_link import EmbeddedLink
from daemon.worlds import real_site
from tests.exchange.processes import serving

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.config import Settings

pytestmark = pytest.mark.timeout(300)
BARS = 25
HISTORY_BARS = 900
AHEAD_NS = 20 * NS_PER_S


def _settings(folder: Path) -> Settings:
    return load(
        None,
        {
            "run.state_dir": folder / "state",
            "data.exchange": "binance",
            "data.timeframe": "1s",
            "data.history_bars": HISTORY_BARS,
            "data.max_decision_age_ratio": 1.0,  # a whole second: the machine is shared
            "model.trees": 30,
            "model.folds": 3,
            "signal.confidence_min_ratio": 0.02,
            "execution.fee_bps": 0.01,
            "execution.slippage_bps": 0.01,
            "execution.paper_latency_ms": 10,
            "signal.cost_margin_bps": 0,
        },
        {},
    )


async def _session(
    settings: Settings, spec: RunSpec, paths: RunPaths, endpoint: Endpoint
) -> dict[str, object]:
    urls = {"rest": endpoint.rest, "stream": endpoint.stream, "ws_api": endpoint.ws_api}
    site = await real_site(
        settings, exchange="binance", symbols=settings.data.symbols, mode="paper", urls=urls
    )
    # The stand-in's market runs some seconds ahead of its server clock; a real one's does not.
    link = EmbeddedLink(endpoint.rest)
    site.clock.anchor((await link.clock()).market_ns)
    site.first_open_ns = floor_to_grid(site.clock.now_ns(), NS_PER_S)
    await link.close()
    world = World((site,))
    try:
        return await Session(settings, spec, paths, world, Reporter(settings, spec, paths)).run()
    finally:
        await world.close()


async def test_the_whole_daemon_trades_on_paper_in_real_time_and_sends_nothing(
    tmp_path: Path,
) -> None:
    settings = _settings(tmp_path)
    now_ns = WireClock().now_ns() // NS_PER_S * NS_PER_S
    spec = RunSpec(
        run=run_id_for(now_ns, "test"),
        created_ns=now_ns,
        mode="paper",
        market="binance",
        symbols=settings.data.symbols,
        timeframe="1s",
        seed=settings.run.seed,
        config_hash=config_hash(settings),
        bars=BARS,
    )
    paths = new_run(settings.run.state_dir, spec)
    arguments = ("--timeframe", "1s", "--speed", "1", "--start", "now", "--edge", "0.9")
    history = ("--history-bars", "4000", "--from", rfc3339(now_ns + AHEAD_NS))
    async with serving(tmp_path / "exchange", *arguments, *history) as child:
        ready = child.ready
        endpoint = Endpoint(
            rest=ready["rest"],
            stream=ready["stream"],
            ws_api=ready["ws_api"],
            key=ready["key"],
            secret=ready["secret"],
        )
        async with asyncio.timeout(240):
            result = await _session(settings, spec, paths, endpoint)
        client = child.client()
        try:
            sent = await client.fetch_my_trades("BTC/USDT")
        finally:
            await client.close()

    journal = JournalReader.open(paths.journal)
    bars = [bar for _, event in journal.read_kinds(BarsClosed) for bar in event.bars]
    opened = journal.latest(RunOpened)
    reconciled = journal.latest(Reconciled)
    assert opened is not None
    assert reconciled is not None
    assert reconciled.is_clean
    assert opened.account == "paper-tradingd"
    assert result["bars"] == len(bars) == 2 * BARS
    assert all(0 <= bar.received_ns - bar.close_ns < 60 * NS_PER_S for bar in bars)
    assert [event for _, event in journal.read_kinds(OrderFilled)]
    assert sent == []
