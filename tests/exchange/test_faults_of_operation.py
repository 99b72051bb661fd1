"""Bans, clocks, maintenance, keys and networks in live mode: F71 to F73, F75 to F77, F79.

After each both sides' books are equal to the last digit.
"""

from pathlib import Path

from daemon.core import events as e
from daemon.core.orders import Leg
from tests.exchange.money_desk import (
    CANCELLING,
    PATIENT,
    PLACING,
    READING,
    holding,
    money_desk,
    there,
)


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


async def test_f77_an_exit_that_is_being_worked_ends_beside_an_order_that_is_named_like_ours(
    tmp_path: Path,
) -> None:
    changed = PATIENT | {"execution__exit_order": "limit", "execution__limit_offset_bps": 0.0}
    async with holding(tmp_path, **changed | {"execution__entry_order": "market"}) as desk:
        await desk.sells(waits=False)
        await desk.until(lambda: desk.states()[-1] == "exit accepted")
        name = f"{desk.orders[0].client_order_id[:6]}another"
        await desk.lab.fault(
            kind="foreign_order", symbol="BTC/USDT", side="SELL", amount="0.001", client_id=name
        )

        assert not await desk.compare()
        await desk.settled()
        assert desk.states()[-1] == "exit canceled"
        assert [each.reason for each in desk.all(e.ParentEnded)][-1] is e.ParentEnd.FOREIGN_ORDER
        await desk.bar()
        await desk.sells()
        sold = [each for each in desk.orders if each.leg is Leg.EXIT]
        assert [each.filled_quantity for each in sold] == [0]


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
