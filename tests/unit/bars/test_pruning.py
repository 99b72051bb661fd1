"""What is old enough goes, what something still hangs on stays, and a kill leaves old or new."""

import asyncio
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from daemon.bars.pruning import old_bars, old_runs, prune_bars, remove_runs
from daemon.cli.data_prune import prune
from daemon.config import Settings, config_hash, load, recorded
from daemon.core.bars import MissCause
from daemon.core.errors import LockHeld
from daemon.core.events import Event
from daemon.core.timeframes import DAY_NS
from daemon.store.bar_pruning import BarPruning
from daemon.store.bars import BarStore, BarStoreBroken, SeriesKey
from daemon.store.gaps import Gap
from daemon.store.journal import SqliteJournal
from daemon.store.lock import StateLock
from daemon.store.runs import ExchangeSpec, RunPaths, RunSpec, all_runs, new_run, write_result
from tests.builders import (
    ETH,
    HOUR_NS,
    OPEN_NS,
    a_bar,
    a_run_opened,
    an_intent,
    an_order_completed,
    an_order_filled,
)

KEY = SeriesKey("m", "BTC/USDT", HOUR_NS)
SERIES = (KEY.market, KEY.symbol, KEY.timeframe_ns)
OWN = ExchangeSpec(rest="http://127.0.0.1:1", stream="ws://127.0.0.1:1")
NEVER_NS = 2**62  # a moment after which everything is old


def settings_of(state: Path, **store: float) -> Settings:
    given = {f"store.{key}": value for key, value in store.items()}
    small = {"data.history_bars": 700, "model.folds": 2}
    return load(None, {"run.state_dir": state, **small, **given}, {})


def a_store(path: Path, slots: range) -> None:
    store = BarStore.open(path)
    store.append(KEY.market, HOUR_NS, [a_bar(open_ns=OPEN_NS + n * HOUR_NS) for n in slots])
    store.close()


