"""`tradingd exchange`: serves an embedded exchange on loopback until it is told to stop.

Belongs here: options, signals and the ready line. What an exchange is belongs in embedded, what it
keeps about itself in exchange_state.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from daemon.cli.exchange_options import (
    balances_of,
    bars_per_s_of,
    faults_of,
    fees_of,
    market_of,
    opened,
    scope_of,
)
from daemon.core.errors import TradingdError, UsageRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.cli.exchange_state import MarketOptions
    from daemon.embedded.key_scope import KeyScope
    from daemon.embedded.server import Endpoints, ExchangeServer
    from daemon.embedded.stage import Stage

START_BALANCES = '{"USDT":"100000","BTC":"1","ETH":"10"}'
STATE_DIR = Path("state/exchange")
STATE_MODE = 0o700
LINGER_LOOKS = 4

Kind = Annotated[str | None, typer.Option(help="spot, or swap: perpetuals; default spot")]
Data = Annotated[
    list[Path] | None, typer.Option(help="a recording, one per symbol; default: synthetic")
]
From = Annotated[str | None, typer.Option("--from", help="first streamed bar, 2024-01-01T00:00Z")]
Balance = Annotated[
    list[str] | None, typer.Option(help="of a new account: USDT=5000, once for each asset")
]
FeeBps = Annotated[str | None, typer.Option(help="of a taker; default 10")]
MakerFeeBps = Annotated[
    str | None, typer.Option(help="of a maker, negative for a rebate; default --fee-bps")
]
FeeAsset = Annotated[
    str | None, typer.Option(help="fees are paid in this asset while there is enough of it")
]
KeyAllows = Annotated[str, typer.Option(help="what the key may do: read, trade, withdraw")]
KeyAnyIp = Annotated[bool, typer.Option("--key-any-ip", help="it is not bound to an address")]
KeyExpires = Annotated[
    str | None, typer.Option(help="when it may trade no more, 2026-01-01T00:00Z")
]

WeightLimit = Annotated[
    int | None,
    typer.Option(min=1, help="request weight per minute: 6000, or in lock-step no real limit"),
]
Begin = Annotated[str, typer.Option("--start", help="of a paced market: subscription or now")]
Changes = Annotated[
    list[str] | None,
    typer.Option(help='of a synthetic market, "30d edge=0 volume=3": what holds after so long'),
]


def exchange(  # noqa: PLR0917  # one parameter per option
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0: the last one, or any")] = 0,
    kind: Kind = None,
    data: Data = None,
    start: From = None,
    symbols: Annotated[str | None, typer.Option(help="BTC/USDT,ETH/USDT")] = None,
    timeframe: Annotated[str | None, typer.Option(help="of a bar: 1m, 1h, 1d")] = None,
    speed: Annotated[str | None, typer.Option(help="bars per second, or max (lock-step)")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="of a synthetic market")] = None,
    edge: Annotated[
        float | None, typer.Option(min=0, max=1, help="planted predictability, 0 to 1")
    ] = None,
    change: Changes = None,
    history_bars: Annotated[
        int | None, typer.Option(min=1, help="bars served by REST before the stream")
    ] = None,
    faults: Annotated[Path | None, typer.Option(help="a fault script (JSON or .toml)")] = None,
    state: Annotated[Path, typer.Option(help="where the account lives")] = STATE_DIR,
    balances: Annotated[str, typer.Option(help="of a new account (JSON)")] = START_BALANCES,
    balance: Balance = None,
    fee_bps: FeeBps = None,
    maker_fee_bps: MakerFeeBps = None,
    fee_asset: FeeAsset = None,
    key_allows: KeyAllows = "read,trade",
    key_any_ip: KeyAnyIp = False,  # typer makes a flag of it
    key_expires: KeyExpires = None,
    begin: Begin = "subscription",
    weight_limit: WeightLimit = None,
    linger_s: Annotated[
        float | None, typer.Option(min=0, help="stop after so many idle seconds")
    ] = None,
) -> None:
    """Serve an embedded exchange on loopback: one JSON line when ready, then until stopped."""
    from daemon.cli.exchange_state import MarketOptions

    if begin not in ("subscription", "now"):
        raise UsageRefused(f"--start {begin}: subscription or now")
    if kind not in (None, "spot", "swap"):
        raise UsageRefused(f"--kind {kind}: spot or swap")
    wanted = MarketOptions(
        kind=kind,
        data=tuple(str(path.resolve()) for path in data) if data else None,
        start=start,
        symbols=None if symbols is None else tuple(each.strip() for each in symbols.split(",")),
        timeframe=timeframe,
        seed=seed,
        edge=edge,
        change=tuple(change) if change else None,
        history_bars=history_bars,
    )
    scope = scope_of(key_allows, is_ip_restricted=not key_any_ip, expires=key_expires)
    service = Service(state, wanted, speed, scope)
    with service:
        service.open(faults, balances, balance or (), (fee_bps, maker_fee_bps, fee_asset))
        asyncio.run(
            service.serve(
                port, start_at_once=begin == "now", weight_max=weight_limit, linger_s=linger_s
            )
        )


class Service:
    """One state directory being served; a context manager that holds its lock and ledger."""

    def __init__(
        self, state_dir: Path, wanted: MarketOptions, speed: str | None, scope: KeyScope
    ) -> None:
        self._scope = scope
        self._state_dir = state_dir
        self._wanted = wanted
        self._speed = speed
        self._open = contextlib.ExitStack()

    def __enter__(self) -> None:
        from daemon.core.clock import WireClock
        from daemon.store.lock import StateLock

        self._state_dir.mkdir(mode=STATE_MODE, parents=True, exist_ok=True)
        started_ns = WireClock().now_ns()
        self._open.enter_context(StateLock.acquire(self._state_dir, started_ns=started_ns))

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def open(
        self,
        faults: Path | None,
        balances: str,
        single: Sequence[str],
        fees: tuple[str | None, str | None, str | None],
    ) -> None:
        """Make the market, then open or begin the account; a refusal leaves the state as it was."""
        from daemon.cli import exchange_state as kept
        from daemon.embedded.signing import Credentials

        known = kept.read_file(self._state_dir)
        options = kept.settled(self._wanted, known)
        speed = self._speed or (known.speed if known is not None else kept.DEFAULT_SPEED)
        bars_per_s = bars_per_s_of(speed)
        market = market_of(options)
        if known is not None and known.fingerprint != market.fingerprint:
            msg = (
                f"the market of {self._state_dir} has changed since its account began trading on it"
            )
            raise kept.ExchangeRefused(f"{msg}; choose another --state")
        is_swap = options.kind == kept.SWAP
        fee_options = kept.settled_fees(*fees, known, is_swap=is_swap)
        schedule = fees_of(fee_options, market)
        self._faults = faults_of(faults, options.seed or 0, market)
        endpoint = {} if known is None else known.endpoint
        self._file = kept.ExchangeFile(
            market=options,
            fingerprint=market.fingerprint,
            speed=speed,
            endpoint=endpoint,
            fees=fee_options,
        )
        amounts = balances_of(balances, single)
        if is_swap:
            quotes = {each.quote for each in market.symbols.values()}
            amounts = {asset: each for asset, each in amounts.items() if asset in quotes}
        self._exchange, ledger = opened(
            self._state_dir, market, amounts, schedule, bars_per_s, is_swap=is_swap
        )
        self._open.callback(ledger.close)
        kept.check_balances(self._state_dir, single, ledger.balances_start)
        self._credentials = Credentials(*kept.read_keys(self._state_dir))
        kept.write_file(self._state_dir, self._file)

    async def serve(
        self, port: int, *, start_at_once: bool, weight_max: int | None, linger_s: float | None
    ) -> None:
        """Say that it is ready, then serve until a signal, a bug in the market or idleness."""
        from daemon.embedded.budget import LOCKSTEP_WEIGHT_MAX, WEIGHT_MAX
        from daemon.embedded.server import ExchangeServer

        if weight_max is None:
            is_paced = bars_per_s_of(self._file.speed) is not None
            weight_max = WEIGHT_MAX if is_paced else LOCKSTEP_WEIGHT_MAX
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        server = ExchangeServer(
            self._exchange,
            self._credentials,
            faults=self._faults,
            start_at_once=start_at_once,
            weight_max=weight_max,
            scope=self._scope,
        )
        endpoints = await self._bound(server, port)
        try:
            self._announce(endpoints)
            await _until_over(server, stop, linger_s)
        finally:
            await server.stop()
            self._keep_endpoint({**self._file.endpoint, "pid": None})

    async def _bound(self, server: ExchangeServer, port: int) -> Endpoints:
        """On the wished port, else on the one of last time, else on any free one."""
        if port:
            try:
                return await server.start(port)
            except OSError as error:
                raise TradingdError(f"port {port}: {error.strerror}") from None
        last = self._file.endpoint.get("port")
        if isinstance(last, int):
            with contextlib.suppress(OSError):
                return await server.start(last)
        return await server.start()

    def _announce(self, endpoints: Endpoints) -> None:
        line = _ready(self._exchange, endpoints)
        self._keep_endpoint({**line, "port": endpoints.port, "pid": os.getpid()})
        keys = {"key": self._credentials.key, "secret": self._credentials.secret}
        text = msgspec.json.encode({"event": "exchange.ready", **line, **keys}).decode()
        # Whoever started us may have gone; the exchange is for those who find its file, too.
        with contextlib.suppress(BrokenPipeError):
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()

    def _keep_endpoint(self, endpoint: dict[str, Any]) -> None:
        from daemon.cli.exchange_state import write_file

        self._file = msgspec.structs.replace(self._file, endpoint=endpoint)
        write_file(self._state_dir, self._file)


async def _until_over(server: ExchangeServer, stop: asyncio.Event, linger_s: float | None) -> None:
    """Returns on a signal or after `linger_s` idle seconds; raises what killed the market."""
    waiter = asyncio.create_task(stop.wait())
    market = server.pace
    try:
        while not stop.is_set():
            if market is not None and market.done():
                market.result()
                market = None
            if linger_s is not None and server.idle_s() >= linger_s:
                return
            look_s = None if linger_s is None else max(linger_s / LINGER_LOOKS, 0.01)
            watched = {waiter} if market is None else {waiter, market}
            await asyncio.wait(watched, timeout=look_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiter.cancel()


def _ready(exchange: Stage, endpoints: Endpoints) -> dict[str, Any]:
    from daemon.core.timeframes import NS_PER_MS, rfc3339
    from daemon.embedded.candles import interval_name

    market = exchange.market
    return {
        "rest": endpoints.rest,
        "stream": endpoints.stream,
        "ws_api": endpoints.ws_api,
        "symbols": [each.symbol for each in market.symbols.values()],
        "label": market.label,
        "instance": exchange.instance,
        "fingerprint": market.fingerprint,
        "from": rfc3339(market.from_ms * NS_PER_MS),
        "timeframe": interval_name(market.timeframe_ms),
    }
