"""Paper trading as on a real exchange: its own client, real time, fills in process, nothing sent.

The exchange is a stand-in: an embedded one whose market runs in real time, one bar a second.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from daemon.config import config_hash, load
from daemon.core.clock import WireClock
from daemon.core.events import BarsClosed, OrderFilled, Reconciled, RunOpened
from daemon.core.instruments import InstrumentId
from daemon.core.timeframes import NS_PER_S, floor_to_grid, rfc3339
from daemon.running.reporting import Reporter
from daemon.running.session import Session
from daemon.running.world.real import real_site
from daemon.running.world.sites import Site, World
from daemon.store.bars import BarStore
from daemon.store.journal_reader import JournalReader
from daemon.store.runs import RunPaths, RunSpec, new_run, run_id_for
from daemon.venues.embedded_link import EmbeddedLink
from tests.exchange.processes import Child, serving

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.config import Settings
    from daemon.core.ports import MarketData

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
            "data.also": ("binanceus=BTC/USDT",),
            "data.timeframe": "1s",
            "data.history_bars": HISTORY_BARS,
            "data.max_decision_age_ratio": 1.0,  # a whole second: the machine is shared
            "model.trees": 30,
            "model.folds": 3,
            "signal.confidence_min_ratio": 0.02,
            "execution.clock_offset_max_ms": 60_000,  # its market's time is not this machine's
            "execution.fee_bps": 0.01,
            "execution.fee_tiers": ((0.01, 0.0, 0.0),),  # of all but the first order
            "execution.slippage_bps": 0.01,
            "execution.paper_latency_ms": 10,
            "signal.cost_margin_bps": 0,
        },
        {},
    )


class OnMarketTime:
    """The stand-in's market data, with its market's time for its server's.

    A real exchange has one time; the stand-in's market begins some seconds ahead of its server.
    """

    def __init__(self, inner: MarketData, link: EmbeddedLink) -> None:
        self._inner = inner
        self._link = link

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def server_ns(self) -> int:
        return (await self._link.clock()).market_ns

    async def close(self) -> None:
        await self._link.close()
        await self._inner.close()


async def _site(settings: Settings, exchange: str, ready: dict[str, str]) -> Site:
    urls = {name: ready[name] for name in ("rest", "stream", "ws_api")}
    symbols = settings.data.by_exchange[exchange]
    site = await real_site(settings, exchange=exchange, symbols=symbols, mode="paper", urls=urls)
    told: Any = OnMarketTime(site.market_data, EmbeddedLink(ready["rest"]))
    site.market_data = told
    site.clock.anchor(await told.server_ns())
    site.first_open_ns = floor_to_grid(site.clock.now_ns(), NS_PER_S)
    return site


async def _session(
    settings: Settings, spec: RunSpec, paths: RunPaths, stand_ins: dict[str, dict[str, str]]
) -> dict[str, object]:
    sites = [await _site(settings, name, ready) for name, ready in stand_ins.items()]
    world = World(tuple(sites))
    try:
        return await Session(settings, spec, paths, world, Reporter(settings, spec, paths)).run()
    finally:
        await world.close()


async def _sent(child: Child) -> list[object]:
    client = child.client()
    try:
        trades: list[object] = await client.fetch_my_trades("BTC/USDT")
    finally:
        await client.close()
    return trades


async def test_the_whole_daemon_trades_on_paper_in_real_time_on_two_exchanges_and_sends_nothing(
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
        exchange_name="binance",
        also=settings.data.also,
    )
    paths = new_run(settings.run.state_dir, spec)
    arguments = [
        *("--timeframe", "1s", "--speed", "1", "--start", "now", "--edge", "0.9"),
        *("--history-bars", "4000", "--from", rfc3339(now_ns + AHEAD_NS)),
    ]
    async with (
        serving(tmp_path / "one", *arguments) as one,
        serving(tmp_path / "two", *arguments, "--seed", "7") as two,
    ):
        async with asyncio.timeout(240):
            stand_ins = {"binance": one.ready, "binanceus": two.ready}
            result = await _session(settings, spec, paths, stand_ins)
        sent = [*await _sent(one), *await _sent(two)]

    journal = JournalReader.open(paths.journal)
    bars = [bar for _, event in journal.read_kinds(BarsClosed) for bar in event.bars]
    opened = journal.latest(RunOpened)
    reconciled = journal.latest(Reconciled)
    assert opened is not None
    assert reconciled is not None
    assert reconciled.is_clean
    accounts = [(each.exchange, each.account) for each in opened.accounts]
    assert accounts == [("binance", "paper-tradingd"), ("binanceus", "paper-tradingd")]
    assert result["bars"] == len(bars) == 3 * BARS
    late_ns = [bar.received_ns - bar.close_ns for bar in bars]
    # A little early at most: the answer that told the stand-in's time took its time.
    assert -NS_PER_S < min(late_ns) <= max(late_ns) < 60 * NS_PER_S
    fills = [event for _, event in journal.read_kinds(OrderFilled)]
    assert {each.instrument.exchange for each in fills} == {"binance", "binanceus"}
    assert {bool(each.fee) for each in fills} == {True, False}  # fees fell with what was traded
    assert sent == []
    store = BarStore.open(paths.bars, read_only=True)
    (one_bar,), (two_bar,) = (
        store.tail(name, InstrumentId(name, "BTC/USDT"), NS_PER_S, 1)
        for name in ("binance", "binanceus")
    )
    store.close()
    assert one_bar.close_ns == two_bar.close_ns
    assert one_bar.close != two_bar.close
