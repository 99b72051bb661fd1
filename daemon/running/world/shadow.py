"""Shadow mode: a real account that is only looked at, and orders that are only noted.

Belongs here: building its venue, and the file of what would have been sent. That nothing is sent is
the work of the wall around the client, `venues.read_only`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
from msgspec.structs import replace

from daemon.core.clock import WireClock
from daemon.running.world.live_account import LiveKey, require_fit, require_key
from daemon.store.artifacts import append_durably
from daemon.venues.ccxt_fees import account_fees
from daemon.venues.ccxt_requests import request_to
from daemon.venues.paper_venue import PaperVenue
from daemon.venues.shadow_venue import ShadowVenue

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from daemon.config import Settings
    from daemon.core.clock import MarketClock
    from daemon.core.events import SubmitOrder
    from daemon.core.instruments import Instrument
    from daemon.core.ports import MarketData
    from daemon.venues.ccxt_requests import Request
    from daemon.venues.ccxt_venue import CcxtVenue
    from daemon.venues.paper_terms import PaperTerms

Note: TypeAlias = "Callable[[Mapping[str, Any]], None]"

SHADOW = "shadow"
WOULD_HAVE_SENT = "would_have_sent.jsonl"


def unheard(_told: Mapping[str, Any]) -> None:
    """For whoever has nowhere to keep it."""


def note_to(path: Path) -> Note:
    """Keep what would have left, a line each."""
    return lambda told: append_durably(path, msgspec.json.encode(told))


def refuse_shadow(settings: Settings) -> None:
    """LiveRefused where no account can be looked at as a live run would use it."""
    require_fit(settings)
    require_key(settings, settings.data.exchange)


async def shadowed(  # noqa: PLR0917  # the world of an account
    account: CcxtVenue,
    client: Any,
    market_data: MarketData,
    instruments: tuple[Instrument, ...],
    clock: MarketClock,
    terms: PaperTerms,
    key: LiveKey | None,
    *,
    timeframe_ns: int,
    note: Note,
) -> tuple[ShadowVenue, PaperVenue, LiveKey | None]:
    """The venue of an account behind its wall, its paper side, and what is known of its key.

    The paper begins with the balances that the account has now, and pays the account's own fees
    where the exchange tells them.
    """
    exchange = instruments[0].id.exchange
    ids, symbols = [each.id for each in instruments], [each.id.symbol for each in instruments]
    start = (await account.account(ids, clock.now_ns())).totals
    fees = await account_fees(client, exchange, symbols)
    said = "its fees are not told, so paper pays the configured ones"
    if fees is not None:
        maker_bps, taker_bps = fees
        terms = replace(terms, maker_fee_bps=maker_bps, taker_fee_bps=taker_bps, tiers=())
        said = f"paper pays the fees of this account: maker {maker_bps:g}, taker {taker_bps:g} bps"
    paper = PaperVenue(
        market_data, instruments, clock, start=start, timeframe_ns=timeframe_ns, terms=terms
    )
    wire = WireClock()

    def request(order: SubmitOrder) -> Request:
        return request_to(client, exchange, order, wire.now_ns())

    venue = ShadowVenue(
        paper, read=account.account, close=account.close, start=start, request=request, note=note
    )
    told = None if key is None else LiveKey(key.ask, (*key.remarks, said))
    return venue, paper, told
