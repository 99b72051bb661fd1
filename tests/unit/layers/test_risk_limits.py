"""Gates and caps on market, exchange, model and pace, each pushed over its limit."""

import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.config import RiskSection
from daemon.core import events as e
from daemon.core.book import Book
from daemon.core.costs import Costs
from daemon.core.instruments import InstrumentId
from daemon.core.orders import Side
from daemon.core.pace import Pace
from daemon.layers.risk.returns import Returns
from daemon.layers.risk.sizing import CAPS, clamp
from tests.builders import (
    BTC,
    CLOSE_NS,
    ETH,
    HOUR_NS,
    OPEN_NS,
    a_bar,
    a_health_sample,
    a_model_activated,
    a_parent_ended,
    a_quote,
    a_reconciled,
    a_refusal,
    a_run_opened,
    an_acceptance,
    an_account_opened,
    an_approval,
    an_exchange_back,
    an_exchange_lost,
    an_instrument,
    an_intent,
    an_unknown_outcome,
)
from tests.unit.layers.test_risk import GOOD, Desk, approved
from tests.unit.layers.test_risk_sizing import a_room

D = Decimal
DAY_NS = 24 * HOUR_NS
WILD, CALM = 0.05, 0.0005


def swinging(desk: Desk, step: float, instrument: InstrumentId = BTC, *, hours: int = 20) -> None:
    """So many bars up and down by `step`, ending where the desk began, at 100 and at CLOSE_NS."""
    for hour in range(hours):
        price = 100.0 if hour % 2 else 100.0 * (1 + step)
        desk.closes(price, instrument, hour=hour + 1 - hours + 100)


def a_desk(step: float = CALM, **config: Any) -> Desk:
    desk = Desk(volatility_bars=10, **config)
    swinging(desk, step)
    swinging(desk, step, ETH)
    return desk


def later(desk: Desk, **changes: Any) -> str:
    return desk.denied(**{"close_ns": CLOSE_NS + 100 * HOUR_NS} | changes)


# --- volatility ---------------------------------------------------------------------------------


def test_nothing_is_opened_in_a_storm_and_the_numbers_are_told() -> None:
    desk = a_desk(WILD, volatility_max_ratio=2.0)

    denial = desk.asked(close_ns=CLOSE_NS + 100 * HOUR_NS)

    assert isinstance(denial, e.OrderDenied)
    assert (denial.reason, denial.limit) == (e.DenyReason.VOLATILITY, "2")
    # Up and down by 4.88 %, 8760 times a year, over n - 1.
    expected = math.log(1.05) * math.sqrt(10 / 9) * math.sqrt(8_760)
    assert float(denial.value) == pytest.approx(expected, rel=0.01)
    assert later(a_desk(CALM, volatility_max_ratio=2.0)) == "approved"


@pytest.mark.parametrize("key", ["volatility_max_ratio", "volatility_target_ratio"])
def test_a_volatility_that_nobody_knows_opens_nothing(key: str) -> None:
    config: dict[str, Any] = {key: 1.0}

    assert Desk(**config).denied() == "volatility_unknown"
    assert Desk().denied() == "approved"


def test_a_volatility_target_cuts_the_position_to_what_moves_so_much() -> None:
    desk = a_desk(WILD, volatility_target_ratio=0.10)

    order = approved(desk.asked(close_ns=CLOSE_NS + 100 * HOUR_NS))

    volatility = math.log(1.05) * math.sqrt(10 / 9) * math.sqrt(8_760)
    assert order.bound_by is e.BoundBy.VOLATILITY_TARGET_RATIO
    assert float(order.notional_quote) == pytest.approx(0.10 / volatility * 10_000, rel=0.01)
    assert order.wanted_ratio == pytest.approx(0.075)


def test_a_market_that_does_not_move_meets_no_target() -> None:
    assert later(a_desk(0.0, volatility_target_ratio=0.10)) == "volatility_unknown"


