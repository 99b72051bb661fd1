"""The few sentences on top of an explanation: what was done, why, and what it came to.

Belongs here: picking what decided. The whole of it stands below, in `words`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from daemon.core import events as e
from daemon.core.instruments import plain
from daemon.core.orders import Leg
from daemon.reports.explaining.evidence import DURING
from daemon.reports.explaining.forms import BPS, moment, signed, with_capital
from daemon.reports.explaining.model_words import halted, resumed, stopped, swapped
from daemon.reports.explaining.order_words import came_of, outcome_text
from daemon.reports.explaining.risk_words import verdict_text
from daemon.reports.explaining.vocabulary import BOUND, ENDED, SIGNALLED, SUPPRESSED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.reports.explaining.evidence import Evidence
    from daemon.reports.explaining.facts import Told


def summary(told: Told) -> Iterator[str]:
    """What, why, and what came of it."""
    found = told.evidence
    if told.is_of_event:
        yield from _events(told)
    for signal in found.signals:
        yield _signalled(signal)
    for suppressed in found.suppressed:
        yield _suppressed(suppressed, is_alone=not found.signals)
    if not found.signals and not found.suppressed:
        yield _undecided(found)
    for verdict in found.verdicts:
        yield _judged(verdict, told)
    if found.signals and not found.verdicts:
        yield "Risk has not answered yet: the order book was asked for."
    yield from _came_of_it(told)
    if told.recomputed.difference is not None:
        yield "TODAY'S CODE DECIDES THIS DIFFERENTLY: see below."


def _came_of_it(told: Told) -> Iterator[str]:
    found = told.evidence
    if any(isinstance(each, e.OrderApproved) for each in found.verdicts):
        yield _worked(found)
    if not told.is_of_event:
        yield from _events(told)
    for resolved in found.outcomes:
        if not resolved.is_shadow:
            yield f"{with_capital(outcome_text(resolved))}."
    if found.trade is not None:
        yield f"The round trip of it: {came_of(told)}."


def _events(told: Told) -> Iterator[str]:
    """What is no bar's decision, and bears on this one."""
    found = told.evidence
    denied = {each.reason for each in found.verdicts if isinstance(each, e.OrderDenied)}
    if e.DenyReason.HALTED in denied:
        for halt in found.halts.values():
            yield f"The halt is in force since {moment(halt.ts_ns)}: {halted(halt)}."
    for event in (*found.happened[DURING], *found.life[DURING]):
        if isinstance(event, e.TradingHalted):
            yield f"With this bar {stopped(event)}."
        elif isinstance(event, e.TradingResumed):
            yield f"With this bar {resumed(event)}."
        elif isinstance(event, e.ModelPromoted | e.ModelRolledBack):
            yield f"{_swapped(event, found)}: {swapped(event)}."


def _swapped(event: e.ModelPromoted | e.ModelRolledBack, found: Evidence) -> str:
    since = "and decided this bar" if found.predicted_by == event.model else "from the next bar on"
    did = "took over from" if isinstance(event, e.ModelPromoted) else "came back in the place of"
    return f"With this bar model {event.model} {did} {event.replaced}, {since}"


def _signalled(signal: e.SignalEmitted) -> str:
    numbers = ""
    if signal.reason in {e.SignalReason.MODEL, e.SignalReason.EXTENDED}:
        up, edge = signal.probability_up, signal.edge_ratio
        if up is not None and edge is not None:
            numbers = f" (probability of up {up:.4f}, expected {signed(edge * BPS, 2)} bps net)"
    elif signal.reason is e.SignalReason.OPPOSITE and signal.probability_up is not None:
        numbers = f" (probability of up {signal.probability_up:.4f})"
    wanted = {
        e.Direction.LONG: "It wanted to be long",
        e.Direction.SHORT: "It wanted to be short",
        e.Direction.FLAT: "It wanted out",
    }[signal.direction]
    if signal.reason is e.SignalReason.EXTENDED:
        wanted = wanted.replace("be", "stay")
    if signal.close_ratio < 1.0:
        wanted = f"It wanted to close {100 * signal.close_ratio:g} % of it"
    return f"{wanted}: {SIGNALLED[signal.reason]}{numbers}."


def _suppressed(event: e.SignalSuppressed, *, is_alone: bool) -> str:
    numbers = ""
    if event.reason is e.SuppressReason.LOW_CONFIDENCE and event.confidence is not None:
        limit = event.limit or 0.0
        numbers = f": confidence {event.confidence:.4f}, at least {limit:g} is asked for"
    elif event.reason is e.SuppressReason.BELOW_COST and event.edge_ratio is not None:
        numbers = f": {signed(event.edge_ratio * BPS, 2)} bps after costs, more than 0 is asked for"
    up = event.probability_up
    said = "" if up is None else f" (the model gave {up:.4f} for up)"
    begin = "Nothing was done" if is_alone else "Nothing new was wanted"
    return f"{begin}: {SUPPRESSED[event.reason]}{numbers}{said}."


def _undecided(found: Evidence) -> str:
    if found.orders:
        return "No signal of this trace is in the journal: its orders were adopted."
    return "Nothing was decided yet: the bar waits for one of another instrument."


def _judged(verdict: e.OrderApproved | e.OrderDenied, told: Told) -> str:
    if isinstance(verdict, e.OrderDenied):
        return f"Risk said {verdict_text(verdict, told)}."
    base = told.evidence.listed.base
    return (
        f"Risk allowed to {verdict.side} {plain(verdict.quantity)} {base}, bound by "
        f"{BOUND[verdict.bound_by]}."
    )


def _worked(found: Evidence) -> str:
    tales = [each for each in found.orders.values() if each.intent.leg is not Leg.STOP]
    fills = [fill for tale in tales for fill in tale.fills]
    end = found.ends[0] if found.ends else None
    if not fills:
        why = "it is still being worked off" if end is None else ENDED[end.reason]
        return f"Nothing of it was filled: {why}."
    quantity = sum((each.quantity for each in fills), Decimal(0))
    price = sum((each.price * each.quantity for each in fills), Decimal(0)) / quantity
    did = "Bought" if fills[0].side.value == "buy" else "Sold"
    orders = "1 order" if len(tales) == 1 else f"{len(tales)} orders"
    return (
        f"{did} {plain(quantity)} {found.listed.base} at {plain(round(price, 8))} by {orders}, "
        f"the last fill at {moment(fills[-1].ts_ns)}."
    )
