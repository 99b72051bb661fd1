"""The account of a live run: its keys out of the settings, and what is checked before it is used.

Belongs here: which checks a live start makes. What they are belongs to `ccxt_live`, whether live
trading is armed to those who ask here first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from daemon.core.errors import LiveRefused, UsageRefused
from daemon.core.instruments import EMBEDDED, exchange_behind, is_swap_symbol
from daemon.venues.budget import Use

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from daemon.config import Settings
    from daemon.venues.ccxt_live import LiveChecks

LIVE, PAPER = "live", "paper"


@dataclass(frozen=True, slots=True)
class LiveKey:
    """A key that was found fit: asking again, and what a person should know of it."""

    ask: Callable[[], Awaitable[tuple[str, ...]]]
    remarks: tuple[str, ...]


def credentials_of(settings: Settings) -> tuple[str, ...] | None:
    """Key, secret and, where there is one, password, as a client takes them; None without a key."""
    told = settings.exchange
    if told.api_key is None or told.api_secret is None:
        return None
    password = () if told.api_password is None else (told.api_password,)
    return tuple(each.get_secret_value() for each in (told.api_key, told.api_secret, *password))


async def checked(
    settings: Settings, client: Any, exchange: str, accepts_unverified: bool
) -> LiveKey | None:
    """The key of a live or shadow run's account, found fit; None on paper."""
    if settings.run.mode == PAPER:
        return None
    from daemon.venues.ccxt_live import LiveChecks

    checks = LiveChecks(
        client,
        exchange,
        accepts_unverified=accepts_unverified,
        must_trade=settings.run.mode == LIVE,
    )
    return LiveKey(checks, await checks())


def refuse_swaps(symbols: Iterable[str]) -> None:
    """LiveRefused where a swap is among them: no account here knows margins, funding and leverage
    of an exchange, and real money must not be the first to find out.
    """
    swaps = [each for each in symbols if is_swap_symbol(each)]
    if swaps:
        twins = ", ".join(each.partition(":")[0] for each in swaps)
        msg = (
            f"{', '.join(swaps)}: swaps are not traded live; name spot ({twins}), "
            "or run with --mode paper"
        )
        raise LiveRefused(msg)


def refuse_swap_exchange(settings: Settings, url: str) -> None:
    """LiveRefused, or on paper UsageRefused: to the exchange in the box orders are signed and sent
    in both modes.
    """
    msg = (
        f"the exchange at {url} lists swaps, and swaps are not traded live: a swap can be"
        " backtested, or traded on paper where it is listed (--market binanceusdm); for spot start"
        " `tradingd exchange` without --kind swap"
    )
    raise LiveRefused(msg) if settings.run.mode == LIVE else UsageRefused(msg)


def stop_fault(settings: Settings) -> str:
    """Why no stop can rest behind a position there, though one is wanted; empty where it can.

    A position without the stop that it should have is closed again: every entry would cost its way
    in and out, for nothing.
    """
    from daemon.venues.capabilities import CAPABILITIES, STOP

    exchange, wanted = settings.data.exchange, settings.execution.stop_loss_ratio
    row = CAPABILITIES.get(exchange_behind(exchange))
    if not wanted or row is None or STOP in row.kinds:
        return ""
    return (
        f"{exchange} takes no stop orders from us and execution.stop_loss_ratio is {wanted:g}:"
        " every position would be closed again at once; 0 leaves stops out, and then nothing guards"
        " a position while the daemon is down"
    )


def require_fit(settings: Settings) -> None:
    """LiveRefused for what no account here is traded with: several exchanges, swaps, or stops where
    an exchange takes none.
    """
    wanted = settings.data.by_exchange
    if len(wanted) > 1:
        msg = (
            f"live trading is on one exchange, whose key is configured, not on {', '.join(wanted)}"
        )
        raise LiveRefused(msg)
    refuse_swaps(settings.data.all_symbols)
    if fault := stop_fault(settings):
        raise LiveRefused(fault)


def require_key(settings: Settings, exchange: str) -> tuple[str, ...]:
    """Key, secret and password of a real exchange that takes orders from us; LiveRefused."""
    from daemon.venues.capabilities import row_of

    row_of(exchange)
    credentials = credentials_of(settings)
    if credentials is None:
        msg = (
            f"live trading on {exchange} needs its key: the credentials exchange__api_key and"
            " exchange__api_secret (docs/safety.md)"
        )
        raise LiveRefused(msg)
    return credentials


def account_client(settings: Settings, exchange: str, urls: Mapping[str, str] | None = None) -> Any:
    """The signed client of a real exchange; LiveRefused without a key."""
    from daemon.venues.ccxt_client import make_client

    return make_client(
        exchange,
        credentials=require_key(settings, exchange),
        urls=urls,
        validity_ms=settings.execution.validity_ms,
        use=Use.ACCOUNT,
    )


def checks_of(
    client: Any,
    exchange: str,
    *,
    accepts_unverified: bool,
    must_trade: bool = True,
    urls: Mapping[str, str] | None = None,
) -> LiveChecks:
    """What is asked before the first order, and every day after it; LiveRefused at once where the
    library or its urls are not as they have to be.
    """
    from daemon.venues.ccxt_live import LiveChecks

    hosts = None if urls is None else EMBEDDED
    return LiveChecks(
        client,
        exchange,
        accepts_unverified=accepts_unverified,
        must_trade=must_trade,
        hosts=hosts,
    )


async def check_real(
    settings: Settings,
    exchange: str,
    *,
    accepts_unverified: bool,
    urls: Mapping[str, str] | None = None,
) -> tuple[str, ...]:
    """What a person should know of the key of a real exchange; LiveRefused when anything about the
    library, its urls or the key forbids trading. Nothing is changed at the exchange.
    """
    client = account_client(settings, exchange, urls)
    try:
        return await checks_of(client, exchange, accepts_unverified=accepts_unverified, urls=urls)()
    finally:
        await client.close()
