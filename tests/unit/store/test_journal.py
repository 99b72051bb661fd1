"""What the journal promises: whole steps, in order, provably unchanged, or one clear refusal."""

import asyncio
import math
import sqlite3
import stat
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.errors import JournalBroken
from daemon.core.events import JOURNALED, Event, FeatureRows, HealthTick, OrderFilled, RunOpened
from daemon.store.journal import SqliteJournal, write_whole
from daemon.store.journal_reader import JournalReader
from tests.builders import (
    a_bar,
    a_bar_rejected,
    a_bars_closed,
    a_feature_row,
    a_health_sample,
    a_health_tick,
    a_run_opened,
    a_signal,
    an_intent,
    an_order_filled,
    feature_rows,
    one_of_each,
)


async def written(path: Path, *steps: tuple[Event, ...]) -> None:
    journal = SqliteJournal.open(path)
    for events in steps:
        await journal.append(events, is_durable=False)
    await journal.close()


def changed(path: Path, statement: str, *values: object) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(statement, values)
    connection.close()


def modes_in(folder: Path) -> dict[str, int]:
    return {each.name: stat.S_IMODE(each.stat().st_mode) for each in folder.iterdir()}


async def appended_until_refused(
    journal: SqliteJournal, step: tuple[Event, ...]
) -> tuple[int, str]:
    """How many times the step was acknowledged, and what was said when it no longer was."""
    for acknowledged in range(1_000):
        try:
            await journal.append(step, is_durable=True)
        except JournalBroken as error:
            return acknowledged, str(error)
    raise AssertionError("the journal grew without end")


def refusal(path: Path) -> str:
    with pytest.raises(JournalBroken) as caught:
        list(JournalReader.open(path).read())
    return str(caught.value)


def test_the_builders_know_every_event_a_journal_can_hold() -> None:
    assert tuple(type(event) for event in one_of_each()) == JOURNALED


async def test_every_kind_of_event_comes_back_as_it_was(tmp_path: Path) -> None:
    events = one_of_each()

    await written(tmp_path / "journal.db", events)

    assert list(JournalReader.open(tmp_path / "journal.db").read()) == [
        (1, each) for each in events
    ]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=9))
def test_finite_floats_come_back_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, values: list[float]
) -> None:
    path = tmp_path_factory.mktemp("floats") / "journal.db"
    rows = feature_rows(rows=(a_feature_row(values=tuple(values)),))

    asyncio.run(written(path, (rows,)))

    ((_, event),) = JournalReader.open(path).read()
    assert isinstance(event, FeatureRows)
    assert [each.hex() for each in event.rows[0].values] == [each.hex() for each in values]


