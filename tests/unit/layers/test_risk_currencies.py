"""Layer 5 over several currencies: caps in one of them, and nothing risked on a rate nobody has."""

from decimal import Decimal
from typing import Any

import pytest

from daemon.app import build_core
from daemon.config import DataSection, ExecutionSection, RiskSection, Settings
from daemon.core import events as e
from daemon.core.instruments import InstrumentId, base_of, quote_of
from daemon.feature_config import feature_set_of
from tests.builders import (
    HOUR_NS,
    OPEN_NS,
    a_bar,
    a_model_activated,
    a_payoff,
    a_run_opened,
    a_signal,
    an_approval,
    an_instrument,
    an_order_filled,
    quotes_taken,
)
from tests.unit.core.simulation import MODEL, a_model

D = Decimal
SYMBOLS = ("BTC/USDT", "ETH/BTC", "BTC/EUR")
BTC, CROSS, EURO = (InstrumentId("binance", each) for each in SYMBOLS)
PRICES = {BTC: 60_000.0, CROSS: 0.05, EURO: 50_000.0}
WORTH = D(10_000) + D("0.5") * 60_000 + D(3_000) * D("1.2")


class Desk:
    """The daemon's core with capital in three currencies; every hour closes a bar of each."""

    def __init__(self, *, is_euro_priced: bool = True, **risk: Any) -> None:
        allotted = {"USDT": D(10_000), "BTC": D("0.5"), "EUR": D(3_000)}
        settings = Settings(
            data=DataSection(exchange="binance", symbols=SYMBOLS),
            execution=ExecutionSection(fee_bps=0.0, slippage_bps=0.0),
            risk=RiskSection(**{"allotted": allotted, "max_order_notional_quote": D(10**6)} | risk),
        )
        features = feature_set_of(settings)
        self.core = build_core(settings, features, a_model(features), tuple(PRICES))
        self.hour = -1
        payoff = a_payoff(win_ratio=0.02, loss_ratio=0.015)
        self.takes(
            a_run_opened(
                instruments=tuple(
                    an_instrument(
                        id=each, base=base_of(each.symbol), quote=quote_of(each.symbol),
                        tick=D("0.00001"), lot=D("0.00001"), minimum_notional=D("0.00001"),
                    )
                    for each in PRICES
                ),
                allotted=tuple(e.Balance(*each) for each in allotted.items()),
                reporting_currency="USDT",
            ),
            a_model_activated(model=MODEL, long_payoff=payoff, short_payoff=payoff),
            e.Reconciled(ts_ns=OPEN_NS, is_clean=True),
        )  # fmt: skip
        unpriced = () if is_euro_priced else (EURO,)
        self.closes(*unpriced)
        self.closes(*unpriced)

    @property
    def now_ns(self) -> int:
        return OPEN_NS + self.hour * HOUR_NS

    def takes(self, *inputs: e.Event) -> list[e.Event]:
        return [each for event in inputs for each in self.core.pipeline.step(event).events[1:]]

    def closes(self, *without: InstrumentId) -> None:
        self.hour += 1
        bars = tuple(
            a_bar(instrument=each, open_ns=self.now_ns - HOUR_NS, close=price)
            for each, price in PRICES.items()
            if each not in without
        )
        self.takes(e.BarsClosed(ts_ns=self.now_ns, bars=bars))

    def asked(self, instrument: InstrumentId) -> e.OrderApproved | e.OrderDenied:
        """What is said to a wish to buy, on a book without a spread."""
        trace = f"{instrument}-{self.hour}"
        signal = a_signal(
            ts_ns=self.now_ns,
            close_ns=self.now_ns,
            instrument=instrument,
            trace=trace,
            direction=e.Direction.LONG,
            win_probability=0.6,
        )
        price = D(repr(PRICES[instrument]))
        deep = ((price, D(10**9)),)
        quote = e.Quote(instrument=instrument, taken_ns=self.now_ns, bids=deep, asks=deep)
        told = self.takes(
            signal,
            quotes_taken(
                ts_ns=self.now_ns,
                instrument=instrument,
                trace=trace,
                direction=e.Direction.LONG,
                quotes=(quote,),
            ),
        )
        (verdict,) = [each for each in told if isinstance(each, e.OrderApproved | e.OrderDenied)]
        return verdict


