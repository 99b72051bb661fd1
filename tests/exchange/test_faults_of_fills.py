"""What becomes of orders in live mode, told late, wrongly or not at all: F31, F32, F36 to F41, F74.

After each both sides' books are equal to the last digit.
"""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from daemon.core import events as e
from tests.exchange.money_desk import (
    CROSSING,
    LIMIT,
    NEAR,
    PATIENT,
    PLACING,
    USER,
    holding,
    money_desk,
)

D = Decimal


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


async def test_f31_f32_a_fill_that_was_denied_after_its_cancel_is_found_by_the_next_look(
    tmp_path: Path,
) -> None:
    async with money_desk(tmp_path, **LIMIT) as desk:
        await desk.subscribed()
        await desk.lab.fault(kind="drop", **USER)
        await desk.lab.fault(kind="filled_first", ratio=1, times=1)
        await desk.lab.fault(kind="denied", times=2)
        await desk.lab.fault(kind="trades_lag", sec=1.0, times=1)
        await desk.buys()

        assert desk.states()[0] == "entry canceled"
        assert desk.held == 0
        await desk.until(lambda: desk.held > 0)  # books are compared every ten minutes here
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
