"""What orders paid against decision, quote and book, and which settings follow."""

from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from daemon.core import events as e
from daemon.core.orders import Leg
from daemon.reports.slippage import measured, paid, suggested
from tests.builders import BTC, OPEN_NS, an_intent, an_order_filled, quotes_taken

D = Decimal
MS = 1_000_000


def an_order(ours: str, price: str, *, quantity: str = "2", **changes: Any) -> list[e.Event]:
    """A market buy decided at 100, quoted 1 at 100.1 and 5 at 100.3, filled 300 ms later."""
    quote = e.Quote(
        instrument=BTC,
        taken_ns=OPEN_NS,
        bids=((D("99.9"), D(5)),),
        asks=((D("100.1"), D(1)), (D("100.3"), D(5))),
    )
    intended = {
        "ts_ns": OPEN_NS,
        "client_order_id": ours,
        "quantity": D(quantity),
        "decision_price": D(100),
        "arrival_price": D("100.1"),
    }
    return [
        quotes_taken(quotes=(quote,)),
        an_intent(**(intended | changes)),
        an_order_filled(
            ts_ns=OPEN_NS + 300 * MS,
            client_order_id=ours,
            trade_id=ours,
            price=D(price),
            quantity=D(quantity),
        ),
    ]


def test_an_order_is_held_against_its_decision_its_quote_and_the_book_it_saw() -> None:
    (order,) = paid(an_order("tda", "100.4"))

    assert order.decision_bps == 40.0
    assert order.arrival_bps == 29.97
    assert order.walked == D("100.2")
    assert order.beyond_book_bps == 19.9601
    assert order.latency_ms == 300.0


def test_a_book_too_thin_or_of_another_moment_tells_nothing_of_what_came_beyond_it() -> None:
    thin = paid(an_order("tda", "100.4", quantity="9"))
    other = paid(an_order("tdb", "100.4", arrival_price=D("101")))

    assert [each.beyond_book_bps for each in thin + other] == [None, None]


def test_protective_stops_and_orders_without_fills_are_left_out() -> None:
    events = [*an_order("tda", "95", leg=Leg.STOP), *an_order("tdb", "100.4")[:2]]

    assert paid(events) == []


def test_settings_follow_from_enough_orders_and_never_from_luck() -> None:
    events = [each for number in range(20) for each in an_order(f"td{number}", "100.4")]
    known = suggested(paid(events))

    assert known is not None
    assert known.slippage_bps == 40.0
    assert known.paper_extra_slippage_bps == 19.96
    assert (known.paper_latency_ms, known.paper_latency_jitter_ms) == (300, 0)
    assert suggested(paid(events[:-3])) is None
    still = [replace(each, ts_ns=OPEN_NS) for each in events]
    waited = suggested(paid(still))
    assert waited is not None
    assert waited.paper_latency_ms is None
    lucky = [each for number in range(20) for each in an_order(f"td{number}", "99")]
    told = suggested(paid(lucky))
    assert told is not None
    assert (told.slippage_bps, told.paper_extra_slippage_bps) == (0.0, 0.0)


def test_nothing_is_measured_of_nothing() -> None:
    known = measured([])

    assert (known.decision, known.arrival, known.beyond_book) == (None, None, None)
