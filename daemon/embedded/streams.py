"""Market streams: turns what the market does into messages for whoever subscribed to it.

Belongs here: subscriptions and their messages. Sockets belong in connections, private events in
user_api.
"""

from collections.abc import Callable, Sequence

import orjson

from daemon.embedded.books import BookChange, PublishedBooks
from daemon.embedded.candles import candles, coarse_bar, coarse_open_ms
from daemon.embedded.connections import Connection
from daemon.embedded.dialect import (
    Payload,
    aggregate_event,
    best_level,
    candle_event,
    level_rows,
    mini_ticker_event,
    ticker_event,
    trade_event,
)
from daemon.embedded.faults import Faults
from daemon.embedded.market import MarketBar
from daemon.embedded.public import PublicData
from daemon.embedded.refusals import RequestError
from daemon.embedded.settlement import Outcome
from daemon.embedded.stage import Stage
from daemon.embedded.stream_faults import StreamFaults, wrapped
from daemon.embedded.stream_names import BAR_KINDS, BOOK_KINDS, StreamKind, StreamName, parse_stream
from daemon.embedded.tape import Step

STREAMS_MAX = 1_024
POLICY_VIOLATION = 1008


class MarketStreams:
    """All market subscriptions of one exchange; hears it as a Listener."""

    def __init__(
        self,
        exchange: Stage,
        books: PublishedBooks,
        public: PublicData,
        faults: Faults,
        *,
        tells_previous: bool = False,
    ) -> None:
        self._tells_previous = tells_previous  # each change of a book names the one before it
        self.on_bars_watched: Callable[[], None] = lambda: None
        self._exchange = exchange
        self._books = books
        self._public = public
        self._names: dict[str, dict[str, StreamName]] = {}
        self._subscribers: dict[str, dict[Connection, None]] = {}
        self._pending: list[tuple[StreamName, Payload]] = []
        self._faults = StreamFaults(exchange, faults, self._past_candle)
        books.on_change = self._book_changed

    def on_message(self, connection: Connection, text: str) -> None:
        """Handle SUBSCRIBE, UNSUBSCRIBE and LIST_SUBSCRIPTIONS."""
        request_id: object = None
        try:
            message = _message(text)
            request_id = message.get("id")
            names = self._command(connection, message)
        except RequestError as error:
            refusal = {"code": error.code, "msg": error.text}
            connection.send({"error": refusal, "id": request_id})
            return
        is_list = message.get("method") == "LIST_SUBSCRIPTIONS"
        result = self._texts_of(connection) if is_list else None
        connection.send({"result": result, "id": request_id})
        self.subscribe(connection, names)

    def subscribe_texts(self, connection: Connection, texts: Sequence[str]) -> None:
        """Subscribe by names from a url; RequestError for one that does not exist."""
        self.subscribe(connection, [parse_stream(self._exchange.tape, each) for each in texts])

    def subscribe(self, connection: Connection, names: Sequence[StreamName]) -> None:
        """Add subscriptions; each new one starts with what a client needs to know where it is."""
        for name in names:
            self._names.setdefault(name.symbol_id, {})[name.text] = name
            self._subscribers.setdefault(name.text, {})[connection] = None
            self._faults.subscribed(connection, name)
            for payload in self._greeting(name):
                told = wrapped(name, payload) if connection.is_combined else payload
                self._faults.send(connection, name, payload, orjson.dumps(told))
        most = connection.streams_max
        if most is not None and len(self._texts_of(connection)) > most:
            connection.close_soon(POLICY_VIOLATION)
        if any(name.kind in BAR_KINDS for name in names):
            self.on_bars_watched()

    def drop(self, connection: Connection) -> None:
        self._unsubscribe(connection, self._texts_of(connection))
        self._faults.drop(connection)

    def close(self) -> None:
        """Forget what was to be sent later."""
        self._faults.close()

    def stepped(self, step: Step) -> None:
        event_ms = self._exchange.clock.market_ms()
        names = self._of(step.symbol_id)
        for name in names:
            if name.kind is StreamKind.TRADE and step.volume:
                self._pending.append((name, trade_event(step, event_ms)))
            elif name.kind is StreamKind.AGGREGATE_TRADE and step.volume:
                self._pending.append((name, aggregate_event(step, event_ms)))
            elif name.kind is StreamKind.KLINE and self._shows_partial(step):
                self._add_partial(name)
        if any(name.kind in BOOK_KINDS for name in names):
            self._books.refresh(step.symbol_id)

    def _shows_partial(self, step: Step) -> bool:
        """The last price of a slot is told by its closed candle, which follows at once."""
        last_ms = self._exchange.tape.slot_open_ms + self._exchange.market.timeframe_ms - 1
        return self._exchange.clock.bars_per_s is not None and step.ts_ms < last_ms

    def settled(self, outcome: Outcome) -> None:
        for symbol_id in {report.order.symbol_id for report in outcome.reports}:
            if any(name.kind in BOOK_KINDS for name in self._of(symbol_id)):
                self._books.refresh(symbol_id)

    def closed(self, bars: Sequence[tuple[str, MarketBar]]) -> None:
        for symbol_id, bar in bars:
            for name in self._of(symbol_id):
                if name.kind is StreamKind.KLINE:
                    self._add_closed(name, bar)
                elif name.kind in (StreamKind.TICKER, StreamKind.MINI_TICKER):
                    self._pending.append((name, self._ticker(name)))

    def flush(self) -> None:
        pending, self._pending = self._pending, []
        for name, payload in pending:
            raw: bytes | None = None
            combined: bytes | None = None
            for connection in self._subscribers.get(name.text, ()):
                if connection.is_combined:
                    combined = combined or orjson.dumps(wrapped(name, payload))
                    self._faults.send(connection, name, payload, combined)
                else:
                    raw = raw or orjson.dumps(payload)
                    self._faults.send(connection, name, payload, raw)

    def _command(self, connection: Connection, message: dict[str, object]) -> list[StreamName]:
        """Carry out all but the subscribing; that follows the reply."""
        texts = message.get("params") or []
        if not isinstance(texts, list):
            raise RequestError(2, "Invalid request: params is not a list")
        method = message.get("method")
        if method == "SUBSCRIBE":
            if len(self._texts_of(connection)) + len(texts) > STREAMS_MAX:
                raise RequestError(2, f"Invalid request: more than {STREAMS_MAX} streams")
            return [parse_stream(self._exchange.tape, str(each)) for each in texts]
        if method == "UNSUBSCRIBE":
            self._unsubscribe(connection, [str(each) for each in texts])
        elif method != "LIST_SUBSCRIPTIONS":
            raise RequestError(2, "Invalid request: unknown method")
        return []

    def _add_closed(self, name: StreamName, bar: MarketBar) -> None:
        tape = self._exchange.tape
        if name.length_ms != tape.market.timeframe_ms:
            open_ms = coarse_open_ms(name.length_ms, bar.open_ms)
            coarse = coarse_bar(tape, name.symbol_id, name.length_ms, open_ms)
            if coarse is None:
                return
            bar = coarse
        is_closed = bar.open_ms + name.length_ms <= tape.closed_ms
        self._pending.append((name, self._candle(name, bar, is_closed=is_closed)))
        if is_closed and self._exchange.clock.bars_per_s is None:
            # As on a real exchange the next bar opens at once; here it stays flat until it is due.
            self._add_partial(name)

    def _add_partial(self, name: StreamName) -> None:
        tape = self._exchange.tape
        partial = tape.partial(name.symbol_id)
        if partial is not None and name.length_ms != tape.market.timeframe_ms:
            open_ms = coarse_open_ms(name.length_ms, partial.open_ms)
            partial = coarse_bar(tape, name.symbol_id, name.length_ms, open_ms)
        if partial is not None:
            self._pending.append((name, self._candle(name, partial, is_closed=False)))

    def _greeting(self, name: StreamName) -> list[Payload]:
        if name.kind is StreamKind.KLINE:
            return self._last_candles(name)
        if name.kind in (StreamKind.TICKER, StreamKind.MINI_TICKER):
            return [self._ticker(name)]
        if name.kind in (StreamKind.BOOK_TICKER, StreamKind.PARTIAL_DEPTH):
            return [self._book(name)]
        return []

    def _last_candles(self, name: StreamName) -> list[Payload]:
        tape = self._exchange.tape
        closed: list[Payload] = []
        partial: list[Payload] = []
        for bar in candles(tape, name.symbol_id, name.length_ms, limit=2):
            close_ms = bar.open_ms + name.length_ms
            if close_ms > tape.closed_ms:
                partial.append(self._candle(name, bar, is_closed=False))
            elif close_ms > tape.market.from_ms:
                closed.append(self._candle(name, bar, is_closed=True))
        return closed[-1:] + partial

    def _past_candle(self, name: StreamName, bars: int) -> Payload | None:
        """The closed candle so many bars before the newest one."""
        tape = self._exchange.tape
        found = candles(tape, name.symbol_id, name.length_ms, limit=bars + 2)
        closed = [bar for bar in found if bar.open_ms + name.length_ms <= tape.closed_ms]
        return self._candle(name, closed[0], is_closed=True) if closed else None

    def _candle(self, name: StreamName, bar: MarketBar, *, is_closed: bool) -> Payload:
        event_ms = self._exchange.clock.market_ms()
        return candle_event(
            name.symbol_id,
            name.interval,
            name.length_ms,
            bar,
            is_closed=is_closed,
            event_ms=event_ms,
        )

    def _ticker(self, name: StreamName) -> Payload:
        day = self._public.day_of(name.symbol_id)
        event_ms = self._exchange.clock.market_ms()
        is_mini = name.kind is StreamKind.MINI_TICKER
        return mini_ticker_event(day, event_ms) if is_mini else ticker_event(day, event_ms)

    def _book(self, name: StreamName) -> Payload:
        bids, asks = self._books.current(name.symbol_id)
        update_id = self._books.update_id(name.symbol_id)
        if name.kind is StreamKind.PARTIAL_DEPTH:
            rows = {"bids": level_rows(bids, name.levels), "asks": level_rows(asks, name.levels)}
            return {"lastUpdateId": update_id, **rows}
        (bid, bid_quantity), (ask, ask_quantity) = best_level(bids), best_level(asks)
        sides = {"b": bid, "B": bid_quantity, "a": ask, "A": ask_quantity}
        return {"u": update_id, "s": name.symbol_id, **sides}

    def _book_changed(self, change: BookChange) -> None:
        event_ms = self._exchange.clock.market_ms()
        for name in self._of(change.symbol_id):
            if name.kind is StreamKind.DEPTH:
                update = {"U": change.update_id, "u": change.update_id}
                if self._tells_previous:
                    update |= {"pu": change.update_id - 1, "T": event_ms}
                sides = {"b": level_rows(change.bids), "a": level_rows(change.asks)}
                head = {"e": "depthUpdate", "E": event_ms, "s": change.symbol_id}
                self._pending.append((name, {**head, **update, **sides}))
            elif name.kind in BOOK_KINDS:
                self._pending.append((name, self._book(name)))

    def _of(self, symbol_id: str) -> list[StreamName]:
        return list(self._names.get(symbol_id, {}).values())

    def _texts_of(self, connection: Connection) -> list[str]:
        return [text for text, found in self._subscribers.items() if connection in found]

    def _unsubscribe(self, connection: Connection, texts: Sequence[str]) -> None:
        for text in texts:
            subscribers = self._subscribers.get(text, {})
            subscribers.pop(connection, None)
            if not subscribers:
                self._subscribers.pop(text, None)
                for names in self._names.values():
                    names.pop(text, None)


def _message(text: str) -> dict[str, object]:
    try:
        message = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise RequestError(3, "Invalid JSON") from None
    if not isinstance(message, dict):
        raise RequestError(2, "Invalid request: not an object")
    return message
