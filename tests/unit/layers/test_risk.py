import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.config import PolicySection, RiskSection
from daemon.core import events as e
from daemon.core.blotter import Blotter
from daemon.core.book import Book
from daemon.core.costs import Costs
from daemon.core.instruments import InstrumentId, MarketType
from daemon.core.orders import OrderState, Side
from daemon.core.pace import Pace
from daemon.core.pipeline import Pipeline, apply, on
from daemon.core.repute import Repute, Tolerance
from daemon.core.scores import SymbolSkill
from daemon.layers.risk import Policy, Risk
from tests.builders import (
    BTC,
    CLOSE_NS,
    ETH,
    HOUR_NS,
    ORDER,
    a_bar,
    a_clock_checked,
    a_disk_checked,
    a_feature_difference,
    a_features_checked,
    a_feed_stale,
    a_halt,
    a_halt_requested,
    a_health_sample,
    a_model_activated,
    a_payoff,
    a_position_changed,
    a_promotion,
    a_quote,
    a_reconciled,
    a_resume_requested,
    a_run_opened,
    a_signal,
    an_absence,
    an_acceptance,
    an_account_opened,
    an_equity_mark,
    an_instrument,
    an_intent,
    an_order_completed,
    an_order_filled,
    an_unknown_outcome,
    quotes_taken,
)

QUARANTINE_MAX = 3
MODEL_AGE_MAX_NS = 30 * 24 * HOUR_NS
GOOD = a_payoff(win_ratio=0.02, loss_ratio=0.015)
FREE = Costs(fee_ratio=0.0, slippage_ratio=0.0)
DAY_NS = 24 * HOUR_NS
D = Decimal
# p = 0.6 with b = 4/3 is a full stake of 0.6 - 0.4 * 3/4 = 0.30, of which a quarter is used.
WIN_PROBABILITY = 0.6
KELLY_NOTIONAL = D("750")


