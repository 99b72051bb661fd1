"""Bars on disk: found again to the last bit, in order, with every revision and no duplicate."""

import math
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from daemon.core.bars import Bar, BarQuality, BarSource, MissCause
from daemon.store import bar_statements
from daemon.store.bars import Appended, BarStore, BarStoreBroken, SeriesKey, Span
from daemon.store.gaps import Gap
from tests.builders import BTC, ETH, HOUR_NS, OPEN_NS, a_bar

MARKET = "synthetic-42"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[BarStore]:
    opened = BarStore.open(tmp_path / "bars.db")
    yield opened
    opened.close()


def bar_at(n: int, **changes: Any) -> Bar:
    return a_bar(open_ns=OPEN_NS + n * HOUR_NS, volume=float(n), **changes)


def revised_at(n: int, *, after_s: int, **changes: Any) -> Bar:
    arrived_ns = bar_at(n).received_ns + after_s * 1_000_000_000
    return bar_at(n, received_ns=arrived_ns, quality=BarQuality.REVISED, **changes)


def bars_at(*numbers: int) -> list[Bar]:
    return [bar_at(n) for n in numbers]


def test_a_bar_comes_back_as_it_was(store: BarStore) -> None:
    bars = [
        bar_at(0, source=BarSource.RECORDING),
        bar_at(1, close=0.1 + 0.2, quality=BarQuality.NO_TRADES),
    ]

    store.append(MARKET, HOUR_NS, bars)

    assert store.read(MARKET, BTC, HOUR_NS) == bars


def test_bars_are_read_in_time_order_whatever_the_order_of_their_arrival(store: BarStore) -> None:
    store.append(MARKET, HOUR_NS, bars_at(5, 3))
    store.append(MARKET, HOUR_NS, bars_at(4, 0))

    assert store.read(MARKET, BTC, HOUR_NS) == bars_at(0, 3, 4, 5)


def test_ranges_include_their_start_and_not_their_end(store: BarStore) -> None:
    store.append(MARKET, HOUR_NS, bars_at(*range(10)))
    since_ns, until_ns = OPEN_NS + 2 * HOUR_NS, OPEN_NS + 5 * HOUR_NS

    assert store.read(MARKET, BTC, HOUR_NS, since_ns, until_ns) == bars_at(2, 3, 4)
    opens, _ = store.read_arrays(MARKET, "BTC/USDT", HOUR_NS, since_ns, until_ns)
    assert opens.tolist() == [bar.open_ns for bar in bars_at(2, 3, 4)]


def test_markets_symbols_and_timeframes_do_not_mix(store: BarStore) -> None:
    minute_ns = HOUR_NS // 60
    minute = bar_at(0, close_ns=OPEN_NS + minute_ns, close=1.0)
    store.append(MARKET, HOUR_NS, [bar_at(0), bar_at(0, instrument=ETH, close=2.0)])
    store.append("synthetic-43", HOUR_NS, [bar_at(0, close=3.0)])
    store.append(MARKET, minute_ns, [minute])

    assert store.read(MARKET, BTC, HOUR_NS) == [bar_at(0)]
    assert store.read(MARKET, BTC, minute_ns) == [minute]
    assert store.series() == [
        SeriesKey(MARKET, "BTC/USDT", minute_ns),
        SeriesKey(MARKET, "BTC/USDT", HOUR_NS),
        SeriesKey(MARKET, "ETH/USDT", HOUR_NS),
        SeriesKey("synthetic-43", "BTC/USDT", HOUR_NS),
    ]


def test_an_overlap_adds_only_what_is_new(store: BarStore) -> None:
    store.append(MARKET, HOUR_NS, bars_at(0, 1, 2))

    again = store.append(MARKET, HOUR_NS, bars_at(1, 2, 3))

    assert again == Appended(added=1, known=2, revised=0)
    assert store.read(MARKET, BTC, HOUR_NS) == bars_at(0, 1, 2, 3)


def test_the_same_numbers_from_another_source_are_no_revision(store: BarStore) -> None:
    store.append(MARKET, HOUR_NS, [bar_at(0)])

    again = store.append(MARKET, HOUR_NS, [bar_at(0, source=BarSource.BACKFILL, received_ns=1)])

    assert again == Appended(added=0, known=1, revised=0)
    assert store.read(MARKET, BTC, HOUR_NS) == [bar_at(0)]


