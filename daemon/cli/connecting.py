"""Connects a run to its exchanges: starts, finds or attaches to them, and notes where they answer.

Belongs here: which exchange process serves which run. What is built on it belongs to `worlds`, the
choice of the run to `running`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from daemon.cli.markets import market_spec, slots_per_s
from daemon.core.errors import ExchangeUnreachable
from daemon.exchange_process import ExchangeProcess, attached
from daemon.store.runs import ExchangeSpec, RunSpec, write_spec

if TYPE_CHECKING:
    from daemon.config import Settings
    from daemon.sites import World
    from daemon.store.runs import RunPaths

EMBEDDED = "embedded"
FIRST_CONTACT_S = 14.0


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
    process = await _exchange(settings, spec, paths, slots_per_s(settings, speed))
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
    return await ExchangeProcess.start(paths.exchange, market_spec(settings, spec))


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
