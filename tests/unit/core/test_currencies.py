"""One account in several currencies: rates by its own instruments, and equity in one of them."""

from decimal import Decimal
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core import events as e
from daemon.core.book import RATE_AGE_BARS, Book
from daemon.core.currencies import Rates
from daemon.core.instruments import Instrument, InstrumentId, MarketType, base_of, quote_of
from daemon.core.orders import Side
from daemon.core.turnover import Turnover
from tests.builders import HOUR_NS, OPEN_NS, a_bar, a_run_opened, an_instrument, an_order_filled

D = Decimal
SYMBOLS: Final = ("BTC/USDT", "ETH/BTC", "BTC/EUR")


def listed(symbol: str, exchange: str = "binance", **changes: object) -> Instrument:
    return an_instrument(
        id=InstrumentId(exchange, symbol), base=base_of(symbol), quote=quote_of(symbol), **changes
    )


def the_id(symbol: str, exchange: str = "binance") -> InstrumentId:
    return InstrumentId(exchange, symbol)


def opened(reporting: str = "USDT", *instruments: Instrument) -> e.RunOpened:
    return a_run_opened(
        instruments=instruments or tuple(map(listed, SYMBOLS)),
        allotted_quote=D(10_000),
        allotted=(
            e.Balance("USDT", D(10_000)), e.Balance("BTC", D("0.5")), e.Balance("EUR", D(3_000))
        ),
        reporting_currency=reporting,
    )  # fmt: skip


def a_book(reporting: str = "USDT") -> Book:
    book = Book()
    book.apply_run_opened(opened(reporting))
    return book


def marks(book: Book, hour: int = 0, **prices: float) -> None:
    """Closes, by the symbol without its slash."""
    for symbol, price in prices.items():
        (instrument,) = [
            each for each in book.instruments if each.symbol.replace("/", "") == symbol
        ]
        bar = a_bar(instrument=instrument, open_ns=OPEN_NS + hour * HOUR_NS, close=price)
        book.apply_bars_closed(e.BarsClosed(ts_ns=bar.close_ns, bars=(bar,)))


def fill(book: Book, symbol: str, side: Side, quantity: str, price: str, **fee: str) -> None:
    book.apply_order_filled(
        an_order_filled(
            instrument=the_id(symbol),
            side=side,
            quantity=D(quantity),
            price=D(price),
            fee=D(fee.get("fee", "0")),
            fee_currency=fee.get("currency", quote_of(symbol)),
        )
    )


def test_equity_is_every_currency_at_the_newest_marks() -> None:
    book = a_book()
    marks(book, BTCUSDT=60_000.0, BTCEUR=50_000.0)

    # A euro is a fiftieth of a thousandth of a bitcoin, and that is worth 1.2 dollars.
    assert book.equity == 10_000 + 30_000 + 3_600
    assert (book.allotted, book.peak) == (D(43_600), D(43_600))
    assert book.drawdown_ratio == 0.0


def test_before_everything_has_a_price_nothing_is_told_of_the_whole() -> None:
    book = a_book()
    marks(book, BTCUSDT=60_000.0)

    assert not book.is_valued
    assert book.rate("EUR") is None
    assert book.allotted == 0

    marks(book, BTCEUR=50_000.0)

    assert book.is_valued
    assert book.allotted == 43_600


def test_money_of_one_currency_pays_for_no_other() -> None:
    book = a_book()
    marks(book, BTCUSDT=60_000.0, BTCEUR=50_000.0, ETHBTC=0.05)

    fill(book, "ETH/BTC", Side.BUY, "2", "0.05", fee="0.0001")

    assert book.cash_on("binance", "BTC") == D("0.3999")
    assert book.cash_on("binance", "USDT") == 10_000
    assert book.notional(the_id("ETH/BTC")) == D("0.1")
    assert book.exposure(the_id("ETH/BTC")) == 6_000
    assert book.fees == 6
    assert book.equity == 43_600 - 6


def test_bought_coins_and_allotted_coins_of_one_kind_are_kept_apart() -> None:
    book = a_book()
    marks(book, BTCUSDT=60_000.0, BTCEUR=50_000.0)

    fill(book, "BTC/USDT", Side.BUY, "0.1", "60000", fee="0.0001", currency="BTC")

    assert book.cash_on("binance", "BTC") == D("0.5")
    assert book.position(the_id("BTC/USDT")).quantity == D("0.0999")
    assert book.owned("binance", "BTC") == D("0.5999")