def test_other_numbers_are_a_revision_and_the_newest_is_read(store: BarStore) -> None:
    first, second = bar_at(1), revised_at(1, close=42_104.0, after_s=10)
    third, fourth = revised_at(1, after_s=20), revised_at(1, close=42_104.0, after_s=30)
    store.append(MARKET, HOUR_NS, [bar_at(0), first, bar_at(2)])

    revised = store.append(MARKET, HOUR_NS, [second])
    back_again = store.append(MARKET, HOUR_NS, [third])

    assert revised == back_again == Appended(added=0, known=0, revised=1)
    assert store.revisions(MARKET, BTC, first) == [first, second, third]
    store.append(MARKET, HOUR_NS, [fourth])
    assert store.read(MARKET, BTC, HOUR_NS) == [bar_at(0), fourth, bar_at(2)]
    assert store.tail(MARKET, BTC, HOUR_NS, 2) == [fourth, bar_at(2)]
    assert store.tail(MARKET, BTC, HOUR_NS, 9) == [bar_at(0), fourth, bar_at(2)]
    _, ohlcv = store.read_arrays(MARKET, "BTC/USDT", HOUR_NS)
    assert ohlcv[:, 3].tolist() == [bar_at(0).close, fourth.close, bar_at(2).close]


def test_a_story_told_again_as_a_recovery_does_is_no_news(store: BarStore) -> None:
    story = [bar_at(1), revised_at(1, close=7.0, after_s=10), revised_at(1, after_s=20), bar_at(2)]
    for bar in story:
        store.append(MARKET, HOUR_NS, [bar])

    again = [store.append(MARKET, HOUR_NS, [bar], is_retold=True) for bar in story]

    assert all(each == Appended(known=1) for each in again)
    assert store.revisions(MARKET, BTC, story[0]) == story[:3]
    assert store.revision_count(MARKET, "BTC/USDT", HOUR_NS) == 2


def test_what_comes_now_is_the_newest_even_where_it_came_before_at_the_same_time(
    store: BarStore,
) -> None:
    """As in lock-step, when a second run of a market corrects what a run between them heard."""
    first, wrong = bar_at(1), revised_at(1, close=7.0, after_s=10)
    for bar in (first, wrong):
        store.append(MARKET, HOUR_NS, [bar])

    assert store.append(MARKET, HOUR_NS, [first]) == Appended(revised=1)
    assert store.read(MARKET, BTC, HOUR_NS) == [first]


def test_the_same_slot_twice_in_one_append_is_two_revisions(store: BarStore) -> None:
    appended = store.append(MARKET, HOUR_NS, [bar_at(0), bar_at(0), bar_at(0, close=7.0)])

    assert appended == Appended(added=1, known=1, revised=1)


def test_the_tail_is_the_newest_bars_oldest_first(store: BarStore) -> None:
    store.append(MARKET, HOUR_NS, bars_at(*range(10)))

    assert store.tail(MARKET, BTC, HOUR_NS, 3) == bars_at(7, 8, 9)
    assert store.tail(MARKET, BTC, HOUR_NS, 99) == bars_at(*range(10))
    assert store.tail(MARKET, BTC, HOUR_NS, 0) == []
    assert store.tail(MARKET, ETH, HOUR_NS, 3) == []
    before_ns = OPEN_NS + 5 * HOUR_NS
    assert store.tail(MARKET, BTC, HOUR_NS, 2, until_ns=before_ns) == bars_at(3, 4)


prices = st.floats(min_value=1e-9, max_value=1e12)


