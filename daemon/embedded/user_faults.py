"""Spoils the user stream on purpose: stands between an event and the connections it goes to.

Belongs here: what a fault does to a private event. Market streams have their own in stream_faults.
"""

import asyncio
from collections.abc import Callable

import orjson

from daemon.embedded.connections import Connection
from daemon.embedded.dialect import Payload
from daemon.embedded.fault_kinds import Face, FaultKind
from daemon.embedded.fault_rules import FaultRule
from daemon.embedded.faults import Faults
from daemon.embedded.stage import Stage

WORDS = {
    "outboundAccountPosition": "BALANCE",
    "balanceUpdate": "FLOW",
    "ACCOUNT_UPDATE": "BALANCE",
}


class UserFaults:
    """The last station of every private event; a stalled subscription stays so until it ends."""

    def __init__(
        self,
        exchange: Stage,
        faults: Faults,
        end: Callable[[Connection], None],
        *,
        is_wrapped: bool = True,
    ) -> None:
        self._is_wrapped = is_wrapped  # in the number of a subscription, as over the ws-api
        self._exchange = exchange
        self._faults = faults
        self._end = end
        self._stalled: set[Connection] = set()
        self._held: dict[Connection, bytes] = {}
        self._late: set[asyncio.TimerHandle] = set()

    def drop(self, connection: Connection) -> None:
        """The subscription has ended."""
        self._stalled.discard(connection)
        self._held.pop(connection, None)

    def close(self) -> None:
        for handle in self._late:
            handle.cancel()

    def send(self, connection: Connection, subscription_id: int, event: Payload) -> None:
        """Send an event as the rules in force would have it."""
        if connection in self._stalled:
            return
        raw = self._bytes_of(subscription_id, event)
        rule = None
        if self._faults.has(Face.MESSAGE):
            now_ms = self._exchange.clock.market_ms()
            rule = self._faults.on_event(self._symbol(event), _word(event), now_ms)
        if rule is not None and rule.kind is FaultKind.SWAPPED and connection not in self._held:
            self._held[connection] = raw
            return
        if rule is None or rule.kind is FaultKind.SWAPPED:
            connection.send_bytes(raw)
        else:
            self._carry_out(rule, connection, subscription_id, raw)
        held = self._held.pop(connection, None)
        if held is not None:
            connection.send_bytes(held)

    def _carry_out(
        self, rule: FaultRule, connection: Connection, subscription_id: int, raw: bytes
    ) -> None:
        if rule.kind is FaultKind.STALL:
            self._stalled.add(connection)
        elif rule.kind is FaultKind.LATE:
            self._send_late(connection, raw, rule.sec)
        elif rule.kind is FaultKind.CLOSE:
            connection.close_soon(rule.code)
        elif rule.kind is FaultKind.TERMINATED:
            ended = {"e": "eventStreamTerminated", "E": self._exchange.clock.market_ms()}
            connection.send_bytes(self._bytes_of(subscription_id, ended))
            self._end(connection)
        elif rule.kind is not FaultKind.DROP:
            if rule.kind is FaultKind.FRAME:
                connection.send_bytes(rule.frame)
            for _ in range(rule.count):
                connection.send_bytes(raw)

    def _send_late(self, connection: Connection, raw: bytes, sec: float) -> None:
        def send() -> None:
            self._late.discard(handle)
            connection.send_bytes(raw)

        handle = asyncio.get_running_loop().call_later(sec, send)
        self._late.add(handle)

    def _bytes_of(self, subscription_id: int, event: Payload) -> bytes:
        told = {"subscriptionId": subscription_id, "event": event} if self._is_wrapped else event
        return orjson.dumps(told)

    def _symbol(self, event: Payload) -> str | None:
        symbol_id = _body(event).get("s")
        return (
            self._exchange.market.symbols[symbol_id].symbol if isinstance(symbol_id, str) else None
        )


def _word(event: Payload) -> str:
    """What a rule calls this event: an order's execution, BALANCE or FLOW."""
    return str(_body(event).get("x", WORDS.get(str(event["e"]), "")))


def _body(event: Payload) -> Payload:
    """Where the words of an order stand: swaps have them one level deeper."""
    order = event.get("o")
    return order if isinstance(order, dict) else event
