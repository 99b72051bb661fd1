"""A matching engine with its book around one price: what tests of orders are made of.

Belongs here: the desk and requests to it. The rules it must keep belong in the tests.
"""

from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from daemon.embedded.account import (
    Account,
    Balance,
    OrderRequest,
    OrderType,
    Side,
    TimeInForce,
)
from daemon.embedded.depth import LiveBook
from daemon.embedded.matching import Matching
from daemon.embedded.refusals import RequestError
from daemon.embedded.settlement import Outcome, Settlement
from tests.exchange.fake_market import BTC, FakeMarket

PRICE = Decimal(50_000)
START = {"USDT": Decimal(100_000), "BTC": Decimal(1)}
TICK = Decimal("0.01")


@dataclass(slots=True)
class Desk:
    """A matching engine with its book around one price."""

    settlement: Settlement
    matching: Matching
    book: LiveBook
    price: Decimal = PRICE
    outcomes: list[Outcome] = field(default_factory=list)

    def place(self, request: OrderRequest, ts_ms: int = 1) -> Outcome:
        outcome = self.matching.place(request, self.book, self.price, ts_ms)
        self.outcomes.append(outcome)
        return outcome

    def move(self, price: Decimal, volume: Decimal = Decimal(4)) -> Outcome | None:
        """What resting orders get at the next price; stops are left to `trigger`."""
        self.price = price
        self.book = LiveBook(FakeMarket().book("BTCUSDT", price, 0, levels=5))
        outcome = self.matching.move("BTCUSDT", price, volume, 2)
        if outcome is not None:
            self.outcomes.append(outcome)
        return outcome

    def trigger(self, price: Decimal, ts_ms: int = 3) -> Outcome | None:
        """Move the price and let the stops that it reaches take from the book around it."""
        self.move(price)
        stops = self.matching.due_stops("BTCUSDT", price)
        if not stops:
            return None
        outcome = self.matching.trigger(stops, self.book, ts_ms)
        self.outcomes.append(outcome)
        return outcome

    def locked(self, asset: str) -> Decimal:
        return self.settlement.account.balances[asset].locked

    def total(self, asset: str) -> Decimal:
        balance = self.settlement.account.balances[asset]
        return balance.free + balance.locked


def a_desk() -> Desk:
    """Levels of 0.5 BTC, one tick apart, five a side; the best ones a tick from 50000."""
    balances = {asset: Balance(amount) for asset, amount in START.items()}
    settlement = Settlement(symbols={"BTCUSDT": BTC}, account=Account(balances))
    book = LiveBook(FakeMarket().book("BTCUSDT", PRICE, 0, levels=5))
    return Desk(settlement, Matching(settlement), book)


def a_request(
    side: Side = Side.BUY,
    kind: OrderType = OrderType.LIMIT,
    *,
    quantity: str | None = "0.1",
    price: str | None = None,
    stop_price: str | None = None,
    quote_quantity: str | None = None,
    time_in_force: TimeInForce = TimeInForce.GTC,
    client_order_id: str = "a",
) -> OrderRequest:
    return OrderRequest(
        symbol_id="BTCUSDT",
        side=side,
        type=kind,
        time_in_force=time_in_force,
        client_order_id=client_order_id,
        quantity=None if quantity is None else Decimal(quantity),
        quote_quantity=None if quote_quantity is None else Decimal(quote_quantity),
        price=None if price is None else Decimal(price),
        stop_price=None if stop_price is None else Decimal(stop_price),
    )


def refusal_of(desk: Desk, request: OrderRequest) -> tuple[int, str]:
    with pytest.raises(RequestError) as caught:
        desk.place(request)
    return caught.value.code, caught.value.text
