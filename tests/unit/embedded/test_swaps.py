"""The account of perpetual swaps: margin, funding and liquidation, by head and under chance."""

from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.embedded.account import MONEY, ZERO, OrderStatus, OrderType, Side, TimeInForce
from daemon.embedded.depth import LiveBook
from daemon.embedded.fees import Fees
from daemon.embedded.futures.account import Algo, AlgoStatus, IncomeKind, SwapOutcome, SwapRequest
from daemon.embedded.futures.clearing import Clearing
from daemon.embedded.futures.matching import SwapMatching
from daemon.embedded.futures.terms import (
    BRACKETS,
    funding_rate,
    funding_times,
    maintenance_margin,
    next_funding_ms,
)
from daemon.embedded.refusals import RequestError
from tests.exchange.fake_market import BTC, FakeMarket

PRICE = Decimal(50_000)
START = Decimal(10_000)
FEES = Fees(taker_ratio=Decimal("0.0005"), maker_ratio=Decimal("0.0002"))
HOUR_MS = 3_600_000


@dataclass(slots=True)
class Desk:
    """One swap account with a book around one price."""

    clearing: Clearing
    matching: SwapMatching
    price: Decimal = PRICE
    outcomes: list[SwapOutcome] = field(default_factory=list)

    def book(self, levels: int = 5) -> LiveBook:
        return LiveBook(FakeMarket().book("BTCUSDT", self.price, 0, levels=levels))

    def place(self, request: SwapRequest) -> SwapOutcome:
        outcome = self.matching.place(request, self.book(), self.price, 1)
        self.outcomes.append(outcome)
        return outcome

    def move(self, price: Decimal, levels: int = 5) -> None:
        """The next step: resting orders, conditional ones, then whoever has no margin left."""
        self.price = price
        self.outcomes.append(self.matching.move("BTCUSDT", price, Decimal(4), 2))
        book = self.book(levels)
        due = self.matching.due_algos("BTCUSDT", price)
        self.outcomes.append(self.matching.trigger(due, book, price, 2))
        position = self.clearing.position("BTCUSDT")
        with localcontext(MONEY):
            is_doomed = position.is_doomed(price)
        if is_doomed:
            self.matching.liquidate(position, book, price, 2)
            self.outcomes.append(self.clearing.take_outcome())

    def fund(self, at_ms: int) -> Decimal:
        with localcontext(MONEY):
            self.clearing.fund("seed", at_ms, lambda _symbol_id: self.price)
        self.outcomes.append(self.clearing.take_outcome("FUNDING_FEE"))
        return sum((each.amount for each in self.outcomes[-1].incomes), ZERO)

    def wait(self, algo: Algo) -> None:
        self.clearing.ids.order += 1
        algo.algo_id = self.clearing.ids.order
        self.clearing.wait(algo)
        self.outcomes.append(self.clearing.take_outcome())

    @property
    def quantity(self) -> Decimal:
        return self.clearing.position("BTCUSDT").quantity

    @property
    def wallet(self) -> Decimal:
        return self.clearing.position("BTCUSDT").wallet

    @property
    def money(self) -> Decimal:
        return self.clearing.money["USDT"]

    def incomes(self, kind: IncomeKind | None = None) -> Decimal:
        every = [each for outcome in self.outcomes for each in outcome.incomes]
        return sum((each.amount for each in every if kind in (None, each.kind)), ZERO)

    def assert_closed(self) -> None:
        """What the account has is what it began with and its incomes, to the last digit."""
        assert self.money + self.wallet == START + self.incomes()
        reports = [report for outcome in self.outcomes for report in outcome.reports]
        fills = [report.fill for report in reports if report.fill is not None]
        signed = (each.quantity if each.side is Side.BUY else -each.quantity for each in fills)
        assert sum(signed, ZERO) == self.quantity
        assert (self.wallet == 0) == (self.quantity == 0)
        assert self.wallet >= 0


