"""The lines of an order's life: turns what became of it into fields, from quote to last fill.

Belongs here: what stands in a line about an order. Which event becomes which line belongs to `tap`.
"""

from collections.abc import Iterator

from daemon.core import events as e
from daemon.core.instruments import plain
from daemon.core.orders import Side
from daemon.core.timeframes import NS_PER_MS
from daemon.logs import parts
from daemon.logs.parts import Fields, Memory


def quotes_taken(event: e.QuotesTaken, _: Memory) -> Iterator[Fields]:
    for quote in event.quotes:
        yield {
            "trace": event.trace,
            **parts.named(quote.instrument),
            **parts.at(event),
            "direction": event.direction,
            "bid": parts.price(quote.best(Side.SELL)),
            "ask": parts.price(quote.best(Side.BUY)),
            "levels": len(quote.bids) + len(quote.asks),
            "error": quote.error or None,
        }


def order_submitted(event: e.OrderIntended, closes: Memory) -> Iterator[Fields]:
    yield {
        **parts.order(event, closes),
        "side": event.side,
        "order_type": event.order_type,
        "quantity": plain(event.quantity),
        "decision_price": plain(event.decision_price),
        "leg": event.leg,
        "is_exit": event.is_exit,
        "price": parts.price(event.price),
        "stop_price": parts.price(event.stop_price),
        "arrival_price": parts.price(event.arrival_price),
    }


def order_reported(event: e.OrderReported, _: Memory) -> Iterator[Fields]:
    yield {
        "order": event.client_order_id,
        **parts.at(event),
        "outcome": event.outcome,
        "source": event.source,
        "state": event.state,
        "reason": event.reason or None,
    }


def order_accepted(event: e.OrderAccepted, closes: Memory) -> Iterator[Fields]:
    yield {**parts.order(event, closes), "venue_order": event.venue_order_id}


def order_ended(
    event: e.OrderRefused
    | e.OrderNotSent
    | e.OrderOutcomeUnknown
    | e.OrderAbsent
    | e.OrderCancelRequested,
    closes: Memory,
) -> Iterator[Fields]:
    yield {**parts.order(event, closes), "reason": event.reason}


def order_filled(event: e.OrderFilled, closes: Memory) -> Iterator[Fields]:
    close_ns = closes.get(event.trace)
    yield {
        **parts.order(event, closes),
        "side": event.side,
        "quantity": plain(event.quantity),
        "price": plain(event.price),
        "fee": plain(event.fee),
        "fee_currency": event.fee_currency,
        "slippage_bps": round(event.slippage_bps, 2),
        "leaves_quantity": plain(event.leaves_quantity),
        "trade_id": event.trade_id,
        "is_maker": event.is_maker,
        "bar_to_fill_ms": None if close_ns is None else (event.ts_ns - close_ns) // NS_PER_MS,
        "arrival_slippage_bps": event.arrival_slippage_bps,
    }


def order_adopted(event: e.OrderFilled, closes: Memory) -> Iterator[Fields]:
    if event.is_adopted:
        quantity = plain(event.quantity)
        yield {**parts.order(event, closes), "trade_id": event.trade_id, "quantity": quantity}


def order_completed(event: e.OrderCompleted, closes: Memory) -> Iterator[Fields]:
    quantity = plain(event.filled_quantity)
    yield {**parts.order(event, closes), "state": event.state, "quantity": quantity}


def order_worked(event: e.ParentEnded, closes: Memory) -> Iterator[Fields]:
    yield {
        **parts.decided(event.instrument, event.trace, closes),
        "is_exit": event.is_exit,
        "reason": event.reason,
        "wanted_quantity": plain(event.wanted_quantity),
        "filled_quantity": plain(event.filled_quantity),
    }


def protection_failed(event: e.ProtectionFailed, closes: Memory) -> Iterator[Fields]:
    yield {
        **parts.decided(event.instrument, event.trace, closes),
        "reason": event.reason,
        "attempts": event.attempts,
    }


def fees_drifted(event: e.FeesDrifted, _: Memory) -> Iterator[Fields]:
    yield {
        "exchange": event.exchange,
        **parts.at(event),
        "expected_bps": event.expected_bps,
        "charged_bps": event.charged_bps,
        "fills": event.fills,
    }
