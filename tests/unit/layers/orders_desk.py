"""Layer 6 with its blotter and its book, on the routes it has in the daemon.

Belongs here: what a test says to the layer, and what it asks of it.
"""

from decimal import Decimal
from typing import Any

from daemon.config import ExecutionSection
from daemon.core import events as e
from daemon.core.blotter import Blotter
from daemon.core.book import Book
from daemon.core.instruments import InstrumentId, base_of
from daemon.core.orders import Leg, Order, OrderState, Side
from daemon.core.pace import Pace
from daemon.core.pipeline import Pipeline, Step, apply, on
from daemon.core.repute import Repute, Tolerance
from daemon.layers.execution import Execution
from tests.builders import (
    BTC,
    CLOSE_NS,
    a_fill,
    a_run_opened,
    an_approval,
    an_instrument,
    an_order_reported,
    orders_ticked,
    quotes_taken,
)

D = Decimal
SECOND_NS = 1_000_000_000


class OrdersDesk:
    """Approvals go in at 100; what was said last is in `commands` and `facts`."""

    def __init__(
        self,
        *,
        ids: tuple[InstrumentId, ...] = (BTC,),
        opened: dict[str, Any] | None = None,
        tolerance: Tolerance | None = None,
        orders_per_hour: int = 1_000,
        **config: Any,
    ) -> None:
        self.blotter, self.book = Blotter(), Book()
        self.repute = Repute(tolerance or Tolerance(), self.blotter)
        self.pace = Pace(self.book, hourly=orders_per_hour, daily=0)
        self.execution = Execution(
            ExecutionSection(**{"stop_loss_ratio": 0.0} | config),
            self.blotter,
            self.book,
            self.repute,
            pace=self.pace,
            price_collar_bps=1_000.0,
        )
        self.pipeline = Pipeline(self._routes())
        self.journal: list[e.Event] = []
        self.facts: list[e.Event] = []
        self.commands: list[e.Command] = []
        self.now_ns = CLOSE_NS
        self._trades = 0
        lots = {"lot": D("0.1"), "minimum_quantity": D("0.1"), "minimum_notional": D(5)}
        instruments = tuple(
            an_instrument(id=each, base=base_of(each.symbol), **lots) for each in ids
        )
        self.takes(a_run_opened(**{"instruments": instruments} | (opened or {})))

    def takes(self, event: e.Event) -> Step:
        step = self.pipeline.step(event)
        self.journal += step.events
        self.facts = list(step.events[1:])
        self.commands = list(step.commands)
        return step

    def recovered(self, **config: Any) -> "OrdersDesk":
        """A desk that knows this one's journal and nothing else."""
        again = OrdersDesk(**config)
        again.pipeline.recover([e.decode(e.encode(each)) for each in self.journal[1:]])
        again.now_ns = self.now_ns
        return again

    # --- what is said -------------------------------------------------------------------------

    def approves(self, quantity: str = "2", **changes: Any) -> Step:
        defaults: dict[str, Any] = {
            "ts_ns": self.now_ns,
            "quantity": D(quantity),
            "decision_price": D(100),
            "arrival_price": D(100),
        }
        return self.takes(an_approval(**defaults | changes))

    def exits(self, quantity: str = "2", **changes: Any) -> Step:
        return self.approves(quantity, **{"is_exit": True, "side": Side.SELL} | changes)

    def sees(self, depth: str = "1000", bid: str = "99", ask: str = "101", **changes: Any) -> Step:
        """A book with one level on each side, for whatever asked last."""
        told = e.Quote(
            instrument=BTC,
            taken_ns=self.now_ns,
            bids=((D(bid), D(depth)),),
            asks=((D(ask), D(depth)),),
        )
        return self.takes(quotes_taken(**{"ts_ns": self.now_ns, "quotes": (told,)} | changes))

    def sees_books(self, *books: e.Quote, **changes: Any) -> Step:
        return self.takes(quotes_taken(**{"ts_ns": self.now_ns, "quotes": books} | changes))

    def passes(self, seconds: float) -> Step:
        self.now_ns += round(seconds * SECOND_NS)
        return self.takes(orders_ticked(ts_ns=self.now_ns))

    def hears(self, order: str, **changes: Any) -> Step:
        defaults: dict[str, Any] = {"state": None, "filled_quantity": None, "fills": ()}
        told = {"client_order_id": order, "ts_ns": self.now_ns}
        return self.takes(an_order_reported(**told | defaults | changes))

    def rests(self, order: str) -> Step:
        return self.hears(order, state=OrderState.ACCEPTED, filled_quantity=D(0))

    def fills(
        self, order: str, quantity: str, state: OrderState | None = None, price: str = "100"
    ) -> Step:
        """One execution, and the end of the order if a state is given."""
        self._trades += 1
        fill = a_fill(trade_id=str(self._trades), quantity=D(quantity), price=D(price), fee=D(0))
        filled = self.blotter.orders[order].filled_quantity + D(quantity)
        return self.hears(order, state=state, filled_quantity=filled, fills=(fill,))

    def filled(self, order: str) -> Step:
        left = self.blotter.orders[order].leaves_quantity
        return self.fills(order, str(left), OrderState.FILLED)

    def holds(self, quantity: str = "2") -> None:
        """Bought, with whatever follows from that."""
        self.approves(quantity)
        self.filled(self.child().client_order_id)

    # --- what is asked ------------------------------------------------------------------------

    def child(self) -> Order:
        """The open order that is no stop."""
        order = self.blotter.child_of(BTC)
        assert order is not None, "there is no child"
        return order

    def stop(self) -> Order:
        order = self.blotter.stop_of(BTC)
        assert order is not None, "there is no stop"
        return order

    def intended(self) -> list[tuple[Leg, str, str]]:
        """(leg, type, quantity) of every intent so far."""
        return [
            (each.leg, each.order_type.value, str(each.quantity))
            for each in self.journal
            if isinstance(each, e.OrderIntended)
        ]

    def ends(self) -> list[tuple[str, str]]:
        """(reason, filled) of every parent that has ended."""
        return [
            (each.reason.value, str(each.filled_quantity))
            for each in self.journal
            if isinstance(each, e.ParentEnded)
        ]

    def said(self) -> list[str]:
        """Names of the facts and commands of the last step."""
        return [type(each).__name__ for each in (*self.facts, *self.commands)]

    def _routes(self) -> list[Any]:
        book, blotter, execution = self.book, self.blotter, self.execution
        return [
            apply(e.RunOpened, blotter.listings.apply_run_opened),
            apply(e.RunOpened, book.apply_run_opened),
            apply(e.RunOpened, self.repute.apply_run_opened),
            apply(e.RunOpened, execution.apply_run_opened),
            apply(e.RulesChanged, book.apply_rules_changed),
            apply(e.ExchangeBack, execution.apply_exchange_back),
            apply(e.QuotesTaken, execution.apply_quotes_taken),
            on(e.QuotesTaken, execution.on_quotes_taken),
            apply(e.OrderApproved, blotter.apply_order_approved),
            on(e.OrderApproved, execution.on_order_approved),
            apply(e.OrderIntended, blotter.apply_order_intended),
            apply(e.OrderIntended, self.pace.apply_order_intended),
            apply(e.OrderIntended, execution.apply_order_intended),
            apply(e.OrderCancelRequested, blotter.apply_order_cancel_requested),
            on(e.OrderReported, execution.on_order_reported),
            apply(e.OrderAccepted, blotter.apply_order_accepted),
            apply(e.OrderAccepted, self.repute.apply_order_accepted),
            apply(e.OrderAccepted, execution.apply_order_accepted),
            apply(e.OrderRefused, blotter.apply_order_refused),
            apply(e.OrderRefused, self.repute.apply_order_refused),
            apply(e.OrderRefused, execution.apply_order_refused),
            on(e.OrderRefused, execution.on_order_refused),
            apply(e.OrderNotSent, blotter.apply_order_not_sent),
            apply(e.OrderNotSent, execution.apply_order_not_sent),
            on(e.OrderNotSent, execution.on_order_not_sent),
            apply(e.OrderOutcomeUnknown, blotter.apply_order_outcome_unknown),
            apply(e.OrderAbsent, blotter.apply_order_absent),
            apply(e.OrderAbsent, execution.apply_order_absent),
            on(e.OrderAbsent, execution.on_order_absent),
            apply(e.OrderFilled, blotter.apply_order_filled),
            apply(e.OrderFilled, book.apply_order_filled),
            apply(e.OrderCompleted, blotter.apply_order_completed),
            on(e.OrderCompleted, execution.on_order_completed),
            apply(e.ProtectionFailed, blotter.apply_protection_failed),
            on(e.ProtectionFailed, execution.on_protection_failed),
            apply(e.PolicyActed, blotter.apply_policy_acted),
            apply(e.PolicyActed, execution.apply_policy_acted),
            on(e.PolicyActed, execution.on_policy_acted),
            apply(e.ParentEnded, blotter.apply_parent_ended),
            on(e.ParentEnded, execution.on_parent_ended),
            on(e.OrdersTicked, execution.on_orders_ticked),
            apply(e.Reconciled, execution.apply_reconciled),
            on(e.Reconciled, execution.on_reconciled),
            apply(e.TradingHalted, execution.apply_trading_halted),
            on(e.TradingHalted, execution.on_trading_halted),
            apply(e.FlattenRequested, execution.apply_flatten_requested),
            on(e.FlattenRequested, execution.on_flatten_requested),
            apply(e.StopRequested, execution.apply_stop_requested),
            on(e.StopRequested, execution.on_stop_requested),
            apply(e.Started, execution.apply_started),
            apply(e.TradingResumed, execution.apply_trading_resumed),
            apply(e.FeedStale, execution.apply_feed_stale),
            apply(e.FeedRecovered, execution.apply_feed_recovered),
            apply(e.ClockChecked, execution.apply_clock_checked),
        ]
