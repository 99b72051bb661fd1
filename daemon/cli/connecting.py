"""Connects a run to its exchanges: starts, finds or attaches to them, and notes where they answer.

Belongs here: which exchange process serves which run. What is built on it belongs to `worlds`, the
choice of the run to `running`.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from daemon.core.errors import ExchangeUnreachable
from daemon.core.instruments import plain
from daemon.exchange_process import ExchangeProcess, MarketSpec, attached
from daemon.store.runs import ExchangeSpec, RunSpec, write_spec

if TYPE_CHECKING:
    from daemon.config import Settings
    from daemon.sites import World
    from daemon.store.runs import RunPaths

EMBEDDED = "embedded"
RECORDING_ENDINGS = (".csv", ".csv.gz", ".parquet")
ACCOUNT_MULTIPLE = 10
FOREIGN_HOLDINGS = {"BTC": "1", "ETH": "10"}
FIRST_CONTACT_S = 14.0


def is_recording(market: str) -> bool:
    """True when the text names a file of bars rather than an exchange."""
    return market.endswith(RECORDING_ENDINGS) or "/" in market or Path(market).is_file()


async def connect(
    settings: Settings, spec: RunSpec, paths: RunPaths, *, speed: str | None
) -> World:
    """The world of this run, ready to use; ExchangeUnreachable, and then nothing is left open."""
    from daemon import worlds
    from daemon.sites import World

    exchange, symbols = settings.data.exchange, settings.data.symbols
    if exchange != EMBEDDED:
        try:
            async with asyncio.timeout(FIRST_CONTACT_S):
                site = await worlds.real_site(
                    settings, exchange=exchange, symbols=symbols, mode=spec.mode
                )
        except TimeoutError:
            msg = f"{spec.market} gave no answer within {FIRST_CONTACT_S:g} s"
            raise ExchangeUnreachable(msg) from None
        return World((site,))
    process = await _exchange(settings, spec, paths, speed)
    try:
        site = await worlds.embedded_site(
            process,
            settings,
            exchange=exchange,
            symbols=symbols,
            market=spec.market,
            state_dir=paths.exchange,
        )
    except BaseException:
        await process.stop()
        raise
    return World((site,))


async def _exchange(
    settings: Settings, spec: RunSpec, paths: RunPaths, speed: str | None
) -> ExchangeProcess:
    url = spec.options.get("exchange_url")
    if isinstance(url, str):
        return await attached(url, settings)
    if found := await ExchangeProcess.find(paths.exchange):
        found.adopt()
        return found
    if (paths.exchange / "exchange.json").is_file():
        return await ExchangeProcess.start(paths.exchange, None, speed=speed)
    market = MarketSpec(
        symbols=settings.data.symbols,
        timeframe=settings.data.timeframe,
        history_bars=_history_bars(settings, spec),
        seed=settings.run.seed,
        edge=spec.edge,
        data=_absolute(spec.market) if is_recording(spec.market) else None,
        start=spec.start,
        speed=spec.speed or "max",
        balances=_balances(settings),
    )
    return await ExchangeProcess.start(paths.exchange, market)


def _absolute(path: str) -> str:
    return str(Path(path).resolve())


def _balances(settings: Settings) -> dict[str, str]:
    """The account holds far more than is allotted, and coins that are not the bot's to sell."""
    quote = plain(settings.risk.allotted_quote * ACCOUNT_MULTIPLE)
    return {**FOREIGN_HOLDINGS, settings.data.quote: quote}


def _history_bars(settings: Settings, spec: RunSpec) -> int | None:
    """Slots before the first streamed one; None lets a recording give what lies before FROM, or its
    half.
    """
    if not is_recording(spec.market):
        return settings.data.history_bars
    from daemon.store.recordings import read_recording

    is_long = len(read_recording(spec.market)) > 2 * settings.data.history_bars
    return settings.data.history_bars if is_long and spec.start is None else None


def record_endpoint(paths: RunPaths, spec: RunSpec, world: World) -> RunSpec:
    """Note in run.json where the exchange answers, and return the spec as it stands there."""
    process = world.first.process
    if process is None:
        spec = msgspec.structs.replace(spec, label=world.label)
        write_spec(paths, spec)
        return spec
    endpoint = process.endpoint
    exchange = ExchangeSpec(
        rest=endpoint.rest,
        stream=endpoint.stream,
        ws_api=endpoint.ws_api,
        key=endpoint.key,
        instance=endpoint.instance,
    )
    spec = msgspec.structs.replace(spec, exchange=exchange, label=world.label)
    write_spec(paths, spec)
    return spec