def test_returns_over_a_hole_are_of_another_length_and_do_not_count() -> None:
    returns = Returns(4)
    for hour in (0, 1, 2, 5, 6):
        returns.note([a_bar(open_ns=OPEN_NS + hour * HOUR_NS, close=100.0 + hour)])

    assert returns.volatility_ratio(BTC) is not None
    few = Returns(8)
    for hour in (0, 1, 2, 5, 6):
        few.note([a_bar(open_ns=OPEN_NS + hour * HOUR_NS, close=100.0 + hour)])
    assert few.volatility_ratio(BTC) is None


def test_a_close_that_is_no_number_makes_the_volatility_unknown() -> None:
    returns = Returns(4)
    for hour, close in enumerate((100.0, 101.0, math.nan, 101.0, 100.0)):
        returns.note([a_bar(open_ns=OPEN_NS + hour * HOUR_NS, close=close)])

    assert returns.volatility_ratio(BTC) is None


# --- net and correlated exposure ----------------------------------------------------------------


def test_what_moves_together_has_one_cap() -> None:
    config = {"max_correlated_exposure_ratio": 0.05}
    together = a_desk(**config)
    together.buys("4", instrument=ETH)

    order = approved(together.asked(close_ns=CLOSE_NS + 100 * HOUR_NS))

    assert order.bound_by is e.BoundBy.MAX_CORRELATED_EXPOSURE_RATIO
    assert 99 < order.notional_quote <= 100
    together.buys("1", instrument=ETH)
    assert later(together) == "correlated_exposure_cap"


def test_what_moves_against_it_or_on_its_own_is_not_counted() -> None:
    desk = Desk(volatility_bars=10, max_correlated_exposure_ratio=0.05)
    swinging(desk, 0.01, BTC)
    for hour, close in enumerate((100, 101, 101, 100, 100, 101, 101, 100, 100, 101, 101, 100)):
        desk.closes(float(close), ETH, hour=hour + 89)
    desk.buys("4", instrument=ETH)

    order = approved(desk.asked(close_ns=CLOSE_NS + 100 * HOUR_NS))

    assert order.notional_quote > 490


def test_where_nobody_can_tell_what_moves_together_everything_does() -> None:
    desk = Desk(max_correlated_exposure_ratio=0.05)
    desk.buys("5", instrument=ETH)

    assert desk.denied() == "correlated_exposure_cap"


def test_pending_entries_count_as_correlated_and_as_net() -> None:
    for key, reason in (
        ("max_correlated_exposure_ratio", "correlated_exposure_cap"),
        ("max_net_exposure_ratio", "net_exposure_cap"),
    ):
        config: dict[str, Any] = {key: 0.05}
        desk = Desk(**config)
        desk.intends(instrument=ETH, quantity=D(5))

        assert desk.denied() == reason


def test_longs_and_shorts_cancel_in_the_net_and_only_there() -> None:
    desk = Desk(max_net_exposure_ratio=0.05)
    desk.buys("5", instrument=ETH)

    assert desk.denied() == "net_exposure_cap"
    desk.sells("4", instrument=ETH)
    assert approved(desk.asked()).bound_by is e.BoundBy.MAX_NET_EXPOSURE_RATIO


# --- pace ---------------------------------------------------------------------------------------


def test_a_day_has_a_largest_number_of_orders() -> None:
    desk = Desk(max_orders_per_day=2)
    for number in range(2):
        desk.intends(f"td{number}", ETH, ts_ns=CLOSE_NS - (20 - number) * HOUR_NS)

    assert desk.denied() == "order_rate_day"
    assert desk.denied(ts_ns=CLOSE_NS + 4 * HOUR_NS) == "approved"


def test_a_day_has_a_largest_notional_of_entries_filled_or_not() -> None:
    desk = Desk(max_day_notional_quote=D(500))
    desk.buys("4", instrument=ETH)
    desk.sells("4", instrument=ETH)

    assert approved(desk.asked()).bound_by is e.BoundBy.MAX_DAY_NOTIONAL
    desk.buys("1", instrument=ETH)
    assert desk.denied() == "day_notional_cap"