class Desk:
    """Layer 5 with its book and blotter, on the routes that it has in the daemon."""

    def __init__(
        self,
        *,
        costs: Costs = FREE,
        model: bool = True,
        journal: list[e.Event] | None = None,
        policy: dict[str, Any] | None = None,
        stop_loss_ratio: float = 0.0,
        quarantine_max: int = QUARANTINE_MAX,
        **config: Any,
    ) -> None:
        self.book, self.blotter = Book(), Blotter()
        limits = RiskSection(**config)
        tolerance = Tolerance(
            unresolved_max=limits.max_unresolved_orders,
            refusals_max=limits.max_refusals_in_a_row,
            refusal_pause_bars=limits.refusal_pause_bars,
        )
        self.repute = Repute(tolerance, self.blotter)
        hourly, daily = limits.max_orders_per_hour, limits.max_orders_per_day
        self.pace = Pace(self.book, hourly=hourly, daily=daily)
        self.risk = Risk(
            limits,
            self.book,
            self.blotter,
            costs=lambda _: costs,
            repute=self.repute,
            pace=self.pace,
            stop_loss_ratio=stop_loss_ratio,
            quarantine_max_per_day=quarantine_max,
            policy=Policy(
                PolicySection(**policy or {}),
                self.book,
                self.blotter,
                model_age_max_ns=MODEL_AGE_MAX_NS,
            ),
        )
        self.pipeline = Pipeline(self._routes())
        self.journal: list[e.Event] = []
        self.quote: e.Quote | None = None  # what every question is answered with
        if journal is not None:
            self.pipeline.recover([e.decode(e.encode(each)) for each in journal])
            return
        self.takes(a_run_opened(instruments=self._instruments()))
        if model:
            self.takes(a_model_activated(long_payoff=GOOD, short_payoff=GOOD))
        self.takes(a_reconciled())
        self.closes(100.0, hour=-1)
        self.closes(100.0)

    def takes(self, event: e.Event) -> list[e.Event]:
        """What comes of it; where that asks for quotes, what comes of deep ones at the mark."""
        step = self.pipeline.step(event)
        self.journal += step.events
        caused = list(step.events[1:])
        for question in step.commands:
            if isinstance(question, e.AskQuotes):
                caused += self.takes(self._quoted(question))
        return caused

    def _quoted(self, question: e.AskQuotes) -> e.QuotesTaken:
        mark = str(self.book.marks[question.instrument])
        quote = self.quote or a_quote(question.instrument, mark, mark)
        return quotes_taken(
            ts_ns=question.ts_ns,
            instrument=question.instrument,
            trace=question.trace,
            direction=question.direction,
            quotes=(quote,),
        )

    def closes(
        self, price: float, instrument: InstrumentId | None = None, hour: int = 0
    ) -> list[e.Event]:
        """The bar that closes `hour` hours after the first, of one instrument or of both."""
        open_ns = CLOSE_NS + (hour - 1) * HOUR_NS
        bars = tuple(
            a_bar(instrument=each, open_ns=open_ns, close=price)
            for each in ((BTC, ETH) if instrument is None else (instrument,))
        )
        return self.takes(e.BarsClosed(ts_ns=bars[0].close_ns, bars=bars))

    def asked(
        self, direction: e.Direction = e.Direction.LONG, **changes: Any
    ) -> e.OrderApproved | e.OrderDenied:
        signal = a_signal(
            **{
                "ts_ns": CLOSE_NS,
                "direction": direction,
                "win_probability": WIN_PROBABILITY,
            }
            | changes
        )
        verdict, *_ = self.takes(signal)
        assert isinstance(verdict, e.OrderApproved | e.OrderDenied)
        return verdict

    def denied(self, direction: e.Direction = e.Direction.LONG, **changes: Any) -> str:
        verdict = self.asked(direction, **changes)
        return verdict.reason.value if isinstance(verdict, e.OrderDenied) else "approved"

    def intends(self, order: str = ORDER, instrument: InstrumentId = BTC, **changes: Any) -> None:
        """An order of two units at 100, not answered yet."""
        self.takes(
            an_intent(
                client_order_id=order,
                instrument=instrument,
                **{"quantity": D(2), "decision_price": D(100), "ts_ns": CLOSE_NS} | changes,
            )
        )

    def buys(self, quantity: str, price: str = "100", instrument: InstrumentId = BTC) -> None:
        """An order that is over, and its position."""
        order = f"td{len(self.blotter.orders)}"
        self.intends(order, instrument, quantity=D(quantity), ts_ns=CLOSE_NS - HOUR_NS)
        self.takes(an_acceptance(client_order_id=order, instrument=instrument))
        self._fills(order, Side.BUY, quantity, price, instrument)

    def sells(self, quantity: str, price: str = "100", instrument: InstrumentId = BTC) -> None:
        order = f"td{len(self.blotter.orders)}"
        self.intends(
            order, instrument, side=Side.SELL, quantity=D(quantity), is_exit=True,
            ts_ns=CLOSE_NS - HOUR_NS,
        )  # fmt: skip
        self.takes(an_acceptance(client_order_id=order, instrument=instrument))
        self._fills(order, Side.SELL, quantity, price, instrument)

    def _fills(
        self, order: str, side: Side, quantity: str, price: str, instrument: InstrumentId
    ) -> None:
        self.takes(
            an_order_filled(
                ts_ns=CLOSE_NS,
                client_order_id=order,
                instrument=instrument,
                side=side,
                quantity=D(quantity),
                price=D(price),
                fee=D(0),
                trade_id=f"of {order}",
            )
        )
        self.takes(an_order_completed(ts_ns=CLOSE_NS, client_order_id=order, instrument=instrument))

    @staticmethod
    def _instruments() -> tuple[Any, ...]:
        lot = D("0.001")
        return (an_instrument(lot=lot), an_instrument(id=ETH, base="ETH", lot=lot))

    def _routes(self) -> list[Any]:
        book, blotter, risk = self.book, self.blotter, self.risk
        return [
            apply(e.RunOpened, book.apply_run_opened),
            apply(e.RunOpened, blotter.listings.apply_run_opened),
            apply(e.RunOpened, self.repute.apply_run_opened),
            apply(e.RunOpened, risk.apply_run_opened),
            apply(e.RunOpened, risk.policy.apply_run_opened),
            apply(e.Started, risk.apply_started),
            apply(e.Started, risk.policy.apply_started),
            apply(e.ModelActivated, risk.policy.apply_model_activated),
            apply(e.BarsClosed, risk.policy.apply_bars_closed),
            on(e.OrdersTicked, risk.policy.on_orders_ticked),
            apply(e.PolicyActed, blotter.apply_policy_acted),
            apply(e.PolicyActed, risk.policy.apply_policy_acted),
            on(e.PolicyActed, risk.policy.on_policy_acted),
            apply(e.HealthSampled, risk.policy.apply_health_sampled),
            apply(e.FeedStale, risk.policy.apply_feed_stale),
            apply(e.FeedRecovered, risk.policy.apply_feed_recovered),
            apply(e.ExchangeLost, risk.policy.apply_exchange_lost),
            apply(e.ExchangeBack, risk.policy.apply_exchange_back),
            apply(e.ListingChanged, risk.apply_listing_changed),
            apply(e.ListingChanged, risk.policy.apply_listing_changed),
            apply(e.TradingHalted, risk.policy.apply_trading_halted),
            apply(e.TradingResumed, risk.policy.apply_trading_resumed),
            apply(e.ModelActivated, risk.apply_model_activated),
            apply(e.Reconciled, risk.apply_reconciled),
            on(e.Reconciled, risk.halts.on_reconciled),
            apply(e.BarsClosed, book.apply_bars_closed),
            apply(e.BarsClosed, risk.apply_bars_closed),
            on(e.BarsClosed, risk.on_bars_closed),
            apply(e.SignalEmitted, risk.apply_signal_emitted),
            on(e.SignalEmitted, risk.on_signal_emitted),
            on(e.QuotesTaken, risk.on_quotes_taken),
            apply(e.OrderApproved, risk.apply_order_approved),
            apply(e.OrderDenied, risk.apply_order_denied),
            apply(e.OrderIntended, blotter.apply_order_intended),
            apply(e.OrderIntended, self.pace.apply_order_intended),
            apply(e.OrderAccepted, blotter.apply_order_accepted),
            apply(e.OrderAccepted, self.repute.apply_order_accepted),
            apply(e.OrderRefused, blotter.apply_order_refused),
            apply(e.OrderRefused, self.repute.apply_order_refused),
            apply(e.ExchangeLost, risk.apply_exchange_lost),
            apply(e.ExchangeBack, risk.apply_exchange_back),
            apply(e.OrderOutcomeUnknown, blotter.apply_order_outcome_unknown),
            apply(e.OrderAbsent, blotter.apply_order_absent),
            apply(e.OrderFilled, blotter.apply_order_filled),
            apply(e.OrderFilled, book.apply_order_filled),
            apply(e.OrderFilled, risk.canary.apply_order_filled),
            apply(e.ParentEnded, risk.canary.apply_parent_ended),
            apply(e.CanaryBegun, risk.canary.apply_canary_begun),
            apply(e.CanaryStepped, risk.canary.apply_canary_stepped),
            on(e.BarsClosed, risk.canary.on_bars_closed),
            on(e.OrderFilled, risk.holdings.on_order_filled),
            on(e.OrderFilled, risk.halts.on_order_filled),
            apply(e.OrderCompleted, blotter.apply_order_completed),
            on(e.OrderCompleted, risk.holdings.on_order_completed),
            apply(e.PositionChanged, risk.apply_position_changed),
            apply(e.PositionChanged, risk.halts.apply_position_changed),
            apply(e.PositionChanged, risk.policy.apply_position_changed),
            on(e.PositionChanged, risk.halts.on_position_changed),
            apply(e.PositionChanged, book.apply_position_changed),
            apply(e.EquityMarked, book.apply_equity_marked),
            on(e.EquityMarked, risk.halts.on_equity_marked),
            apply(e.HealthSampled, risk.apply_health_sampled),
            on(e.HealthSampled, risk.halts.on_health_sampled),
            on(e.FeaturesChecked, risk.halts.on_features_checked),
            on(e.ModelPromoted, risk.halts.on_model_promoted),
            apply(e.BarRejected, risk.apply_bar_rejected),
            on(e.BarRejected, risk.on_bar_rejected),
            apply(e.DataDistrusted, risk.apply_data_distrusted),
            apply(e.FeedStale, risk.apply_feed_stale),
            apply(e.FeedRecovered, risk.apply_feed_recovered),
            apply(e.ClockChecked, risk.apply_clock_checked),
            apply(e.DiskChecked, risk.apply_disk_checked),
            on(e.HaltRequested, risk.halts.on_halt_requested),
            apply(e.FlattenRequested, risk.halts.apply_flatten_requested),
            apply(e.FlattenRequested, risk.flattening.apply_flatten_requested),
            on(e.FlattenRequested, risk.halts.on_flatten_requested),
            on(e.FlattenRequested, risk.flattening.on_flatten_requested),
            apply(e.SignalEmitted, risk.flattening.apply_signal_emitted),
            on(e.OrdersTicked, risk.flattening.on_orders_ticked),
            apply(e.TradingResumed, risk.flattening.apply_trading_resumed),
            on(e.ResumeRequested, risk.halts.on_resume_requested),
            apply(e.TradingHalted, risk.halts.apply_trading_halted),
            on(e.TradingHalted, risk.halts.on_trading_halted),
            on(e.TradingResumed, risk.halts.on_trading_resumed),
            apply(e.TradingStateChanged, risk.halts.apply_trading_state_changed),
            apply(e.TradingHalted, book.apply_trading_halted),
            apply(e.TradingResumed, risk.halts.apply_trading_resumed),
            apply(e.TradingResumed, book.apply_trading_resumed),
        ]


