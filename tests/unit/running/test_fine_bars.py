"""Fine history fetched by stretches makes the same coarse bars as in one piece."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import pytest

from daemon.core.bars import Bar, MissCause
from daemon.layers.ingestion.aggregation import decimal_sum
from daemon.layers.ingestion.history import History
from daemon.running.fine_bars import FineBars, load_fine
from daemon.store.bars import BarStore
from daemon.store.gaps import Gap
from tests.fakes import FakeMarketData
from tests.unit.layers.candles import BTC, HOUR_NS, a_raw, open_of, volume_of

DAY_NS = 24 * HOUR_NS
DAYS = 4


@dataclass
class FakeWorld:
    history_data: FakeMarketData
    sends_empty_bars: bool = True
    market_key: str = "m"
    page_limit: int = 7


def closes(slot: int) -> float:
    """No straight line, or the bars would be taken for invented ones."""
    return 100.0 + slot * slot % 7 / 100


def volume(*slots: int) -> float:
    return decimal_sum(volume_of(slot) for slot in slots)


def a_world(*absent: int, sends_empty_bars: bool = True) -> FakeWorld:
    data = FakeMarketData()
    data.rows[BTC] = [a_raw(n, closes(n)) for n in range(24 * DAYS) if n not in absent]
    return FakeWorld(data, sends_empty_bars)


def loaded(
    store: BarStore, world: FakeWorld, stretch_bars: int
) -> tuple[History, list[tuple[int, int]]]:
    told: list[tuple[int, int]] = []
    history = asyncio.run(
        load_fine(
            world,
            store,
            BTC,
            fine_ns=HOUR_NS,
            coarse_ns=DAY_NS,
            since_ns=open_of(0),
            until_ns=open_of(24 * DAYS),
            progress=lambda done, total: told.append((done, total)),
            stretch_bars=stretch_bars,
        )
    )
    return history, told


def days(bars: tuple[Bar, ...]) -> list[int]:
    return [(bar.open_ns - open_of(0)) // DAY_NS for bar in bars]


@pytest.mark.parametrize("stretch_bars", [5, 24, 1_000])
def test_stretches_leave_no_seam(tmp_path: Path, stretch_bars: int) -> None:
    store = BarStore.open(tmp_path / "bars.db")

    history, told = loaded(store, a_world(), stretch_bars)

    assert days(history.bars) == list(range(DAYS))
    expected = [volume(*range(24 * day, 24 * day + 24)) for day in range(DAYS)]
    assert [bar.volume for bar in history.bars] == expected
    assert history.missed == ()
    assert len(store.read("m", BTC, HOUR_NS)) == 24 * DAYS
    assert told[-1] == (24 * DAYS, 24 * DAYS)
    assert told == sorted(told)


@pytest.mark.parametrize("absent", [29, 30, 31])  # before, at and after the seam of two stretches
def test_a_fine_hole_spoils_its_coarse_bar_and_is_recorded(tmp_path: Path, absent: int) -> None:
    store = BarStore.open(tmp_path / "bars.db")

    history, _ = loaded(store, a_world(absent), 30)

    assert days(history.bars) == [0, 2, 3]
    (missed,) = history.missed
    assert (missed.first_open_ns, missed.count, missed.cause) == (
        open_of(24),
        1,
        MissCause.OUTAGE,
    )
    assert store.gaps("m", BTC.symbol, HOUR_NS) == [Gap(open_of(absent), 1, MissCause.OUTAGE)]


def test_where_quiet_hours_have_no_bar_a_day_is_whole_without_them(tmp_path: Path) -> None:
    store = BarStore.open(tmp_path / "bars.db")

    history, _ = loaded(store, a_world(29, 30, 31, sends_empty_bars=False), 30)

    assert days(history.bars) == list(range(DAYS))
    assert history.bars[1].volume == volume(*range(24, 29), *range(32, 48))
    (gap,) = store.gaps("m", BTC.symbol, HOUR_NS)
    assert gap == Gap(open_of(29), 3, MissCause.NO_TRADES)


@pytest.mark.parametrize("spoiled", [29, 30, 31])  # before, at and after the seam
def test_no_coarse_bar_is_made_around_a_fine_one_that_cannot_be_read(
    tmp_path: Path, spoiled: int
) -> None:
    """Where quiet hours have no bar, this one would pass for one of them."""
    store = BarStore.open(tmp_path / "bars.db")
    world = a_world(sends_empty_bars=False)
    world.history_data.rows[BTC][spoiled] = a_raw(spoiled, float("nan"))

    history, _ = loaded(store, world, 30)

    assert days(history.bars) == [0, 2, 3]
    assert [each.cause for each in history.missed] == [MissCause.QUARANTINED]
    assert store.gaps("m", BTC.symbol, HOUR_NS) == [Gap(open_of(spoiled), 1, MissCause.QUARANTINED)]


def test_a_feed_goes_on_from_the_newest_part_of_the_last_coarse_bar(tmp_path: Path) -> None:
    store = BarStore.open(tmp_path / "bars.db")
    history, _ = loaded(store, a_world(), 1_000)

    def last_of(market_key: str) -> Bar:
        fine = FineBars(store, {BTC.exchange: market_key}, fine_ns=HOUR_NS, coarse_ns=DAY_NS)
        return fine.last_parts({BTC: history.bars[1]})[BTC]

    assert (last_of("m").open_ns, last_of("m").close_ns) == (open_of(47), open_of(48))
    assert last_of("another") == history.bars[1]
