"""Names of market streams: reads "btcusdt@kline_1h" into what it asks for.

Belongs here: the grammar of names. What is sent on a stream belongs in streams.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from daemon.embedded.candles import interval_length_ms
from daemon.embedded.refusals import RequestError
from daemon.embedded.tape import Tape


class StreamKind(StrEnum):
    KLINE = "kline"
    TRADE = "trade"
    AGGREGATE_TRADE = "aggTrade"
    BOOK_TICKER = "bookTicker"
    DEPTH = "depth"
    PARTIAL_DEPTH = "partialDepth"
    TICKER = "ticker"
    MINI_TICKER = "miniTicker"


# Whoever listens to one of these can follow the bars, so a market with a pace may start.
BAR_KINDS = frozenset({StreamKind.KLINE, StreamKind.TRADE, StreamKind.AGGREGATE_TRADE})
BOOK_KINDS = frozenset({StreamKind.BOOK_TICKER, StreamKind.DEPTH, StreamKind.PARTIAL_DEPTH})
DEPTH_PATTERN = re.compile(r"depth(?P<levels>5|10|20)?(@1000?ms)?")


@dataclass(frozen=True, slots=True)
class StreamName:
    """One stream: `length_ms` and `interval` are set for klines, `levels` for partial depth."""

    text: str
    symbol_id: str
    kind: StreamKind
    interval: str = ""
    length_ms: int = 0
    levels: int = 0


def parse_stream(tape: Tape, text: str) -> StreamName:
    """RequestError 2, as the stream server words it, for a stream that does not exist here."""
    symbol, _, rest = text.partition("@")
    symbol_id = symbol.upper()
    refusal = RequestError(2, f"Invalid request: no such stream {text!r}")
    if symbol != symbol.lower() or symbol_id not in tape.market.symbols:
        raise refusal
    if rest.startswith("kline_"):
        interval = rest.removeprefix("kline_")
        try:
            length_ms = interval_length_ms(tape, interval)
        except RequestError:
            raise refusal from None
        return StreamName(text, symbol_id, StreamKind.KLINE, interval, length_ms)
    depth = DEPTH_PATTERN.fullmatch(rest)
    if depth is not None:
        levels = int(depth["levels"] or 0)
        kind = StreamKind.PARTIAL_DEPTH if levels else StreamKind.DEPTH
        return StreamName(text, symbol_id, kind, levels=levels)
    try:
        return StreamName(text, symbol_id, StreamKind(rest))
    except ValueError:
        raise refusal from None
