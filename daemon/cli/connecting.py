"""Connects a run to its exchanges: starts, finds or attaches to them, and notes where they answer.

Belongs here: which exchange process serves which run. What is built on it belongs to
`world.embedded`, the choice of the run to `running`.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import msgspec

from daemon.cli.markets import market_spec, slots_per_s
from daemon.core.errors import ExchangeUnreachable, LockHeld, TradingdError, UsageRefused
from daemon.running.process.sd_notify import EXTEND_S
from daemon.running.world.exchange_process import ExchangeProcess, attached
from daemon.running.world.shadow import WOULD_HAVE_SENT, note_to
from daemon.store.runs import ExchangeSpec, RunSpec, write_spec

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping
    from pathlib import Path

    from daemon.config import Settings
    from daemon.core.instruments import Instrument, InstrumentId
    from daemon.running.process.sd_notify import Notifier
    from daemon.running.world.exchange_process import Endpoint
    from daemon.running.world.sites import Site, World
    from daemon.store.runs import RunPaths

FIRST_CONTACT_S = 14.0
AGAIN_S = 10.0
ACCEPTS_UNVERIFIED = "accepts_unverified_key_scope"


async def reached(
    connecting: Callable[[], Awaitable[World]], notifier: Notifier, *, again_s: float = AGAIN_S
) -> World:
    """A service waits for its exchange, however long that is away: a manager gives up on one that
    ends five times in ten minutes. At a terminal that is an error, ExchangeUnreachable.
    """
    told = ""
    while True:
        try:
            return await connecting()
        except ExchangeUnreachable as error:
            if not notifier.is_managed:
                raise
            if str(error) != told:
                told = str(error)
                sys.stderr.write(f"tradingd: {told}; asking again every {again_s:g} s\n")
                sys.stderr.flush()
        notifier.status(f"waiting: {told}")
        notifier.extend_timeout(EXTEND_S)
        await asyncio.sleep(again_s)


async def connect(
    settings: Settings,
    spec: RunSpec,
    paths: RunPaths,
    *,
    speed: str | None,
    is_closing: bool = False,
) -> World:
    """The world of this run, ready to use; ExchangeUnreachable, and then nothing is left open.

    To close what is held, `is_closing`, nothing has to be armed.
    """
    from daemon.running.world.listed import known_by
    from daemon.running.world.sites import World

    wanted, known = settings.data.by_exchange, known_by(paths.journal)
    if settings.data.is_embedded:
        pace = slots_per_s(settings, speed)
        making = {name: _embedded(settings, spec, paths, name, pace, known) for name in wanted}
        return World(await _together(making, within_s=None))
    from daemon.running.world.real import real_site

    making = {
        name: real_site(
            settings,
            exchange=name,
            symbols=symbols,
            mode=spec.mode,
            accepts_unverified=_accepts_unverified(spec),
            is_closing=is_closing,
            known=known,
            note=note_to(paths.folder / WOULD_HAVE_SENT),
        )
        for name, symbols in wanted.items()
    }
    return World(await _together(making, within_s=FIRST_CONTACT_S))


async def _together(
    making: Mapping[str, Coroutine[object, object, Site]], within_s: float | None
) -> tuple[Site, ...]:
    """All sites, made beside each other; when one cannot be made, the others are closed again."""
    tasks = {name: asyncio.ensure_future(each) for name, each in making.items()}
    try:
        done, late = await asyncio.wait(
            tasks.values(), timeout=within_s, return_when=asyncio.FIRST_EXCEPTION
        )
        for task in done:
            task.result()
        _require_all([name for name, task in tasks.items() if task in late], within_s)
    except BaseException as error:
        for task in tasks.values():
            task.cancel()
        for made in await asyncio.gather(*tasks.values(), return_exceptions=True):
            if not isinstance(made, BaseException):
                await made.close()
        if isinstance(error, ValueError):  # a symbol, a timeframe or a way that is not there
            raise UsageRefused(str(error)) from error
        raise
    return tuple(task.result() for task in tasks.values())


def _require_all(silent: list[str], within_s: float | None) -> None:
    if silent:
        msg = f"{' and '.join(silent)} gave no answer within {within_s:g} s"
        raise ExchangeUnreachable(msg)


async def _embedded(  # noqa: PLR0917  # what one exchange of a run is made of
    settings: Settings,
    spec: RunSpec,
    paths: RunPaths,
    name: str,
    speed: str | None,
    known: Mapping[InstrumentId, Instrument],
) -> Site:
    from daemon.running.world.embedded import embedded_site

    state_dir = paths.exchange_of(name)
    process = await _process(settings, spec, name, state_dir, speed)
    try:
        return await embedded_site(
            process,
            settings,
            exchange=name,
            symbols=settings.data.by_exchange[name],
            market=spec.market,
            state_dir=state_dir,
            accepts_unverified=_accepts_unverified(spec),
            known=known,
            note=note_to(paths.folder / WOULD_HAVE_SENT),
        )
    except BaseException:
        await process.stop()
        raise


def _accepts_unverified(spec: RunSpec) -> bool:
    return spec.options.get(ACCEPTS_UNVERIFIED) is True


async def _process(
    settings: Settings, spec: RunSpec, name: str, state_dir: Path, speed: str | None
) -> ExchangeProcess:
    url = spec.options.get("exchange_url")
    if isinstance(url, str):
        return await attached(url, settings)
    if found := await ExchangeProcess.await_begun(state_dir):
        found.adopt()
        return found
    is_known = (state_dir / "exchange.json").is_file()
    try:
        if is_known:
            return await ExchangeProcess.start(state_dir, None, speed=speed)
        return await ExchangeProcess.start(state_dir, market_spec(settings, spec, name))
    except TradingdError as error:
        # One whose daemon was killed had the lock only after we had looked.
        is_begun = error.exit_code == LockHeld.exit_code
        found = await ExchangeProcess.await_begun(state_dir) if is_begun else None
        if found is None:
            raise
        found.adopt()
        return found


def record_endpoints(paths: RunPaths, spec: RunSpec, world: World) -> RunSpec:
    """Note in run.json where the exchanges answer, and return the spec as it stands there."""
    is_given = spec.options.get("exchange_url") is not None  # its key is a secret of the settings
    told = {
        site.exchange: _told(site.process.endpoint, "" if is_given else site.process.endpoint.key)
        for site in world.sites
        if site.process is not None
    }
    first = told.pop(world.first.exchange, None)
    spec = msgspec.structs.replace(spec, exchange=first, exchanges=told, label=world.label)
    write_spec(paths, spec)
    return spec


def _told(endpoint: Endpoint, key: str) -> ExchangeSpec:
    return ExchangeSpec(
        rest=endpoint.rest,
        stream=endpoint.stream,
        ws_api=endpoint.ws_api,
        key=key,
        instance=endpoint.instance,
    )
