"""An import stores all of a file, as bars, gaps and quarantine, or nothing of it."""

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from daemon.bars.files import check_file
from daemon.bars.importing import Imported, accept_rows, import_bars
from daemon.core.bars import Bar, BarQuality, BarSource, MissCause, Suspicion
from daemon.core.errors import CheckFailed
from daemon.core.timeframes import NS_PER_MS, parse_time
from daemon.store.bars import BarStore
from daemon.store.gaps import Gap
from daemon.store.quarantine import Quarantine
from tests.unit.layers.candles import BTC, HOUR_NS, open_of
from tests.unit.layers.test_suspicion import a_market

NOW_NS = parse_time("2026-01-01T00:00Z")
SYMBOL = BTC.symbol


@pytest.fixture
def store(tmp_path: Path) -> Iterator[BarStore]:
    opened = BarStore.open(tmp_path / "bars.db")
    yield opened
    opened.close()


def a_line(bar: Bar, *, divisor: int = 1) -> str:
    open_ms = bar.open_ns // NS_PER_MS // divisor
    return ",".join(map(str, (open_ms, bar.open, bar.high, bar.low, bar.close, bar.volume)))


def imported(
    store: BarStore,
    lines: list[str],
    tmp_path: Path,
    *,
    revises: bool = False,
    accepts: frozenset[Suspicion] = frozenset(),
) -> Imported:
    path = tmp_path / "bars.csv"
    path.write_text("\n".join(["timestamp,open,high,low,close,volume", *lines]) + "\n")
    checked = check_file(path, instrument=BTC, now_ns=NOW_NS, spike_scale=30.0, accepts=accepts)
    return import_bars(
        store,
        checked,
        market="binance",
        instrument=BTC,
        origin=path.name,
        now_ns=NOW_NS,
        revises=revises,
        accepts=accepts,
    )


def stored(store: BarStore) -> list[Bar]:
    return store.read("binance", BTC, HOUR_NS)


def a_bad_tick(bar: Bar) -> Bar:
    return msgspec.structs.replace(bar, low=0.0001)


def test_a_newest_first_file_with_seconds_and_milliseconds_is_stored_whole(
    store: BarStore, tmp_path: Path
) -> None:
    market = a_market(50)
    lines = [a_line(bar, divisor=1_000 if slot < 20 else 1) for slot, bar in enumerate(market)]

    result = imported(store, lines[::-1], tmp_path)

    assert (result.added, result.quarantined, result.gaps) == (50, 0, 0)
    assert [(bar.open_ns, bar.close, bar.source) for bar in stored(store)] == [
        (bar.open_ns, bar.close, BarSource.RECORDING) for bar in market
    ]


def test_dirty_rows_go_to_quarantine_and_their_slots_are_gaps_of_that_cause(
    store: BarStore, tmp_path: Path
) -> None:
    market = a_market(60)
    market[50] = a_bad_tick(market[50])
    lines = [a_line(bar) for bar in market]
    del lines[30:33]
    lines.append("no,candle")

    result = imported(store, lines, tmp_path)

    assert (result.added, result.quarantined) == (56, 2)
    assert [(gap.first_open_ns, gap.count, gap.cause) for gap in gaps(store)] == [
        (open_of(30), 3, MissCause.OUTAGE),
        (open_of(50), 1, MissCause.QUARANTINED),
    ]
    malformed, spike = Quarantine(store).waiting("binance", SYMBOL, HOUR_NS)
    assert (malformed.reason, malformed.origin) == ("malformed", "bars.csv line 59")
    assert "no,candle" in malformed.raw
    assert json.loads(spike.raw)[3] == 0.0001


def gaps(store: BarStore) -> list[Gap]:
    return store.gaps("binance", SYMBOL, HOUR_NS)