def test_what_was_approved_and_is_still_to_be_sliced_counts_to_the_day() -> None:
    desk = Desk(max_day_notional_quote=D(800))
    thin = an_approval(instrument=ETH, quantity=D(6), decision_price=D(100), trace="of eth")
    desk.blotter.apply_order_approved(thin)
    desk.intends("a slice", ETH, quantity=D(1), trace="of eth")

    order = approved(desk.asked())

    assert order.bound_by is e.BoundBy.MAX_DAY_NOTIONAL
    assert D(199) < order.notional_quote <= D(200)
    desk.blotter.apply_parent_ended(a_parent_ended(instrument=ETH, trace="of eth"))
    assert approved(desk.asked(ts_ns=CLOSE_NS + 1)).notional_quote > D(600)


def a_pace(*intended_ns: int, daily: int) -> Pace:
    book = Book()
    book.apply_run_opened(a_run_opened(instruments=(an_instrument(),)))
    pace = Pace(book, hourly=daily, daily=daily)
    for at_ns in intended_ns:
        pace.apply_order_intended(an_intent(ts_ns=at_ns, quantity=D(1), decision_price=D(100)))
    return pace


def test_an_order_of_a_moment_later_takes_none_out_of_a_window_that_began_earlier() -> None:
    pace = a_pace(10, 20, DAY_NS + 15, daily=3)

    assert pace.now(DAY_NS + 9).orders_last_day == 3


def test_yesterdays_entries_and_a_clock_put_back_do_not_open_the_day_again() -> None:
    pace = a_pace(DAY_NS + HOUR_NS, DAY_NS - 1, daily=10)

    assert pace.now(DAY_NS + 2 * HOUR_NS).entries_today_quote == 200
    assert pace.now(DAY_NS - 1).entries_today_quote == 200
    assert pace.now(2 * DAY_NS).entries_today_quote == 0


# --- losses, refusals, unknown orders ------------------------------------------------------------


def test_so_many_losses_in_a_row_pause_entries_for_so_many_bars() -> None:
    desk = Desk(max_losses_in_a_row=2, loss_pause_bars=3)
    for _ in range(2):
        desk.buys("1")
        desk.sells("1", price="99")

    denial = desk.asked()
    again = Desk(journal=desk.journal, max_losses_in_a_row=2, loss_pause_bars=3)

    assert isinstance(denial, e.OrderDenied)
    assert (denial.reason.value, denial.value, denial.limit) == ("loss_streak", "2", "2")
    assert desk.denied(instrument=ETH) == "loss_streak"
    assert again.denied() == "loss_streak"
    assert desk.denied(ts_ns=CLOSE_NS + 3 * HOUR_NS) == "approved"


def test_a_gain_between_losses_ends_the_row() -> None:
    desk = Desk(max_losses_in_a_row=2)
    for price in ("99", "101", "99"):
        desk.buys("1")
        desk.sells("1", price=price)

    assert desk.denied() == "approved"


def refused(desk: Desk, count: int) -> None:
    for _ in range(count):
        order = f"td{len(desk.blotter.orders)}"
        desk.intends(order, BTC)
        desk.takes(a_refusal(ts_ns=CLOSE_NS, client_order_id=order))


def test_an_exchange_that_refuses_one_order_after_the_other_is_left_alone_for_a_while() -> None:
    desk = Desk(max_refusals_in_a_row=3, refusal_pause_bars=2)
    refused(desk, 2)
    desk.intends("td-good", BTC)
    desk.takes(an_acceptance(client_order_id="td-good"))
    refused(desk, 2)
    before = desk.denied(instrument=ETH)
    refused(desk, 1)

    assert (before, desk.denied(instrument=ETH)) == ("approved", "exchange_refuses")
    assert desk.denied(instrument=ETH, ts_ns=CLOSE_NS + 2 * HOUR_NS) == "approved"


