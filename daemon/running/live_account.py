"""The account of a live run: its keys out of the settings, and what is checked before it is used.

Belongs here: which checks a live start makes. What they are belongs to `ccxt_live`, whether live
trading is armed to those who ask here first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from daemon.core.errors import LiveRefused
from daemon.core.instruments import is_swap_symbol
from daemon.venues.budget import Use

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from daemon.config import Settings

LIVE = "live"


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
    """The key of a live run's account, found fit; None on paper."""
    if settings.run.mode != LIVE:
        return None
    from daemon.venues.ccxt_live import LiveChecks

    checks = LiveChecks(client, exchange, accepts_unverified=accepts_unverified)
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
    from daemon.core.instruments import EMBEDDED
    from daemon.venues.capabilities import row_of
    from daemon.venues.ccxt_client import make_client
    from daemon.venues.ccxt_live import LiveChecks

    row_of(exchange)
    credentials = credentials_of(settings)
    if credentials is None:
        msg = (
            f"live trading on {exchange} needs its key: the credentials exchange__api_key and"
            " exchange__api_secret (docs/safety.md)"
        )
        raise LiveRefused(msg)
    client = make_client(exchange, credentials=credentials, urls=urls, use=Use.ACCOUNT)
    try:
        hosts = None if urls is None else EMBEDDED
        return await LiveChecks(
            client, exchange, accepts_unverified=accepts_unverified, hosts=hosts
        )()
    finally:
        await client.close()


async def refuse_unarmed(
    settings: Settings,
    exchange: str,
    *,
    accepts_unverified: bool,
    urls: Mapping[str, str] | None = None,
) -> NoReturn:
    """LiveRefused: by the first check that fails, else because nothing here can arm it yet."""
    remarks = await check_real(settings, exchange, accepts_unverified=accepts_unverified, urls=urls)
    told = f"; {'; '.join(remarks)}" if remarks else ""
    msg = f"live trading on {exchange} is not armed; library, hosts and key are as they must be"
    raise LiveRefused(msg + told)
