"""What a look-up may say of an order that is just leaving, or that an exchange belittles."""

import asyncio
from collections.abc import Coroutine
from decimal import Decimal
from typing import Any

from daemon.core.events import LookUpOrder, OrderReported, Outcome, SubmitOrder
from daemon.core.orders import OrderState, OrderType, Side
from daemon.simulation.faults import Fault
from daemon.simulation.virtual_loop import new_loop
from daemon.simulation.world import World
from daemon.venues.ccxt_venue import CcxtVenue

OURS = "tdabcdefghijklmnop"
LONG_S = 500.0  # by then everything that left at the start is past its time


def a_calm_world() -> World:
    world = World(0)
    world.calm()
    return world


def a_venue(world: World) -> CcxtVenue:
    client = world.client()
    return CcxtVenue(client, "binance", rng=world.rng, wire=world.wire)


def an_order(world: World) -> SubmitOrder:
    return SubmitOrder(
        ts_ns=world.wire.now_ns(),
        client_order_id=OURS,
        instrument=world.instrument.id,
        side=Side.BUY,
        order_type=OrderType.MARKET,
        quantity=Decimal("0.01"),
        decision_price=world.exchange.price,
    )


def a_question(world: World) -> LookUpOrder:
    return LookUpOrder(
        ts_ns=world.wire.now_ns(),
        client_order_id=OURS,
        instrument=world.instrument.id,
        intended_ns=world.wire.now_ns(),
        reason="a cancel asks",
    )


def told_by(world: World, story: Coroutine[Any, Any, OrderReported]) -> OrderReported:
    found: list[OrderReported] = []

    async def main() -> None:
        found.append(await story)

    assert new_loop(world.timeline).run(main(), 10_000.0)
    return found[0]


def test_an_order_that_is_just_leaving_is_not_called_gone() -> None:
    world = World(0)
    world.faults.rates = {Fault.NOT_VISIBLE: 1.0}  # for some seconds after it is there

    async def story() -> OrderReported:
        venue = a_venue(world)
        await asyncio.sleep(LONG_S)
        sending = asyncio.create_task(venue.submit(an_order(world)))
        await asyncio.sleep(0)
        told = await venue.look_up(a_question(world))
        await sending
        return told

    told = told_by(world, story())

    assert (told.outcome, told.state) == (Outcome.ACKNOWLEDGED, OrderState.FILLED)


def test_an_order_at_the_market_that_ended_empty_is_asked_about_until_its_fills_show() -> None:
    world = a_calm_world()

    async def story() -> OrderReported:
        venue = a_venue(world)
        await venue.submit(an_order(world))
        order = world.exchange.orders[0]
        order.lies_until_s = world.timeline.now_s + 3.0
        order.trades[0].visible_s = world.timeline.now_s + 3.0
        return await venue.look_up(a_question(world))

    told = told_by(world, story())

    assert (told.state, told.filled_quantity) == (OrderState.FILLED, Decimal("0.01"))