def slots_in(path: Path) -> list[int]:
    store = BarStore.open(path, read_only=True)
    opens, _ = store.read_arrays(*SERIES)
    store.close()
    return [int(each - OPEN_NS) // HOUR_NS for each in opens]


def a_run(state: Path, number: int, *events: Event, is_closed: bool, **changes: Any) -> RunPaths:
    settings = settings_of(state)
    fields: dict[str, Any] = {
        "run": f"2024010{number}T000000-3fa2",
        "created_ns": 1,
        "mode": "paper",
        "market": "synthetic",
        "symbols": settings.data.symbols,
        "timeframe": "1h",
        "seed": 42,
        "config_hash": config_hash(settings),
        "settings": recorded(settings),
        "exchange": OWN,
    }
    paths = new_run(state, RunSpec(**(fields | changes)))
    asyncio.run(_written(paths.journal, events))
    if is_closed:
        write_result(paths, {"is_closed": True})
    return paths


async def _written(path: Path, events: tuple[Event, ...]) -> None:
    journal = SqliteJournal.open(path)
    for event in events:
        await journal.append((event,), is_durable=False)
    await journal.close()


def names(state: Path, days: float = 1.0, now_ns: int = NEVER_NS) -> list[str]:
    found = old_runs(settings_of(state, keep_runs_days=days), now_ns)
    return [each.paths.run[:8] for each in found]


def test_bars_older_than_they_are_kept_go_and_the_newest_stay(tmp_path: Path) -> None:
    path = tmp_path / "bars.db"
    a_store(path, range(2_000))
    settings = settings_of(tmp_path, keep_bars_days=50.0)

    rows = list(prune_bars(path, old_bars(settings, path)))

    assert rows == [2_000 - 50 * 24]
    assert slots_in(path) == list(range(2_000 - 50 * 24, 2_000))
    assert old_bars(settings, path) == []


def test_bars_a_training_reads_stay_however_old(tmp_path: Path) -> None:
    path = tmp_path / "bars.db"
    a_store(path, range(1_000))

    list(prune_bars(path, old_bars(settings_of(tmp_path, keep_bars_days=1.0), path)))

    assert slots_in(path) == list(range(300, 1_000))


def test_zero_days_are_for_ever(tmp_path: Path) -> None:
    a_store(tmp_path / "bars.db", range(2_000))

    assert old_bars(settings_of(tmp_path), tmp_path / "bars.db") == []
    a_run(tmp_path, 1, is_closed=True)
    a_run(tmp_path, 2, is_closed=True)
    assert names(tmp_path, days=0.0) == []


@examples(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    bars=st.sets(st.integers(0, 40)),
    gaps=st.lists(st.tuples(st.integers(0, 40), st.integers(1, 6)), max_size=4),
    cut=st.integers(0, 50),
)
def test_gaps_are_cut_where_the_bars_are(
    tmp_path: Path, bars: set[int], gaps: list[tuple[int, int]], cut: int
) -> None:
    path = tmp_path / f"{os.urandom(8).hex()}.db"
    store = BarStore.open(path)
    store.append("m", HOUR_NS, [a_bar(open_ns=OPEN_NS + n * HOUR_NS) for n in sorted(bars)])
    told = [Gap(OPEN_NS + first * HOUR_NS, n, MissCause.OUTAGE) for first, n in gaps]
    store.add_gaps(*SERIES, told)

    with BarPruning(path) as pruning:
        rows = pruning.prune(KEY, OPEN_NS + cut * HOUR_NS)

    empty = {first + k for first, n in gaps for k in range(n)}
    left = {
        (gap.first_open_ns - OPEN_NS) // HOUR_NS + k
        for gap in store.gaps(*SERIES)
        for k in range(gap.count)
    }
    assert rows == sum(slot < cut for slot in bars)
    assert left == {slot for slot in empty if slot >= cut}
    store.close()
    assert slots_in(path) == sorted(slot for slot in bars if slot >= cut)


def test_a_prune_that_is_cut_off_leaves_a_shorter_series_without_a_new_hole(
    tmp_path: Path,
) -> None:
    path = tmp_path / "bars.db"
    a_store(path, range(12_000))
    connection = sqlite3.connect(path)
    connection.execute(
        "CREATE TRIGGER full_disk BEFORE DELETE ON bar WHEN "
        f"old.open_ns > {OPEN_NS + 7_000 * HOUR_NS} BEGIN SELECT RAISE(ABORT, 'no power'); END"
    )
    connection.commit()

    with BarPruning(path) as pruning, pytest.raises(BarStoreBroken, match="cannot be written"):
        pruning.prune(KEY, OPEN_NS + 11_000 * HOUR_NS)
    left = slots_in(path)
    connection.execute("DROP TRIGGER full_disk")
    connection.commit()
    connection.close()

    assert left == list(range(left[0], 12_000))
    assert 0 < left[0] <= 7_000
    with BarPruning(path) as pruning:
        assert pruning.prune(KEY, OPEN_NS + 11_000 * HOUR_NS) == 11_000 - left[0]
        assert pruning.rebuild() > 0
    assert slots_in(path) == list(range(11_000, 12_000))


def test_runs_that_ended_long_ago_go_with_all_they_have_and_the_last_one_stays(
    tmp_path: Path,
) -> None:
    old = a_run(tmp_path, 1, is_closed=True)
    (old.folder / "exchange").mkdir()
    (old.folder / "exchange" / "ledger.db").write_bytes(b"x" * 100)
    last = a_run(tmp_path, 2, is_closed=True)

    found = old_runs(settings_of(tmp_path, keep_runs_days=1.0), NEVER_NS)
    remove_runs(tmp_path, found)

    assert [each.paths for each in found] == [old]
    assert all_runs(tmp_path) == [last.run]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["runs"]


def test_a_run_written_to_a_moment_ago_is_not_old(tmp_path: Path) -> None:
    paths = a_run(tmp_path, 1, is_closed=True)
    a_run(tmp_path, 2, is_closed=True)
    written_ns = paths.result.stat().st_mtime_ns

    assert names(tmp_path, now_ns=written_ns + DAY_NS // 2) == []
    assert names(tmp_path, now_ns=written_ns + 2 * DAY_NS) == ["20240101"]


def test_an_unfinished_run_goes_only_if_nothing_is_left_on_an_account(tmp_path: Path) -> None:
    order = {"client_order_id": "ours1", "instrument": ETH}
    bought = an_intent(**order), an_order_filled(**order), an_order_completed(**order)
    holding = (a_run_opened(), *bought)
    a_run(tmp_path, 1, *holding, is_closed=False, exchange=None, market="binance")
    a_run(tmp_path, 2, a_run_opened(), is_closed=False, exchange=None, market="binance")
    a_run(tmp_path, 3, *holding, is_closed=False)  # on an exchange in the box of its own
    a_run(tmp_path, 4, is_closed=True)

    assert names(tmp_path) == ["20240102", "20240103"]


def test_the_newest_run_of_a_daemon_stays_behind_any_backtests(tmp_path: Path) -> None:
    a_run(tmp_path, 1, is_closed=True)
    a_run(tmp_path, 2, is_closed=True)
    a_run(tmp_path, 3, is_closed=False, mode="backtest", exchange=None)
    a_run(tmp_path, 4, is_closed=False, mode="backtest", exchange=None)

    assert names(tmp_path) == ["20240101", "20240103"]


def test_a_removal_that_was_cut_off_is_ended_by_the_next(tmp_path: Path) -> None:
    a_run(tmp_path, 1, is_closed=True)
    (tmp_path / "removed" / "20231231T000000-aaaa").mkdir(parents=True)

    remove_runs(tmp_path, [])

    assert not (tmp_path / "removed").exists()


def test_nothing_is_pruned_under_a_running_daemon_and_a_dry_run_only_tells(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(
        "[store]\nkeep_bars_days = 1.0\n[data]\nhistory_bars = 700\n[model]\nfolds = 2\n"
    )
    a_store(tmp_path / "bars.db", range(1_000))

    with StateLock.acquire(tmp_path, started_ns=0):
        with pytest.raises(LockHeld):
            prune(config, tmp_path, is_dry=False, as_json=True)
        assert prune(config, tmp_path, is_dry=True, as_json=False) == 0

    assert "rows 300: would go" in capsys.readouterr().out
    assert len(slots_in(tmp_path / "bars.db")) == 1_000
    prune(config, tmp_path, is_dry=False, as_json=False)
    assert "rows 300: gone" in capsys.readouterr().out
    assert len(slots_in(tmp_path / "bars.db")) == 700


def test_a_gap_that_is_cut_at_an_odd_age_stays_on_the_grid(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, keep_bars_days=30.33)
    a_store(tmp_path / "bars.db", range(800))
    store = BarStore.open(tmp_path / "bars.db")
    store.add_gaps(*SERIES, [Gap(OPEN_NS, 200, MissCause.OUTAGE)])

    old = old_bars(settings, tmp_path / "bars.db")
    list(prune_bars(tmp_path / "bars.db", old))

    (gap,) = store.gaps(*SERIES)
    assert (gap.first_open_ns - OPEN_NS) % HOUR_NS == 0
    assert gap.until_ns(HOUR_NS) == OPEN_NS + 200 * HOUR_NS
    store.close()
