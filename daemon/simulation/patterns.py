"""Three common ways of sending an order, in the same worlds: what becomes of them is the point.

Belongs here: how not to do it. Nothing that ships uses any of this. Each bot trades market orders
by the world's script, saves what it knows after every order, and believes what it was told last.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import Struct, field

from daemon.core.instruments import plain
from daemon.core.orders import Side
from daemon.simulation.ledger import ZERO
from daemon.simulation.world import CALM_FROM_S, SLOT_S, SLOTS

if TYPE_CHECKING:
    from daemon.simulation.client import ModelClient
    from daemon.simulation.world import World

RETRIES = 3
NOTIONAL = Decimal(1_000)
QUIET_S = 60.0


class Wanted(Struct, frozen=True):
    """One decision; its `tag` is the client order id where a pattern uses one."""

    tag: str
    side: Side
    quantity: Decimal


Pattern: TypeAlias = Callable[["ModelClient", Wanted], Awaitable[Decimal | None]]


class Saved(Struct):
    """What such a bot keeps on disk."""

    slot: int = 0
    position: Decimal = ZERO
    known: set[str] = field(default_factory=set)
    decided: dict[str, Decimal] = field(default_factory=dict)


async def article(client: ModelClient, order: Wanted) -> Decimal | None:
    """Without an id, three times over; a reply is taken for a fill."""
    import ccxt

    for attempt in range(RETRIES):
        try:
            return _filled(await _send(client, order, {}), order)
        except ccxt.NetworkError:
            await asyncio.sleep(2**attempt)
        except ccxt.ExchangeError:
            return None
    return None


async def retry_same_id(client: ModelClient, order: Wanted) -> Decimal | None:
    """The same with a client order id, which is unique among open orders only."""
    import ccxt

    for attempt in range(RETRIES):
        try:
            return _filled(await _send(client, order, {"newClientOrderId": order.tag}), order)
        except ccxt.OperationFailed:
            await asyncio.sleep(2**attempt)
        except ccxt.ExchangeError as error:
            if "Duplicate" not in str(error):
                return None
            return _filled(await _look(client, order), order)
    return None


async def resend(client: ModelClient, order: Wanted) -> Decimal | None:
    """With an id, looked up once when there is no answer, and sent again when it is not found."""
    import ccxt

    try:
        return _filled(await _send(client, order, {"newClientOrderId": order.tag}), order)
    except ccxt.ExchangeError:
        return None
    except (ccxt.OperationFailed, TypeError):
        await asyncio.sleep(1.0)
    try:
        return _filled(await _look(client, order), order)
    except ccxt.BaseError:
        return _filled(await _send(client, order, {"newClientOrderId": order.tag}), order)


PATTERNS: dict[str, Pattern] = {
    "article": article,
    "retry-same-id": retry_same_id,
    "resend": resend,
}


async def trade(world: World, client: ModelClient, saved: Saved, pattern: Pattern) -> None:
    """The remaining slots of the script, then quiet; an exception ends this process."""
    timeline = world.timeline
    while saved.slot < SLOTS:
        slot = saved.slot
        await asyncio.sleep(max(0.0, (slot + 1) * SLOT_S - timeline.now_s))
        saved.slot += 1
        order = _wanted(world, saved, slot)
        if order is None:
            continue
        saved.decided[order.tag] = order.quantity
        client.tag = order.tag
        filled = await pattern(client, order)
        if filled is not None:
            saved.known.add(order.tag)
            saved.position += filled if order.side is Side.BUY else -filled
    await asyncio.sleep(max(0.0, CALM_FROM_S - timeline.now_s))
    world.calm()
    await asyncio.sleep(QUIET_S)


def _wanted(world: World, saved: Saved, slot: int) -> Wanted | None:
    rules, price = world.instrument, world.exchange.price
    if rules.takes(saved.position, price):
        if world.keeps[slot]:
            return None
        return Wanted(f"sell{slot}", Side.SELL, rules.quantize_down(saved.position))
    return Wanted(f"buy{slot}", Side.BUY, rules.quantize_down(NOTIONAL / price))


async def _send(client: ModelClient, order: Wanted, params: dict[str, Any]) -> dict[str, Any]:
    quantity = plain(order.quantity)
    return await client.create_order("BTC/USDT", "market", order.side.value, quantity, None, params)


async def _look(client: ModelClient, order: Wanted) -> dict[str, Any]:
    return await client.fetch_order(None, "BTC/USDT", {"clientOrderId": order.tag})


def _filled(reply: dict[str, Any], order: Wanted) -> Decimal:
    """What the reply says, and all of it where it says nothing."""
    filled = reply.get("filled")
    return order.quantity if filled is None else Decimal(repr(filled))
