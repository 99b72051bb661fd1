"""Finds the decision somebody asks about: by its trace, by one of its orders, or the last one.

Belongs here: names of decisions. What became of one belongs to `evidence`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from daemon.core import events as e
from daemon.core.errors import UsageRefused
from daemon.core.ids import trace_for
from daemon.core.orders import Leg
from daemon.core.timeframes import rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from daemon.store.journal_reader import JournalReader

LAST = "last"
# What is no bar's decision is told with the bar it came with.
EVENTS: Mapping[str, tuple[type[e.Event], ...]] = {
    "halt": (e.TradingHalted,),
    "swap": (e.ModelPromoted, e.ModelRolledBack),
}
TRACE_DIGITS = 32
TRACE_DIGITS_MIN = 6  # fewer hardly ever name one
NAMED_MAX = 5
_TRACE = re.compile(rf"[0-9a-f]{{{TRACE_DIGITS_MIN},{TRACE_DIGITS}}}")
_ORDER = re.compile(r"[\w.:/+=-]{1,64}")  # what exchanges call orders


class Found(Struct, frozen=True, kw_only=True):
    """A decision, how it was found, and the order that was asked for, if one was."""

    trace: str
    because: str
    client_order_id: str | None = None
    is_of_event: bool = False  # it was asked for what came with it, not for what it decided


def find(journal: JournalReader, asked: str) -> Found | None:
    """None where no decision and no order of this journal has that name; UsageRefused where
    several have, or where `last` has nothing to stand for.
    """
    if asked == LAST:
        return _last(journal)
    if asked in EVENTS:
        return _event(journal, asked)
    return _order(journal, asked) or _trace(journal, asked)


def _last(journal: JournalReader) -> Found:
    intents = [each for _, each in journal.read_kinds(e.OrderIntended) if each.leg is not Leg.STOP]
    if intents:
        newest = intents[-1]
        return Found(trace=newest.trace, because="the last decision that became an order")
    signals = (journal.latest(e.SignalEmitted), journal.latest(e.SignalSuppressed))
    told = [each for each in signals if each is not None]
    if not told:
        msg = "nothing was decided in this run yet: a decision comes with its first closed bar"
        raise UsageRefused(msg)
    last = max(told, key=lambda each: each.ts_ns)
    return Found(trace=last.trace, because="the last decision; none has become an order")


def _event(journal: JournalReader, asked: str) -> Found:
    """The newest bar by then: what came between two bars came with the earlier one."""
    events = list(journal.read_kinds(*EVENTS[asked]))
    run = journal.latest(e.RunOpened)
    if not events or run is None:
        msg = f"there was no {asked} in this run: name last, a trace or an order"
        raise UsageRefused(msg)
    step, event = events[-1]
    bars = [bar for at, closed in journal.read_kinds(e.BarsClosed) if at <= step
            for bar in closed.bars]  # fmt: skip
    if not bars:
        when = rfc3339(event.ts_ns)
        msg = f"the last {asked} came at {when}, before any bar: see the log of that time"
        raise UsageRefused(msg)
    newest = max(bars, key=lambda bar: bar.close_ns)
    trace = trace_for(newest.instrument, run.timeframe, newest.close_ns)
    because = f"the bar with which the last {asked} came (tradingd explain story: what led to it)"
    return Found(trace=trace, because=because, is_of_event=True)


def _order(journal: JournalReader, asked: str) -> Found | None:
    if not _ORDER.fullmatch(asked):
        return None
    for name, kind in (("client_order_id", e.OrderIntended), ("venue_order_id", e.OrderAccepted)):
        traces = {
            each.client_order_id: each.trace
            for _, each in journal.read_saying([f'"{name}":"{asked}"'], [kind])
            if isinstance(each, kind)
        }
        if len(traces) > 1:
            msg = f"several orders are {asked} on their exchange: name one of {_some(traces)}"
            raise UsageRefused(msg)
        for client_order_id, trace in traces.items():
            because = f"the decision of order {client_order_id}"
            return Found(trace=trace, because=because, client_order_id=client_order_id)
    return None


def _trace(journal: JournalReader, asked: str) -> Found | None:
    prefix = asked.lower()
    if not _TRACE.fullmatch(prefix):
        return None
    traces = dict.fromkeys(
        trace
        for _, event in journal.read_saying([f'"trace":"{prefix}'])
        for trace in _traces_in(msgspec.to_builtins(event))
        if trace.startswith(prefix)
    )
    if len(traces) > 1:
        msg = f"{len(traces)} decisions begin with {asked}: {_some(traces)}; write more digits"
        raise UsageRefused(msg)
    return next((Found(trace=each, because="the decision of this trace") for each in traces), None)


def _traces_in(told: object) -> Iterator[str]:
    if isinstance(told, dict):
        if isinstance(trace := told.get("trace"), str):
            yield trace
        for each in told.values():
            yield from _traces_in(each)
    elif isinstance(told, list | tuple):
        for each in told:
            yield from _traces_in(each)


def _some(names: dict[str, object] | dict[str, str]) -> str:
    first = list(names)[:NAMED_MAX]
    return ", ".join(first) + (" ..." if len(names) > NAMED_MAX else "")