def size(verdict: e.OrderApproved | e.OrderDenied) -> e.OrderApproved:
    assert isinstance(verdict, e.OrderApproved), verdict
    return verdict


def reason(verdict: e.OrderApproved | e.OrderDenied) -> str:
    assert isinstance(verdict, e.OrderDenied), verdict
    return verdict.reason.value


def test_a_stake_is_a_part_of_the_whole_equity_in_whatever_currency_it_is_paid() -> None:
    verdict = size(Desk(max_position_ratio=0.1).asked(CROSS))

    assert verdict.bound_by is e.BoundBy.KELLY
    assert verdict.equity_quote == WORTH
    # A quarter of a full stake of 0.3; a twentieth of a bitcoin is worth 3000.
    assert verdict.notional_quote == pytest.approx(WORTH * D("0.075"), rel=D("1e-4"))
    assert verdict.quantity == pytest.approx(WORTH * D("0.075") / 3_000, rel=D("1e-4"))


def test_an_order_is_paid_by_its_own_currency_alone() -> None:
    verdict = size(Desk(kelly_ratio=1.0, max_position_ratio=1.0, max_gross_exposure_ratio=1.0)
                   .asked(EURO))  # fmt: skip

    assert verdict.bound_by is e.BoundBy.FREE_CAPITAL
    assert verdict.quantity * D(50_000) <= 3_000
    assert verdict.notional_quote == pytest.approx(D(3_600), rel=D("1e-3"))


def test_the_largest_order_is_told_in_the_reporting_currency() -> None:
    verdict = size(Desk(max_order_notional_quote=D(600)).asked(CROSS))

    assert verdict.bound_by is e.BoundBy.MAX_ORDER_NOTIONAL
    assert verdict.quantity == D("0.2")


def test_a_symbol_has_no_more_than_its_share_of_the_capital() -> None:
    shares = {"BTC/USDT": 0.5, "ETH/BTC": 0.01, "BTC/EUR": 0.3}

    verdict = size(Desk(allocation=shares).asked(CROSS))

    assert verdict.bound_by is e.BoundBy.ALLOCATION
    assert verdict.notional_quote <= WORTH / 100
    assert size(Desk(allocation="equal").asked(CROSS)).bound_by is e.BoundBy.KELLY


def test_without_a_rate_nobody_knows_what_may_be_risked() -> None:
    desk = Desk(is_euro_priced=False)

    verdict = desk.asked(BTC)

    assert reason(verdict) == "no_rate"
    assert isinstance(verdict, e.OrderDenied)
    assert verdict.value == "EUR"
    assert not desk.core.book.is_valued


def test_a_rate_that_grew_old_is_as_good_as_none() -> None:
    desk = Desk()
    for _ in range(3):
        desk.closes(EURO)
    size(desk.asked(BTC))

    desk.closes(EURO)

    verdict = desk.asked(CROSS)
    assert reason(verdict) == "stale_rate"
    assert isinstance(verdict, e.OrderDenied)
    assert (verdict.value, verdict.limit) == ("EUR 14400 s", "10800 s")


def test_a_rate_of_a_feed_that_is_silent_is_not_believed() -> None:
    desk = Desk()
    desk.takes(e.FeedStale(ts_ns=desk.now_ns, instrument=EURO, silent_s=99.0, action="poll"))

    assert reason(desk.asked(BTC)) == "stale_rate"


def test_the_coin_that_fees_are_taken_in_is_not_bought() -> None:
    for is_allowed, expected in ((False, "fee_asset"), (True, "approved")):
        desk = Desk(trade_fee_asset=is_allowed)
        approval = an_approval(
            ts_ns=desk.now_ns, instrument=BTC, quantity=D("0.1"), decision_price=D(60_000)
        )
        (intent,) = [each for each in desk.takes(approval) if isinstance(each, e.OrderIntended)]
        desk.takes(
            an_order_filled(
                ts_ns=desk.now_ns,
                client_order_id=intent.client_order_id,
                instrument=BTC,
                quantity=D("0.1"),
                price=D(60_000),
                fee=D("0.001"),
                fee_currency="ETH",
            )
        )

        verdict = desk.asked(CROSS)

        told = verdict.reason.value if isinstance(verdict, e.OrderDenied) else "approved"
        assert told == expected
