"""Layer 5 over swaps: shorts, margins, and a position that comes near to being taken away."""

from decimal import Decimal
from typing import Any, Final

import pytest

from daemon.app import build_core
from daemon.config import DataSection, ExecutionSection, RiskSection, Settings
from daemon.core import events as e
from daemon.core.instruments import InstrumentId, MarketType
from daemon.core.orders import OrderState, Side
from daemon.feature_config import feature_set_of
from tests.builders import (
    HOUR_NS,
    OPEN_NS,
    a_bar,
    a_fill,
    a_funding,
    a_liquidation,
    a_model_activated,
    a_payoff,
    a_run_opened,
    a_signal,
    an_instrument,
    an_order_reported,
    quotes_taken,
)
from tests.unit.core.simulation import MODEL, a_model

D = Decimal
SWAP: Final = InstrumentId("binanceusdm", "BTC/USDT:USDT")


class Desk:
    """The daemon's core on one swap, with a leverage of 4 unless said otherwise."""

    def __init__(self, **risk: Any) -> None:
        limits = {
            "max_leverage": 4.0,
            "max_position_ratio": 3.0,
            "max_gross_exposure_ratio": 3.0,
            "max_order_notional_quote": D(10**6),
            "max_day_notional_quote": D(0),
            "max_drawdown_ratio": 0.99,
            "kelly_ratio": 1.0,
        } | risk
        settings = Settings.model_construct().model_copy(
            update={
                "data": DataSection(exchange="binanceusdm", symbols=(SWAP.symbol,)),
                "execution": ExecutionSection(fee_bps=0.0, slippage_bps=0.0, stop_loss_ratio=0.0),
                "risk": RiskSection(**limits),
            }
        )
        features = feature_set_of(settings)
        self.core = build_core(settings, features, a_model(features), (SWAP,))
        self.hour, self.commands = -1, list[e.Command]()
        payoff = a_payoff(win_ratio=0.02, loss_ratio=0.01)
        listed = an_instrument(id=SWAP, lot=D("0.001"), market_type=MarketType.SWAP)
        self.takes(a_run_opened(instruments=(listed,), allotted_quote=D(1_000), leverage=D(4)))
        self.takes(a_model_activated(model=MODEL, long_payoff=payoff, short_payoff=payoff))
        self.takes(e.Reconciled(ts_ns=OPEN_NS, is_clean=True))
        self.closes(100.0)
        self.closes(100.0)

    @property
    def now_ns(self) -> int:
        return OPEN_NS + self.hour * HOUR_NS

    def takes(self, event: e.Event) -> list[e.Event]:
        step = self.core.pipeline.step(event)
        self.commands += step.commands
        return list(step.events[1:])

    def closes(self, price: float) -> list[e.Event]:
        self.hour += 1
        bar = a_bar(
            instrument=SWAP, open_ns=self.now_ns - HOUR_NS, open=price, high=price, low=price,
            close=price,
        )  # fmt: skip
        return self.takes(e.BarsClosed(ts_ns=self.now_ns, bars=(bar,)))

    def asked(self, direction: e.Direction) -> e.OrderApproved | e.OrderDenied:
        told = self.takes(
            a_signal(
                ts_ns=self.now_ns, close_ns=self.now_ns, instrument=SWAP, trace=f"t{self.hour}",
                direction=direction, win_probability=0.9,
            )
        )  # fmt: skip
        return self.quoted(told, direction, f"t{self.hour}")

    def quoted(
        self, told: list[e.Event], direction: e.Direction, trace: str
    ) -> e.OrderApproved | e.OrderDenied:
        """The verdict once a book without a spread was seen."""
        level = ((self.core.book.marks[SWAP], D(10**9)),)
        quote = e.Quote(instrument=SWAP, taken_ns=self.now_ns, bids=level, asks=level)
        asks = quotes_taken(
            ts_ns=self.now_ns, instrument=SWAP, trace=trace, direction=direction, quotes=(quote,)
        )
        told = [*told, *self.takes(asks)]
        (verdict,) = [each for each in told if isinstance(each, e.OrderApproved | e.OrderDenied)]
        return verdict

    def fills(self, price: str) -> None:
        """The newest order, whole."""
        order = [each for each in self.commands if isinstance(each, e.SubmitOrder)][-1]
        fill = a_fill(
            trade_id=order.client_order_id, price=D(price), quantity=order.quantity, fee=D(0)
        )
        self.takes(
            an_order_reported(
                ts_ns=self.now_ns, client_order_id=order.client_order_id, state=OrderState.FILLED,
                filled_quantity=order.quantity, fills=(fill,),
            )
        )  # fmt: skip