def a_desk(leverage: int = 10) -> Desk:
    clearing = Clearing(
        symbols={"BTCUSDT": BTC},
        money={"USDT": START},
        positions={},
        fees=lambda _symbol_id: FEES,
    )
    clearing.position("BTCUSDT").leverage = leverage
    return Desk(clearing, SwapMatching(clearing))


def a_request(
    side: Side = Side.BUY,
    quantity: str = "0.1",
    price: str | None = None,
    *,
    reduce_only: bool = False,
    name: str = "a",
) -> SwapRequest:
    return SwapRequest(
        symbol_id="BTCUSDT",
        side=side,
        type=OrderType.MARKET if price is None else OrderType.LIMIT,
        time_in_force=TimeInForce.GTC,
        client_order_id=name,
        quantity=Decimal(quantity),
        price=None if price is None else Decimal(price),
        reduce_only=reduce_only,
    )


def an_algo(
    side: Side, trigger_price: str, *, quantity: str = "0.1", close_position: bool = False
) -> Algo:
    return Algo(
        algo_id=0,
        client_algo_id="guard",
        symbol_id="BTCUSDT",
        side=side,
        type=OrderType.STOP_LOSS,
        time_in_force=TimeInForce.GTC,
        quantity=ZERO if close_position else Decimal(quantity),
        price=ZERO,
        trigger_price=Decimal(trigger_price),
        reduce_only=not close_position,
        close_position=close_position,
        created_ms=1,
        updated_ms=1,
        received_ms=1,
    )


def refusal_of(desk: Desk, request: SwapRequest) -> int:
    with pytest.raises(RequestError) as caught:
        desk.place(request)
    return caught.value.code


def test_opening_binds_margin_and_pays_a_fee() -> None:
    desk = a_desk(leverage=10)

    desk.place(a_request())

    assert (desk.quantity, desk.wallet) == (Decimal("0.1"), Decimal("500.0001"))
    assert desk.money == START - Decimal("500.0001") - Decimal("2.50000050")
    desk.assert_closed()


def test_closing_a_part_frees_its_share_and_realizes_what_it_made() -> None:
    desk = a_desk()
    desk.place(a_request(quantity="0.4"))
    desk.move(Decimal(51_000))

    desk.place(a_request(Side.SELL, "0.1", reduce_only=True, name="b"))

    assert desk.quantity == Decimal("0.3")
    assert desk.wallet == Decimal("1500.0003")
    assert desk.incomes(IncomeKind.REALIZED_PNL) == Decimal("0.1") * (
        Decimal("50999.99") - Decimal("50000.01")
    )
    desk.assert_closed()


def test_a_short_gains_when_the_price_falls_and_one_order_may_turn_it_round() -> None:
    desk = a_desk()
    desk.place(a_request(Side.SELL, "0.2"))
    desk.move(Decimal(49_000))

    desk.place(a_request(Side.BUY, "0.3", name="b"))

    assert desk.quantity == Decimal("0.1")
    gained = Decimal("0.2") * (Decimal("49999.99") - Decimal("49000.01"))
    assert desk.incomes(IncomeKind.REALIZED_PNL) == gained
    desk.assert_closed()


def test_an_order_that_only_reduces_needs_something_to_reduce_and_takes_no_more() -> None:
    desk = a_desk()

    alone = refusal_of(desk, a_request(Side.SELL, reduce_only=True))
    desk.place(a_request(quantity="0.1"))
    same_side = refusal_of(desk, a_request(Side.BUY, reduce_only=True))
    outcome = desk.place(a_request(Side.SELL, "0.5", reduce_only=True, name="b"))

    assert (alone, same_side) == (-2022, -2022)
    assert (outcome.order.executed, desk.quantity) == (Decimal("0.1"), ZERO)
    desk.assert_closed()


def test_resting_orders_that_only_reduce_end_with_the_position() -> None:
    desk = a_desk()
    desk.place(a_request())
    resting = desk.place(a_request(Side.SELL, "0.1", "51000", reduce_only=True, name="b"))

    desk.place(a_request(Side.SELL, "0.1", name="c"))

    ended = desk.outcomes[-1].reports[-1].order
    assert (ended.order_id, ended.status) == (resting.order.order_id, OrderStatus.EXPIRED)
    assert desk.clearing.open_orders == {}


