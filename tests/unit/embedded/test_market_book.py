from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.embedded.book import BookShape, book_around
from daemon.embedded.listings import listing
from daemon.embedded.market import MarketSymbol

BITCOIN = listing("BTC/USDT").instrument
PRICE = Decimal("60000.00")


def an_instrument(tick: str, lot: str) -> MarketSymbol:
    return MarketSymbol(
        symbol="ABC/USDT",
        id="ABCUSDT",
        base="ABC",
        quote="USDT",
        tick=Decimal(tick),
        lot=Decimal(lot),
        minimum_quantity=Decimal(lot),
        minimum_notional=Decimal(5),
    )


def levels_walked(asks: tuple[tuple[Decimal, Decimal], ...], notional: Decimal) -> int:
    for number, (price, quantity) in enumerate(asks, start=1):
        notional -= price * quantity
        if notional <= 0:
            return number
    raise AssertionError("the book is too thin")


@settings(max_examples=60, deadline=None)
@given(
    price=st.decimals("0.00000001", "900000", places=8).filter(lambda price: price > 0),
    tick=st.sampled_from(["0.00000001", "0.0001", "0.01", "1"]),
    lot=st.sampled_from(["0.00001", "0.1", "1"]),
    key=st.text(max_size=5),
)
def test_every_book_is_ordered_around_its_price_on_tick_and_lot(
    price: Decimal, tick: str, lot: str, key: str
) -> None:
    instrument = an_instrument(tick, lot)

    book = book_around(instrument, price, BookShape(key))

    bids, asks = [bid for bid, _ in book.bids], [ask for ask, _ in book.asks]
    assert bids == sorted(set(bids), reverse=True)
    assert asks == sorted(set(asks))
    assert len(asks) == 50
    assert not bids or 0 < bids[-1] <= bids[0] <= price
    assert price <= asks[0]
    assert not bids or bids[0] < asks[0]
    for level, quantity in book.bids + book.asks:
        assert level % instrument.tick == 0
        assert quantity > 0
        assert quantity % instrument.lot == 0


def test_the_spread_is_one_to_two_basis_points_where_the_tick_allows() -> None:
    for slot in range(200):
        book = book_around(BITCOIN, PRICE, BookShape(f"seed/{slot}"))
        spread_bps = (book.asks[0][0] - book.bids[0][0]) / PRICE * 10_000
        assert Decimal("0.99") < spread_bps < Decimal("2.01")


def test_a_few_thousand_walk_one_to_a_few_levels_and_ten_levels_hold_some_hundred_thousand() -> (
    None
):
    books = [book_around(BITCOIN, PRICE, BookShape(f"seed/{slot}")) for slot in range(300)]

    walks = [levels_walked(book.asks, Decimal(4_000)) for book in books]
    depths = [sum(price * quantity for price, quantity in book.asks[:10]) for book in books]

    assert 0.3 < sum(walk == 1 for walk in walks) / len(walks) < 0.9
    assert sum(walk in {2, 3} for walk in walks) > 50
    assert max(walks) <= 5
    assert min(depths) > 80_000
    assert 150_000 < sum(depths) / len(depths) < 300_000


def test_depth_grows_away_from_the_middle() -> None:
    books = [book_around(BITCOIN, PRICE, BookShape(f"seed/{slot}")) for slot in range(100)]

    near = sum(quantity for book in books for _, quantity in book.bids[:5])
    far = sum(quantity for book in books for _, quantity in book.bids[20:25])

    assert far > 4 * near


def test_the_same_key_and_price_give_the_same_book_and_fewer_levels_its_top() -> None:
    whole = book_around(BITCOIN, PRICE, BookShape("seed/1"))
    top = book_around(BITCOIN, PRICE, BookShape("seed/1", levels=5))

    assert whole == book_around(BITCOIN, PRICE, BookShape("seed/1"))
    assert (top.bids, top.asks) == (whole.bids[:5], whole.asks[:5])
    assert whole != book_around(BITCOIN, PRICE, BookShape("seed/2"))


def test_a_thin_market_has_a_thin_book() -> None:
    thin = book_around(BITCOIN, PRICE, BookShape("seed/1", depth_quote=50.0))

    assert sum(price * quantity for price, quantity in thin.asks[:10]) < 5_000


def test_a_price_of_a_few_ticks_has_few_bids() -> None:
    book = book_around(an_instrument("1", "1"), Decimal(3), BookShape("seed/1"))

    assert [price for price, _ in book.bids] == [3, 2, 1]


def test_a_price_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="more than zero"):
        book_around(BITCOIN, Decimal(0), BookShape("seed/1"))
