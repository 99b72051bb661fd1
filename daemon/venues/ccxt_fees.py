"""What an account pays: its maker and taker fees, as the exchange tells them of the account itself.

Belongs here: that one reading. What fills were really charged is kept by `core.costs`.
"""

from __future__ import annotations

import math
import random
from functools import partial
from typing import TYPE_CHECKING, Any

from daemon.core.errors import ExchangeUnreachable, LiveRefused
from daemon.venues.ccxt_reads import OddReply, Reader

if TYPE_CHECKING:
    from collections.abc import Sequence

BPS = 10_000.0
WITHIN_S = 12.0


async def account_fees(
    client: Any, exchange: str, symbols: Sequence[str]
) -> tuple[float, float] | None:
    """(maker, taker) in bps, the highest of the symbols; None where the exchange does not tell."""
    rng = random.Random()  # noqa: S311  # it spreads retries, nothing hangs on it
    reader = Reader(client, exchange, rng=rng, within_s=WITHIN_S)
    try:
        await reader.markets()
        told = [
            await reader.read(f"fees of {each}", partial(_asked, client, each)) for each in symbols
        ]
    except (ExchangeUnreachable, LiveRefused):
        return None
    return max(maker for maker, _ in told), max(taker for _, taker in told)


async def _asked(client: Any, symbol: str) -> tuple[float, float]:
    reply = await client.fetch_trading_fee(symbol)
    try:
        maker, taker = (round(float(reply[each]) * BPS, 4) for each in ("maker", "taker"))
    except (KeyError, TypeError, ValueError) as error:
        raise OddReply(f"the fees of {symbol} are not told") from error
    if not (math.isfinite(maker) and math.isfinite(taker)):
        raise OddReply(f"the fees of {symbol} are no numbers")
    return maker, taker