def approved(verdict: e.OrderApproved | e.OrderDenied) -> e.OrderApproved:
    assert isinstance(verdict, e.OrderApproved), verdict
    return verdict


# --- approvals ----------------------------------------------------------------------------------


def test_a_signal_is_approved_with_all_the_numbers_that_made_its_size() -> None:
    order = approved(Desk().asked())

    assert (order.side, order.is_exit, order.bound_by) == (Side.BUY, False, e.BoundBy.KELLY)
    assert order.kelly_full_ratio == pytest.approx(0.30)
    assert order.kelly_used_ratio == order.wanted_ratio == pytest.approx(0.075)
    assert order.notional_quote == pytest.approx(KELLY_NOTIONAL, abs=D("0.2"))
    assert D("7.498") < order.quantity <= D("7.5")
    assert order.decision_price == 100
    assert order.equity_quote == 10_000
    assert order.allowed_ratio == pytest.approx(float(order.notional_quote) / 10_000)
    assert order.drawdown_ratio == 0.0


def test_a_short_where_it_is_possible_is_sized_with_its_own_payoffs() -> None:
    desk = Desk()
    swaps = tuple(
        an_instrument(id=each, base=each.symbol[:3], market_type=MarketType.SWAP)
        for each in (BTC, ETH)
    )
    desk.takes(a_run_opened(instruments=swaps))
    desk.takes(a_model_activated(long_payoff=a_payoff(win_ratio=0.0), short_payoff=GOOD))

    order = approved(desk.asked(e.Direction.SHORT))

    assert order.side is Side.SELL
    assert desk.denied(e.Direction.LONG) == "no_payoffs"


@given(
    st.floats(0.5, 1.0),
    st.floats(0.01, 1_000_000.0),
    st.floats(0.0, 0.05),
    st.floats(0.0, 0.02),
    st.floats(0.01, 1.0),
)
def test_an_order_is_whole_lots_under_every_cap_at_the_price_it_is_expected_to_fill_at(
    probability: float, price: float, slippage_ratio: float, fee_ratio: float, cap_ratio: float
) -> None:
    costs = Costs(fee_ratio=fee_ratio, slippage_ratio=slippage_ratio)
    desk = Desk(
        costs=costs, max_position_ratio=cap_ratio, max_gross_exposure_ratio=1.0, kelly_ratio=1.0,
        price_collar_bps=10_000.0,
    )  # fmt: skip
    desk.takes(
        a_model_activated(long_payoff=a_payoff(win_ratio=0.5, loss_ratio=0.1), short_payoff=GOOD)
    )
    desk.closes(price, hour=1)
    desk.closes(price, hour=2)

    verdict = desk.asked(win_probability=probability, close_ns=CLOSE_NS + 2 * HOUR_NS)

    if isinstance(verdict, e.OrderApproved):
        expected = verdict.quantity * verdict.decision_price * (1 + D(repr(slippage_ratio)))
        headroom = 1 + D("1e-20")
        assert verdict.quantity % D("0.001") == 0
        assert expected <= D(repr(cap_ratio)) * 10_000 * headroom
        assert expected <= 2_500 * headroom
        assert expected * (1 + D(repr(fee_ratio))) <= 10_000 * headroom
        assert verdict.notional_quote >= 5


# --- each gate ----------------------------------------------------------------------------------


def test_nothing_is_opened_before_the_books_agree_with_the_venue() -> None:
    desk = Desk()
    desk.takes(a_reconciled(is_clean=False, differences=("USDT: 1 and 2",)))
    desk.takes(a_resume_requested())

    assert desk.denied() == "not_reconciled"


def test_a_halted_book_opens_nothing() -> None:
    desk = Desk()
    desk.takes(a_halt_requested())

    verdict = desk.asked()

    assert isinstance(verdict, e.OrderDenied)
    assert verdict.reason is e.DenyReason.HALTED
    assert verdict.value == "operator"


def test_beside_orders_of_ours_that_the_books_do_not_know_nothing_is_sold() -> None:
    """An old copy of the journal: what it holds was sold after it, and must not be sold twice."""
    desk = Desk()
    desk.buys("2")
    where = BTC.exchange
    desk.takes(a_reconciled(is_clean=False, exchange=where, foreign=("td9",), differences=("x",)))

    held_back = desk.denied(e.Direction.FLAT)
    desk.takes(a_reconciled(is_clean=False, exchange=where, differences=("USDT: 1 and 2",)))
    other_differences = desk.asked(e.Direction.FLAT)

    assert held_back == "not_reconciled"
    assert isinstance(other_differences, e.OrderApproved)


