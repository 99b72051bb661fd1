"""A halt is latched for the account, not for the run: the next run there begins halted."""

import asyncio
from pathlib import Path
from typing import Any

from daemon.core import events as e
from daemon.running.books.earlier_halts import halts_of_the_run_before
from daemon.store.journal import SqliteJournal
from daemon.store.runs import RunPaths, RunSpec, new_run
from tests.builders import BTC, a_halt, a_resumption, a_run_opened, a_start

OPERATOR = a_halt(reason=e.HaltReason.OPERATOR, detail="somebody: looks wrong")
LIVE = {(BTC.exchange, "live-bot")}
NEW = "20240104T000000-0004"
HALTED = (a_halt(reason=e.HaltReason.DRAWDOWN, detail="equity 8000.00 of peak 10000.00"),)


def a_run(
    state: Path, day: int, *events: e.Event, account: str = "live-bot", **changes: Any
) -> str:
    run = f"2024010{day}T000000-000{day}"
    spec: dict[str, Any] = {
        "run": run,
        "created_ns": day,
        "mode": "live",
        "market": BTC.exchange,
        "symbols": (BTC.symbol,),
        "timeframe": "1h",
        "seed": 42,
        "config_hash": "",
    }
    paths = new_run(state, RunSpec(**spec | changes))
    asyncio.run(_written(paths.journal, (a_run_opened(account=account), *events)))
    return run


async def _written(path: Path, events: tuple[e.Event, ...]) -> None:
    journal = SqliteJournal.open(path)
    for event in events:
        await journal.append((event,), is_durable=False)
    await journal.close()


def told(state: Path, run: str = NEW, since_ns: int | None = None) -> list[tuple[str, str]]:
    """Who halts a run that is started now, and why; begun now, or last started at `since_ns`."""
    asked = halts_of_the_run_before(RunPaths(state, run), LIVE, 7, since_ns)
    assert all(each.ts_ns == 7 for each in asked)
    return [(each.who, each.reason) for each in asked]


def test_a_new_run_takes_over_the_halt_that_the_run_before_it_was_left_in(tmp_path: Path) -> None:
    before = a_run(tmp_path, 1, a_start(), *HALTED)

    why = "it was left halted: drawdown (equity 8000.00 of peak 10000.00)"
    assert told(tmp_path) == [(f"run {before}", why)]


def test_a_halt_that_was_resumed_is_over_and_one_after_it_is_not(tmp_path: Path) -> None:
    a_run(tmp_path, 1, a_start(), *HALTED, a_resumption())
    assert told(tmp_path) == []

    again = a_run(tmp_path, 2, a_start(), *HALTED, a_resumption(), OPERATOR)
    ((who, why),) = told(tmp_path)
    assert who == f"run {again}"
    assert "drawdown" not in why


def test_only_the_newest_run_that_traded_on_the_account_is_asked(tmp_path: Path) -> None:
    a_run(tmp_path, 1, a_start(), *HALTED)
    a_run(tmp_path, 2, a_start())
    a_run(tmp_path, 3, a_start(), *HALTED, account="paper-bot")
    assert told(tmp_path) == []


def test_a_run_that_was_killed_before_its_first_start_hides_no_halt(tmp_path: Path) -> None:
    before = a_run(tmp_path, 1, a_start(), *HALTED)
    a_run(tmp_path, 2)
    assert [who for who, _ in told(tmp_path)] == [f"run {before}"]


def test_an_older_run_that_is_gone_on_with_takes_over_the_halt_of_the_one_that_traded_meanwhile(
    tmp_path: Path,
) -> None:
    older = a_run(tmp_path, 1, a_start(ts_ns=10))
    newer = a_run(tmp_path, 2, a_start(ts_ns=20), *HALTED)

    assert [who for who, _ in told(tmp_path, older, 10)] == [f"run {newer}"]
    assert told(tmp_path, older, 30) == []  # it was taken over, and may have been resumed since
    assert told(tmp_path, newer, 20) == []


def test_the_run_that_was_started_last_is_asked_whichever_was_begun_last(tmp_path: Path) -> None:
    older = a_run(tmp_path, 1, a_start(ts_ns=10), a_start(ts_ns=30), *HALTED)
    a_run(tmp_path, 2, a_start(ts_ns=20))

    assert [who for who, _ in told(tmp_path)] == [f"run {older}"]
