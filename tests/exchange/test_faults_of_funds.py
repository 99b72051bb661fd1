"""Filters, fees and balances that change under a live daemon: F42 to F47, F49, F50, F55, F56.

After each both sides' books are equal to the last digit.
"""

from decimal import Decimal
from pathlib import Path

import pytest

from daemon.core import events as e
from daemon.core.orders import Leg, OrderState
from tests.exchange.fake_market import FakeMarket
from tests.exchange.money_desk import entries, holding, money_desk, there

D = Decimal


async def test_f42_a_position_under_a_raised_minimum_is_not_sold_over_and_over(
    tmp_path: Path,
) -> None:
    async with holding(tmp_path) as desk:
        await desk.lab.fault(kind="rules", minimum_notional="5000")
        await desk.bar()
        await desk.sells()
        await desk.bar()
        await desk.bar()

        refused = [each for each in desk.orders if each.state is OrderState.REFUSED]
        assert 1 <= len(refused) <= 4
        assert desk.held > 0
        await desk.assert_books_are_right(is_protected=False)


async def test_f42_a_raised_minimum_that_is_read_makes_dust_of_what_it_no_longer_lets_go(
    tmp_path: Path,
) -> None:
    async with holding(tmp_path) as desk:
        await desk.lab.fault(kind="rules", minimum_notional="5000")
        await desk.listing.look()
        await desk.bar()
        assert desk.states() == ["entry filled", "stop accepted"]
        await desk.sells()

        await desk.until(lambda: desk.states() == ["entry filled", "stop canceled"])
        assert desk.held == 0
        assert desk.core.book.position(desk.id).dust == D("0.01996002")
        await desk.assert_books_are_right()


@pytest.mark.parametrize("is_at_start", [True, False])
async def test_f43_a_step_that_changed_is_read_and_the_position_can_be_left_by_it(
    tmp_path: Path, *, is_at_start: bool
) -> None:
    async with holding(tmp_path) as desk:
        await desk.lab.fault(kind="rules", lot="0.0001", tick="0.1")
        await (desk.restarts() if is_at_start else desk.listing.look())
        await desk.bar()
        await desk.until(lambda: desk.is_protected)
        assert [each["quantity"] for each in await there(desk)] == ["0.01998", "0.01996", "0.0199"]
        await desk.sells()

        (told,) = desk.all(e.RulesChanged)
        assert told.detail.startswith("tick 0.01 -> 0.1, lot 0.00001 -> 0.0001")
        sold = desk.orders[-1]
        assert (sold.leg, sold.quantity, str(sold.state)) == (Leg.EXIT, D("0.0199"), "filled")
        assert desk.core.book.position(desk.id).dust == D("0.00006002")
        await desk.assert_books_are_right()


async def test_f43_a_finer_step_is_used_as_soon_as_it_is_read(tmp_path: Path) -> None:
    async with money_desk(tmp_path) as desk:
        await desk.lab.fault(kind="rules", lot="0.000001")
        await desk.listing.look()
        await desk.bar()
        await desk.buys()

        bought = desk.orders[0].quantity
        assert bought % D("0.00001") != 0
        assert D((await there(desk))[0]["quantity"]) == bought
        assert desk.states()[0] == "entry filled"
        await desk.assert_books_are_right()


async def test_f43_a_step_that_changed_refuses_the_order_by_name_and_once(tmp_path: Path) -> None:
    async with money_desk(tmp_path) as desk:
        await desk.lab.fault(kind="rules", lot="0.01")
        await desk.buys()

        (refused,) = desk.all(e.OrderRefused)
        assert "LOT_SIZE" in refused.reason
        assert desk.states() == ["entry refused"]
        await desk.assert_books_are_right()


async def test_f44_f46_fees_taken_in_what_was_bought_leave_only_what_can_be_sold(
    tmp_path: Path,
) -> None:
    async with holding(tmp_path) as desk:
        bought = sum((each.quantity for each in desk.all(e.OrderFilled)), D(0))
        assert desk.held < bought
        await desk.bar()
        await desk.sells()

        sold = desk.orders[-1]
        assert (sold.leg, sold.quantity) == (Leg.EXIT, D("0.01996"))  # of 0.01996002
        assert desk.held == 0
        assert desk.core.book.position(desk.id).dust == D("0.00000002")
        await desk.assert_books_are_right()