def test_an_order_of_unknown_fate_blocks_its_instrument_and_no_other() -> None:
    desk = Desk()
    desk.intends(ORDER, BTC)
    unanswered = desk.denied()
    desk.takes(an_unknown_outcome())

    assert (unanswered, desk.denied()) == ("unresolved_order", "unresolved_order")
    assert desk.denied(e.Direction.FLAT) == "unresolved_order"
    assert desk.denied(instrument=ETH) == "approved"


def test_an_open_order_blocks_its_instrument_until_it_is_over() -> None:
    desk = Desk()
    desk.intends(ORDER, BTC)
    desk.takes(an_acceptance())

    assert desk.denied() == "order_open"
    desk.takes(an_order_completed(state=OrderState.EXPIRED))
    assert desk.denied() == "approved"


def test_an_order_the_venue_never_had_blocks_nothing() -> None:
    desk = Desk()
    desk.intends(ORDER, BTC)
    desk.takes(an_absence())

    assert desk.denied() == "approved"


def test_a_stale_feed_opens_nothing_until_it_recovers() -> None:
    desk = Desk()
    desk.takes(a_feed_stale(instrument=BTC))

    assert desk.denied() == "stale_data"
    assert desk.denied(instrument=ETH) == "approved"
    desk.takes(e.FeedRecovered(ts_ns=CLOSE_NS, instrument=BTC))
    assert desk.denied() == "approved"


def test_each_exchange_is_stale_by_itself_and_pays_for_its_own_orders() -> None:
    there = InstrumentId("okx", BTC.symbol)
    accounts = tuple(
        an_account_opened(name, share) for name, share in ((BTC.exchange, 300), ("okx", 9_700))
    )
    lot = D("0.001")
    instruments = (an_instrument(lot=lot), an_instrument(id=there, lot=lot))
    desk = Desk(
        kelly_ratio=1.0,
        max_position_ratio=1.0,
        max_gross_exposure_ratio=1.0,
        max_order_notional_quote=D(50_000),
    )
    desk.takes(a_run_opened(instruments=instruments, accounts=accounts))
    desk.closes(100.0, there, hour=-1)
    desk.closes(100.0, there)
    desk.takes(a_feed_stale(instrument=there))

    order = approved(desk.asked(instrument=BTC))

    assert order.bound_by is e.BoundBy.FREE_CAPITAL
    assert 290 < order.notional_quote <= 300
    assert desk.denied(instrument=there) == "stale_data"
    desk.takes(e.FeedRecovered(ts_ns=CLOSE_NS, instrument=there))
    assert approved(desk.asked(instrument=there)).notional_quote > 300


def test_a_feed_that_was_stale_when_the_process_died_does_not_block_the_next_one() -> None:
    desk = Desk()
    desk.takes(a_feed_stale(instrument=BTC))
    again = Desk(journal=desk.journal)

    before = again.denied()
    again.takes(a_reconciled())

    assert (before, again.denied()) == ("stale_data", "approved")


def test_a_clock_that_is_off_opens_nothing_with_its_numbers_and_lets_go() -> None:
    desk = Desk()
    desk.takes(a_clock_checked())
    denial = desk.asked()
    exit_ = desk.denied(direction=e.Direction.FLAT)

    assert isinstance(denial, e.OrderDenied)
    assert denial.reason is e.DenyReason.CLOCK_OFF
    assert (denial.value, denial.limit) == ("3612000.0 ms, error 1.5 ms", "2500 ms")
    assert exit_ == "nothing_to_close"
    desk.takes(a_clock_checked(is_trusted=True, offset_ms=0.2))
    assert desk.denied() == "approved"


def test_a_clock_that_could_not_be_measured_opens_nothing_and_another_exchange_does() -> None:
    desk = Desk()
    desk.takes(a_clock_checked(exchange="elsewhere", offset_ms=None))
    elsewhere = desk.denied()
    desk.takes(a_clock_checked(offset_ms=None, error_ms=None))
    denial = desk.asked()

    assert elsewhere == "approved"
    assert isinstance(denial, e.OrderDenied)
    assert denial.value == "not measured"


def test_a_disk_without_room_opens_nothing_with_its_numbers_and_lets_go() -> None:
    desk = Desk()
    desk.takes(a_disk_checked())
    denial = desk.asked()
    exit_ = desk.denied(direction=e.Direction.FLAT)
    again = Desk(journal=desk.journal)
    before = again.denied()
    again.takes(a_reconciled())
    started = again.denied()

    assert isinstance(denial, e.OrderDenied)
    assert denial.reason is e.DenyReason.DISK_LOW
    assert (denial.value, denial.limit) == ("90 MB free", "256 MB")
    assert exit_ == "nothing_to_close"
    assert (before, started) == ("disk_low", "approved")
    desk.takes(a_disk_checked(is_enough=True, free_megabytes=900))
    assert desk.denied() == "approved"


def test_a_start_measures_the_clock_anew() -> None:
    desk = Desk()
    desk.takes(a_clock_checked())
    again = Desk(journal=desk.journal)

    before = again.denied()
    again.takes(a_reconciled())

    assert (before, again.denied()) == ("clock_off", "approved")


def test_a_price_of_another_bar_than_the_signals_opens_nothing() -> None:
    desk = Desk()
    desk.closes(100.0, hour=1)

    assert desk.denied(close_ns=CLOSE_NS) == "stale_data"
    assert desk.denied(close_ns=CLOSE_NS + HOUR_NS) == "approved"