def test_several_orders_of_unknown_fate_stop_their_whole_exchange() -> None:
    desk = Desk(max_unresolved_orders=1)
    desk.intends("td-lost", ETH)
    before = desk.denied()
    desk.takes(an_unknown_outcome(client_order_id="td-lost", instrument=ETH))

    denial = desk.asked()

    assert before == "approved"
    assert isinstance(denial, e.OrderDenied)
    assert (denial.reason.value, denial.value, denial.limit) == ("unresolved_orders", "1", "1")


def test_orders_of_unknown_fate_stop_what_can_go_nowhere_else() -> None:
    there, else_there = (InstrumentId("okx", each.symbol) for each in (BTC, ETH))
    desk = Desk(max_unresolved_orders=1)
    desk.takes(
        a_run_opened(
            instruments=tuple(
                an_instrument(id=each, base=each.symbol[:3], lot=D("0.001"))
                for each in (BTC, ETH, there, else_there)
            ),
            accounts=(an_account_opened(BTC.exchange, 10_000), an_account_opened("okx", 10_000)),
            is_routed=True,
        )
    )
    desk.intends("td-lost", ETH)
    desk.takes(an_unknown_outcome(client_order_id="td-lost", instrument=ETH))
    before = desk.denied()
    desk.intends("td-lost-too", else_there)
    desk.takes(an_unknown_outcome(client_order_id="td-lost-too", instrument=else_there))

    assert (before, desk.denied()) == ("approved", "unresolved_orders")


def test_an_exchange_that_is_not_reached_opens_nothing_until_it_is_back() -> None:
    desk = Desk()
    desk.buys("1", instrument=ETH)
    desk.takes(an_exchange_lost())

    assert desk.denied() == "exchange_lost"
    assert desk.denied(e.Direction.FLAT, instrument=ETH) == "approved"
    desk.takes(an_exchange_back())
    assert desk.denied() == "approved"
    desk.takes(an_exchange_lost(exchange="okx"))
    assert desk.denied() == "approved"


def test_an_exchange_that_was_lost_when_the_process_died_does_not_block_the_next_one() -> None:
    desk = Desk()
    desk.takes(an_exchange_lost())
    again = Desk(journal=desk.journal)

    before = again.denied()
    again.takes(a_reconciled())

    assert (before, again.denied()) == ("exchange_lost", "approved")


# --- the model ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("allowed", "mode", "answer"),
    [
        ("paper", "paper", "approved"),
        ("paper", "live", "model_unknown"),
        ("never", "paper", "model_unknown"),
        ("always", "live", "approved"),
    ],
)
def test_a_model_of_unknown_health_trades_only_where_it_may(
    allowed: str, mode: str, answer: str
) -> None:
    desk = Desk(trade_unknown_model=allowed)
    desk.takes(a_run_opened(mode=mode))

    assert desk.denied() == answer
    desk.takes(a_health_sample(status=e.HealthStatus.HEALTHY))
    assert desk.denied() == "approved"
    desk.takes(a_health_sample(status=e.HealthStatus.UNKNOWN))
    assert desk.denied() == answer


def test_what_was_known_of_one_model_is_not_known_of_the_next() -> None:
    desk = Desk(trade_unknown_model="never")
    desk.takes(a_health_sample(status=e.HealthStatus.HEALTHY))
    before = desk.denied()
    desk.takes(a_model_activated(model="another", long_payoff=GOOD, short_payoff=GOOD))

    assert (before, desk.denied()) == ("approved", "model_unknown")


def test_a_critical_model_opens_nothing_even_where_unknown_ones_may() -> None:
    desk = Desk(trade_unknown_model="always")
    desk.takes(a_health_sample(status=e.HealthStatus.CRITICAL))
    desk.takes(e.ResumeRequested(ts_ns=CLOSE_NS, reason="try", who="uid 7"))

    assert desk.denied() == "model_critical"