@given(st.dictionaries(st.integers(0, 10**6), st.tuples(*[prices] * 5), min_size=1, max_size=20))
def test_arrays_hold_the_same_bits_as_bars(
    tmp_path_factory: pytest.TempPathFactory, slots: dict[int, tuple[float, ...]]
) -> None:
    names = ("open", "high", "low", "close", "volume")
    bars = [
        replace(bar_at(n), **dict(zip(names, values, strict=True))) for n, values in slots.items()
    ]
    store = BarStore.open(tmp_path_factory.mktemp("arrays") / "bars.db")

    store.append(MARKET, HOUR_NS, bars)
    opens, ohlcv = store.read_arrays(MARKET, "BTC/USDT", HOUR_NS)
    read = store.read(MARKET, BTC, HOUR_NS)
    store.close()

    assert opens.dtype == np.int64
    assert ohlcv.dtype == np.float64
    assert opens.tolist() == [bar.open_ns for bar in read]
    assert ohlcv.tolist() == [list(slots[(bar.open_ns - OPEN_NS) // HOUR_NS]) for bar in read]


def test_arrays_of_nothing_are_empty_and_still_arrays(store: BarStore) -> None:
    opens, ohlcv = store.read_arrays(MARKET, "BTC/USDT", HOUR_NS)

    assert opens.shape == (0,)
    assert ohlcv.shape == (0, 5)


def test_the_span_counts_slots_and_not_revisions(store: BarStore) -> None:
    store.append(MARKET, HOUR_NS, [*bars_at(2, 5, 9), bar_at(5, close=7.0)])

    assert store.span(MARKET, "BTC/USDT", HOUR_NS) == Span(
        first_open_ns=OPEN_NS + 2 * HOUR_NS, last_open_ns=OPEN_NS + 9 * HOUR_NS, bars=3
    )
    assert store.span(MARKET, "ETH/USDT", HOUR_NS) is None


def test_gaps_are_kept_with_their_cause(store: BarStore) -> None:
    outage = Gap(OPEN_NS, 3, MissCause.OUTAGE)
    quiet = Gap(OPEN_NS + 9 * HOUR_NS, 1, MissCause.NO_TRADES)
    longer = Gap(OPEN_NS, 4, MissCause.OUTAGE)

    store.add_gaps(MARKET, "BTC/USDT", HOUR_NS, (quiet, outage))
    store.add_gaps(MARKET, "BTC/USDT", HOUR_NS, (longer,))

    assert store.gaps(MARKET, "BTC/USDT", HOUR_NS) == [longer, quiet]
    assert store.gaps(MARKET, "ETH/USDT", HOUR_NS) == []


@pytest.mark.parametrize("field", ["open", "high", "low", "close", "volume"])
def test_a_bar_that_is_not_a_number_takes_its_whole_batch_with_it(
    store: BarStore, field: str
) -> None:
    with pytest.raises(BarStoreBroken, match="cannot be written"):
        store.append(MARKET, HOUR_NS, [bar_at(0), replace(bar_at(1), **{field: math.nan})])

    assert store.read(MARKET, BTC, HOUR_NS) == []
    assert store.append(MARKET, HOUR_NS, [bar_at(0)]).added == 1


def test_a_bar_of_another_timeframe_is_refused(store: BarStore) -> None:
    with pytest.raises(ValueError, match="is not of timeframe"):
        store.append(MARKET, HOUR_NS // 2, [bar_at(0)])


def test_a_reader_beside_the_writer_reads_and_cannot_write(store: BarStore, tmp_path: Path) -> None:
    store.append(MARKET, HOUR_NS, bars_at(0, 1))

    reader = BarStore.open(tmp_path / "bars.db", read_only=True)

    assert reader.read(MARKET, BTC, HOUR_NS) == bars_at(0, 1)
    with pytest.raises(BarStoreBroken, match="read-only"):
        reader.append(MARKET, HOUR_NS, bars_at(2))
    reader.close()


def test_a_store_that_cannot_be_used_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_bytes(b"no database" * 999)

    with pytest.raises(BarStoreBroken, match="not a database"):
        BarStore.open(tmp_path / "text.db")
    with pytest.raises(BarStoreBroken, match="not there"):
        BarStore.open(tmp_path / "none.db", read_only=True)


def test_a_store_damaged_under_our_feet_says_so(store: BarStore, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "bars.db")
    connection.execute("DROP TABLE bar")
    connection.close()

    with pytest.raises(BarStoreBroken, match="cannot be read"):
        store.read(MARKET, BTC, HOUR_NS)


@pytest.mark.parametrize(
    ("statement", "values"),
    [
        (bar_statements.TAIL, (MARKET, "BTC/USDT", HOUR_NS, OPEN_NS)),
        (bar_statements.RANGE, (MARKET, "BTC/USDT", HOUR_NS, 0, OPEN_NS)),
        (bar_statements.RANGE_NUMBERS, (MARKET, "BTC/USDT", HOUR_NS, 0, OPEN_NS)),
        (bar_statements.SPAN, (MARKET, "BTC/USDT", HOUR_NS)),
        (bar_statements.NEXT_SERIES, (MARKET, "BTC/USDT", HOUR_NS)),
        (bar_statements.GAPS, (MARKET, "BTC/USDT", HOUR_NS)),
    ],
)
def test_every_read_walks_the_index_and_sorts_nothing(
    store: BarStore, tmp_path: Path, statement: str, values: tuple[object, ...]
) -> None:
    store.append(MARKET, HOUR_NS, bars_at(0))
    connection = sqlite3.connect(tmp_path / "bars.db")
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)]
    connection.close()

    steps = [step for step in plan if step.startswith(("SCAN", "SEARCH"))]
    assert steps
    assert all(step.startswith("SEARCH") and "USING PRIMARY KEY" in step for step in steps)
    assert not any("TEMP B-TREE FOR ORDER BY" in step for step in plan)
