"""A small run, told as its events: two bars an hour apart, one round trip, one sample of health."""

from decimal import Decimal

from daemon.core import events as e
from daemon.core.orders import Side
from tests.builders import (
    CLOSE_NS,
    HOUR_NS,
    OPEN_NS,
    a_bar,
    a_denial,
    a_health_sample,
    a_model_activated,
    a_position_changed,
    a_resolution,
    a_run_opened,
    a_suppression,
    an_approval,
    an_equity_mark,
    an_order_filled,
)

D = Decimal
EXIT_TRACE = "exit" * 8


def closed(hour: int, close: float) -> e.BarsClosed:
    open_ns = OPEN_NS + hour * HOUR_NS
    bar = a_bar(open_ns=open_ns, open=close, high=close, low=close, close=close)
    return e.BarsClosed(ts_ns=bar.received_ns, bars=(bar,))


def bought(quantity: str = "1", price: str = "101", **changes: object) -> e.OrderFilled:
    """An hour after the start, decided at 100, fee 1 in quote."""
    return an_order_filled(
        ts_ns=CLOSE_NS,
        quantity=D(quantity),
        price=D(price),
        decision_price=D(100),
        fee=D(1),
        **changes,
    )


def sold(quantity: str = "1", price: str = "110", **changes: object) -> e.OrderFilled:
    """Two hours after the start, decided at 112, fee 1 in quote."""
    return an_order_filled(
        ts_ns=CLOSE_NS + HOUR_NS,
        side=Side.SELL,
        quantity=D(quantity),
        price=D(price),
        decision_price=D(112),
        fee=D(1),
        trace=EXIT_TRACE,
        **changes,
    )


def a_story() -> list[e.Event]:
    """Bought at 101, sold at 110, a fee of 1 each: 7 earned on 101."""
    opened = a_run_opened()
    worth = opened.allotted_quote
    return [
        opened,
        a_model_activated(),
        closed(0, 100.0),
        a_suppression(),
        an_approval(),
        bought(),
        an_equity_mark(ts_ns=CLOSE_NS, equity_quote=worth - 2, peak_quote=worth),
        closed(1, 112.0),
        a_denial(),
        sold(),
        a_position_changed(quantity=D(0), closed_return_ratio=7 / 101),
        an_equity_mark(
            ts_ns=CLOSE_NS + HOUR_NS, equity_quote=worth + 7, peak_quote=worth + 7,
            drawdown_ratio=0.0,
        ),
        a_resolution(probability_up=0.7, outcome=1),
        a_resolution(probability_up=0.7, outcome=0),
        a_resolution(probability_up=0.2, outcome=None),
        a_health_sample(ts_ns=CLOSE_NS + HOUR_NS),
    ]  # fmt: skip