async def test_steps_are_numbered_from_one_and_keep_their_events_together(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"

    await written(path, (a_run_opened(),), (a_bars_closed(), feature_rows()), (a_health_tick(),))

    assert [step for step, _ in JournalReader.open(path).read()] == [1, 2, 2, 3]
    assert JournalReader.open(path).last_step() == 3


async def test_a_reopened_journal_goes_on_where_it_ended(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    await written(path, (a_run_opened(),), (a_bars_closed(),))

    journal = SqliteJournal.open(path)
    before = journal.last_step()
    await journal.append((a_health_tick(),), is_durable=True)
    await journal.close()

    assert before == 2
    assert [step for step, _ in JournalReader.open(path).read()] == [1, 2, 3]


async def test_appends_made_at_once_keep_their_order(tmp_path: Path) -> None:
    journal = SqliteJournal.open(tmp_path / "journal.db")
    steps = [(a_health_tick(ts_ns=n),) for n in range(300)]

    await asyncio.gather(
        *(journal.append(events, is_durable=n % 7 == 0) for n, events in enumerate(steps))
    )

    assert [event.ts_ns for _, event in journal.read()] == list(range(300))
    assert list(journal.read_kinds(HealthTick)) == list(journal.read())
    assert journal.last_step() == 300
    await journal.close()


async def test_a_cancelled_append_is_still_committed_whole(tmp_path: Path) -> None:
    journal = SqliteJournal.open(tmp_path / "journal.db")
    first = asyncio.create_task(journal.append((a_bars_closed(), feature_rows()), is_durable=True))
    second = asyncio.create_task(journal.append((a_health_tick(),), is_durable=False))
    asyncio.get_running_loop().call_soon(first.cancel)  # runs after both have handed over

    await second

    assert first.cancelled()
    assert [step for step, _ in journal.read()] == [1, 1, 2]
    await journal.close()


async def test_a_reader_beside_the_writer_sees_whole_steps_and_cannot_write(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = SqliteJournal.open(path)
    await journal.append((a_run_opened(), a_health_tick()), is_durable=True)
    reader = JournalReader.open(path)
    reading = reader.read()
    first = next(reading)

    await journal.append((a_bars_closed(), feature_rows()), is_durable=False)

    assert [first[0], *(step for step, _ in reading)] == [1, 1], "what was there when it began"
    assert [step for step, _ in reader.read()] == [1, 1, 2, 2]
    assert reader.last_step() == 2
    await journal.close()


async def test_queries_find_events_by_their_type(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    fills = (an_order_filled(), an_order_filled(trade_id="90211"))
    await written(path, (a_run_opened(),), (an_intent(),), fills[:1], fills[1:])

    reader = JournalReader.open(path)

    assert list(reader.read_kinds(OrderFilled)) == [(3, fills[0]), (4, fills[1])]
    assert [step for step, _ in reader.read_kinds(RunOpened, OrderFilled)] == [1, 3, 4]
    assert reader.latest(OrderFilled) == fills[1]
    assert reader.latest(FeatureRows) is None
    assert reader.counts() == {"OrderFilled": 2, "OrderIntended": 1, "RunOpened": 1}


async def test_a_journal_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    journal = SqliteJournal.open(tmp_path / "journal.db")
    await journal.append((a_run_opened(),), is_durable=True)

    modes = modes_in(tmp_path)

    await journal.close()
    assert modes == {"journal.db": 0o600, "journal.db-wal": 0o600, "journal.db-shm": 0o600}


# --- what was tampered with or damaged -----------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "row"),
    [
        ("UPDATE event SET body = replace(body, '42103.60', '42103.61') WHERE seq = 2", 2),
        ("UPDATE event SET step = 2 WHERE seq = 3", 3),
        ("UPDATE event SET kind = 'HealthTick' WHERE seq = 2", 2),
        ("UPDATE event SET ts_ns = ts_ns + 1 WHERE seq = 3", 3),
        ("UPDATE event SET chain = zeroblob(32) WHERE seq = 1", 1),
        ("DELETE FROM event WHERE seq = 2", 2),
        ("DELETE FROM event WHERE seq = 1", 1),
        ("INSERT INTO event SELECT 5, 5, ts_ns, kind, body, chain FROM event WHERE seq = 1", 5),
    ],
)
async def test_a_changed_journal_names_the_first_row_that_is_not_true(
    tmp_path: Path, statement: str, row: int
) -> None:
    path = tmp_path / "journal.db"
    await written(path, (a_run_opened(),), (an_intent(),), (an_order_filled(),), (a_health_tick(),))

    changed(path, statement)

    assert f"row {row} " in refusal(path)


async def test_an_event_of_another_version_is_named_and_not_skipped(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    await written(path, (a_run_opened(),))
    from daemon.store.journal_reader import chained

    body = '{"type":"MoonPhase","ts_ns":1}'
    changed(path, "UPDATE event SET body = ?, kind = 'MoonPhase'", body)
    changed(path, "UPDATE event SET chain = ?", chained(b"", 1, "MoonPhase", body))

    assert "row 1 is not an event" in refusal(path)


async def test_a_file_that_is_no_journal_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_bytes(b"these are not the bytes you are looking for" * 99)
    changed(tmp_path / "other.db", "CREATE TABLE t (x)")
    await written(tmp_path / "newer.db", (a_run_opened(),))
    changed(tmp_path / "newer.db", "PRAGMA user_version = 99")

    assert "the file is not a database" in refusal(tmp_path / "text.db")
    assert "without the table event" in refusal(tmp_path / "other.db")
    assert "version 99, this program reads 1" in refusal(tmp_path / "newer.db")
    assert "the file is not there" in refusal(tmp_path / "none.db")
    for name in ("text.db", "other.db", "newer.db", "no/such/folder.db"):
        with pytest.raises(JournalBroken) as caught:
            SqliteJournal.open(tmp_path / name)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "none.db").exists()


@pytest.mark.parametrize("made", ["", "PRAGMA journal_mode=WAL"])
async def test_a_journal_whose_tables_a_kill_came_before_holds_nothing_and_is_begun(
    tmp_path: Path, made: str
) -> None:
    path = tmp_path / "journal.db"
    path.touch()
    if made:
        changed(path, made)

    found = list(JournalReader.open(path).read())
    size = path.stat().st_size
    await written(path, (a_run_opened(),))

    assert (found, size) == ([], 4096 if made else 0)
    assert [event for _, event in JournalReader.open(path).read()] == [a_run_opened()]


# --- what cannot be written ----------------------------------------------------------------------


async def test_a_full_disk_breaks_the_journal_and_leaves_no_half_step(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = SqliteJournal.open(path, size_max_bytes=64 * 1024)
    step = (an_intent(), *(feature_rows() for _ in range(20)), an_order_filled())

    acknowledged, said = await appended_until_refused(journal, step)

    with pytest.raises(JournalBroken, match="is full"):
        await journal.append((a_health_tick(),), is_durable=False)
    await journal.close()

    assert "is full" in said
    assert "\n" not in said
    assert acknowledged > 0
    there = list(JournalReader.open(path).read())
    assert [event for _, event in there] == list(step) * acknowledged


async def test_all_who_share_a_failing_commit_are_told(tmp_path: Path) -> None:
    journal = SqliteJournal.open(tmp_path / "journal.db", size_max_bytes=64 * 1024)
    step = tuple(feature_rows() for _ in range(20))

    ends = await asyncio.gather(
        *(journal.append(step, is_durable=True) for _ in range(50)), return_exceptions=True
    )
    await journal.close()

    committed = JournalReader.open(tmp_path / "journal.db").last_step()
    assert all(end is None for end in ends[:committed])
    assert all(isinstance(end, JournalBroken) for end in ends[committed:])
    assert committed < 50


async def test_a_journal_locked_by_another_writer_is_broken(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = SqliteJournal.open(path, busy_timeout_ms=1)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(JournalBroken, match="locked by another process"):
        await journal.append((a_health_tick(),), is_durable=True)

    other.close()
    await journal.close()


async def test_a_second_writer_cannot_weave_its_steps_in(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    ours, theirs = SqliteJournal.open(path), SqliteJournal.open(path)
    await theirs.append((a_health_tick(),), is_durable=True)

    with pytest.raises(JournalBroken, match="contradicts"):
        await ours.append((a_run_opened(),), is_durable=True)

    await ours.close()
    await theirs.close()
    assert [event for _, event in JournalReader.open(path).read()] == [a_health_tick()]


@pytest.mark.parametrize(
    "event",
    [
        a_bars_closed(bars=(a_bar(close=math.nan),)),
        feature_rows(rows=(a_feature_row(values=(1.0, math.inf)),)),
        a_signal(edge_ratio=-math.inf),
        a_health_sample(auc=math.nan),
        an_order_filled(price=Decimal("NaN")),
        an_order_filled(fee=Decimal("-Infinity")),
    ],
)
async def test_a_number_that_is_none_never_reaches_the_disk(tmp_path: Path, event: Event) -> None:
    journal = SqliteJournal.open(tmp_path / "journal.db")

    with pytest.raises(JournalBroken, match=f"{type(event).__name__} holds .*, which is not a"):
        await journal.append((a_health_tick(), event), is_durable=True)

    with pytest.raises(JournalBroken):
        await journal.append((a_health_tick(),), is_durable=True)
    await journal.close()
    assert list(journal.read()) == []


async def test_text_that_only_looks_like_no_number_is_welcome(tmp_path: Path) -> None:
    event = a_bar_rejected(raw="[1704067200000, NaN, Infinity, null]")

    await written(tmp_path / "journal.db", (event,))

    assert [each for _, each in JournalReader.open(tmp_path / "journal.db").read()] == [event]


@pytest.mark.parametrize("ts_ns", [2**63, -(2**63) - 1])
async def test_a_time_beyond_64_bits_breaks_the_journal(tmp_path: Path, ts_ns: int) -> None:
    journal = SqliteJournal.open(tmp_path / "journal.db")

    with pytest.raises(JournalBroken):
        await journal.append((a_health_tick(ts_ns=ts_ns),), is_durable=False)

    await journal.close()


async def test_a_closed_journal_takes_nothing_more(tmp_path: Path) -> None:
    journal = SqliteJournal.open(tmp_path / "journal.db")
    await journal.close()
    await journal.close()

    with pytest.raises(JournalBroken, match="it is closed"):
        await journal.append((a_health_tick(),), is_durable=True)


async def test_durable_steps_are_flushed_and_others_are_not(tmp_path: Path) -> None:
    journal = SqliteJournal.open(tmp_path / "journal.db")
    levels: list[Any] = []

    for is_durable in (True, False, True):
        await journal.append((a_health_tick(),), is_durable=is_durable)
        levels.append(journal._connection.exec_driver_sql("PRAGMA synchronous").scalar_one())
        journal._connection.rollback()

    await journal.close()
    assert levels == [2, 1, 2], "2 is FULL, 1 is NORMAL"


async def test_a_journal_written_whole_is_the_one_written_step_by_step(tmp_path: Path) -> None:
    steps = [(a_run_opened(),), (a_bars_closed(), feature_rows()), (a_health_tick(),)]
    await written(tmp_path / "steps.db", *steps)

    with write_whole(tmp_path / "whole.db") as writer:
        for step in steps:
            assert writer.keep(step) == step

    assert list(JournalReader.open(tmp_path / "whole.db").read()) == list(
        JournalReader.open(tmp_path / "steps.db").read()
    )
    rows = sqlite3.connect(tmp_path / "steps.db").execute("SELECT chain FROM event ORDER BY seq")
    assert rows.fetchall()[-1][0] == writer.chain