def test_the_same_file_again_changes_nothing(store: BarStore, tmp_path: Path) -> None:
    market = a_market(60)
    market[50] = a_bad_tick(market[50])
    lines = [a_line(bar) for bar in market]
    imported(store, lines, tmp_path)
    before = stored(store), gaps(store), Quarantine(store).waiting()

    again = imported(store, lines, tmp_path)

    assert (again.added, again.known, again.quarantined_new) == (0, 59, 0)
    assert (stored(store), gaps(store), Quarantine(store).waiting()) == before


def test_what_the_store_has_stands_against_a_file_that_says_otherwise(
    store: BarStore, tmp_path: Path
) -> None:
    market = a_market(40)
    other = msgspec.structs.replace(market[10], volume=market[10].volume + 1.0)
    store.append("binance", HOUR_NS, [other])

    result = imported(store, [a_line(bar) for bar in market], tmp_path)

    assert (result.added, result.conflicting, result.quarantined) == (39, 1, 1)
    assert stored(store)[10].volume == other.volume
    (row,) = Quarantine(store).waiting()
    assert (row.reason, row.open_ns) == ("conflicting", market[10].open_ns)
    assert gaps(store) == []


def test_with_revise_the_file_is_the_newest_revision(store: BarStore, tmp_path: Path) -> None:
    market = a_market(40)
    other = msgspec.structs.replace(market[10], volume=market[10].volume + 1.0)
    store.append("binance", HOUR_NS, [other])

    result = imported(store, [a_line(bar) for bar in market], tmp_path, revises=True)

    assert (result.revised, result.quarantined) == (1, 0)
    told = store.revisions("binance", BTC, market[10])
    assert [bar.volume for bar in told] == [other.volume, market[10].volume]
    assert told[1].quality is BarQuality.REVISED


def test_volumes_in_another_unit_than_the_stores_are_refused_whole_until_accepted(
    store: BarStore, tmp_path: Path
) -> None:
    market = a_market(80)
    store.append("binance", HOUR_NS, market[:40])
    lines = [
        a_line(msgspec.structs.replace(bar, volume=bar.volume * 5_000.0)) for bar in market[40:]
    ]

    with pytest.raises(CheckFailed, match="another unit"):
        imported(store, lines, tmp_path)
    assert len(stored(store)) == 40
    assert Quarantine(store).waiting() == []

    result = imported(store, lines, tmp_path, accepts=frozenset({Suspicion.VOLUME_UNIT}))

    assert result.added == 40


def test_a_file_without_a_believable_bar_is_refused_whole(store: BarStore, tmp_path: Path) -> None:
    lines = [a_line(msgspec.structs.replace(bar, close=-1.0)) for bar in a_market(5)]

    with pytest.raises(CheckFailed, match="none of its 5 rows"):
        imported(store, lines, tmp_path)

    assert Quarantine(store).waiting() == []


def test_an_operator_can_believe_a_spike_which_then_is_a_bar_with_a_mark(
    store: BarStore, tmp_path: Path
) -> None:
    market = a_market(60)
    market[50] = a_bad_tick(market[50])
    imported(store, [a_line(bar) for bar in market], tmp_path)

    accepted = accept_rows(store, Quarantine(store).waiting(), instrument=BTC, now_ns=NOW_NS)

    assert accepted == 1
    assert len(stored(store)) == 60
    assert (stored(store)[50].low, stored(store)[50].suspicion) == (0.0001, Suspicion.SPIKE)
    assert Quarantine(store).waiting() == []
    assert imported(store, [a_line(bar) for bar in market], tmp_path).quarantined_new == 0


def test_nobody_can_believe_what_is_no_bar(store: BarStore, tmp_path: Path) -> None:
    market = a_market(60)
    market[50] = a_bad_tick(market[50])
    imported(store, [*map(a_line, market), "no,candle"], tmp_path)

    with pytest.raises(CheckFailed, match="no sound bar"):
        accept_rows(store, Quarantine(store).waiting(), instrument=BTC, now_ns=NOW_NS)

    assert len(stored(store)) == 59
    assert len(Quarantine(store).waiting()) == 2