def test_a_symbol_in_which_the_skill_is_lost_alone_opens_nothing_until_it_is_back() -> None:
    desk = Desk()
    lost, kept = (
        SymbolSkill(instrument=BTC, n=50, evidence=0.0, shown=1.0, is_lost=is_lost)
        for is_lost in (True, False)
    )

    desk.takes(a_health_sample(status=e.HealthStatus.WARNING, symbols=(lost,)))
    in_btc, in_eth = desk.denied(), desk.denied(instrument=ETH)
    desk.takes(a_health_sample(status=e.HealthStatus.WARNING, symbols=(kept,)))

    assert (in_btc, in_eth, desk.denied()) == ("model_critical", "approved", "approved")


def test_a_model_that_is_critical_opens_nothing_even_after_a_resume() -> None:
    desk = Desk()
    desk.takes(a_health_sample(status=e.HealthStatus.CRITICAL))

    assert desk.denied() == "halted"
    desk.takes(a_resume_requested())
    assert desk.denied() == "model_critical"
    desk.takes(a_health_sample(status=e.HealthStatus.WARNING))
    assert desk.denied() == "approved"


def test_a_successor_ends_the_halt_of_its_predecessor_only_where_that_was_chosen() -> None:
    told = []
    for is_chosen in (False, True):
        desk = Desk(successor_ends_model_halt=is_chosen)
        desk.takes(a_health_sample(status=e.HealthStatus.CRITICAL))
        desk.takes(a_promotion())
        told.append((desk.risk.halts.state, desk.risk.halts.probation.trades_left > 0))

    assert told == [(e.TradingState.HALTED, False), (e.TradingState.ACTIVE, True)]


def test_a_successor_ends_no_halt_while_another_one_stands() -> None:
    desk = Desk(successor_ends_model_halt=True)
    desk.takes(a_health_sample(status=e.HealthStatus.CRITICAL))
    desk.takes(e.HaltRequested(ts_ns=CLOSE_NS, reason="maintenance", who="me"))

    desk.takes(a_promotion())

    assert set(desk.risk.halts.in_force) == {
        e.HaltReason.MODEL_CRITICAL,
        e.HaltReason.OPERATOR,
    }


def test_without_a_price_nothing_is_opened() -> None:
    desk = Desk()
    desk.book.marks.clear()

    assert desk.denied() == "no_price"


@pytest.mark.parametrize("price", ["NaN", "Infinity", "0", "-1"])
def test_a_price_that_is_none_opens_nothing(price: str) -> None:
    desk = Desk()
    desk.book.marks[BTC] = D(price)

    assert desk.denied() == "no_price"


def test_a_move_beyond_the_collar_opens_nothing_and_the_next_bar_may() -> None:
    desk = Desk(price_collar_bps=1_000.0)
    desk.closes(111.0, hour=1)
    verdict = desk.asked(close_ns=CLOSE_NS + HOUR_NS)
    desk.closes(112.0, hour=2)

    assert isinstance(verdict, e.OrderDenied)
    assert verdict.reason is e.DenyReason.PRICE_COLLAR
    assert (verdict.value, verdict.limit) == ("1100.0", "1000.0")
    assert desk.denied(close_ns=CLOSE_NS + 2 * HOUR_NS) == "approved"


def test_a_fall_is_a_move_too() -> None:
    desk = Desk(price_collar_bps=1_000.0)
    desk.closes(89.0, hour=1)

    assert desk.denied(close_ns=CLOSE_NS + HOUR_NS) == "price_collar"


def test_a_move_that_cannot_be_measured_opens_nothing() -> None:
    desk = Desk()
    desk.book.previous_marks.clear()

    assert desk.denied() == "price_collar"


def test_the_daily_loss_opens_nothing_for_the_rest_of_the_day() -> None:
    desk = Desk(max_daily_loss_ratio=0.03)
    desk.buys("9")
    desk.closes(66.0, BTC, hour=1)  # a loss of 3.06 %

    same_day = desk.denied(instrument=ETH)
    desk.closes(66.0, BTC, hour=24)
    desk.closes(100.0, ETH, hour=24)
    next_day = desk.denied(instrument=ETH, close_ns=CLOSE_NS + DAY_NS)

    assert (same_day, next_day) == ("daily_loss", "approved")


def test_a_loss_of_just_the_limit_denies_and_a_little_less_does_not() -> None:
    desk = Desk(max_daily_loss_ratio=0.03)
    desk.buys("10")
    desk.closes(70.5, BTC, hour=1)
    before = desk.denied(instrument=ETH)
    desk.closes(70.0, BTC, hour=2)

    verdict = desk.asked(instrument=ETH)

    assert before == "approved"
    assert isinstance(verdict, e.OrderDenied)
    assert (verdict.reason, verdict.value) == (e.DenyReason.DAILY_LOSS, "0.0300")


def test_a_daily_loss_limit_of_zero_is_off() -> None:
    desk = Desk(max_daily_loss_ratio=0.0)
    desk.buys("9")
    desk.closes(66.0, BTC, hour=1)

    assert desk.denied(instrument=ETH) == "approved"


MIDNIGHT = 23  # hours after the first bar


def test_a_bar_that_closes_at_midnight_belongs_to_the_day_it_ends() -> None:
    """Else no loss would ever be one of its day on bars of a day."""
    desk = Desk(max_daily_loss_ratio=0.03)
    desk.closes(100.0, hour=MIDNIGHT)
    desk.buys("9")
    answers = []
    for day, price in enumerate((66.0, 66.0), start=1):
        hour = MIDNIGHT + 24 * day
        desk.closes(price, BTC, hour=hour)
        desk.closes(100.0, ETH, hour=hour)
        answers.append(desk.denied(instrument=ETH, close_ns=CLOSE_NS + hour * HOUR_NS))

    assert answers == ["daily_loss", "approved"]


def test_what_was_lost_between_two_bars_is_lost_in_the_day_of_the_second_one() -> None:
    desk = Desk(max_daily_loss_ratio=0.03)
    desk.closes(100.0, hour=MIDNIGHT)
    desk.buys("9")
    desk.sells("9", price="66")  # its stop
    hour = MIDNIGHT + 24
    desk.takes(an_equity_mark(ts_ns=CLOSE_NS + (hour - 9) * HOUR_NS, equity_quote=D(9_694)))
    desk.closes(100.0, hour=hour)

    assert desk.denied(instrument=ETH, close_ns=CLOSE_NS + hour * HOUR_NS) == "daily_loss"