async def test_f47_a_tiny_quantity_leaves_as_a_plain_number(tmp_path: Path) -> None:
    market = FakeMarket(base={"BTCUSDT": 80_000, "ETHUSDT": 3_000})
    async with money_desk(tmp_path, market, risk__max_order_notional_quote=D("7.5")) as desk:
        await desk.lab.fault(kind="fees", taker_bps="20", maker_bps="20", asset="ETH")
        await desk.buys()
        await desk.bar()
        await desk.sells()

        assert [each["quantity"] for each in await there(desk)] == ["0.00009"] * 3
        assert desk.states() == ["entry filled", "stop canceled", "exit filled"]
        await desk.assert_books_are_right()


async def test_f45_fees_in_another_asset_are_a_ledger_of_their_own(tmp_path: Path) -> None:
    async with money_desk(tmp_path) as desk:
        await desk.lab.fault(kind="fees", taker_bps="20", maker_bps="-1", asset="ETH")
        await desk.buys()

        (fill, *_) = desk.all(e.OrderFilled)
        assert fill.fee_currency == "ETH"
        assert desk.core.book.others["embedded", "ETH"] < 0
        await desk.assert_books_are_right()


async def test_f49_balances_that_lag_behind_a_fill_are_waited_for_and_never_sized_on(
    tmp_path: Path,
) -> None:
    async with money_desk(tmp_path, execution__reconcile_patience_s=3.0) as desk:
        await desk.lab.fault(kind="balance_lag", sec=0.8)
        await desk.buys()
        await desk.buys()

        assert len(entries(desk)) == 1
        assert await desk.compare()
        assert not desk.all(e.FundsMoved)
        await desk.assert_books_are_right()


async def test_f50_money_of_others_comes_and_goes_beside_our_books(tmp_path: Path) -> None:
    async with holding(tmp_path) as desk:
        equity = desk.core.book.cash_on("embedded", "USDT")
        await desk.lab.fault(kind="deposit", asset="USDT", amount="500")
        await desk.bar()

        assert await desk.compare()
        (moved,) = desk.all(e.FundsMoved)
        assert (moved.currency, moved.amount) == ("USDT", 500)
        assert desk.core.book.cash_on("embedded", "USDT") == equity
        assert desk.core.risk.halted == {}


async def test_f50_f59_an_account_that_holds_less_than_we_own_halts(tmp_path: Path) -> None:
    async with money_desk(tmp_path, execution__stop_loss_ratio=0.0) as desk:
        await desk.buys()
        await desk.lab.fault(kind="withdrawal", asset="BTC", amount="1.001")
        await desk.bar()

        assert not await desk.compare()
        assert e.HaltReason.RECONCILE in desk.core.risk.halted
        before = len(desk.orders)
        await desk.buys()
        assert len(desk.orders) == before


async def test_f55_no_more_is_bought_in_a_day_than_was_said(tmp_path: Path) -> None:
    async with money_desk(tmp_path, risk__max_day_notional_quote=D(1_500)) as desk:
        for _ in range(4):
            await desk.buys()
            await desk.sells()
            await desk.bar()

        bought = [each for each in await there(desk) if each["side"] == "buy"]
        assert len(bought) == 2
        assert D(1_400) < sum(D(each["filled_quote"]) for each in bought) <= D(1_500)
        await desk.assert_books_are_right()


async def test_f56_a_fee_that_no_schedule_tells_is_told(tmp_path: Path) -> None:
    async with money_desk(tmp_path, FakeMarket(level_quantity=D("0.0008"))) as desk:
        await desk.lab.fault(kind="fee_drift", bps="15")
        await desk.buys()  # in many fills
        await desk.bar()
        await desk.sells()

        assert desk.all(e.FeesDrifted)
        await desk.assert_books_are_right()