def test_an_order_that_only_reduces_ends_when_the_position_turns_to_its_own_side() -> None:
    desk = a_desk()
    desk.place(a_request())
    desk.place(a_request(Side.SELL, "0.1", "51000", reduce_only=True, name="b"))

    desk.place(a_request(Side.SELL, "0.3", name="c"))

    assert desk.quantity == Decimal("-0.2")
    assert desk.clearing.open_orders == {}
    desk.assert_closed()


def test_margin_counts_open_orders_and_the_fee() -> None:
    desk = a_desk(leverage=10)
    desk.place(a_request(Side.BUY, "1", "40000"))

    too_much = refusal_of(desk, a_request(Side.BUY, "1.3", name="b"))
    other_side = desk.place(a_request(Side.SELL, "0.5", "60000", name="c"))

    assert too_much == -2019
    assert other_side.order.is_open


def test_a_position_may_not_be_larger_than_its_leverage_allows() -> None:
    desk = a_desk(leverage=100)

    assert refusal_of(desk, a_request(quantity="1.1")) == -2027


def test_a_long_is_liquidated_at_its_price_and_loses_no_more_than_its_margin() -> None:
    desk = a_desk(leverage=10)
    desk.place(a_request(quantity="0.4"))
    position = desk.clearing.position("BTCUSDT")
    with localcontext(MONEY):
        doom = position.liquidation_price(desk.price)
    bound = desk.wallet

    desk.move((doom + Decimal("0.01")).quantize(Decimal("0.01")))
    held = desk.quantity
    desk.move(doom.quantize(Decimal("0.01")) - Decimal("0.01"))

    assert Decimal(45_000) < doom < Decimal(45500)
    assert (held, desk.quantity) == (Decimal("0.4"), ZERO)
    order = desk.outcomes[-1].order
    assert order.client_order_id.startswith("autoclose-")
    lost = desk.incomes() - desk.incomes(IncomeKind.COMMISSION)
    assert -bound <= lost < 0
    desk.assert_closed()


def test_a_gap_beyond_the_margin_is_borne_by_the_insurance_fund() -> None:
    desk = a_desk(leverage=10)
    desk.place(a_request(quantity="0.4"))
    bound = desk.wallet

    desk.move(Decimal(30_000), levels=0)

    assert desk.quantity == 0
    assert desk.incomes() - desk.incomes(IncomeKind.COMMISSION) == -bound
    assert desk.incomes(IncomeKind.INSURANCE_CLEAR) > 0
    desk.assert_closed()


def test_a_short_is_liquidated_when_the_price_rises() -> None:
    desk = a_desk(leverage=20)
    desk.place(a_request(Side.SELL, "0.2"))

    desk.move(Decimal(51_000))
    held = desk.quantity
    desk.move(Decimal(53_000))

    assert (held, desk.quantity) == (Decimal("-0.2"), ZERO)
    desk.assert_closed()


def test_a_stop_closes_before_the_margin_is_gone_and_never_turns_the_position() -> None:
    desk = a_desk()
    desk.place(a_request())
    desk.wait(an_algo(Side.SELL, "49000", quantity="0.3"))

    desk.move(Decimal(48_990))

    triggered = next(algo for outcome in desk.outcomes[::-1] for algo in outcome.algos)
    assert (triggered.status, triggered.order_id > 0) == (AlgoStatus.TRIGGERED, True)
    assert desk.quantity == 0
    desk.assert_closed()


@pytest.mark.parametrize("close_position", [True, False])
def test_a_stop_without_a_position_trades_nothing(close_position: bool) -> None:
    desk = a_desk()
    desk.wait(an_algo(Side.SELL, "49000", close_position=close_position))

    desk.move(Decimal(48_990))

    ended = next(algo for outcome in desk.outcomes[::-1] for algo in outcome.algos)
    expected = AlgoStatus.EXPIRED if close_position else AlgoStatus.REJECTED
    assert (ended.status, bool(ended.reason)) == (expected, True)
    assert desk.quantity == 0


