"""What became of a decision: its orders, their fills, the position, the outcome, the round trip.

Belongs here: wording of what followed the verdict. How it came to the verdict belongs to `words`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from daemon.core import events as e
from daemon.core.instruments import plain
from daemon.core.orders import Leg, OrderType, Side
from daemon.reports.explaining.forms import BPS, duration, moment, money, signed
from daemon.reports.explaining.vocabulary import ENDED, SIGNALLED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.reports.explaining.evidence import Evidence, OrderTale
    from daemon.reports.explaining.facts import Told

LEGS = {Leg.ENTRY: "entry", Leg.EXIT: "exit", Leg.STOP: "protective stop"}


def order_lines(told: Told) -> Iterator[str]:
    found = told.evidence
    for tale in found.orders.values():
        yield _intent(tale, is_asked=tale.intent.client_order_id == told.client_order_id)
        for event in tale.events:
            text = _event(event, found)
            if text:
                after = event.ts_ns - found.close_ns
                yield f"    {_after(after):<10} {text}"
        yield from _paid(tale, found)
    for end in found.ends:
        filled = f"{plain(end.filled_quantity)} of {plain(end.wanted_quantity)}"
        yield f"worked off: {filled} {found.listed.base}: {ENDED[end.reason]} ({end.reason})"


def _intent(tale: OrderTale, *, is_asked: bool) -> str:
    intent = tale.intent
    how = {
        OrderType.MARKET: "at the market",
        OrderType.LIMIT: f"at {plain(intent.price)} or better" if intent.price else "",
        OrderType.STOP: f"once {plain(intent.stop_price)} trades" if intent.stop_price else "",
    }[intent.order_type]
    arrival = ""
    if intent.arrival_price is not None:
        arrival = f", first price of the book {plain(intent.arrival_price)}"
    decided = "" if intent.leg is Leg.STOP else f"; decided at {plain(intent.decision_price)}"
    asked = "  <- asked for" if is_asked else ""
    what = f"{intent.side} {plain(intent.quantity)} {how}"
    return f"{intent.client_order_id}  {LEGS[intent.leg]}: {what}{decided}{arrival}{asked}"


def _after(length_ns: int) -> str:
    return f"+{duration(length_ns)}" if length_ns > 0 else "+0"


def _event(event: e.Event, found: Evidence) -> str:
    """What is worth a line; an acknowledgement is one with the acceptance it causes."""
    if isinstance(event, e.OrderAccepted):
        known = f" as {event.venue_order_id}" if event.venue_order_id else ""
        return f"the exchange has it{known}"
    if isinstance(event, e.OrderFilled):
        slips = f"{signed(event.slippage_bps, 2)} bps against the decision"
        if event.arrival_slippage_bps is not None:
            slips += f", {signed(event.arrival_slippage_bps, 2)} against the book"
        rested = ", having rested" if event.is_maker else ""
        late = "; it was believed dead" if event.is_adopted else ""
        return (
            f"filled {plain(event.quantity)} at {plain(event.price)} ({slips}{rested}), fee "
            f"{plain(event.fee)} {event.fee_currency}{late}"
        )
    if isinstance(event, e.OrderCompleted):
        return f"{event.state}, {plain(event.filled_quantity)} {found.listed.base} filled"
    if isinstance(event, e.OrderCancelRequested):
        return f"to be cancelled: {event.reason}"
    names: dict[type[e.Event], str] = {
        e.OrderRefused: "REFUSED by the exchange",
        e.OrderNotSent: "never left this machine",
        e.OrderOutcomeUnknown: "nobody knows what became of it; looked for",
        e.OrderAbsent: "the exchange never had it",
    }
    name = names.get(type(event), "")
    return f"{name}: {getattr(event, 'reason', '')}" if name else ""


def _paid(tale: OrderTale, found: Evidence) -> Iterator[str]:
    """Average price of all fills and what it cost beyond the decision."""
    fills = tale.fills
    if not fills:
        return
    quantity = sum((each.quantity for each in fills), Decimal(0))
    notional = sum((each.price * each.quantity for each in fills), Decimal(0))
    price, decision = notional / quantity, tale.intent.decision_price
    worse = price - decision if tale.intent.side is Side.BUY else decision - price
    yield (
        f"    in all: {plain(quantity)} at {plain(round(price, 8))}, "
        f"{signed(float(worse / decision) * BPS, 2)} bps = "
        f"{signed(float(worse * quantity), 4)} {found.listed.quote} slippage "
        "(positive is worse for us)"
    )


def outcome_lines(told: Told) -> Iterator[str]:
    found = told.evidence
    currency = found.run.currency
    for changed in found.positions:
        held = f"{plain(changed.quantity)} {found.listed.base}"
        at = f" at {plain(round(changed.average_price, 8))}" if changed.quantity else ""
        at += f", and {plain(changed.dust)} too little to be sold" if changed.dust else ""
        yield (
            f"position {moment(changed.ts_ns)}: {held}{at}, equity {money(changed.equity_quote)} "
            f"{currency}, exposure {100 * changed.exposure_ratio:.2f} %"
        )
    for resolved in found.outcomes:
        yield outcome_text(resolved)
    if not found.outcomes and isinstance(found.prediction, e.Prediction):
        yield "the prediction: its horizon is not over in this journal"
    yield from trip_lines(told)


def outcome_text(resolved: e.PredictionResolved) -> str:
    name = "the prediction"
    if resolved.is_shadow:
        name += f" of {resolved.model}, on which nothing was decided"
    if resolved.outcome is None:
        return f"{name}: never to be known ({resolved.reason or 'no reason told'})"
    came = "up" if resolved.outcome == 1 else "down"
    is_right = (resolved.probability_up > 0.5) == (resolved.outcome == 1)
    moved = ""
    if resolved.return_ratio is not None:
        moved = f", {signed(resolved.return_ratio * BPS, 2)} bps by {moment(resolved.ts_ns)}"
    said = f"{'right' if is_right else 'wrong'}; it said {resolved.probability_up:.4f} up"
    return f"{name}: {said}, it went {came}{moved}"


def trip_lines(told: Told) -> Iterator[str]:
    found, trade = told.evidence, told.evidence.trade
    if trade is None:
        return
    currency = found.run.currency
    entry = "" if trade.entry_price is None else f" at {plain(round(trade.entry_price, 8))}"
    yield f"round trip: {trade.direction} {plain(trade.entry_quantity)}{entry}, {came_of(told)}"
    yield (
        f"    fees {money(trade.fees_quote)} {currency}, slippage "
        f"{signed(float(trade.slippage_quote), 2)} {currency} of it"
    )
    if trade.entry_trace != found.trace:
        yield f"    it was begun by trace {trade.entry_trace}"
    if trade.return_ratio is not None and trade.exit_trace != found.trace:
        yield f"    it was ended by trace {trade.exit_trace}"


def came_of(told: Told) -> str:
    trade = told.evidence.trade
    assert trade is not None, "asked before"
    if trade.return_ratio is None:
        return "still open"
    price = "" if trade.exit_price is None else f" at {plain(round(trade.exit_price, 8))}"
    lasted = duration(trade.closed_ns - trade.opened_ns)
    return (
        f"closed{price} after {lasted}{ended_by(told)}: {signed(100 * trade.return_ratio, 3)} % "
        "net of fees"
    )


def ended_by(told: Told) -> str:
    """By its stop, or by which signal."""
    found, trade = told.evidence, told.evidence.trade
    stops = [each for each in found.orders.values() if each.intent.leg is Leg.STOP]
    is_own = trade is not None and trade.exit_trace == found.trace
    if is_own and any(each.fills for each in stops):
        return " by its protective stop"
    own = [each for each in found.signals if each.direction is e.Direction.FLAT]
    signal = found.exit_signal or next(iter(own), None)
    return "" if signal is None else f" because {SIGNALLED[signal.reason]}"