def test_a_bar_that_comes_late_does_not_begin_the_day_again() -> None:
    """Else the day's loss so far would be forgotten on the way there and back."""
    desk = Desk(max_daily_loss_ratio=0.03)
    desk.buys("9")
    desk.closes(100.0, BTC, hour=24)
    desk.closes(66.0, BTC, hour=25)
    desk.closes(100.0, ETH, hour=MIDNIGHT)
    desk.closes(100.0, ETH, hour=25)

    assert desk.denied(instrument=ETH, close_ns=CLOSE_NS + 25 * HOUR_NS) == "daily_loss"


def test_a_day_without_a_known_start_opens_nothing() -> None:
    desk = Desk()
    desk.risk.days.start_equity = D(0)

    assert desk.denied() == "daily_loss"


def test_the_order_rate_counts_the_last_hour_of_market_time() -> None:
    desk = Desk(max_orders_per_hour=2)
    for number in range(2):
        desk.intends(f"td{number}", ETH, ts_ns=CLOSE_NS - number)
        desk.takes(an_absence(client_order_id=f"td{number}", instrument=ETH))

    assert desk.denied() == "order_rate"
    assert desk.denied(ts_ns=CLOSE_NS + HOUR_NS) == "approved"


def test_spot_cannot_be_short() -> None:
    assert Desk().denied(e.Direction.SHORT) == "spot_cannot_short"


def test_a_position_is_not_added_to() -> None:
    desk = Desk()
    desk.buys("1")

    assert desk.denied() == "already_positioned"


def test_a_position_is_not_turned_round_by_one_order() -> None:
    desk = Desk()
    desk.takes(
        a_run_opened(
            instruments=tuple(
                an_instrument(id=each, base=each.symbol[:3], market_type=MarketType.SWAP)
                for each in (BTC, ETH)
            )
        )
    )
    desk.buys("1")

    assert desk.denied(e.Direction.SHORT) == "already_positioned"


def test_a_rest_too_small_to_be_sold_does_not_block_its_instrument_for_ever() -> None:
    desk = Desk()
    desk.buys("0.049")  # worth 4.90, and 5 is the least the exchange takes

    assert desk.denied(e.Direction.FLAT) == "below_minimum"
    assert desk.denied() == "approved"


def test_a_stake_of_nothing_is_denied() -> None:
    verdict = Desk().asked(win_probability=0.40)

    assert isinstance(verdict, e.OrderDenied)
    assert verdict.reason is e.DenyReason.NO_KELLY_STAKE
    assert verdict.value == f"{0.4 - 0.6 * 0.75:.4f}"


@pytest.mark.parametrize("bad", [None, math.nan, math.inf, -0.1, 1.1])
def test_a_probability_that_is_none_is_denied(bad: float | None) -> None:
    assert Desk().denied(win_probability=bad) == "not_finite"


def test_without_a_model_there_are_no_payoffs_to_size_with() -> None:
    assert Desk(model=False).denied() == "no_payoffs"


def test_costs_that_eat_the_win_leave_no_payoffs() -> None:
    assert Desk(costs=Costs(fee_ratio=0.010, slippage_ratio=0.001)).denied() == "no_payoffs"


@pytest.mark.parametrize("bad", [math.nan, math.inf, -1.0])
def test_payoffs_that_are_none_are_denied(bad: float) -> None:
    desk = Desk()
    desk.takes(a_model_activated(long_payoff=a_payoff(win_ratio=bad), short_payoff=GOOD))

    assert desk.denied() == "no_payoffs"


def test_an_order_under_the_exchanges_minimum_is_denied() -> None:
    verdict = Desk(kelly_ratio=0.001).asked()

    assert isinstance(verdict, e.OrderDenied)
    assert verdict.reason is e.DenyReason.BELOW_MINIMUM
    assert D(verdict.value) < 5


@pytest.mark.parametrize(
    ("fee_ratio", "stop_loss_ratio", "answer"),
    [
        (0.0, 0.0, "approved"),
        (0.0, 0.05, "no_capital"),  # 5.25 is what may be bought: 4.99 at the stop
        (0.06, 0.0, "no_capital"),  # and 4.94 where the fee is taken off what was bought
    ],
)
def test_what_could_not_be_left_again_at_its_stop_is_not_opened(
    fee_ratio: float, stop_loss_ratio: float, answer: str
) -> None:
    desk = Desk(
        costs=Costs(fee_ratio=fee_ratio, slippage_ratio=0.0),
        stop_loss_ratio=stop_loss_ratio,
        max_order_notional_quote=D("5.25"),
    )
    desk.takes(a_model_activated(long_payoff=a_payoff(win_ratio=0.5), short_payoff=GOOD))

    assert desk.denied() == answer


def test_less_than_a_lot_is_under_every_minimum() -> None:
    desk = Desk(price_collar_bps=10_000.0)
    desk.closes(1e7, hour=1)
    desk.closes(1e7, hour=2)

    assert desk.denied(close_ns=CLOSE_NS + 2 * HOUR_NS) == "below_minimum"


def test_the_gross_cap_holds_over_all_instruments() -> None:
    desk = Desk(max_position_ratio=0.10, max_gross_exposure_ratio=0.10)
    desk.buys("9.5", instrument=ETH)

    order = approved(desk.asked())

    assert order.bound_by is e.BoundBy.MAX_GROSS_EXPOSURE_RATIO
    assert order.notional_quote <= 50
    desk.buys("0.5", instrument=ETH)
    assert desk.denied() == "gross_exposure_cap"


def test_an_entry_that_may_still_fill_counts_as_filled() -> None:
    desk = Desk(max_position_ratio=0.10, max_gross_exposure_ratio=0.10)
    desk.intends(ORDER, ETH, quantity=D("9.5"))
    desk.takes(an_unknown_outcome(instrument=ETH))

    assert approved(desk.asked()).notional_quote <= 50


