from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.instruments import plain
from tests.builders import an_instrument

STEPS = st.decimals("0.00000001", "1000", places=8)
AMOUNTS = st.decimals("0", "1e12", places=12)


@given(step=STEPS, amount=AMOUNTS)
def test_a_quantity_is_cut_to_whole_lots_and_never_rounded_up(
    step: Decimal, amount: Decimal
) -> None:
    quantity = an_instrument(lot=step).quantize_down(amount)

    assert quantity <= amount < quantity + step
    assert quantity % step == 0


def test_a_quantity_a_hair_under_a_lot_is_less_than_that_lot() -> None:
    hair_under = Decimal("0.2999999999999999999999999999999999")

    assert an_instrument(lot=Decimal("0.3")).quantize_down(hair_under) == 0


@given(step=STEPS, price=AMOUNTS)
def test_prices_move_to_the_grid_on_the_side_that_is_asked_for(
    step: Decimal, price: Decimal
) -> None:
    instrument = an_instrument(tick=step)

    down, up = instrument.price_down(price), instrument.price_up(price)

    assert down <= price <= up
    assert up - down in {0, step}
    assert down % step == up % step == 0


@given(st.floats(min_value=1e-9, max_value=1e9, allow_nan=False))
def test_the_price_of_a_bar_crosses_into_money_without_a_change(price: float) -> None:
    assert float(an_instrument().price_of(price)) == price


def test_the_price_of_a_bar_is_what_was_written_not_its_binary_neighbour() -> None:
    assert an_instrument().price_of(0.1) == Decimal("0.1")


@pytest.mark.parametrize(("tick", "lot"), [("0", "1"), ("1", "0"), ("-1", "1"), ("1", "-0.1")])
def test_steps_that_are_no_steps_are_refused(tick: str, lot: str) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        an_instrument(tick=Decimal(tick), lot=Decimal(lot))


@pytest.mark.parametrize(
    ("value", "text"),
    [("1E+3", "1000"), ("0.00000001", "0.00000001"), ("1.500", "1.5"), ("-0.00", "0"), ("7", "7")],
)
def test_decimals_are_written_without_exponent_and_without_empty_digits(
    value: str, text: str
) -> None:
    assert plain(Decimal(value)) == text


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12))
def test_plain_text_reads_back_as_the_same_number(value: Decimal) -> None:
    assert Decimal(plain(value)) == value
    assert "E" not in plain(value)
