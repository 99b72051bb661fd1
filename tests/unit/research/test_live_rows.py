"""Rows made live, bar by bar, against those of the stored bars in one batch: same, or named."""

import asyncio
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from msgspec.structs import replace

from daemon.core.bars import Bar, ZeroVolume
from daemon.core.events import BarsClosed, Event, FeatureRows, HistoryLoaded
from daemon.core.jobs import TrainingSeries
from daemon.core.pipeline import Pipeline, apply, on
from daemon.layers.features.catalog import reference_features
from daemon.layers.features.handler import Features
from daemon.layers.features.sets import FeatureSet, declare
from daemon.research.live_rows import Compared, RowsChecked, check_live_rows
from daemon.store.bars import BarStore
from daemon.store.journal import SqliteJournal
from daemon.store.journal_reader import JournalReader
from tests.unit.layers.walks import BTC, ETH, HOUR_NS, a_bar, a_walk

HOURLY = reference_features("1h")
SLOTS, WARM_UP = 200, 60
INSTRUMENTS = (BTC, ETH)
MARKET = "m"


class Kept(NamedTuple):
    """A run's journal and bar store, and what they are compared by."""

    journal: JournalReader
    store: BarStore
    compared: Compared

    def checked(self, after_step: int = 0, rows_max: int = 10**6) -> RowsChecked:
        return check_live_rows(self.journal, self.store, self.compared, after_step, rows_max)


def bars_of(slots: range) -> list[tuple[Bar, ...]]:
    """Of two symbols, with a hole and a bar in which nobody traded."""
    walks = {each: a_walk(SLOTS, seed) for seed, each in enumerate(INSTRUMENTS)}
    walks[BTC][120, 4] = 0.0
    return [
        tuple(
            a_bar(slot, walks[each][slot], each)
            for each in INSTRUMENTS
            if (each, slot) != (ETH, 100)
        )
        for slot in slots
    ]


def lived(features: FeatureSet = HOURLY) -> tuple[list[Bar], list[tuple[Event, ...]]]:
    """All bars, and the steps of the run that decided on them."""
    handler = Features(features, INSTRUMENTS, timeframe="1h", zero_volume=ZeroVolume.FLAG)
    pipeline = Pipeline(
        [
            apply(HistoryLoaded, handler.apply_history_loaded),
            apply(BarsClosed, handler.apply_bars_closed),
            on(BarsClosed, handler.on_bars_closed, FeatureRows),
            apply(FeatureRows, handler.apply_feature_rows),
        ]
    )
    history = [bar for slot in bars_of(range(WARM_UP)) for bar in slot]
    inputs = [HistoryLoaded(ts_ns=history[-1].close_ns, bars=tuple(history))] + [
        BarsClosed(ts_ns=slot[0].received_ns, bars=slot) for slot in bars_of(range(WARM_UP, SLOTS))
    ]
    bars = [bar for each in inputs for bar in each.bars]
    return bars, [tuple(pipeline.step(each).events) for each in inputs]


def kept(
    folder: Path, bars: list[Bar], steps: list[tuple[Event, ...]], features: FeatureSet = HOURLY
) -> Kept:
    async def write() -> None:
        journal = SqliteJournal.open(folder / "journal.db")
        for step in steps:
            await journal.append(step, is_durable=False)
        await journal.close()

    folder.mkdir(exist_ok=True)
    asyncio.run(write())
    store = BarStore.open(folder / "bars.db")
    store.append(MARKET, HOUR_NS, bars)
    return Kept(
        JournalReader(folder / "journal.db"),
        store,
        Compared(
            features=features,
            series={each: TrainingSeries(MARKET, each.symbol, each.symbol) for each in INSTRUMENTS},
            timeframe_ns=HOUR_NS,
            zero_volume=ZeroVolume.FLAG,
        ),
    )


@pytest.fixture
def story() -> tuple[list[Bar], list[tuple[Event, ...]]]:
    return lived()