def test_of_an_account_that_may_be_spent_whole_the_fee_is_kept_back() -> None:
    desk = Desk(
        costs=Costs(fee_ratio=0.001, slippage_ratio=0.0),
        max_position_ratio=1.0,
        max_gross_exposure_ratio=1.0,
        max_order_notional_quote=D(100_000),
        kelly_ratio=1.0,
    )
    desk.takes(a_model_activated(long_payoff=a_payoff(win_ratio=9.0, loss_ratio=0.01)))

    order = approved(desk.asked(win_probability=1.0))

    assert order.bound_by is e.BoundBy.FREE_CAPITAL
    assert D("9999.8") < order.notional_quote * D("1.001") <= 10_000


# --- exits --------------------------------------------------------------------------------------


def test_an_exit_closes_the_whole_lots_of_what_is_held() -> None:
    desk = Desk()
    desk.buys("2.0005")

    order = approved(desk.asked(e.Direction.FLAT))

    assert (order.side, order.quantity, order.is_exit) == (Side.SELL, D("2.000"), True)
    assert order.bound_by is e.BoundBy.POSITION


def test_an_exit_of_a_short_position_buys_it_back() -> None:
    desk = Desk()
    desk.sells("2")

    order = approved(desk.asked(e.Direction.FLAT))

    assert (order.side, order.quantity) == (Side.BUY, D(2))


def test_an_exit_passes_in_every_state_there_is() -> None:
    desk = Desk(max_orders_per_hour=1, max_daily_loss_ratio=0.01, max_drawdown_ratio=0.05)
    desk.buys("9")
    for reason in e.HaltReason:
        desk.takes(a_halt(reason=reason))
    desk.takes(a_health_sample(status=e.HealthStatus.CRITICAL))
    desk.takes(a_feed_stale(instrument=BTC))
    desk.takes(a_reconciled(is_clean=False, differences=("a fill is missing",)))
    desk.closes(30.0, BTC, hour=1)
    desk.intends("tdx", ETH)

    # The signal is old, has no probability, and its bar is not the newest.
    verdict = desk.asked(e.Direction.FLAT, win_probability=None, close_ns=CLOSE_NS - DAY_NS)

    assert approved(verdict).quantity == 9


def test_without_a_position_there_is_nothing_to_close() -> None:
    assert Desk().denied(e.Direction.FLAT) == "nothing_to_close"


def test_dust_under_a_lot_is_nothing_to_close() -> None:
    desk = Desk()
    desk.buys("0.0009")

    assert desk.denied(e.Direction.FLAT) == "nothing_to_close"


@given(
    st.decimals("-50", "50", places=5).filter(bool),
    st.decimals("0.01", "100000", places=2),
)
def test_an_exit_never_makes_a_position_larger_nor_turns_it_round(
    held: Decimal, price: Decimal
) -> None:
    desk = Desk()
    (desk.buys if held > 0 else desk.sells)(str(abs(held)))
    desk.closes(float(price), hour=1)

    verdict = desk.asked(e.Direction.FLAT)

    if isinstance(verdict, e.OrderApproved):
        change = verdict.quantity if verdict.side is Side.BUY else -verdict.quantity
        assert abs(held + change) <= abs(held)
        assert abs(held + change) < D("0.001")
        assert (held + change) * held >= 0


# --- halts --------------------------------------------------------------------------------------


def halts(caused: list[e.Event]) -> list[e.TradingHalted]:
    return [each for each in caused if isinstance(each, e.TradingHalted)]


def fallen(desk: Desk, price: float = 40.0) -> list[e.TradingHalted]:
    """Ninety units bought at 100 fall to `price`."""
    desk.buys("90")
    return halts(desk.closes(price, BTC, hour=1))


def test_a_drawdown_at_the_limit_halts_with_its_numbers() -> None:
    desk = Desk(max_drawdown_ratio=0.45)

    (halt,) = fallen(desk, price=50.0)

    assert (halt.reason, halt.value, halt.limit) == (e.HaltReason.DRAWDOWN, 0.45, 0.45)
    assert halt.detail == "equity 5500.00 of peak 10000.00"


def test_a_drawdown_under_the_limit_does_not_halt() -> None:
    assert fallen(Desk(max_drawdown_ratio=0.45), price=50.1) == []


def test_a_drawdown_halts_once_and_stays_when_the_price_comes_back() -> None:
    desk = Desk()
    fallen(desk)

    later = [*halts(desk.closes(40.0, BTC, hour=2)), *halts(desk.closes(130.0, BTC, hour=3))]

    assert later == []
    assert list(desk.risk.halted) == [e.HaltReason.DRAWDOWN]


def test_a_drawdown_that_is_no_number_halts() -> None:
    caused = Desk().takes(an_equity_mark(drawdown_ratio=math.nan))

    assert [each.reason for each in halts(caused)] == [e.HaltReason.DRAWDOWN]


def test_spot_that_was_sold_twice_halts_and_halts_again_after_a_resume() -> None:
    desk = Desk()
    desk.buys("2")
    desk.sells("2")
    assert desk.risk.halted == {}

    desk.sells("0.5")  # less than was there, and not there any more

    assert desk.risk.halted == {
        e.HaltReason.OVERFILL: "binance:BTC/USDT: 0.5 more was sold than the bot had"
    }
    desk.takes(a_resume_requested())
    assert desk.risk.halted == {}
    desk.takes(a_reconciled())
    assert list(desk.risk.halted) == [e.HaltReason.OVERFILL]


def test_a_rest_below_nothing_that_no_order_could_buy_back_does_not_halt() -> None:
    desk = Desk()
    desk.buys("2")
    desk.sells("2.0004")

    assert desk.risk.halted == {}


def test_halts_peak_and_daily_loss_survive_a_restart() -> None:
    desk = Desk()
    fallen(desk)
    desk.takes(a_halt_requested())

    again = Desk(journal=desk.journal)

    assert again.risk.halted == desk.risk.halted
    assert again.book.peak == desk.book.peak == 10_000
    assert again.book.drawdown_ratio == desk.book.drawdown_ratio
    again.takes(a_reconciled())
    assert again.denied(instrument=ETH) == "halted"
    again.takes(a_resume_requested())
    desk.takes(a_resume_requested())
    assert again.denied(instrument=ETH) == desk.denied(instrument=ETH) != "halted"