def warnings(told: list[e.Event]) -> list[e.SignalEmitted]:
    return [
        each
        for each in told
        if isinstance(each, e.SignalEmitted) and each.reason is e.SignalReason.LIQUIDATION_NEAR
    ]


def approved(verdict: e.OrderApproved | e.OrderDenied) -> e.OrderApproved:
    assert isinstance(verdict, e.OrderApproved), verdict
    return verdict


@pytest.mark.parametrize(
    ("direction", "side"), [(e.Direction.LONG, Side.BUY), (e.Direction.SHORT, Side.SELL)]
)
def test_a_swap_is_entered_both_ways_and_left_the_other(direction: e.Direction, side: Side) -> None:
    desk = Desk(max_position_ratio=1.0)

    entry = approved(desk.asked(direction))
    desk.fills("100")
    desk.closes(100.0)
    leaving = approved(desk.asked(e.Direction.FLAT))

    assert (entry.side, leaving.is_exit) == (side, True)
    assert leaving.side is not side
    assert leaving.quantity == entry.quantity


def test_more_than_the_capital_may_be_held_as_far_as_leverage_and_caps_go() -> None:
    verdict = approved(Desk(max_position_ratio=2.5, kelly_ratio=1.0).asked(e.Direction.SHORT))

    # The whole stake is 0.9 - 0.1 / 2 of the equity: more is not wanted, whatever is allowed.
    assert verdict.bound_by is e.BoundBy.KELLY
    assert verdict.notional_quote == pytest.approx(D(850), rel=D("1e-3"))


def test_the_margin_of_one_swap_is_not_there_for_another() -> None:
    desk = Desk()
    approved(desk.asked(e.Direction.LONG))
    desk.fills("100")

    assert desk.core.book.free_on(SWAP.exchange, "USDT") == D(1_000) - D(850) / 4


def test_the_room_of_a_swap_knows_what_its_notional_ties_up() -> None:
    desk = Desk()
    signal = a_signal(ts_ns=desk.now_ns, close_ns=desk.now_ns, instrument=SWAP)

    room = desk.core.risk.situation(signal, None).room

    assert (room.cash, room.margin_ratio) == (D(4_000), D("0.25"))


def test_a_swap_that_would_be_taken_away_soon_is_not_opened() -> None:
    verdict = Desk(min_liquidation_distance_ratio=0.3).asked(e.Direction.LONG)

    assert isinstance(verdict, e.OrderDenied)
    assert verdict.reason is e.DenyReason.LIQUIDATION_NEAR
    assert (verdict.value, verdict.limit) == ("0.2424", "0.3000")


def test_a_swap_that_comes_near_its_liquidation_is_left() -> None:
    desk = Desk()
    approved(desk.asked(e.Direction.LONG))
    desk.fills("100")

    assert warnings(desk.closes(85.0)) == []
    (signal,) = warnings(desk.closes(82.0))  # it is taken away at 75.76, less than a tenth below

    verdict = desk.quoted([], e.Direction.FLAT, signal.trace)
    assert approved(verdict).is_exit


def test_a_liquidation_halts() -> None:
    desk = Desk()
    approved(desk.asked(e.Direction.SHORT))
    desk.fills("100")

    told = desk.takes(a_liquidation(ts_ns=desk.now_ns, instrument=SWAP, price=D(125)))

    (changed,) = [each for each in told if isinstance(each, e.PositionChanged)]
    assert changed.quantity == 0
    assert changed.closed_return_ratio == pytest.approx(-0.25)
    assert list(desk.core.risk.halted) == [e.HaltReason.LIQUIDATED]


def test_funding_moves_the_equity_that_limits_look_at() -> None:
    desk = Desk()
    approved(desk.asked(e.Direction.LONG))
    desk.fills("100")

    told = desk.takes(a_funding(ts_ns=desk.now_ns, instrument=SWAP, rate=D("0.01"), price=D(100)))

    (marked,) = [each for each in told if isinstance(each, e.EquityMarked)]
    assert marked.equity_quote == D(1_000) - D("8.5")