# --- the book -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bid", "ask", "answer"),
    [
        ("99.9", "100.1", "approved"),
        ("99.5", "100.5", "spread"),  # 100 bps
        ("100.1", "99.9", "spread"),  # crossed
        ("NaN", "100", "spread"),
        ("0", "100", "spread"),
    ],
)
def test_nothing_is_opened_into_a_wide_or_an_impossible_book(
    bid: str, ask: str, answer: str
) -> None:
    desk = Desk()
    desk.quote = a_quote(BTC, bid, ask)

    assert desk.denied() == answer


def a_thin_quote(quantity: str) -> e.Quote:
    level = ((D(100), D(quantity)),)
    return e.Quote(instrument=BTC, taken_ns=CLOSE_NS, bids=((D(100), D(1_000)),), asks=level)


def test_an_entry_is_cut_to_what_its_side_of_the_book_can_bear() -> None:
    desk = Desk(max_depth_ratio=2.0)
    desk.quote = a_thin_quote("2")

    order = approved(desk.asked())

    assert (order.bound_by, order.notional_quote) == (e.BoundBy.MAX_DEPTH_RATIO, D(400))


@pytest.mark.parametrize("quantity", ["0.01", "0", "NaN"])
def test_a_book_too_thin_for_the_smallest_order_opens_nothing(quantity: str) -> None:
    desk = Desk(max_depth_ratio=2.0)
    desk.quote = a_thin_quote(quantity)

    assert desk.denied() == "thin_book"


def test_an_exit_waits_for_no_book_and_no_limit() -> None:
    desk = Desk(max_losses_in_a_row=1, max_orders_per_day=1, volatility_max_ratio=0.01)
    desk.buys("2", instrument=ETH)
    desk.buys("2")
    desk.takes(an_exchange_lost())
    desk.takes(a_health_sample(status=e.HealthStatus.CRITICAL))
    desk.quote = e.Quote(instrument=BTC, taken_ns=CLOSE_NS, error="nobody answers")

    order = approved(desk.asked(e.Direction.FLAT))

    assert (order.side, order.quantity) == (Side.SELL, D(2))


# --- off, and no numbers -------------------------------------------------------------------------

OFF: dict[str, Any] = {
    "max_net_exposure_ratio": 0.0,
    "max_correlated_exposure_ratio": 0.0,
    "volatility_target_ratio": 0.0,
    "volatility_max_ratio": 0.0,
    "max_day_notional_quote": D(0),
    "max_losses_in_a_row": 0,
    "max_orders_per_day": 0,
    "max_unresolved_orders": 0,
    "max_refusals_in_a_row": 0,
    "max_spread_bps": 0.0,
    "max_depth_ratio": 0.0,
}


def test_zero_is_off_for_every_limit_that_says_so() -> None:
    desk = Desk(**OFF)
    for _ in range(9):
        desk.buys("1", instrument=ETH)
        desk.sells("1", price="99", instrument=ETH)
    refused(desk, 9)
    desk.intends("td-lost", ETH)
    desk.takes(an_unknown_outcome(client_order_id="td-lost", instrument=ETH))
    desk.quote = a_quote(BTC, "90", "110")

    assert desk.denied() == "approved"


@given(st.sampled_from(["NaN", "-NaN"]), st.sampled_from(["equity", "net", "shown", "correlated"]))
def test_a_room_that_is_no_number_leaves_nothing(text: str, field: str) -> None:
    room = a_room(**{field: D(text)})
    config = RiskSection(max_net_exposure_ratio=0.3, max_correlated_exposure_ratio=0.3)

    clamped = clamp(D(500), room, config, Costs(fee_ratio=0.001, slippage_ratio=0.0005))

    assert clamped.notional <= 0
    assert clamped.bound_by in {name for name, _, _ in CAPS}