def test_nothing_but_an_operator_ends_a_halt() -> None:
    desk = Desk()
    fallen(desk)
    for event in (
        a_reconciled(),
        a_health_sample(status=e.HealthStatus.HEALTHY),
        e.FeedRecovered(ts_ns=CLOSE_NS, instrument=BTC),
        a_model_activated(),
        e.HealthTick(ts_ns=CLOSE_NS),
        a_position_changed(),
        an_equity_mark(drawdown_ratio=0.0, ts_ns=CLOSE_NS + 9 * DAY_NS),
    ):
        desk.takes(event)

    assert e.HaltReason.DRAWDOWN in desk.risk.halted


def test_a_resume_is_told_with_its_name_and_starts_measuring_anew() -> None:
    desk = Desk()
    fallen(desk)

    resumed, told = desk.takes(a_resume_requested(reason="seen", who="uid 7"))

    assert isinstance(resumed, e.TradingResumed)
    assert (resumed.reason, resumed.who) == ("seen", "uid 7")
    assert isinstance(told, e.TradingStateChanged)
    assert desk.risk.halted == {}
    assert desk.book.drawdown_ratio == 0.0
    assert halts(desk.closes(39.0, BTC, hour=2)) == []
    assert len(halts(desk.closes(20.0, BTC, hour=3))) == 1


def test_every_reason_to_halt_is_kept_and_one_resume_ends_them_all() -> None:
    desk = Desk()
    for reason in e.HaltReason:
        desk.takes(a_halt(reason=reason, detail=f"because of {reason}"))
    halted = desk.risk.halted
    desk.takes(a_resume_requested())

    assert halted == {reason: f"because of {reason}" for reason in e.HaltReason}
    assert desk.risk.halted == {}


def test_a_critical_model_halts_and_any_other_health_does_not() -> None:
    for status in e.HealthStatus:
        desk = Desk()

        caused = halts(desk.takes(a_health_sample(status=status, reasons=("skill",))))

        is_critical = status is e.HealthStatus.CRITICAL
        assert [each.reason for each in caused] == [e.HaltReason.MODEL_CRITICAL] * is_critical


def test_the_halt_of_a_critical_model_tells_the_number_that_was_judged() -> None:
    sampled = a_health_sample(
        status=e.HealthStatus.CRITICAL, auc_high=0.65, judged=0.31, judged_limit=0.5
    )

    (halt,) = halts(Desk().takes(sampled))

    assert (halt.value, halt.limit) == (0.31, 0.5)


def test_books_that_differ_from_the_venues_halt_with_the_differences() -> None:
    desk = Desk()

    (halt,) = halts(desk.takes(a_reconciled(is_clean=False, differences=("one", "two"))))
    again = halts(desk.takes(a_reconciled(is_clean=False, differences=("three",))))

    assert (halt.reason, halt.detail) == (e.HaltReason.RECONCILE, "one; two")
    assert again == []


# --- the account --------------------------------------------------------------------------------


def test_every_fill_tells_the_position_the_equity_and_the_end_of_a_round_trip() -> None:
    desk = Desk()
    desk.buys("2")
    desk.closes(110.0, BTC, hour=1)
    desk.sells("2", "110")

    changes = [each for each in desk.journal if isinstance(each, e.PositionChanged)]

    assert [each.quantity for each in changes] == [D(2), D(0)]
    assert [each.closed_return_ratio for each in changes] == [None, pytest.approx(0.1)]
    assert [each.equity_quote for each in changes] == [D(10_000), D(10_020)]
    assert changes[1].realized_quote == 20


def test_closed_trades_change_later_sizes() -> None:
    lucky, unlucky = (Desk(max_losses_in_a_row=0) for _ in range(2))
    for desk, ratio in ((lucky, 0.05), (unlucky, -0.05)):
        for _ in range(20):
            desk.takes(a_position_changed(quantity=D(1)))
            desk.takes(a_position_changed(quantity=D(0), closed_return_ratio=ratio))

    more, less = approved(lucky.asked()), approved(unlucky.asked())

    assert more.kelly_full_ratio > 0.30 > less.kelly_full_ratio


def test_trades_of_the_other_direction_do_not() -> None:
    desk = Desk(max_losses_in_a_row=0)
    for _ in range(20):
        desk.takes(a_position_changed(quantity=D(-1)))
        desk.takes(a_position_changed(quantity=D(0), closed_return_ratio=-0.05))

    assert approved(desk.asked()).kelly_full_ratio == pytest.approx(0.30)


def test_features_that_are_not_those_of_the_stored_bars_halt_until_somebody_has_looked() -> None:
    desk = Desk()

    desk.takes(a_features_checked())
    assert desk.risk.halted == {}
    told = desk.takes(a_feature_difference())

    halt = next(each for each in told if isinstance(each, e.TradingHalted))
    assert halt.reason is e.HaltReason.FEATURES_DIFFER
    assert halt.detail.startswith("2 of 48 rows, first rsi_14 of binance:BTC/USDT at 2024-01-01")
    assert halt.detail.endswith("Z, fed 51.25, stored 51.5")
    desk.takes(a_features_checked())  # the next night finds nothing: the halt stays
    assert e.HaltReason.FEATURES_DIFFER in desk.risk.halted
    assert not [each for each in desk.takes(a_feature_difference())
                if isinstance(each, e.TradingHalted)]  # fmt: skip


def test_where_somebody_wants_it_so_features_that_differ_are_only_told() -> None:
    desk = Desk(halt_on_features_differ=False)

    desk.takes(a_feature_difference())

    assert desk.risk.halted == {}


def test_a_check_that_could_not_be_made_halts_nothing() -> None:
    desk = Desk()

    desk.takes(a_features_checked(error="the bar store is locked"))

    assert desk.risk.halted == {}
