"""Orders in live mode whose replies are lost, late or empty: F27 to F30, F33 to F35, F53, F78.

After each both sides' books are equal to the last digit.
"""

from pathlib import Path
from typing import Any

import pytest

from daemon.core import events as e
from tests.exchange.money_desk import PLACING, READING, entries, money_desk, there


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