def rows_of(steps: list[tuple[Event, ...]]) -> Iterator[tuple[int, FeatureRows]]:
    for number, step in enumerate(steps):
        for event in step:
            if isinstance(event, FeatureRows) and event.rows:
                yield number, event


def test_every_row_of_a_run_is_compared_and_is_the_same(
    tmp_path: Path, story: tuple[list[Bar], list[tuple[Event, ...]]]
) -> None:
    bars, steps = story
    run = kept(tmp_path, bars, steps)

    checked = run.checked()

    assert checked.rows == sum(len(event.rows) for _, event in rows_of(steps)) > 200
    assert (checked.differing, checked.revised, checked.first) == (0, 0, None)
    assert checked.through_step == len(steps)
    assert checked.until_ns == SLOTS * HOUR_NS
    run.store.close()


def test_in_pieces_of_a_few_rows_the_same_is_found_as_at_once(
    tmp_path: Path, story: tuple[list[Bar], list[tuple[Event, ...]]]
) -> None:
    bars, steps = story
    for number in (30, 77):
        step, event = list(rows_of(steps))[number]
        row = event.rows[0]
        wrong = replace(row, values=(row.values[0] + 1.0, *row.values[1:]))
        planted = replace(event, rows=(wrong, *event.rows[1:]))
        steps[step] = tuple(planted if each is event else each for each in steps[step])
    run = kept(tmp_path, bars, steps)

    at_once = run.checked()

    assert at_once.differing == 2
    assert run.checked(rows_max=7) == at_once
    run.store.close()


def test_rows_whose_bars_were_pruned_cannot_be_proven_and_are_no_fault(
    tmp_path: Path, story: tuple[list[Bar], list[tuple[Event, ...]]]
) -> None:
    bars, steps = story
    whole = kept(tmp_path / "whole", bars, steps)
    pruned = kept(
        tmp_path / "pruned", [each for each in bars if each.open_ns >= 90 * HOUR_NS], steps
    )

    all_rows, checked = whole.checked(), pruned.checked()

    assert 0 < checked.rows < all_rows.rows
    assert (checked.differing, checked.revised) == (0, 0)
    assert checked.through_step == all_rows.through_step
    whole.store.close()
    pruned.store.close()


def test_one_wrong_bit_in_one_row_is_found_and_named(
    tmp_path: Path, story: tuple[list[Bar], list[tuple[Event, ...]]]
) -> None:
    bars, steps = story
    number, event = list(rows_of(steps))[77]
    row = event.rows[0]
    values = list(row.values)
    values[3] = float(np.nextafter(values[3], np.inf))
    planted = replace(event, rows=(replace(row, values=tuple(values)), *event.rows[1:]))
    steps[number] = tuple(planted if each is event else each for each in steps[number])
    run = kept(tmp_path, bars, steps)

    checked = run.checked()

    assert (checked.differing, checked.revised) == (1, 0)
    assert checked.first is not None
    assert checked.first.feature == HOURLY.names[3]
    assert (checked.first.instrument, checked.first.close_ns) == (row.instrument, row.close_ns)
    assert (checked.first.live, checked.first.stored) == (values[3], row.values[3])
    run.store.close()


def test_a_stored_bar_that_is_not_the_one_decided_on_is_found_in_every_window_with_it(
    tmp_path: Path, story: tuple[list[Bar], list[tuple[Event, ...]]]
) -> None:
    bars, steps = story
    place = [(bar.instrument, bar.open_ns) for bar in bars].index((BTC, 150 * HOUR_NS))
    bars[place] = replace(bars[place], volume=bars[place].volume * 1.5)
    run = kept(tmp_path, bars, steps)

    checked = run.checked()

    assert checked.differing > 1
    assert checked.first is not None
    assert checked.first.close_ns == 151 * HOUR_NS
    assert checked.first.instrument == BTC
    run.store.close()


