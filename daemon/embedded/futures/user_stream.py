"""The user stream of swaps: listen keys, and the sockets that are opened with one.

Belongs here: who hears of the account. What is said belongs in events.
"""

import secrets
from collections.abc import Sequence
from decimal import Decimal, localcontext

from aiohttp import web

from daemon.embedded.account import MONEY, ZERO
from daemon.embedded.connections import Connection
from daemon.embedded.dialect import Payload
from daemon.embedded.faults import Faults
from daemon.embedded.futures.account import SwapOutcome
from daemon.embedded.futures.events import swap_events
from daemon.embedded.futures.exchange import SwapExchange
from daemon.embedded.market import MarketBar
from daemon.embedded.params import Params
from daemon.embedded.refusals import RequestError
from daemon.embedded.settlement import Outcome
from daemon.embedded.tape import Step
from daemon.embedded.user_faults import UserFaults

VALID_MS = 60 * 60 * 1_000
POLICY_VIOLATION = 1008


class SwapUserStream:
    """The account's one listen key and everyone connected with it; hears the exchange.

    A key is good for an hour of wall time after it was last asked for or kept alive; then its
    connections are told that it has expired, and end.
    """

    def __init__(self, exchange: SwapExchange, faults: Faults) -> None:
        self._exchange = exchange
        self._faults = UserFaults(exchange, faults, self._end, is_wrapped=False)
        self._key = ""
        self._valid_until_ms = 0
        self._connections: dict[Connection, None] = {}
        self._pending: list[Payload] = []

    def create(self, _params: Params) -> Payload:
        """The key, a new one when there is none; it is good for another hour."""
        self._expire()
        self._key = self._key or secrets.token_hex(32)
        return self._extended()

    def keep_alive(self, _params: Params) -> Payload:
        self._expire()
        if not self._key:
            raise RequestError(-1125, "This listenKey does not exist.")
        return self._extended()

    def end(self, _params: Params) -> Payload:
        self._close_all()
        return {}

    def takes(self, request: web.Request) -> bool:
        return "listenKey" in request.query

    def opened(self, connection: Connection, request: web.Request) -> None:
        self._expire()
        if not self._key or request.query["listenKey"] != self._key:
            raise RequestError(-1125, "This listenKey does not exist.")
        self._connections[connection] = None

    def on_message(self, connection: Connection, text: str) -> None:
        """Nothing is asked on such a socket."""

    def drop(self, connection: Connection) -> None:
        self._connections.pop(connection, None)
        self._faults.drop(connection)

    def close(self) -> None:
        self._faults.close()

    def stepped(self, step: Step) -> None: ...

    def closed(self, bars: Sequence[tuple[str, MarketBar]]) -> None: ...

    def settled(self, outcome: Outcome) -> None:
        self._expire()
        if self._connections and isinstance(outcome, SwapOutcome):
            exchange = self._exchange
            event_ms = exchange.clock.market_ms()
            with localcontext(MONEY):
                self._pending += swap_events(outcome, event_ms, exchange.mark, self._wallet)

    def flush(self) -> None:
        pending, self._pending = self._pending, []
        for event in pending:
            for connection in list(self._connections):
                self._faults.send(connection, 0, event)

    def _wallet(self, asset: str) -> Decimal:
        clearing = self._exchange.clearing
        bound = (each.wallet for each in clearing.positions.values() if each.asset == asset)
        return clearing.money.get(asset, ZERO) + sum(bound, ZERO)

    def _extended(self) -> Payload:
        self._valid_until_ms = self._exchange.clock.wire_ms() + VALID_MS
        return {"listenKey": self._key}

    def _expire(self) -> None:
        if self._key and self._exchange.clock.wire_ms() >= self._valid_until_ms:
            event = {
                "e": "listenKeyExpired",
                "E": self._exchange.clock.market_ms(),
                "listenKey": self._key,
            }
            for connection in self._connections:
                connection.send(event)
            self._close_all()

    def _close_all(self) -> None:
        self._key = ""
        for connection in list(self._connections):
            connection.close_soon(POLICY_VIOLATION)
            self.drop(connection)

    def _end(self, connection: Connection) -> None:
        self.drop(connection)