def test_profit_is_what_was_traded_and_what_rates_made_of_the_capital() -> None:
    book = a_book()
    marks(book, BTCUSDT=60_000.0, BTCEUR=50_000.0, ETHBTC=0.05)
    fill(book, "ETH/BTC", Side.BUY, "2", "0.05")
    fill(book, "ETH/BTC", Side.SELL, "2", "0.06")

    marks(book, hour=1, BTCUSDT=66_000.0, BTCEUR=55_000.0)

    # A fiftieth of a bitcoin was won, and half a bitcoin of capital became 3000 dearer.
    assert book.realized == D("0.02") * 66_000
    assert book.revaluation == 3_000
    assert book.equity - book.allotted == book.realized + book.revaluation


def test_a_fee_in_a_coin_of_somebody_elses_is_owed_to_nobody_and_valued_where_it_can_be() -> None:
    book = Book()
    symbols = ("BTC/USDT", "BNB/USDT")
    book.apply_run_opened(
        a_run_opened(instruments=tuple(map(listed, symbols)), allotted_quote=D(10_000))
    )
    marks(book, BTCUSDT=100.0, BNBUSDT=500.0)

    fill(book, "BTC/USDT", Side.BUY, "2", "100", fee="0.001", currency="BNB")

    assert book.owned("binance", "BNB") == D("-0.001")
    assert book.position(the_id("BNB/USDT")).quantity == 0
    assert (book.fees, book.equity) == (D("0.5"), D("9999.5"))
    fill(book, "BTC/USDT", Side.SELL, "2", "100", fee="0.001", currency="BNB")
    assert book.closed_return(the_id("BTC/USDT")) == pytest.approx(-1 / 200)


def test_the_shortest_way_and_the_newest_mark_count() -> None:
    instruments = (listed("BTC/USDT"), listed("BTC/USDT", "okx"), listed("ETH/BTC"))
    rates = Rates(instruments, "USDT")
    one, other, cross = (each.id for each in instruments)
    known = {one: D(100), other: D(110), cross: D("0.1")}

    rate = rates.rate("ETH", known, {one: 5, other: 7, cross: 6})

    assert rate is not None
    assert (rate.value, rate.marked_ns, rate.instruments) == (D(11), 6, (cross, other))
    assert rates.rate("DOGE", known, {}) is None


def test_a_swap_is_no_exchange_rate() -> None:
    swap = listed("BTC/USDT", market_type=MarketType.SWAP)

    rates = Rates((swap,), "USDT")

    assert rates.rate("BTC", {swap.id: D(100)}, {swap.id: 5}) is None


@given(st.sampled_from(["USDT", "BTC", "EUR"]), st.floats(0.01, 1e6), st.floats(0.01, 1e6))
def test_whatever_it_is_told_in_the_account_is_worth_the_same(
    reporting: str, usdt: float, eur: float
) -> None:
    told, dollars = a_book(reporting), a_book()
    for book in (told, dollars):
        marks(book, BTCUSDT=usdt, BTCEUR=eur)
    in_dollars = told.equity
    if reporting != "USDT":
        rate = dollars.rate(reporting)
        assert rate is not None
        in_dollars *= rate.value

    assert float(in_dollars) == pytest.approx(float(dollars.equity))


def test_only_currencies_that_hold_something_must_be_valued() -> None:
    book = Book()
    book.apply_run_opened(
        a_run_opened(
            instruments=tuple(map(listed, SYMBOLS)),
            allotted=(e.Balance("USDT", D(10_000)),),
            reporting_currency="USDT",
        )
    )

    assert book.is_valued
    assert book.needed_rates("USDT") == ()
    assert book.needed_rates("BTC") == ("BTC",)
    assert book.rate_age_max_ns == RATE_AGE_BARS * HOUR_NS


def test_what_was_traded_is_summed_in_one_currency_at_the_prices_of_its_time() -> None:
    book = a_book()
    turnover = Turnover(book)

    def traded(symbol: str, price: str, hour: int) -> None:
        at_ns = OPEN_NS + hour * HOUR_NS
        turnover.apply_order_filled(
            an_order_filled(instrument=the_id(symbol), ts_ns=at_ns, quantity=D(2), price=D(price))
        )

    def so_far(hour: int, exchange: str = "binance") -> Decimal:
        return turnover.of(exchange, OPEN_NS + hour * HOUR_NS)

    traded("ETH/BTC", "0.05", 0)  # BTC has no price yet
    assert so_far(0) == 0
    marks(book, BTCUSDT=50_000)
    traded("ETH/BTC", "0.05", 1)
    traded("BTC/USDT", "50000", 2)
    assert so_far(2) == 5_000 + 100_000
    marks(book, hour=3, BTCUSDT=60_000)
    traded("ETH/BTC", "0.05", 3)
    assert so_far(3) == 5_000 + 100_000 + 6_000
    assert so_far(3, "okx") == 0
    assert so_far(30 * 24 + 2) == 100_000 + 6_000
    traded("BTC/USDT", "60000", 40 * 24)
    assert so_far(40 * 24) == 120_000
