"""Parts of log lines: names, times and numbers in the one form that all lines share.

Belongs here: the form of a value. Which line has which value belongs to `lines` and `order_lines`.
"""

from decimal import Decimal
from typing import Any, TypeAlias

from daemon.core import events as e
from daemon.core.bars import Bar
from daemon.core.ids import trace_for
from daemon.core.instruments import InstrumentId, plain
from daemon.core.timeframes import NS_PER_S, SECONDS, rfc3339

Fields: TypeAlias = dict[str, object]
Memory: TypeAlias = dict[str, int]  # trace of a decision -> close of its bar


def timeframe(length_ns: int) -> str:
    """The largest unit that fits, as the configuration writes it."""
    seconds = length_ns // NS_PER_S
    unit = next(each for each in ("d", "h", "m", "s") if seconds % SECONDS[each] == 0)
    return f"{seconds // SECONDS[unit]}{unit}"


def named(instrument: InstrumentId) -> Fields:
    return {"exchange": instrument.exchange, "symbol": instrument.symbol}


def place(instrument: InstrumentId | None) -> str:
    """Where something was measured: in one symbol, or in all of them together."""
    return "all" if instrument is None else instrument.symbol


def bar(instrument: InstrumentId, trace: str, close_ns: int) -> Fields:
    return {"trace": trace, **named(instrument), "bar": rfc3339(close_ns)}


def own_bar(made: Bar) -> Fields:
    trace = trace_for(made.instrument, timeframe(made.close_ns - made.open_ns), made.close_ns)
    return bar(made.instrument, trace, made.close_ns)


def decided(instrument: InstrumentId, trace: str, closes: Memory) -> Fields:
    close_ns = closes.get(trace)
    bar = None if close_ns is None else rfc3339(close_ns)
    return {"trace": trace, **named(instrument), "bar": bar}


def order(event: Any, closes: Memory) -> Fields:
    return {**decided(event.instrument, event.trace, closes), "order": event.client_order_id}


def at(event: e.Event) -> Fields:
    return {"at": rfc3339(event.ts_ns)}


def decimal(value: float) -> str:
    """A price or volume of a bar as plain decimal text, exactly."""
    return plain(Decimal(repr(value)))


def ratio(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def probability(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def price(value: Decimal | None) -> str | None:
    return None if value is None else plain(value)
