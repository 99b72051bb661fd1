"""Starts, finds again and stops the embedded exchange, which lives in a process of its own.

Belongs here: the life of that process. Speaking to it belongs to venues. It outlives a killed
daemon on purpose: a resumed run finds the same account on the same market.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from daemon.core.errors import ExchangeUnreachable, TradingdError, UsageRefused
from daemon.core.instruments import MarketType
from daemon.core.timeframes import NS_PER_MS, parse_time, rfc3339
from daemon.running.world.live_account import refuse_swap_exchange
from daemon.store.lock import holder
from daemon.venues.embedded_link import EmbeddedLink

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.config import Settings

READY_WITHIN_S = 60.0
READY_PER_SYMBOL_S = 0.5  # a synthetic one is computed from its beginning; 40 ms when all is quiet
LOOK_EVERY_S = 0.2
STOP_WITHIN_S = 10.0
LINGER_S = 900


class Endpoint(Struct, frozen=True, kw_only=True, rename={"from_text": "from"}):
    """Where an embedded exchange answers, and the keys of its account."""

    rest: str
    stream: str
    ws_api: str
    key: str
    secret: str
    symbols: tuple[str, ...] = ()
    label: str = ""
    instance: str = ""
    fingerprint: str = ""
    from_text: str = ""
    timeframe: str = ""

    @property
    def from_ns(self) -> int:
        return parse_time(self.from_text)


class MarketSpec(Struct, frozen=True, kw_only=True):
    """Which market to make; everything that, with the seed, decides what will happen in it."""

    symbols: tuple[str, ...]
    timeframe: str
    history_bars: int | None
    seed: int
    edge: float | None = None
    data: str | None = None
    start: str | None = None
    speed: str = "max"
    balances: dict[str, str] = {}

    def arguments(self) -> list[str]:
        pairs = [
            ("--symbols", ",".join(self.symbols)),
            ("--timeframe", self.timeframe),
            ("--history-bars", None if self.history_bars is None else str(self.history_bars)),
            ("--seed", str(self.seed)),
            ("--edge", None if self.edge is None else str(self.edge)),
            ("--data", self.data),
            ("--from", self.start),
            ("--speed", self.speed),
            ("--balances", msgspec.json.encode(self.balances).decode() if self.balances else None),
        ]
        return [part for name, value in pairs if value is not None for part in (name, value)]


class ExchangeProcess:
    """A handle on one embedded exchange: our child, or one that was already there."""

    def __init__(
        self,
        endpoint: Endpoint,
        child: asyncio.subprocess.Process | None,
        pid: int | None = None,
    ) -> None:
        self.endpoint = endpoint
        self._child = child
        self._found_pid = pid
        self._is_adopted = False

    @classmethod
    async def start(
        cls, state_dir: Path, spec: MarketSpec | None, speed: str | None = None
    ) -> ExchangeProcess:
        """Start one on `state_dir`; with `spec` None it goes on where that state stands."""
        arguments = ["--state", str(state_dir), "--linger-s", str(LINGER_S)]
        if spec is not None:
            arguments += spec.arguments()
        elif speed is not None:
            arguments += ["--speed", speed]
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "daemon", "exchange", *arguments,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip
        assert child.stdout is not None
        try:
            wanted = 0 if spec is None else len(spec.symbols)
            async with asyncio.timeout(READY_WITHIN_S + READY_PER_SYMBOL_S * wanted):
                line = await child.stdout.readline()
        except TimeoutError:
            line = b""
        except BaseException:
            await _stop(child)
            raise
        if not line:
            await _stop(child)
            raise _refused(child.returncode)
        return cls(msgspec.json.decode(line, type=Endpoint), child)

    @classmethod
    async def find(cls, state_dir: Path) -> ExchangeProcess | None:
        """The exchange of this state, if its process is alive and still has the same account."""
        try:
            known = msgspec.json.decode((state_dir / "exchange.json").read_bytes())
            keys = msgspec.json.decode((state_dir / "credentials.json").read_bytes())
            endpoint = msgspec.convert({**known["endpoint"], **keys}, Endpoint)
        except (OSError, KeyError, TypeError, msgspec.MsgspecError):
            return None
        link = EmbeddedLink(endpoint.rest)
        try:
            clock = await link.clock()
        except ExchangeUnreachable:
            return None
        finally:
            await link.close()
        pid = known["endpoint"].get("pid")
        return cls(endpoint, None, pid) if clock.instance == endpoint.instance else None

    @classmethod
    async def await_begun(cls, state_dir: Path) -> ExchangeProcess | None:
        """The same, with patience for one that has its lock and does not answer yet: who was
        starting it was killed meanwhile.
        """
        until_s = asyncio.get_running_loop().time() + READY_WITHIN_S
        while True:
            found = await cls.find(state_dir)
            is_late = asyncio.get_running_loop().time() > until_s
            if found is not None or is_late or holder(state_dir) is None:
                return found
            await asyncio.sleep(LOOK_EVERY_S)

    def adopt(self) -> None:
        """Take over an exchange that a killed daemon left behind: `stop` will end it."""
        self._is_adopted = True

    def leave(self) -> None:
        """Let go of one that was adopted: `stop` will not end it."""
        self._is_adopted = False

    async def died(self) -> int | None:
        """Returns when it has ended, with its exit code where it is known; never for an exchange
        that is somebody else's.
        """
        if self._child is not None:
            return await self._child.wait()
        if self._is_adopted and self._found_pid:
            await _ended(self._found_pid)
        else:
            await asyncio.Event().wait()
        return None

    async def stop(self) -> None:
        """End it if it is our child or adopted; its ledger stays."""
        if self._child is not None:
            await _stop(self._child)
        elif self._is_adopted and self._found_pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._found_pid, signal.SIGTERM)


async def attached(url: str, settings: Settings) -> ExchangeProcess:
    """An embedded exchange somebody else started; its keys come from the environment or the
    credentials.
    """
    rest = url.rstrip("/")
    link = EmbeddedLink(rest)
    try:
        clock = await link.clock()
    finally:
        await link.close()
    if clock.kind == MarketType.SWAP:
        refuse_swap_exchange(settings, rest)
    key, secret = settings.exchange.api_key, settings.exchange.api_secret
    if key is None or secret is None:
        msg = (
            "--exchange-url needs the keys of that exchange: "
            "set TRADINGD__EXCHANGE__API_KEY and TRADINGD__EXCHANGE__API_SECRET"
        )
        raise UsageRefused(msg)
    stream = rest.replace("http", "ws", 1)
    endpoint = Endpoint(
        rest=rest,
        stream=f"{stream}/stream",
        ws_api=f"{stream}/ws-api/v3",
        key=key.get_secret_value(),
        secret=secret.get_secret_value(),
        label=clock.label,
        instance=clock.instance,
        fingerprint=clock.fingerprint,
        from_text=rfc3339(clock.from_ms * NS_PER_MS),
    )
    return ExchangeProcess(endpoint, None)


async def _ended(pid: int) -> None:
    """Returns when this process, which is no child of ours, has ended."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(handle, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(handle)
        os.close(handle)


async def _stop(child: asyncio.subprocess.Process) -> None:
    if child.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        child.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(STOP_WITHIN_S):
            await child.wait()
    except TimeoutError:
        child.kill()
        await child.wait()


def _refused(code: int | None) -> TradingdError:
    # The child has said why on stderr; its exit code is ours, and one line is enough.
    error = TradingdError("")
    error.exit_code = code if code is not None and code > 0 else ExchangeUnreachable.exit_code
    return error
