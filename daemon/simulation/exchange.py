"""A model of an exchange: matches orders, keeps its own ledger, and says what is true or what not.

Belongs here: what the exchange does and answers, in Binance's own words. The way there and back
belongs to `client`. Its `orders` are the oracle that a run is judged by.
"""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from daemon.core.instruments import plain
from daemon.core.orders import OrderType, Side
from daemon.simulation import words
from daemon.simulation.faults import Fault
from daemon.simulation.ledger import ZERO, ModelOrder, Refusal, Trade, Wish

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from daemon.core.instruments import Instrument
    from daemon.simulation.faults import Faults
    from daemon.simulation.virtual_loop import Timeline

HIDDEN_MAX_S = 8.0
LIE_MAX_S = 6.0
STALE_MAX_S = 30.0
FEE_RATIO = Decimal("0.001")
FEE_LOT = Decimal("0.00000001")


class ModelExchange:
    """One account and one instrument."""

    def __init__(
        self,
        timeline: Timeline,
        rng: random.Random,
        faults: Faults,
        instrument: Instrument,
        *,
        epoch_ms: int,
        balances: dict[str, Decimal],
        price: Decimal,
        fee_currency: str | None,
        shown: Decimal,
    ) -> None:
        self._timeline = timeline
        self._rng = rng
        self._faults = faults
        self._instrument = instrument
        self._epoch_ms = epoch_ms
        self._fee_currency = fee_currency
        self._shown = shown  # quantity on each level of the book
        self._ids = itertools.count(1)
        self._trade_ids = itertools.count(1)
        self._told_balances: tuple[float, dict[str, Decimal]] = (-1.0, {})
        self.balances = dict(balances)
        self.price = price
        self.orders: list[ModelOrder] = []
        self.push: Callable[[dict[str, Any]], None] = lambda _message: None
        self.note: Callable[[str], None] = lambda _line: None

    # --- the market -----------------------------------------------------------------------------

    def move(self, price: Decimal) -> None:
        """The market trades at a new price: what rests there fills, and stops are triggered."""
        self.price = price
        for order in self.orders:
            if order.is_open and self._is_met(order.wish):
                self._fill(order, self._piece(order.leaves), is_maker=True)
                if order.wish.kind is OrderType.STOP:
                    self._fill(order, order.leaves, is_maker=False)

    def book(self) -> tuple[list[tuple[Decimal, Decimal]], list[tuple[Decimal, Decimal]]]:
        """(bids, asks), best first."""
        tick = self._instrument.tick
        bids = [(self.price - tick * step, self._shown) for step in range(1, 6)]
        return bids, [(self.price + tick * step, self._shown) for step in range(1, 6)]

    def _is_met(self, wish: Wish) -> bool:
        if wish.kind is OrderType.STOP:
            assert wish.stop_price is not None
            is_sell = wish.side is Side.SELL
            return self.price <= wish.stop_price if is_sell else self.price >= wish.stop_price
        if wish.kind is OrderType.LIMIT:
            assert wish.price is not None
            is_sell = wish.side is Side.SELL
            return self.price >= wish.price if is_sell else self.price <= wish.price
        return False

    # --- orders ---------------------------------------------------------------------------------

    def place(self, wish: Wish) -> dict[str, Any]:
        """Take an order, or Refusal."""
        self._check(wish)
        now_s = self._timeline.now_s
        hidden_s = self._upto(Fault.NOT_VISIBLE, HIDDEN_MAX_S)
        order = ModelOrder(
            order_id=next(self._ids), wish=wish, at_s=now_s, visible_s=now_s + hidden_s
        )
        self.orders.append(order)
        self._happened("NEW", order, None)
        if wish.kind is OrderType.MARKET:
            self._execute(order)
        elif wish.kind is OrderType.LIMIT and self._is_met(wish):
            self._fill(order, self._piece(order.leaves), is_maker=False)
        order.lies_until_s = now_s + self._upto(Fault.SAID_CANCELED, LIE_MAX_S)
        return words.created(order, self.ms)

    def cancel(self, client_order_id: str) -> dict[str, Any]:
        """End an open order, or Refusal when there is none."""
        order = self._newest(client_order_id)
        if order is None or not order.is_open:
            raise Refusal(-2011, "Unknown order sent.")
        if self._faults.hits(Fault.CANCEL_RACES):
            self._fill(order, self._piece(order.leaves), is_maker=True)
            if not order.is_open:
                raise Refusal(-2011, "Unknown order sent.")
        order.status = "CANCELED"
        self._happened("CANCELED", order, None)
        return self._told(order)

    def _check(self, wish: Wish) -> None:
        price = wish.price or wish.stop_price or self.price
        if any(
            each.is_open and each.wish.client_order_id == wish.client_order_id
            for each in self.orders
        ):
            raise Refusal(-2010, "Duplicate order sent.")
        if not self._instrument.takes(wish.quantity, price):
            raise Refusal(-1013, "Filter failure: NOTIONAL")
        if wish.kind is OrderType.STOP and self._is_met(wish):
            raise Refusal(-2010, "Stop price would trigger immediately.")
        is_sell = wish.side is Side.SELL
        free = self._free(self._instrument.base if is_sell else self._instrument.quote)
        if free < (wish.quantity if is_sell else wish.quantity * price):
            raise Refusal(-2010, "Account has insufficient balance for requested action.")

    def _free(self, currency: str) -> Decimal:
        locked = ZERO
        for order in self.orders:
            if order.is_open:
                wish = order.wish
                if wish.side is Side.SELL and currency == self._instrument.base:
                    locked += order.leaves
                elif wish.side is Side.BUY and currency == self._instrument.quote:
                    locked += order.leaves * (wish.price or self.price)
        return self.balances.get(currency, ZERO) - locked

    def _execute(self, order: ModelOrder) -> None:
        """A market order: at once, in part, or in pieces that come later."""
        if self._faults.hits(Fault.FILLS_SLOWLY):
            self._timeline.after(self._rng.uniform(0.1, 4.0), lambda: self._go_on(order))
        elif self._faults.hits(Fault.PARTIAL_EXPIRED):
            if self._rng.random() < 0.8:
                self._fill(order, self._part(order.leaves), is_maker=False)
            self._expire(order)
        else:
            if self._rng.random() < 0.3:
                self._fill(order, self._part(order.leaves), is_maker=False)
            self._fill(order, order.leaves, is_maker=False)

    def _go_on(self, order: ModelOrder) -> None:
        self._fill(order, self._part(order.leaves), is_maker=False)
        if self._rng.random() < 0.4 and order.is_open:
            self._timeline.after(self._rng.uniform(0.1, 4.0), lambda: self._go_on(order))
        elif self._faults.hits(Fault.PARTIAL_EXPIRED):
            self._expire(order)
        else:
            self._fill(order, order.leaves, is_maker=False)

    def _expire(self, order: ModelOrder) -> None:
        if order.is_open:
            order.status = "EXPIRED"
            self._happened("EXPIRED", order, None)

    def _piece(self, quantity: Decimal) -> Decimal:
        return quantity if self._rng.random() < 0.6 else self._part(quantity)

    def _part(self, quantity: Decimal) -> Decimal:
        """Some lots of it, at least one."""
        lot = self._instrument.lot
        share = Decimal(self._rng.randrange(1, 100)) / 100
        return min(quantity, max(lot, self._instrument.quantize_down(quantity * share)))

    def _fill(self, order: ModelOrder, quantity: Decimal, *, is_maker: bool) -> None:
        if quantity <= 0 or not order.is_open:
            return
        wish, now_s = order.wish, self._timeline.now_s
        is_buy = wish.side is Side.BUY
        price = wish.price if is_maker and wish.price is not None else self.price
        fee, currency = self._fee(quantity, price, is_buy=is_buy)
        trade = Trade(
            trade_id=next(self._trade_ids),
            order_id=order.order_id,
            is_buy=is_buy,
            price=price,
            quantity=quantity,
            fee=fee,
            fee_currency=currency,
            at_s=now_s,
            visible_s=max(order.visible_s, now_s + self._upto(Fault.TRADES_LATE, HIDDEN_MAX_S)),
            is_maker=is_maker,
        )
        order.trades.append(trade)
        order.filled += quantity
        order.status = "PARTIALLY_FILLED" if order.leaves else "FILLED"
        self._keep_old_balances()
        value = quantity * price
        self._book(self._instrument.base, quantity if is_buy else -quantity)
        self._book(self._instrument.quote, -value if is_buy else value)
        self._book(currency, -fee)
        self._happened("TRADE", order, trade)

    def _fee(self, quantity: Decimal, price: Decimal, *, is_buy: bool) -> tuple[Decimal, str]:
        """In one currency always, or in what is received."""
        base, quote = self._instrument.base, self._instrument.quote
        currency = self._fee_currency or (base if is_buy else quote)
        fee = quantity * FEE_RATIO if currency == base else quantity * price * FEE_RATIO
        return fee.quantize(FEE_LOT), currency

    def _book(self, currency: str, amount: Decimal) -> None:
        self.balances[currency] = self.balances.get(currency, ZERO) + amount

    def _keep_old_balances(self) -> None:
        if self._faults.hits(Fault.STALE_BALANCE):
            until_s = self._timeline.now_s + self._rng.uniform(0.0, STALE_MAX_S)
            self._told_balances = (until_s, dict(self.balances))

    def _upto(self, fault: Fault, most_s: float) -> float:
        return self._rng.uniform(0.0, most_s) if self._faults.hits(fault) else 0.0

    # --- answers --------------------------------------------------------------------------------

    def order(self, client_order_id: str) -> dict[str, Any]:
        """The newest order with this id, or Refusal."""
        order = self._newest(client_order_id)
        if order is None or order.visible_s > self._timeline.now_s:
            raise Refusal(-2013, "Order does not exist.")
        return self._told(order)

    def all_orders(self, since_id: int = 0, *, only_open: bool = False) -> list[dict[str, Any]]:
        now_s = self._timeline.now_s
        return [
            self._told(each)
            for each in self.orders
            if each.order_id >= since_id
            and each.visible_s <= now_s
            and (each.is_open or not only_open)
        ]

    def trades(self, order_id: int | None = None, since_ms: int = 0) -> list[dict[str, Any]]:
        now_s = self._timeline.now_s
        return [
            words.trade(trade, self.ms)
            for order in self.orders
            if order_id is None or order.order_id == order_id
            for trade in order.trades
            if trade.visible_s <= now_s and self.ms(trade.at_s) >= since_ms
        ]

    def told_balances(self) -> list[dict[str, str]]:
        until_s, old = self._told_balances
        told = old if until_s > self._timeline.now_s else self.balances
        return [
            {"asset": name, "free": plain(amount), "locked": "0"} for name, amount in told.items()
        ]

    def ms(self, at_s: float) -> int:
        return self._epoch_ms + int(at_s * 1_000)

    def _newest(self, client_order_id: str) -> ModelOrder | None:
        found = (
            each for each in reversed(self.orders) if each.wish.client_order_id == client_order_id
        )
        return next(found, None)

    def _told(self, order: ModelOrder) -> dict[str, Any]:
        is_lie = not order.is_open and order.lies_until_s > self._timeline.now_s
        return words.order(order, self.ms, is_lie=is_lie)

    def _happened(self, what: str, order: ModelOrder, trade: Trade | None) -> None:
        """Into the trace, and out on the stream."""
        now_s, ours = self._timeline.now_s, order.wish.client_order_id
        self.note(f"{now_s:.6f} {what} {order.order_id} {ours} {order.filled}")
        self.push(words.report(what, order, trade, self.ms(now_s)))
