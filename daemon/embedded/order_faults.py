"""Spoils orders on purpose: their fills, their cancels, and what is told of them.

Belongs here: what a fault does to an order or to a reading of it. Whether one strikes belongs in
faults; the true account stays in the ledger.
"""

import dataclasses
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Generic, TypeVar

from daemon.embedded.account import ZERO, Fill, Order, OrderStatus
from daemon.embedded.dialect import Payload
from daemon.embedded.fault_kinds import FaultKind
from daemon.embedded.faults import Faults
from daemon.embedded.settlement import Outcome
from daemon.embedded.stage import Stage

AnOrder = TypeVar("AnOrder", bound=Order)
AnOutcome = TypeVar("AnOutcome", bound=Outcome)
AFill = TypeVar("AFill", bound=Fill)


class OrderFaults(Generic[AnOrder]):
    """What becomes of the orders of one exchange under the rules in force.

    `find` looks an order up by symbol id and order id, `show` makes the payload of one.
    """

    def __init__(
        self,
        exchange: Stage,
        faults: Faults,
        find: Callable[[str, int], AnOrder | None],
        show: Callable[[AnOrder], Payload],
    ) -> None:
        self._exchange = exchange
        self._faults = faults
        self._find = find
        self._show = show
        self._hidden_ms: dict[int, int] = {}
        self._trades_hidden_ms: dict[int, int] = {}

    def place(self, symbol_id: str, place: Callable[[Decimal | None], AnOutcome]) -> AnOutcome:
        """Place an order; `place` does it, filled at once by at most the share it is given."""
        rules = self._faults.on_order(self._symbol(symbol_id), self._exchange.clock.market_ms())
        part = rules.get(FaultKind.PART_FILLED)
        outcome = place(None if part is None else part.ratio)
        for kind, hidden in (
            (FaultKind.ORDER_LAG, self._hidden_ms),
            (FaultKind.TRADES_LAG, self._trades_hidden_ms),
        ):
            if kind in rules:
                hidden[outcome.order.order_id] = round(rules[kind].sec * 1_000)
        return outcome

    def before_cancel(self, order: AnOrder) -> AnOrder:
        """The order as the cancel finds it: it may have filled on the way."""
        symbol = self._symbol(order.symbol_id)
        rule = self._faults.on_cancel(symbol, self._exchange.clock.market_ms())
        if rule is None or not order.is_open:
            return order
        self._exchange.fill_now(order.order_id, rule.ratio)
        found = self._find(order.symbol_id, order.order_id)
        return order if found is None else found

    def seen(self, order: AnOrder | None) -> AnOrder | None:
        """The order, or None while nobody may know of it yet."""
        if order is None:
            return None
        lag_ms = self._hidden_ms.get(order.order_id, 0)
        return None if self._now_ms() < order.received_ms + lag_ms else order

    def seen_fills(self, fills: Iterable[AFill]) -> list[AFill]:
        now_ms, lags_ms = self._now_ms(), self._trades_hidden_ms
        return [each for each in fills if now_ms >= each.wire_ms + lags_ms.get(each.order_id, 0)]

    def told(self, order: AnOrder) -> Payload:
        """What a reading of the order says."""
        symbol, now_ms = self._symbol(order.symbol_id), self._exchange.clock.market_ms()
        if order.executed and self._faults.on_reading(FaultKind.DENIED, symbol, now_ms) is not None:
            denied = dataclasses.replace(
                order, status=OrderStatus.CANCELED, executed=ZERO, cumulative_quote=ZERO
            )
            return self._show(denied)
        worded = self._faults.on_reading(FaultKind.WORDED, symbol, now_ms)
        payload = self._show(order)
        return payload if worded is None else {**payload, "status": worded.text}

    def _now_ms(self) -> int:
        return self._exchange.clock.wire_ms()

    def _symbol(self, symbol_id: str) -> str:
        return self._exchange.market.symbols[symbol_id].symbol
