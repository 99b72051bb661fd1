"""`tradingd run`: turns a request into a world and a session, and a session's end into an exit
code.

Belongs here: which run is meant, new or resumed, and the process's signals. The run itself belongs
to `session`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from daemon.cli.connecting import ACCEPTS_UNVERIFIED, connect, reached, record_endpoints
from daemon.cli.markets import SYNTHETIC, is_recording, timeframes_of
from daemon.config import ConfigRefused, config_hash, load, recorded
from daemon.config.exchanges import as_text
from daemon.core.clock import WireClock
from daemon.core.errors import TradingdError, UsageRefused
from daemon.core.instruments import EMBEDDED
from daemon.core.timeframes import parse_time
from daemon.running.process.sd_notify import Notifier
from daemon.running.world.live_account import LIVE, PAPER
from daemon.running.world.shadow import SHADOW, refuse_shadow
from daemon.store.lock import StateLock
from daemon.store.runs import (
    BACKTEST,
    LAST,
    RunSpec,
    discard,
    moment_for,
    name_last,
    new_run,
    newest_daemon_run,
    read_result,
    read_spec,
    resolve,
    run_id_for,
    write_result,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.config import Settings
    from daemon.running.reporting import Reporter
    from daemon.running.world.sites import World
    from daemon.store.runs import RunPaths

DEFAULT_EDGE = 0.4  # large enough that a short run trades; no real market is like this
INTERRUPTED = 130


class RunRequest(Struct, frozen=True, kw_only=True):
    """The options of `tradingd run` as typed; None means not given."""

    mode: str | None = None
    market: str | None = None
    start: str | None = None
    symbols: tuple[str, ...] = ()
    bars: int | None = None
    speed: str | None = None
    seed: int | None = None
    edge: float | None = None
    resume: str | None = None
    exchange_url: str | None = None
    also: tuple[str, ...] = ()
    is_new: bool = False
    accepts_unverified_key_scope: bool = False
    is_adopting: bool = False


def config_path(given: Path | None) -> Path | None:
    """The file named, else ./config.toml when it is there."""
    default = Path("config.toml")
    return given or (default if default.is_file() else None)


def start_run(request: RunRequest, config: Path | None, state_dir: Path | None) -> int:
    """Run to the end; returns the exit code of the contract."""
    path = config_path(config)
    _require_sense(request)
    if request.resume is not None:
        from daemon.cli.choosing import require_same

        _require_alone(request)
        first = load(path, {"run.state_dir": state_dir})
        is_newest = request.resume == LAST
        folder = first.run.state_dir
        paths = newest_daemon_run(folder) if is_newest else resolve(folder, request.resume)
        spec = read_spec(paths)
        if spec.mode == BACKTEST:
            msg = f"run {spec.run} is a backtest, which has nothing to go on with"
            raise UsageRefused(msg)
        typed = spec.typed
        settings = load(path, {"run.state_dir": state_dir, **overrides_of(spec)})
        require_same(spec, settings, paths)
    else:
        spec, overrides = None, asked_for(request, path)
        settings = load(path, {"run.state_dir": state_dir, **overrides})
        if is_recording(market_of(request, settings)):
            overrides |= _overrides_of_recording(request, settings)
            settings = load(path, {"run.state_dir": state_dir, **overrides})
        _require_one_url(request, settings)
        typed = tuple(key for key, value in overrides.items() if value is not None)
    if settings.alerts.addresses:
        from daemon.running.alerts.addresses import checked

        checked(settings.alerts)  # refuses a bad one before anything is begun
    with StateLock.acquire(settings.run.state_dir, started_ns=WireClock().now_ns()):
        return asyncio.run(_run(request, settings, spec, typed))


def _require_sense(request: RunRequest) -> None:
    """What can be refused before anything is read."""
    if request.mode not in {None, PAPER, SHADOW, LIVE}:
        msg = f"--mode {request.mode}: paper, shadow or live"
        raise UsageRefused(msg)
    if request.start is not None:
        try:
            parse_time(request.start)
        except ValueError as error:
            msg = f"--from: {error}"
            raise UsageRefused(msg) from error
    if request.speed not in {None, "max"}:
        _require_positive("--speed", str(request.speed))


def _require_positive(name: str, text: str) -> None:
    try:
        is_positive = 0 < float(text) < float("inf")
    except ValueError:
        is_positive = False
    if not is_positive:
        msg = f"{name} {text}: a number of bars per second above 0, or max"
        raise UsageRefused(msg)


def _require_alone(request: RunRequest) -> None:
    """A resumed run is what it was started as; only its speed may change."""
    fresh = RunRequest(resume=request.resume, speed=request.speed, is_adopting=request.is_adopting)
    if request != fresh:
        msg = (
            "--resume goes on with the run as it was started: give no other option but --speed "
            "and --adopt-books"
        )
        raise UsageRefused(msg)


def _require_one_url(request: RunRequest, settings: Settings) -> None:
    if request.exchange_url is not None and settings.data.also:
        msg = f"--exchange-url is one exchange, data.also names {', '.join(settings.data.also)} too"
        raise UsageRefused(msg)


def asked_for(request: RunRequest, path: Path | None) -> dict[str, object]:
    """The settings that the command line gives; None where it says nothing."""
    exchange, is_alone = None, False
    if request.market is not None:
        exchange, is_alone = _exchange_of(request.market, path)
    return {
        "run.mode": request.mode,
        "run.seed": request.seed,
        "data.exchange": exchange,
        "data.symbols": request.symbols or None,
        "data.also": request.also or (() if is_alone else None),
    }


def _exchange_of(market: str, path: Path | None) -> tuple[str, bool]:
    """The exchange that a market named on the command line is on, and whether it then is the only
    one: those of the file stay beside the exchange they were written for.
    """
    try:
        configured = load(path, {}).data
    except ConfigRefused:  # it will be said again, in full
        return (EMBEDDED if _is_in_the_box(market) else market), False
    if _is_in_the_box(market):
        exchange = configured.exchange if configured.is_embedded else EMBEDDED
        return exchange, not configured.is_embedded
    return market, market != configured.exchange


def _is_in_the_box(market: str) -> bool:
    return market == SYNTHETIC or is_recording(market)


def overrides_of(spec: RunSpec) -> dict[str, object]:
    """The command line a run was started with, as settings: the file may not say otherwise."""
    if spec.settings:
        keys = [key.partition(".") for key in spec.typed]
        told = {f"{section}.{key}": spec.settings[section][key] for section, _, key in keys}
        # As text: a table would be joined with the one of the file, instead of taking its place.
        return told | ({"data.also": as_text(spec.also)} if "data.also" in told else {})
    implied = EMBEDDED if _is_in_the_box(spec.market) else spec.market
    return {
        "run.mode": spec.mode,
        "run.seed": spec.seed,
        "data.exchange": spec.exchange_name or implied,
        "data.symbols": spec.symbols,
        "data.timeframe": spec.timeframe,
    }


def _overrides_of_recording(request: RunRequest, settings: Settings) -> dict[str, object]:
    """A recording holds one symbol, and its own spacing says its timeframe."""
    from daemon.store.recordings import read_recording, timeframe_of

    path = Path(market_of(request, settings))
    try:
        timeframe = timeframe_of(read_recording(path))
    except ValueError as error:
        raise UsageRefused(str(error)) from error
    symbols = request.symbols or settings.data.symbols[:1]
    also = tuple(settings.data.also)  # the same recording, and the same symbol of it
    timeframes = timeframes_of(path, timeframe, settings)
    return {**timeframes, "data.symbols": symbols, "data.also": also}


def market_of(request: RunRequest, settings: Settings) -> str:
    if request.market is not None:
        return request.market
    return SYNTHETIC if settings.data.is_embedded else settings.data.exchange


async def _run(
    request: RunRequest, settings: Settings, spec: RunSpec | None, typed: tuple[str, ...]
) -> int:
    from daemon.cli.choosing import unfinished
    from daemon.running.reporting import Reporter

    stops = _Stops()
    if settings.run.mode == LIVE and not settings.data.is_embedded:
        # It reads models: heavy, and seldom needed.
        from daemon.running.golive.gate import refuse_unarmed

        refuse_unarmed(settings)  # before anything is asked or begun
    if settings.run.mode == SHADOW and not settings.data.is_embedded:
        refuse_shadow(settings)
    if spec is None:
        market = market_of(request, settings)
        spec = await unfinished(
            settings,
            market=market,
            edge=_edge_of(request, market),
            exchange_url=request.exchange_url,
            is_new=request.is_new,
        )
    is_begun = spec is None
    if spec is None:
        folder = settings.run.state_dir
        spec = _new_spec(request, settings, typed, moment_for(folder, WireClock().now_ns()))
        paths = new_run(folder, spec)
    else:
        paths = resolve(settings.run.state_dir, spec.run)
        name_last(paths)
    finished = read_result(paths)
    if finished is not None and finished.get("is_closed"):
        Reporter(settings, spec, paths).show_finished(finished)
        return 0
    begin = partial(connect, settings, spec, paths, speed=request.speed)
    connecting = asyncio.ensure_future(reached(begin, Notifier.from_environment()))
    stops.then(connecting.cancel)
    try:
        world = await connecting
    except BaseException as error:
        if is_begun and not paths.journal.exists():
            discard(paths)
        if isinstance(error, asyncio.CancelledError) and stops.is_asked:
            return 0
        raise
    try:
        spec = record_endpoints(paths, spec, world)
        reporter = Reporter(settings, spec, paths, world)
        return await _session(
            settings, spec, paths, world, reporter, stops, is_adopting=request.is_adopting
        )
    finally:
        await world.close()


async def _session(  # noqa: PLR0917  # what a run is made of
    settings: Settings,
    spec: RunSpec,
    paths: RunPaths,
    world: World,
    reporter: Reporter,
    stops: _Stops,
    *,
    is_adopting: bool,
) -> int:
    from daemon.running.session import (  # a second, in which a signal would kill
        Session,
        StoppedEarly,
    )

    session = Session(settings, spec, paths, world, reporter, is_adopting=is_adopting)
    stops.then(session.stop)
    reporter.alerts.start()
    reporter.started()  # whoever reads the pid in it may signal at once
    try:
        try:
            result = await session.run()
        except StoppedEarly:
            result = session.nothing()
        write_result(paths, {**result, "is_closed": session.is_closed})
        reporter.finished(result)
    except Exception as error:
        if isinstance(error, TradingdError):
            reporter.emit("daemon.ended", error=str(error))
        else:
            reporter.emit("daemon.failed", error=f"{type(error).__name__}: {error}")
        raise
    finally:
        await asyncio.to_thread(reporter.alerts.close)
    return 0


class _Stops:
    """The process's signals: the first SIGINT, SIGTERM or, when its terminal is gone, SIGHUP asks
    for a graceful end, wherever the run stands; a second SIGINT leaves at once, and the journal is
    whole anyway.
    """

    def __init__(self) -> None:
        self.is_asked = False
        self._stop: Callable[[], object] = lambda: None
        loop = asyncio.get_running_loop()
        asking = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup wants it
            asking.append(signal.SIGHUP)
        for number in asking:
            loop.add_signal_handler(number, self._hear, number)

    def then(self, stop: Callable[[], object]) -> None:
        """What a stop means from now on; one that was asked for before is carried out."""
        self._stop = stop
        if self.is_asked:
            stop()

    def _hear(self, number: int) -> None:
        if self.is_asked and number == signal.SIGINT:
            os._exit(INTERRUPTED)
        self.is_asked = True
        self._stop()


# --- which run ------------------------------------------------------------------------------------


def _edge_of(request: RunRequest, market: str) -> float | None:
    """Only a synthetic market has a planted edge; the default is told in `run.started`."""
    if market != SYNTHETIC:
        return None
    return DEFAULT_EDGE if request.edge is None else request.edge


def _new_spec(
    request: RunRequest, settings: Settings, typed: tuple[str, ...], now_ns: int
) -> RunSpec:
    market = market_of(request, settings)
    speed = request.speed or ("1" if sys.stdout.isatty() else "max")
    return RunSpec(
        run=run_id_for(now_ns, os.getpid(), market, settings.run.seed),
        created_ns=now_ns,
        mode=settings.run.mode,
        market=market,
        symbols=settings.data.symbols,
        timeframe=settings.data.timeframe,
        seed=settings.run.seed,
        config_hash=config_hash(settings),
        edge=_edge_of(request, market),
        bars=request.bars,
        start=request.start,
        speed=speed if settings.data.is_embedded else None,
        options={
            "exchange_url": request.exchange_url,
            ACCEPTS_UNVERIFIED: request.accepts_unverified_key_scope,
        },
        settings=recorded(settings),
        typed=typed,
        exchange_name=settings.data.exchange,
        also=settings.data.also,
    )
