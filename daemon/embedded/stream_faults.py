"""Spoils streams on purpose: stands between a stream's message and the connections it goes to.

Belongs here: what a fault does to a message or to the connection that carries it. What it does to
the candle inside belongs in candle_faults, whether it strikes in faults.
"""

import asyncio
from collections.abc import Callable

import orjson

from daemon.embedded.candle_faults import CandleFaults
from daemon.embedded.connections import Connection
from daemon.embedded.dialect import Payload
from daemon.embedded.fault_kinds import Face, FaultKind
from daemon.embedded.fault_rules import Candle, FaultRule
from daemon.embedded.faults import Faults
from daemon.embedded.stage import Stage
from daemon.embedded.stream_names import StreamKind, StreamName

Stream = tuple[Connection, str]
SILENCING = frozenset({FaultKind.DROP, FaultKind.STALL, FaultKind.CLOSE})
Past = Callable[[StreamName, int], Payload | None]


class StreamFaults:
    """The last station of every market message; `past` makes the message of a candle of the past.

    A stalled, repeating or deaf stream stays so until its connection ends; one that is dropped for
    some bars stays so on every connection.
    """

    def __init__(self, exchange: Stage, faults: Faults, past: Past) -> None:
        self._exchange = exchange
        self._faults = faults
        self._past = past
        self._candles = CandleFaults(exchange, faults)
        self._stalled: set[Stream] = set()
        self._repeated: dict[Stream, bytes] = {}
        self._deaf_until_ms: dict[Stream, int] = {}
        self._dropped_until_ms: dict[str, int] = {}
        self._late: set[asyncio.TimerHandle] = set()

    def drop(self, connection: Connection) -> None:
        """The connection has ended."""
        self._stalled = {each for each in self._stalled if each[0] is not connection}
        for kept in (self._repeated, self._deaf_until_ms):
            for stream in [each for each in kept if each[0] is connection]:
                del kept[stream]

    def close(self) -> None:
        for handle in self._late:
            handle.cancel()

    def subscribed(self, connection: Connection, name: StreamName) -> None:
        """A new subscription; it may hear nothing for a while."""
        now_ms = self._exchange.clock.market_ms()
        rule = self._faults.on_subscription(self._symbol(name), name.kind, now_ms)
        if rule is not None:
            until_ms = now_ms + (rule.bars or 0) * self._exchange.market.timeframe_ms
            self._deaf_until_ms[connection, name.text] = until_ms

    def send(self, connection: Connection, name: StreamName, payload: Payload, raw: bytes) -> None:
        """Send a message, whose bytes are `raw`, as the rules in force would have it."""
        stream, now_ms = (connection, name.text), self._exchange.clock.market_ms()
        is_candle = name.kind is StreamKind.KLINE
        if is_candle and self._faults.has(Face.BAR):
            spoiled = self._candles.message(name.symbol_id, payload)
            if spoiled is None:
                return
            if spoiled is not payload:
                payload, raw = spoiled, _bytes_of(connection, name, spoiled)
        if self._is_unheard(stream, now_ms):
            return
        if stream in self._repeated:
            connection.send_bytes(self._repeated[stream])
            return
        rule = None
        if self._faults.has(Face.MESSAGE):
            candle = _candle_of(payload) if is_candle else None
            rule = self._faults.on_message(self._symbol(name), name.kind, candle, now_ms)
        if rule is None:
            connection.send_bytes(raw)
        else:
            self._carry_out(rule, connection, name, payload, raw)

    def _is_unheard(self, stream: Stream, now_ms: int) -> bool:
        return (
            stream in self._stalled
            or now_ms < self._deaf_until_ms.get(stream, 0)
            or now_ms < self._dropped_until_ms.get(stream[1], 0)
        )

    def _carry_out(
        self,
        rule: FaultRule,
        connection: Connection,
        name: StreamName,
        payload: Payload,
        raw: bytes,
    ) -> None:
        if rule.kind in SILENCING:
            self._silence(rule, connection, name)
            return
        if rule.kind is FaultKind.LATE:
            self._send_late(connection, raw, rule.sec)
            return
        if rule.kind is FaultKind.UNFLAGGED:
            raw = _bytes_of(connection, name, _unflagged(payload))
        elif rule.kind is FaultKind.REPEAT:
            self._repeated[connection, name.text] = raw
        elif rule.kind is FaultKind.FRAME:
            connection.send_bytes(rule.frame)
        for _ in range(rule.count):
            connection.send_bytes(raw)
        if rule.kind is FaultKind.OLD:
            self._send_old(connection, name, rule.bars or 0)

    def _silence(self, rule: FaultRule, connection: Connection, name: StreamName) -> None:
        if rule.kind is FaultKind.STALL:
            self._stalled.add((connection, name.text))
            return
        if rule.bars is not None:
            length_ms = rule.bars * self._exchange.market.timeframe_ms
            until_ms = self._exchange.clock.market_ms() + length_ms
            self._dropped_until_ms[name.text] = until_ms
        if rule.kind is FaultKind.CLOSE:
            connection.close_soon(rule.code)

    def _send_late(self, connection: Connection, raw: bytes, sec: float) -> None:
        def send() -> None:
            self._late.discard(handle)
            connection.send_bytes(raw)

        handle = asyncio.get_running_loop().call_later(sec, send)
        self._late.add(handle)

    def _send_old(self, connection: Connection, name: StreamName, bars: int) -> None:
        past = self._past(name, bars) if name.kind is StreamKind.KLINE else None
        payload = None if past is None else self._candles.message(name.symbol_id, past)
        if payload is not None:
            connection.send_bytes(_bytes_of(connection, name, payload))

    def _symbol(self, name: StreamName) -> str:
        return self._exchange.market.symbols[name.symbol_id].symbol


def _candle_of(payload: Payload) -> Candle:
    told = payload["k"]
    assert isinstance(told, dict), "a candle's message holds a candle"
    return Candle.CLOSED if told["x"] else Candle.PARTIAL


def _unflagged(payload: Payload) -> Payload:
    told = payload.get("k")
    return {**payload, "k": {**told, "x": False}} if isinstance(told, dict) else payload


def _bytes_of(connection: Connection, name: StreamName, payload: Payload) -> bytes:
    return orjson.dumps(wrapped(name, payload) if connection.is_combined else payload)


def wrapped(name: StreamName, payload: Payload) -> Payload:
    """A message as combined streams carry it."""
    return {"stream": name.text, "data": payload}
