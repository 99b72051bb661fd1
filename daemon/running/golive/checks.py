"""Asks a real exchange what the gate wants to know of it: what the key may do, and how late it is.

Belongs here: asking once, and keeping the answer. What makes a key unfit belongs to `key_scope`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.core.clock import WireClock
from daemon.core.errors import ExchangeUnreachable, LiveRefused
from daemon.running.clock_watch import measured
from daemon.running.world.live_account import check_real
from daemon.store.golive import ClockCheck, KeyCheck
from daemon.venues.budget import Use

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daemon.config import Settings


async def asked(
    settings: Settings,
    key: str,
    *,
    accepts_unverified: bool,
    urls: Mapping[str, str] | None = None,
) -> tuple[KeyCheck, ClockCheck]:
    """What the configured exchange answers about the key of that fingerprint and about its time;
    ExchangeUnreachable where it answers nothing.
    """
    exchange, wire = settings.data.exchange, WireClock()
    remarks: tuple[str, ...] = ()
    refused = ""
    try:
        remarks = await check_real(
            settings, exchange, accepts_unverified=accepts_unverified, urls=urls
        )
    except LiveRefused as error:
        refused = str(error)
    told = KeyCheck(
        exchange=exchange, key=key, at_ns=wire.now_ns(), remarks=remarks, refused=refused
    )
    return told, await _clock(settings, wire, urls)


async def _clock(settings: Settings, wire: WireClock, urls: Mapping[str, str] | None) -> ClockCheck:
    from daemon.venues.ccxt_client import make_client
    from daemon.venues.ccxt_market import CcxtMarket

    exchange = settings.data.exchange
    market = CcxtMarket(
        make_client(exchange, urls=urls, use=Use.LIVE), exchange, settings.data.fetched_timeframe
    )

    try:
        reading = await measured(market.server_ns, wire)
    finally:
        await market.close()
    if reading is None:
        msg = f"{exchange} does not tell its time"
        raise ExchangeUnreachable(msg)
    return ClockCheck(
        exchange=exchange,
        at_ns=wire.now_ns(),
        offset_ms=round(reading.offset_ms, 1),
        error_ms=round(reading.error_ms, 1),
    )
