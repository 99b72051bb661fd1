"""An order's whole way on each exchange, over documented replies: sent, found by our id, filled.

The replies go through ccxt's own classes; none was recorded, and no exchange was ever asked.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from daemon.core.events import CancelOrder, OrderReported, Outcome
from daemon.core.instruments import InstrumentId
from daemon.core.orders import Fill, OrderState, OrderType
from daemon.core.timeframes import NS_PER_MS, NS_PER_S
from daemon.venues.budget import Budget, Limit
from daemon.venues.capabilities import CAPABILITIES
from daemon.venues.ccxt_venue import GRACE_S, CcxtVenue
from tests.contract.order_replies import DENIALS, MS, OURS, REPLIES, THEIRS, ended_short
from tests.contract.signing import SYMBOL, Signed, a_signing_client
from tests.unit.venues.orders import NOW_NS, a_look_up, an_order
from tests.virtual_time import VirtualWire, run_virtual

EXCHANGES = sorted(CAPABILITIES.keys() - {"embedded", "binance", "binanceus"})
each_exchange = pytest.mark.parametrize("exchange", EXCHANGES)
# Where the fee is taken in what was paid.
IN_QUOTE = {"kraken", "kucoin", "coinbase"}


@asynccontextmanager
async def a_venue(exchange: str) -> AsyncIterator[tuple[CcxtVenue, list[Signed]]]:
    client, signed = a_signing_client(exchange, replies=REPLIES[exchange])
    client.timeout_on_exit = 0
    venue = CcxtVenue(client, exchange)
    try:
        yield venue, signed
    finally:
        await venue.close()


def id_of(exchange: str) -> InstrumentId:
    return InstrumentId(exchange, SYMBOL)


def told_of(report: OrderReported) -> tuple[object, ...]:
    ids = (report.client_order_id, report.venue_order_id)
    return report.outcome, report.state, *ids, report.filled_quantity, report.fills


def the_whole_order(exchange: str) -> tuple[object, ...]:
    fee = (Decimal(25), "USDT") if exchange in IN_QUOTE else (Decimal("0.0005"), "BTC")
    fill = Fill(
        trade_id="123",
        price=Decimal(50_000),
        quantity=Decimal("0.5"),
        fee=fee[0],
        fee_currency=fee[1],
        ts_ns=(MS + 5) * NS_PER_MS,
    )
    state = OrderState.FILLED
    return Outcome.ACKNOWLEDGED, state, OURS, THEIRS, Decimal("0.5"), (fill,)


def test_every_exchange_that_takes_orders_has_replies_here() -> None:
    assert set(REPLIES) == set(EXCHANGES)


@each_exchange
async def test_a_reply_to_a_new_order_acknowledges_it_and_nothing_more(exchange: str) -> None:
    async with a_venue(exchange) as (venue, signed):
        report = await venue.submit(an_order(OURS, "0.5", instrument=id_of(exchange)))

        assert report.outcome is Outcome.ACKNOWLEDGED, report.reason
        assert report.venue_order_id == THEIRS
        assert report.state is OrderState.ACCEPTED
        assert [each.method for each in signed] == ["POST"]


@each_exchange
async def test_an_order_is_found_by_our_id_with_its_fills_to_the_last_digit(exchange: str) -> None:
    async with a_venue(exchange) as (venue, _):
        report = await venue.look_up(a_look_up(OURS, id_of(exchange)))

        assert told_of(report) == the_whole_order(exchange)


@each_exchange
def test_an_order_that_ended_after_a_part_of_it_is_found_with_that_part(exchange: str) -> None:
    """As one that takes what is there at once does in a thin book."""
    client, _ = a_signing_client(exchange, replies=ended_short(exchange))

    async def look_up() -> OrderReported:
        wire: Any = VirtualWire()
        venue = CcxtVenue(client, exchange, wire=wire)
        async with asyncio.timeout(600):
            return await venue.look_up(a_look_up(OURS, id_of(exchange)))

    report = run_virtual(look_up())

    assert report.outcome is Outcome.ACKNOWLEDGED, report.reason
    assert report.state in {OrderState.CANCELED, OrderState.EXPIRED}
    assert report.filled_quantity == Decimal("0.2")
    assert [each.quantity for each in report.fills] == [Decimal("0.2")]


@each_exchange
async def test_a_cancel_is_followed_by_a_look_which_alone_says_what_became_of_it(
    exchange: str,
) -> None:
    """What it cancels had been filled; Coinbase is asked for its own id first."""
    async with a_venue(exchange) as (venue, signed):
        look_up = a_look_up(OURS, id_of(exchange))
        report = await venue.cancel(
            CancelOrder(
                ts_ns=look_up.ts_ns,
                client_order_id=OURS,
                instrument=id_of(exchange),
                order_type=OrderType.LIMIT,
                venue_order_id=None,
                intended_ns=look_up.intended_ns,
                reason="test",
            )
        )

        assert told_of(report) == the_whole_order(exchange)
        cancels = [each for each in signed if each.method == "DELETE" or "ancel" in each.path]
        named = THEIRS if exchange == "coinbase" else CAPABILITIES[exchange].sent_as(OURS)
        assert len(cancels) == 1
        assert named in cancels[0].told


@each_exchange
async def test_a_second_sending_of_an_order_is_refused_here(exchange: str) -> None:
    async with a_venue(exchange) as (venue, signed):
        order = an_order(OURS, "0.5", instrument=id_of(exchange))
        await venue.submit(order)
        again = await venue.submit(order)

        assert again.outcome is Outcome.UNKNOWN
        assert len([each for each in signed if each.method == "POST"]) == 1


async def test_an_order_whose_nonce_kraken_refuses_is_refused_and_never_repeated() -> None:
    replies = {"/AddOrder": {"error": ["EAPI:Invalid nonce"]}}
    client, signed = a_signing_client("kraken", replies=replies)
    client.timeout_on_exit = 0
    venue = CcxtVenue(client, "kraken")
    order = an_order(OURS, "0.5", instrument=id_of("kraken"))
    try:
        first, again = await venue.submit(order), await venue.submit(order)
    finally:
        await venue.close()

    assert first.outcome is Outcome.REFUSED
    assert again.reason == "sent before, never sent again"
    assert len(signed) == 1


@each_exchange
def test_an_order_is_absent_only_when_all_deny_it_after_it_could_still_be_accepted(
    exchange: str,
) -> None:
    row = CAPABILITIES[exchange]
    client, signed = a_signing_client(exchange, replies=DENIALS[exchange])

    async def look_up() -> tuple[OrderReported, float]:
        wire: Any = VirtualWire()
        venue = CcxtVenue(client, exchange, grace_s=1.0, wire=wire)
        started_s = wire.monotonic_s()
        report = await venue.look_up(a_look_up(OURS, id_of(exchange)))
        return report, wire.monotonic_s() - started_s

    async def bounded() -> tuple[OrderReported, float]:
        async with asyncio.timeout(600):  # of virtual time: one that is never absent fails here
            return await look_up()

    report, took_s = run_virtual(bounded())

    assert report.outcome is Outcome.ABSENT
    assert took_s >= row.late_s + GRACE_S  # however short the configured grace is
    sources = (*row.looks, *row.last_looks)
    assert len({each.told for each in signed[-len(sources) :]}) == len(sources)


@pytest.mark.parametrize("is_back", [False, True])
def test_an_order_in_what_is_listed_no_more_is_absent_when_a_new_list_says_so_too(
    *, is_back: bool
) -> None:
    """Nothing can be asked about it, and a start that waited for an answer would never end."""
    client, signed = a_signing_client("kraken", replies=REPLIES["kraken"])
    there = client.markets
    client.markets = {"ETH/USDT": there["BTC/USDT"]}

    async def load_markets(is_anew: bool) -> None:
        if is_anew and is_back:
            client.markets = there

    client.load_markets = load_markets

    async def look_up() -> OrderReported:
        wire: Any = VirtualWire()
        venue = CcxtVenue(client, "kraken", wire=wire)
        async with asyncio.timeout(600):
            return await venue.look_up(a_look_up(OURS, id_of("kraken")))

    report = run_virtual(look_up())

    assert (report.outcome is Outcome.ABSENT) is not is_back
    assert bool(signed) is is_back


def found_on_kraken(
    to_open: dict[str, Any], to_closed: dict[str, Any]
) -> tuple[OrderReported, float]:
    """What a look-up says, and after how many virtual seconds."""
    client, _ = a_signing_client(
        "kraken", replies=REPLIES["kraken"] | {"/OpenOrders": to_open, "/ClosedOrders": to_closed}
    )

    async def look_up() -> tuple[OrderReported, float]:
        wire: Any = VirtualWire()
        venue = CcxtVenue(client, "kraken", wire=wire)
        started_s = wire.monotonic_s()
        async with asyncio.timeout(600):
            report = await venue.look_up(a_look_up(OURS, id_of("kraken")))
        return report, wire.monotonic_s() - started_s

    return run_virtual(look_up())


def test_an_id_that_kraken_calls_unknown_is_a_denial_like_an_empty_list() -> None:
    """No more: what its other list holds is found, and without one it is absent when it is late."""
    unknown = {"error": ["EOrder:Unknown order"]}
    closed = REPLIES["kraken"]["/ClosedOrders"]

    assert told_of(found_on_kraken(unknown, closed)[0]) == the_whole_order("kraken")

    report, took_s = found_on_kraken(unknown, unknown)
    assert report.outcome is Outcome.ABSENT
    assert took_s >= CAPABILITIES["kraken"].late_s + GRACE_S


def test_an_error_of_kraken_that_says_more_than_that_denies_nothing() -> None:
    busy = {"error": ["EOrder:Unknown order", "EService:Busy"]}

    with pytest.raises(TimeoutError):
        found_on_kraken(busy, busy)


@each_exchange
def test_one_source_that_fails_keeps_an_order_from_being_absent(exchange: str) -> None:
    *others, last = DENIALS[exchange].items()
    client, _ = a_signing_client(exchange, replies=dict(others))
    assert last

    async def look_up() -> None:
        wire: Any = VirtualWire()
        venue = CcxtVenue(client, exchange, grace_s=1.0, wire=wire)
        async with asyncio.timeout(600):
            await venue.look_up(a_look_up(OURS, id_of(exchange)))

    with pytest.raises(TimeoutError):
        run_virtual(look_up())


@each_exchange
def test_a_clock_that_is_ahead_makes_no_order_absent_that_may_still_be_accepted(
    exchange: str,
) -> None:
    """Its signature is good for so much longer, up to what the exchange takes as a time at all."""
    row = CAPABILITIES[exchange]
    client, _ = a_signing_client(exchange, replies=DENIALS[exchange])

    async def look_up() -> float:
        wire: Any = VirtualWire(MS * NS_PER_MS)
        client.budget = Budget(Limit(1_000, 60), wire=wire)
        client.budget.set_time(wire.now_ns() - 50 * NS_PER_S)
        venue = CcxtVenue(client, exchange, wire=wire)
        started_s = wire.monotonic_s()
        report = await venue.look_up(a_look_up(OURS, id_of(exchange)))
        assert report.outcome is Outcome.ABSENT
        return float(wire.monotonic_s() - started_s)

    took_s = run_virtual(look_up())
    assert took_s >= row.late_s + min(row.late_s, 50) + GRACE_S
    assert took_s < row.late_s + 50 + GRACE_S + 20


async def test_the_deadline_of_an_order_on_kraken_is_in_krakens_time() -> None:
    """By a clock 50 s ahead it would have been accepted for a minute instead of ten seconds."""
    client, signed = a_signing_client("kraken", replies=REPLIES["kraken"])
    client.timeout_on_exit = 0
    wire: Any = VirtualWire(MS * NS_PER_MS - round(asyncio.get_running_loop().time() * NS_PER_S))
    client.budget = Budget(Limit(1_000, 60), wire=wire)
    client.budget.set_time(wire.now_ns() - 50 * NS_PER_S)
    venue = CcxtVenue(client, "kraken", wire=wire)
    try:
        await venue.submit(an_order(OURS, "0.5", instrument=id_of("kraken")))
    finally:
        await venue.close()

    assert signed[0].fields["deadline"][0].startswith("2023-12-31T23:59:20")


@each_exchange
def test_an_old_order_of_the_same_id_is_no_answer_about_one_that_was_sent_now(
    exchange: str,
) -> None:
    """After a backup was restored a bar is decided again, and its order made under the same id."""
    client, _ = a_signing_client(exchange, replies=REPLIES[exchange])
    later_ns = NOW_NS + 600 * NS_PER_S

    async def story() -> None:
        wire: Any = VirtualWire()
        venue = CcxtVenue(client, exchange, wire=wire)
        order = an_order(OURS, "0.5", instrument=id_of(exchange))
        await venue.submit(replace(order, ts_ns=later_ns))
        question = a_look_up(OURS, id_of(exchange))
        async with asyncio.timeout(20):  # of virtual time; it can still show up
            await venue.look_up(replace(question, ts_ns=later_ns, intended_ns=later_ns))

    with pytest.raises(TimeoutError):
        run_virtual(story())