def test_longs_pay_shorts_what_the_rate_says_and_the_other_way_round() -> None:
    at_ms = next_funding_ms(1_704_067_200_000)
    rate = funding_rate("seed", "BTCUSDT", at_ms)
    desks = [a_desk(), a_desk()]
    desks[0].place(a_request())
    desks[1].place(a_request(Side.SELL))

    paid = [desk.fund(at_ms) for desk in desks]

    assert paid == [-Decimal("0.1") * PRICE * rate, Decimal("0.1") * PRICE * rate]
    assert rate == funding_rate("seed", "BTCUSDT", at_ms)
    for desk in desks:
        desk.assert_closed()


def test_funding_comes_every_eight_hours_and_never_twice() -> None:
    start_ms = 1_704_067_200_000

    times = list(funding_times(start_ms, start_ms + 24 * HOUR_MS))

    assert times == [start_ms + hours * HOUR_MS for hours in (8, 16, 24)]
    assert list(funding_times(times[0], times[0])) == []


def test_the_maintenance_margin_runs_on_without_a_jump_between_brackets() -> None:
    for low, high in pairwise(BRACKETS):
        edge = high.floor
        below = edge * low.maintenance_ratio - low.cum
        assert maintenance_margin(edge) == below


ACTIONS = st.one_of(
    st.tuples(
        st.just("place"),
        st.sampled_from(Side),
        st.integers(10, 60_000),
        st.one_of(st.none(), st.integers(-300, 300)),
        st.booleans(),
    ),
    st.tuples(
        st.just("stop"),
        st.sampled_from(Side),
        st.integers(100, 30_000),
        st.integers(1, 3_000),
        st.booleans(),
    ),
    st.tuples(
        st.just("move"),
        st.just(Side.BUY),
        st.integers(-3_000, 3_000),
        st.integers(0, 6),
        st.just(0),
    ),
    st.tuples(st.just("fund"), st.just(Side.BUY), st.integers(1, 50), st.none(), st.just(0)),
    st.tuples(st.just("cancel"), st.just(Side.BUY), st.integers(0, 20), st.none(), st.just(0)),
)


def act(desk: Desk, action: tuple[str, Side, int, int | None, bool], number: int) -> None:
    kind, side, amount, ticks, is_reducing = action
    lots = str(amount * BTC.lot)
    if kind == "place":
        price = None if ticks is None else str(desk.price + ticks * BTC.tick)
        request = a_request(side, lots, price, reduce_only=is_reducing, name=f"c{number}")
        before = desk.quantity
        desk.place(request)
        if is_reducing:
            assert abs(desk.quantity) <= abs(before)
            assert desk.quantity * before >= 0
    elif kind == "stop":
        sign = 1 if side is Side.BUY else -1
        trigger = str(desk.price + sign * (ticks or 1))
        desk.wait(an_algo(side, trigger, quantity=lots, close_position=is_reducing))
    elif kind == "move":
        desk.move(max(Decimal(1_000), desk.price + amount), levels=ticks or 0)
    elif kind == "fund":
        desk.fund(amount * 8 * HOUR_MS)
    else:
        orders = list(desk.clearing.open_orders.values())
        if orders:
            chosen = orders[amount % len(orders)]
            desk.outcomes.append(desk.matching.cancel(chosen, number, f"x{number}"))


@settings(max_examples=60)
@given(st.lists(ACTIONS, max_size=30))
def test_no_money_is_made_or_lost_whatever_happens(
    actions: list[tuple[str, Side, int, int | None, bool]],
) -> None:
    desk = a_desk()

    for number, action in enumerate(actions):
        try:
            act(desk, action, number)
        except RequestError:
            assert desk.clearing.take_outcome() == SwapOutcome([], {})
        desk.assert_closed()
        if desk.quantity == 0:
            assert not any(each.reduce_only for each in desk.clearing.open_orders.values())
