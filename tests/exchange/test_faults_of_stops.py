"""A stop that is replaced or ended, and lives that end: F51, F52, F57, F58, F60, F63, F64.

After each both sides' books are equal to the last digit.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from daemon.core import events as e
from daemon.core.errors import JournalBroken
from daemon.core.orders import Leg, OrderState
from tests.exchange.money_desk import (
    CANCELLING,
    PATIENT,
    PLACING,
    USER,
    MoneyDesk,
    entries,
    holding,
    money_desk,
    there,
)


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


async def test_f31_f51_a_stop_whose_fill_is_denied_is_not_sold_a_second_time(
    tmp_path: Path,
) -> None:
    async with holding(tmp_path) as desk:
        await desk.subscribed()
        await desk.lab.fault(kind="drop", **USER)
        await desk.lab.fault(kind="filled_first", times=1)
        await desk.lab.fault(kind="denied", times=1)
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


async def test_f63_a_journal_that_another_writer_holds_ends_the_daemon_and_its_order_is_found(
    tmp_path: Path,
) -> None:
    async with money_desk(tmp_path) as desk:
        await desk.lab.fault(kind="drop", **USER)
        await desk.lab.fault(kind="delay_after", sec=1.5, times=1, **PLACING)
        await desk.buys(waits=False)
        await desk.heard(e.OrderIntended)
        with closing(sqlite3.connect(desk.journal_path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(JournalBroken, match="locked by another process"):
                await desk.settled()
        assert desk.all(e.OrderFilled) == []  # what was thought of it is not written down

        await desk.restarts()

        assert len(entries(desk)) == 1
        assert desk.held > 0
        await desk.assert_books_are_right()


async def trades(desk: MoneyDesk, times: int) -> None:
    for _ in range(times):
        await desk.buys()
        await desk.sells()


async def test_f64_a_journal_without_room_ends_the_daemon_and_sends_nothing_unwritten(
    tmp_path: Path,
) -> None:
    async with money_desk(tmp_path) as desk:
        await desk.buys()
        desk.journal_max_bytes = 150_000
        await desk.restarts()
        with pytest.raises(JournalBroken, match="is full"):
            await trades(desk, times=100)

        desk.journal_max_bytes = None
        await desk.restarts()

        assert len(await there(desk)) > 10
        await desk.assert_books_are_right()
