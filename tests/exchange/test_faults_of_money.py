"""Orders and money through every fault of F27 to F80 that a live run can meet on the wire.

After each of them nothing is doubled, nothing is lost, and both sides' books are equal to the last
digit.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from daemon.core import events as e
from daemon.core.orders import Leg, OrderState
from tests.exchange.fake_market import FakeMarket
from tests.exchange.money_desk import MoneyDesk, money_desk

D = Decimal
PLACING = {"path": "/api/v3/order", "method": "POST"}
CANCELLING = {"path": "/api/v3/order", "method": "DELETE"}
READING = {"path": "/api/v3/order", "method": "GET"}
USER = {"stream": "user"}
LIMIT: dict[str, Any] = {
    "execution__entry_order": "limit",
    "execution__requote_s": 0.3,
    "execution__order_timeout_s": 0.5,
}
CROSSING: dict[str, Any] = LIMIT | {"execution__limit_offset_bps": 1.0}
PATIENT: dict[str, Any] = CROSSING | {
    "execution__requote_s": 60.0,
    "execution__order_timeout_s": 120.0,
}
NEAR: dict[str, Any] = {"execution__stop_loss_ratio": 0.00004}  # two, where a bar falls by three


def entries(desk: MoneyDesk) -> list[str]:
    return [each.client_order_id for each in desk.orders if each.leg is Leg.ENTRY]


async def there(desk: MoneyDesk) -> list[dict[str, Any]]:
    orders: list[dict[str, Any]] = (await desk.lab.get("ledger"))["orders"]
    return orders


@asynccontextmanager
async def holding(folder: Path, **changed: Any) -> AsyncIterator[MoneyDesk]:
    """A desk that has bought, and whose stop rests."""
    async with money_desk(folder, **changed) as desk:
        await desk.buys()
        if desk.held:
            await desk.until(lambda: desk.stop_order is not None and desk.is_protected)
        yield desk


# --- F27 to F30, F33 to F35, F53, F78: the reply to an order --------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "drop_after"},
        {"kind": "status_after", "status": 504},
        {"kind": "status_after", "status": 502},
        {"kind": "status_after", "status": 408, "body": '{"code":-1007,"msg":"Timeout"}'},
    ],
)
async def test_f27_f28_an_order_whose_reply_is_lost_is_found_and_never_sent_again(
    tmp_path: Path, fault: dict[str, Any]
) -> None:
    async with money_desk(tmp_path) as desk:
        await desk.lab.fault(times=1, **fault, **PLACING)
        await desk.buys()

        assert len(desk.all(e.OrderOutcomeUnknown)) == 1
        assert len(entries(desk)) == 1
        assert desk.held > 0
        await desk.assert_books_are_right()


async def test_f28_a_restart_while_nobody_knows_sends_nothing_again(tmp_path: Path) -> None:
    async with money_desk(tmp_path) as desk:
        await desk.lab.fault(kind="drop_after", times=1, **PLACING)
        await desk.lab.fault(kind="status", times=3, **READING)
        await desk.buys(waits=False)
        await desk.heard(e.OrderOutcomeUnknown)

        await desk.restarts()

        assert desk.states()[0] == "entry filled"
        assert len(entries(desk)) == 1
        await desk.assert_books_are_right()


async def test_f29_a_503_is_no_failure_the_order_comes_later(tmp_path: Path) -> None:
    async with money_desk(tmp_path) as desk:
        await desk.lab.fault(kind="late_accept", sec=0.2, times=1, **PLACING)
        await desk.buys()

        assert desk.all(e.OrderOutcomeUnknown)
        assert desk.states()[0] == "entry filled"
        await desk.assert_books_are_right()


async def test_f30_not_found_right_after_it_was_placed_is_a_reading_and_no_state(
    tmp_path: Path,
) -> None:
    async with money_desk(tmp_path) as desk:
        await desk.lab.fault(kind="order_lag", sec=0.4, times=1)
        await desk.lab.fault(kind="drop_after", times=1, **PLACING)
        await desk.buys()

        assert not desk.all(e.OrderAbsent)
        assert desk.states()[0] == "entry filled"
        await desk.assert_books_are_right()


async def test_an_order_that_never_arrived_is_absent_and_may_be_decided_anew(
    tmp_path: Path,
) -> None:
    async with money_desk(tmp_path) as desk:
        await desk.lab.fault(kind="drop_before", times=1, **PLACING)
        await desk.buys()
        assert desk.states() == ["entry absent"]
        assert await there(desk) == []

        await desk.bar()
        await desk.buys()

        assert desk.held > 0
        await desk.assert_books_are_right()


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "bare_reply"},
        {"kind": "null_reply"},
        {"kind": "body_after", "body": '{"orderId":7,"fills":[null]}'},
        {"kind": "body_after", "body": '{"orderId":7,"price":"much","status":5}'},
        {"kind": "body_after", "body": "<html>welcome</html>"},
        {"kind": "body_after", "body": ""},
        {"kind": "body_after", "body": "null"},
    ],
)
async def test_f33_f34_f35_f78_a_reply_that_says_nothing_is_looked_behind(
    tmp_path: Path, fault: dict[str, Any]
) -> None:
    async with money_desk(tmp_path) as desk:
        await desk.lab.fault(times=1, **fault, **PLACING)
        await desk.buys()

        assert len(entries(desk)) == 1
        assert desk.states()[0] == "entry filled"
        await desk.restarts()
        await desk.assert_books_are_right()


async def test_f53_a_refusal_ends_the_order_with_its_reason_and_nothing_is_sent_again(
    tmp_path: Path,
) -> None:
    async with money_desk(tmp_path) as desk:
        refusal = '{"code":-2010,"msg":"Account has insufficient balance for requested action."}'
        await desk.lab.fault(kind="status", status=400, body=refusal, times=1, **PLACING)
        await desk.buys()

        (refused,) = desk.all(e.OrderRefused)
        assert "-2010" in refused.reason
        assert desk.states() == ["entry refused"]
        await desk.assert_books_are_right()


# --- F31, F32, F39 to F41: what became of an order ------------------------------------------------


async def test_f31_a_filled_order_told_as_canceled_with_nothing_filled_is_not_believed(
    tmp_path: Path,
) -> None:
    async with money_desk(tmp_path) as desk:
        await desk.lab.fault(kind="denied", times=1)
        await desk.lab.fault(kind="drop_after", times=1, **PLACING)
        await desk.buys()

        assert desk.states()[0] == "entry filled"
        assert desk.held > 0
        await desk.assert_books_are_right()


@pytest.mark.parametrize("ratio", [1, 0.25])
async def test_f32_a_cancel_that_comes_too_late_is_a_position_and_no_second_entry(
    tmp_path: Path, ratio: float
) -> None:
    async with money_desk(tmp_path, **LIMIT) as desk:
        await desk.lab.fault(kind="filled_first", ratio=ratio, times=1)
        await desk.buys()

        asked = desk.all(e.OrderApproved)[0].quantity
        filled = sum((each.filled_quantity for each in desk.orders), D(0))
        assert 0 < filled <= asked
        assert desk.held > 0
        await desk.assert_books_are_right()


async def test_f39_what_filled_of_a_cancelled_order_is_a_position_with_its_stop(
    tmp_path: Path,
) -> None:
    async with money_desk(tmp_path, **CROSSING) as desk:
        await desk.lab.fault(kind="part_filled", ratio=0.37, times=1)
        await desk.buys()

        wanted = desk.all(e.OrderApproved)[0].quantity
        assert 0 < desk.held < wanted
        await desk.assert_books_are_right()
        await desk.bar()
        await desk.sells()
        assert desk.held == 0
        await desk.assert_books_are_right()


async def test_f40_the_stop_follows_the_position_while_the_rest_of_the_entry_fills(
    tmp_path: Path,
) -> None:
    async with money_desk(tmp_path, **PATIENT) as desk:
        await desk.lab.fault(kind="part_filled", ratio=0.37, times=1)
        await desk.buys(waits=False)
        await desk.until(lambda: desk.held > 0 and desk.is_protected)
        part = desk.held

        await desk.bar()  # which trades through the entry's price
        await desk.until(lambda: desk.held > part and desk.is_protected)

        await desk.assert_books_are_right()


async def test_f41_a_market_order_that_the_book_cannot_fill_is_a_part_and_an_end(
    tmp_path: Path,
) -> None:
    async with money_desk(tmp_path) as desk:
        await desk.lab.fault(kind="part_filled", ratio=0.5, times=1)
        await desk.buys()

        assert desk.states()[0] == "entry expired"
        assert desk.held > 0
        await desk.assert_books_are_right()


@pytest.mark.parametrize("word", ["PENDING_REVIEW", "", "REJECTED"])
async def test_f41_a_status_nobody_knows_is_asked_again_until_it_is_one_that_is_known(
    tmp_path: Path, word: str
) -> None:
    async with money_desk(tmp_path) as desk:
        await desk.lab.fault(kind="worded", text=word, times=2)
        await desk.lab.fault(kind="drop_after", times=1, **PLACING)
        await desk.buys()

        await desk.until(lambda: desk.states()[0] == "entry filled")
        await desk.assert_books_are_right()


@pytest.mark.parametrize("says", ["EXPIRED", "CANCELED"])
async def test_f41_f51_a_stop_that_the_exchange_ends_by_itself_is_made_anew(
    tmp_path: Path, says: str
) -> None:
    async with holding(tmp_path) as desk:
        await desk.lab.fault(kind="orders_ended", says=says)
        await desk.bar()

        stop = desk.orders[1]
        await desk.until(lambda: not stop.is_open)
        await desk.assert_books_are_right()
        assert desk.stop_order not in (None, stop)


# --- F36 to F38, F74: the stream of reports -------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "swapped", "event": "NEW"},
        {"kind": "swapped", "event": "TRADE"},
        {"kind": "burst", "count": 3, "event": "TRADE"},
        {"kind": "drop", "event": "TRADE"},
        {"kind": "drop"},
        {"kind": "late", "sec": 0.3, "event": "TRADE"},
        {"kind": "frame", "text": '{"event":'},
        {"kind": "close", "event": "TRADE", "times": 1},
        {"kind": "terminated", "times": 1},
        {"kind": "stall"},
    ],
    ids=lambda fault: f"{fault['kind']}-{fault.get('event', 'all')}",
)
async def test_f36_f37_f38_f74_what_the_stream_does_changes_nothing_in_the_books(
    tmp_path: Path, fault: dict[str, Any]
) -> None:
    async with money_desk(tmp_path) as desk:
        await desk.subscribed()
        await desk.lab.fault(**fault, **USER)
        await desk.buys()
        await desk.bar()
        assert desk.held > 0
        await desk.assert_books_are_right()
        await desk.sells()

        assert desk.held == 0
        await desk.assert_books_are_right()


async def test_f38_a_stop_that_is_met_while_the_stream_is_silent_is_found_by_asking(
    tmp_path: Path,
) -> None:
    async with holding(tmp_path, **NEAR) as desk:
        await desk.subscribed()
        await desk.lab.fault(kind="drop", **USER)
        await desk.bar()  # it falls through the stop

        await desk.until(lambda: "stop filled" in desk.states())
        assert desk.held == 0
        await desk.assert_books_are_right()


# --- F42 to F45, F49, F50, F56: amounts, fees and balances ----------------------------------------


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


async def test_f43_a_step_that_changed_refuses_the_order_by_name_and_once(tmp_path: Path) -> None:
    async with money_desk(tmp_path) as desk:
        await desk.lab.fault(kind="rules", lot="0.01")
        await desk.buys()

        (refused,) = desk.all(e.OrderRefused)
        assert "LOT_SIZE" in refused.reason
        assert desk.states() == ["entry refused"]
        await desk.assert_books_are_right()


async def test_f44_fees_taken_in_what_was_bought_leave_only_what_can_be_sold(
    tmp_path: Path,
) -> None:
    async with holding(tmp_path) as desk:
        bought = sum((each.quantity for each in desk.all(e.OrderFilled)), D(0))
        assert desk.held < bought
        await desk.bar()
        await desk.sells()

        assert desk.held == 0
        assert desk.core.book.position(desk.id).dust >= 0
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


async def test_f56_a_fee_that_no_schedule_tells_is_told(tmp_path: Path) -> None:
    async with money_desk(tmp_path, FakeMarket(level_quantity=D("0.0008"))) as desk:
        await desk.lab.fault(kind="fee_drift", bps="15")
        await desk.buys()  # in many fills
        await desk.bar()
        await desk.sells()

        assert desk.all(e.FeesDrifted)
        await desk.assert_books_are_right()


# --- F51: a stop is changed -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "drop_after", **CANCELLING},
        {"kind": "drop_before", **CANCELLING},
        {"kind": "status", "status": 503, **CANCELLING},
        {"kind": "status_after", "status": 504, **CANCELLING},
    ],
    ids=["lost reply", "lost request", "503", "504"],
)
async def test_f51_an_exit_sells_once_and_only_when_the_end_of_the_stop_is_known(
    tmp_path: Path, fault: dict[str, Any]
) -> None:
    async with holding(tmp_path) as desk:
        await desk.lab.fault(times=1, **fault)
        await desk.sells()

        sold = [each for each in desk.orders if each.leg is Leg.EXIT]
        assert [each.state for each in sold] == [OrderState.FILLED]
        assert desk.held == 0
        await desk.assert_books_are_right()


async def test_f51_a_stop_that_fills_while_an_exit_cancels_it_leaves_nothing_to_sell(
    tmp_path: Path,
) -> None:
    async with holding(tmp_path) as desk:
        await desk.lab.fault(kind="filled_first", times=1)
        await desk.sells()

        assert desk.states() == ["entry filled", "stop filled"]
        assert desk.held == 0
        await desk.assert_books_are_right()


async def test_f51_a_stop_that_is_refused_closes_the_position(tmp_path: Path) -> None:
    async with money_desk(tmp_path) as desk:
        refusal = '{"code":-2010,"msg":"Stop price would trigger immediately."}'
        await desk.lab.fault(kind="status", status=400, body=refusal, nth=[2], **PLACING)
        await desk.buys()
        await desk.until(lambda: desk.held == 0 and bool(desk.all(e.ProtectionFailed)))

        assert desk.states() == ["entry filled", "stop refused", "exit filled"]
        await desk.assert_books_are_right()


async def test_f51_a_stop_whose_reply_is_lost_is_one_stop(tmp_path: Path) -> None:
    async with money_desk(tmp_path) as desk:
        await desk.lab.fault(kind="drop_after", nth=[2], **PLACING)
        await desk.buys()

        await desk.assert_books_are_right()
        stops = [each for each in await there(desk) if each["type"].startswith("stop")]
        assert len(stops) == 1


# --- F52, F57, F58, F60: restarts -----------------------------------------------------------------


async def test_f52_f58_twenty_restarts_make_no_order_no_fill_and_the_same_price(
    tmp_path: Path,
) -> None:
    async with holding(tmp_path) as desk:
        position = desk.core.book.position(desk.id)
        before = (position.quantity, position.average_price, desk.states())

        for _ in range(20):
            await desk.restarts()
            again = desk.core.book.position(desk.id)
            assert (again.quantity, again.average_price, desk.states()) == before
            assert not desk.all(e.OrderIntended)

        await desk.assert_books_are_right()


async def test_f57_orders_that_were_open_at_a_restart_are_worked_on(tmp_path: Path) -> None:
    changed = PATIENT | {"execution__limit_offset_bps": 0.0}
    async with money_desk(tmp_path, **changed) as desk:
        await desk.buys(waits=False)
        await desk.heard(e.OrderAccepted)
        await desk.restarts()
        await desk.bar()  # which trades through the entry's price

        await desk.until(lambda: desk.held > 0 and desk.is_protected)
        assert len(entries(desk)) == 1
        await desk.assert_books_are_right()


async def test_f60_after_a_stop_nothing_leaves_and_nothing_but_stops_rests(tmp_path: Path) -> None:
    async with money_desk(tmp_path, **PATIENT) as desk:
        await desk.lab.fault(kind="part_filled", ratio=0.37, times=1)
        await desk.buys(waits=False)
        await desk.until(lambda: desk.held > 0 and desk.is_protected)

        await desk.stops()
        await desk.buys()

        assert desk.all(e.ParentEnded)[0].reason is e.ParentEnd.STOPPED
        assert len(entries(desk)) == 1
        await desk.assert_books_are_right()


# --- F71 to F73, F75 to F77, F79: the exchange and its key ----------------------------------------


async def test_f71_a_ban_is_waited_out_and_nothing_is_doubled(tmp_path: Path) -> None:
    async with holding(tmp_path) as desk:
        await desk.lab.fault(kind="banned", count=1, sec=2)
        await desk.sells(waits=False)
        await desk.until(lambda: desk.held == 0, 60.0)

        await desk.assert_books_are_right()


async def test_f72_a_clock_that_is_off_refuses_and_is_set_without_a_blind_retry(
    tmp_path: Path,
) -> None:
    async with money_desk(tmp_path) as desk:
        await desk.lab.fault(kind="clock_ahead", ahead_sec=30)
        await desk.buys()
        assert desk.states() == ["entry refused"]
        assert await there(desk) == []

        await desk.bar()
        await desk.buys()

        assert desk.held > 0
        await desk.assert_books_are_right()


async def test_f73_maintenance_is_waited_out(tmp_path: Path) -> None:
    async with holding(tmp_path) as desk:
        await desk.lab.fault(kind="maintenance", until=3)
        await desk.sells(waits=False)
        await desk.until(lambda: bool(desk.all(e.OrderCancelRequested)))
        assert desk.held > 0

        await desk.bar()
        await desk.until(lambda: desk.held == 0, 40.0)
        await desk.assert_books_are_right()


async def test_f75_a_market_that_breaks_keeps_the_position_until_it_can_be_sold(
    tmp_path: Path,
) -> None:
    async with holding(tmp_path) as desk:
        await desk.lab.fault(kind="market_closed", symbol="BTC/USDT", until=4)
        await desk.sells()
        assert desk.held > 0
        await desk.bar()
        await desk.bar()
        await desk.sells()

        assert desk.held == 0
        await desk.assert_books_are_right()


async def test_f76_with_a_key_that_is_refused_the_stop_goes_on_resting(tmp_path: Path) -> None:
    async with holding(tmp_path) as desk:
        await desk.lab.fault(kind="key_revoked", until=3)
        await desk.sells(waits=False)
        await desk.heard(e.OrderCancelRequested)

        stops = [each for each in await there(desk) if each["type"].startswith("stop")]
        assert [each["status"] for each in stops] == ["new"]
        await desk.bar()
        await desk.until(lambda: desk.held == 0, 40.0)
        await desk.assert_books_are_right()


async def test_f77_an_order_named_like_ours_that_we_never_intended_halts(tmp_path: Path) -> None:
    async with holding(tmp_path) as desk:
        name = f"{desk.orders[0].client_order_id[:6]}another"
        await desk.lab.fault(
            kind="foreign_order", symbol="BTC/USDT", side="BUY", amount="0.001", client_id=name
        )
        await desk.bar()

        assert not await desk.compare()
        assert e.HaltReason.FOREIGN_ORDER in desk.core.risk.halted
        ours = {each.client_order_id for each in desk.orders}
        assert ours | {name} == {each["client_order_id"] for each in await there(desk)}


async def test_f79_while_nothing_is_reached_nothing_is_doubled_and_the_stop_rests(
    tmp_path: Path,
) -> None:
    async with holding(tmp_path) as desk:
        for where in (PLACING, CANCELLING, READING, {"path": "/api/v3/myTrades"}):
            await desk.lab.fault(kind="drop_before", until=3, **where)
        await desk.sells(waits=False)
        await desk.heard(e.OrderCancelRequested)
        stops = [each for each in await there(desk) if each["type"].startswith("stop")]
        assert [each["status"] for each in stops] == ["new"]

        await desk.bar()
        await desk.until(lambda: desk.held == 0, 40.0)
        await desk.assert_books_are_right()
