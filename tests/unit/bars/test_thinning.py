"""A thinned journal recovers to the same state and goes on with the same decisions, or stays."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from daemon.app import Core
from daemon.bars.thinning import GOING, NotThinned, find_cut, thin
from daemon.core import events as e
from daemon.core.errors import JournalBroken
from daemon.core.pipeline import Step
from daemon.layers.monitoring.windows import Windows
from daemon.research.parity import compare
from daemon.running.state_text import state_text
from daemon.running.summary import summarise
from daemon.store.journal import SqliteJournal
from daemon.store.journal_copy import put_in_place
from daemon.store.journal_reader import JournalReader
from tests.builders import HOUR_NS
from tests.unit.core.simulation import Simulation, a_core, a_run

SLOTS = 300
WINDOW_BARS = (
    100  # in which every symbol of a story has its 40 rows, for health is measured on so many
)
SEEDS_MAX = 100
BARS_MIN = 30


async def _written(path: Path, steps: Sequence[Step]) -> None:
    journal = SqliteJournal.open(path)
    for step in steps:
        await journal.append(step.events, is_durable=False)
    await journal.close()


def a_journal(path: Path, seed: int) -> Simulation:
    story = a_run(seed, slots=SLOTS)
    asyncio.run(_written(path, story.steps))
    return story


def thinned(path: Path, story: Simulation, keep_hours: int, window_bars: int = WINDOW_BARS) -> int:
    return thin(
        path,
        keep_ns=keep_hours * HOUR_NS,
        window_bars=window_bars,
        make_core=lambda: a_core(story.settings),
    )


def recovered(path: Path, story: Simulation) -> Core:
    core = a_core(story.settings)
    core.pipeline.recover(event for _, event in JournalReader(path).read())
    return core


@cache
def a_fit_seed() -> int:
    """A story that can be cut at each of the hours below and orders behind the cut.

    Which one that is changes with every draw that the stories learn to make.
    """
    for seed in range(SEEDS_MAX):
        with TemporaryDirectory() as folder:
            path = Path(folder) / "journal.db"
            story = a_journal(path, seed)
            if not all(thinned(path, story, hours) for hours in (40, 30)):
                continue
            parity = compare(JournalReader(path).read(), a_core(story.settings).pipeline)
            if parity.bars > BARS_MIN and not parity.empty_kinds() and thinned(path, story, 10):
                return seed
    msg = f"no story of {SEEDS_MAX} can be thinned"
    raise AssertionError(msg)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 40))
def test_what_follows_a_thinned_journal_is_what_would_have_followed_the_whole_one(
    seed: int, keep_hours: int
) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "journal.db"
        story = a_journal(path, seed)
        whole = recovered(path, story)
        before = list(JournalReader(path).read())

        gone = thinned(path, story, keep_hours)

        after = list(JournalReader(path).read())
        core = recovered(path, story)
        assert len(after) == len(before) - gone + (gone > 0)
        assert state_text(core) == state_text(whole)
        for event in a_run(seed + 1, slots=5).steps[4:]:
            if isinstance(event.events[0], e.BarsClosed | e.HealthTick):
                moved = _later(event.events[0])
                assert core.pipeline.step(moved) == whole.pipeline.step(moved)


def _later(event: e.Event) -> e.Event:
    """An input of another story, after the end of this one."""
    by_ns = 2 * SLOTS * HOUR_NS
    moved = replace(event, ts_ns=event.ts_ns + by_ns)
    if isinstance(moved, e.BarsClosed):
        bars = tuple(
            replace(
                bar,
                open_ns=bar.open_ns + by_ns,
                close_ns=bar.close_ns + by_ns,
                received_ns=bar.received_ns + by_ns,
            )
            for bar in moved.bars
        )
        moved = replace(moved, bars=bars)
    return moved


def test_orders_fills_and_outcomes_stay_and_old_features_go(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    story = a_journal(path, a_fit_seed())
    before = Counter(type(event) for _, event in JournalReader(path).read())

    gone = thinned(path, story, keep_hours=10)

    after = Counter(type(event) for _, event in JournalReader(path).read())
    first = next(JournalReader(path).read())[1]
    assert isinstance(first, e.JournalThinned)
    assert first.events == gone > len(story.steps) // 4
    assert {kind: after[kind] for kind in before if kind not in GOING} == {
        kind: count for kind, count in before.items() if kind not in GOING
    }
    assert after[e.FeatureRows] < before[e.FeatureRows]


def test_the_end_of_a_run_counts_what_was_taken_out(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    story = a_journal(path, a_fit_seed())
    before = summarise((event for _, event in JournalReader(path).read()), lookback=3)

    thinned(path, story, keep_hours=10)

    after = summarise((event for _, event in JournalReader(path).read()), lookback=3)
    assert after == before


def test_decisions_after_the_cut_are_still_recomputed_and_compared(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    story = a_journal(path, a_fit_seed())
    thinned(path, story, keep_hours=30)

    parity = compare(JournalReader(path).read(), a_core(story.settings).pipeline)

    assert parity.first_difference is None
    assert parity.recovered_steps > 0
    assert parity.bars > BARS_MIN
    assert parity.empty_kinds() == []


def test_a_journal_can_be_thinned_again_and_says_so_each_time(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    story = a_journal(path, a_fit_seed())
    whole = recovered(path, story)

    assert thinned(path, story, keep_hours=40) > 0
    assert thinned(path, story, keep_hours=10) > 0
    assert thinned(path, story, keep_hours=10) == 0

    markers = [
        event for _, event in JournalReader(path).read() if isinstance(event, e.JournalThinned)
    ]
    assert len(markers) == 2
    assert state_text(recovered(path, story)) == state_text(whole)


def test_a_journal_that_would_recover_otherwise_stays_whole(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    story = a_journal(path, a_fit_seed())

    def forgetful() -> Core:
        """A core whose state hangs on every prediction it ever made."""
        core = a_core(story.settings)
        vars(core.monitoring)["_probabilities"] = Endless(10**6)
        return core

    with pytest.raises(NotThinned, match="stays whole"):
        thin(path, keep_ns=10 * HOUR_NS, window_bars=1, make_core=forgetful)

    assert list(tmp_path.glob(".*.thinned*")) == []
    assert len(list(JournalReader(path).read())) == sum(len(each.events) for each in story.steps)


class Endless(Windows):
    """Where windows of bounded length were."""

    def clear(self) -> None:
        """It forgets nothing."""


def test_what_is_old_enough_is_measured_in_the_runs_own_time(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    story = a_journal(path, a_fit_seed())

    assert find_cut(JournalReader(path), 10**9 * HOUR_NS, 1).gone == set()
    assert thinned(path, story, keep_hours=SLOTS * 2) == 0


def test_a_journal_somebody_has_open_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    story = a_journal(path, a_fit_seed())
    events = sum(len(each.events) for each in story.steps)

    async def beside() -> None:
        journal = SqliteJournal.open(path)
        try:
            with pytest.raises(JournalBroken, match="cannot be replaced"):
                put_in_place(tmp_path / "other.db", path)
        finally:
            await journal.close()

    (tmp_path / "other.db").write_bytes(b"")
    asyncio.run(beside())
    assert len(list(JournalReader(path).read())) == events