def test_rows_whose_bar_is_not_in_the_store_differ(
    tmp_path: Path, story: tuple[list[Bar], list[tuple[Event, ...]]]
) -> None:
    bars, steps = story
    without = [each for each in bars if (each.instrument, each.open_ns) != (ETH, 196 * HOUR_NS)]
    run = kept(tmp_path, without, steps)

    checked = run.checked()

    assert checked.differing == 4, "its own row and those with it in their windows"
    assert checked.first is not None
    assert (checked.first.instrument, checked.first.close_ns) == (ETH, 197 * HOUR_NS)
    assert checked.first.stored is None
    run.store.close()


def test_rows_wait_until_the_store_has_come_to_their_bars(
    tmp_path: Path, story: tuple[list[Bar], list[tuple[Event, ...]]]
) -> None:
    bars, steps = story
    late = next(bar for bar in bars if (bar.instrument, bar.open_ns) == (ETH, 199 * HOUR_NS))
    run = kept(tmp_path, [each for each in bars if each is not late], steps)

    early = run.checked()
    run.store.append(MARKET, HOUR_NS, [late])
    rest = run.checked(after_step=early.through_step)

    assert (early.differing, early.through_step) == (0, len(steps) - 1)
    assert (rest.rows, rest.differing, rest.through_step) == (2, 0, len(steps))
    run.store.close()


def test_a_bar_that_was_revised_later_is_no_fault_and_is_counted(
    tmp_path: Path, story: tuple[list[Bar], list[tuple[Event, ...]]]
) -> None:
    bars, steps = story
    run = kept(tmp_path, bars, steps)
    old = next(bar for bar in bars if bar.instrument == BTC and bar.open_ns == 190 * HOUR_NS)
    revised = replace(old, close=old.close * 1.001, received_ns=bars[-1].received_ns + 1)
    run.store.append(MARKET, HOUR_NS, [revised])

    checked = run.checked()

    assert checked.differing == 0
    assert checked.revised >= 9  # every window from that bar on
    run.store.close()


def test_a_revision_that_came_while_the_bar_waited_for_its_step_is_no_fault(
    tmp_path: Path, story: tuple[list[Bar], list[tuple[Event, ...]]]
) -> None:
    bars, steps = story
    late = [tuple(replace(event, ts_ns=event.ts_ns + 10) for event in step) for step in steps]
    run = kept(tmp_path, bars, late)
    old = next(bar for bar in bars if bar.instrument == BTC and bar.open_ns == 199 * HOUR_NS)
    revised = replace(old, close=old.close * 1.001, received_ns=old.received_ns + 1)
    run.store.append(MARKET, HOUR_NS, [revised])

    checked = run.checked()

    assert checked.differing == 0
    assert checked.revised > 0
    run.store.close()


def test_rows_before_the_last_check_are_not_looked_at_again(
    tmp_path: Path, story: tuple[list[Bar], list[tuple[Event, ...]]]
) -> None:
    bars, steps = story
    run = kept(tmp_path, bars, steps)
    half = len(steps) // 2

    later = run.checked(after_step=half)

    assert later.rows == sum(len(event.rows) for number, event in rows_of(steps) if number >= half)
    assert run.checked(after_step=len(steps)) == RowsChecked(through_step=len(steps))
    run.store.close()


def test_rows_that_read_another_symbol_are_compared_with_its_stored_bars(tmp_path: Path) -> None:
    features = dataclasses.replace(
        HOURLY,
        features=(
            declare("lead_lag", window=4, reference="BTC/USDT"),
            declare("relative_strength", window=3, reference="BTC/USDT"),
        ),
    )
    bars, steps = lived(features)
    run = kept(tmp_path, bars, steps, features)
    old = next(bar for bar in bars if bar.instrument == BTC and bar.open_ns == 190 * HOUR_NS)

    before = run.checked()
    run.store.append(MARKET, HOUR_NS, [replace(old, close=old.close * 1.001, received_ns=2**62)])
    after = run.checked()

    assert (before.differing, before.revised) == (0, 0)
    # The rows of the other symbol read the revised bar, too.
    assert after.differing == 0
    assert after.revised > 5
    run.store.close()
