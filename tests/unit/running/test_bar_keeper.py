"""The bar store follows a run's events, and a recovery tells it only what it missed."""

from pathlib import Path

from daemon.core.bars import MissCause
from daemon.core.events import BarRevised, BarsClosed, BarsMissed, Event
from daemon.core.instruments import InstrumentId
from daemon.running.bar_keeper import BarKeeper
from daemon.store.bars import BarStore
from daemon.store.gaps import Gap
from daemon.store.quarantine import Quarantine
from tests.builders import BTC, HOUR_NS, OPEN_NS, a_bar, a_bar_rejected

FIRST = a_bar()
REVISED = a_bar(close=42_104.0, received_ns=FIRST.received_ns + 1)
LATER = a_bar(open_ns=OPEN_NS + 4 * HOUR_NS)
LATE = a_bar(open_ns=OPEN_NS + 2 * HOUR_NS)
STORY: tuple[Event, ...] = (
    BarsClosed(ts_ns=1, bars=(FIRST,)),
    BarRevised(ts_ns=2, bar=REVISED, was=FIRST),
    BarsMissed(
        ts_ns=3, instrument=BTC, first_open_ns=OPEN_NS + HOUR_NS, count=2, cause=MissCause.OUTAGE
    ),
    BarsMissed(
        ts_ns=4,
        instrument=BTC,
        first_open_ns=OPEN_NS + 3 * HOUR_NS,
        count=1,
        cause=MissCause.OUTAGE,
    ),
    BarsClosed(ts_ns=5, bars=(LATER,)),
)


def test_bars_revisions_and_gaps_of_a_run_reach_the_store(tmp_path: Path) -> None:
    store = BarStore.open(tmp_path / "bars.db")
    keeper = BarKeeper(store, {BTC.exchange: "m"}, HOUR_NS)

    for event in STORY:
        keeper.note((event,))

    assert store.read("m", BTC, HOUR_NS) == [REVISED, LATER]
    outage = Gap(OPEN_NS + HOUR_NS, 3, MissCause.OUTAGE)
    assert store.gaps("m", "BTC/USDT", HOUR_NS) == [outage]
    store.append("m", HOUR_NS, [LATE])
    (gap,) = store.gaps("m", "BTC/USDT", HOUR_NS)
    assert (gap.found, gap.is_filled) == (1, False)
    store.close()


def test_a_recovery_gives_the_store_what_a_kill_kept_from_it_and_nothing_twice(
    tmp_path: Path,
) -> None:
    store = BarStore.open(tmp_path / "bars.db")
    keeper = BarKeeper(store, {BTC.exchange: "m"}, HOUR_NS)
    for event in STORY[:2]:
        keeper.note((event,))

    for _ in range(2):
        assert tuple(keeper.recovered(iter(STORY))) == STORY

    assert store.read("m", BTC, HOUR_NS) == [REVISED, LATER]
    assert store.revision_count("m", "BTC/USDT", HOUR_NS) == 1
    assert [gap.count for gap in store.gaps("m", "BTC/USDT", HOUR_NS)] == [3]
    store.close()


def test_a_run_is_believed_of_its_own_bars_whatever_another_run_of_the_market_heard(
    tmp_path: Path,
) -> None:
    """In lock-step they come at the very moments at which a run before both had them."""
    store = BarStore.open(tmp_path / "bars.db")
    keeper = BarKeeper(store, {BTC.exchange: "m"}, HOUR_NS)
    wrong = a_bar(close=42_104.0, received_ns=FIRST.received_ns + 1)

    for bar in (FIRST, wrong, FIRST):
        keeper.note((BarsClosed(ts_ns=1, bars=(bar,)),))
    assert tuple(keeper.recovered(iter(STORY[:1]))) == STORY[:1]

    assert store.read("m", BTC, HOUR_NS) == [FIRST]
    assert store.revision_count("m", "BTC/USDT", HOUR_NS) == 2
    store.close()


def test_a_refused_part_waits_among_the_parts_and_not_among_the_bars_made_of_them(
    tmp_path: Path,
) -> None:
    """Accepted there, five minutes would take the place of the hour that begins with them."""
    store = BarStore.open(tmp_path / "bars.db")
    keeper = BarKeeper(store, {BTC.exchange: "m"}, HOUR_NS, HOUR_NS // 12)

    keeper.note((a_bar_rejected(),))

    assert [row.timeframe_ns for row in Quarantine(store).waiting()] == [HOUR_NS // 12]
    store.close()


def test_one_symbol_on_two_exchanges_is_two_series(tmp_path: Path) -> None:
    store = BarStore.open(tmp_path / "bars.db")
    there = InstrumentId("okx", BTC.symbol)
    keeper = BarKeeper(store, {BTC.exchange: "m", "okx": "n"}, HOUR_NS)
    other = a_bar(instrument=there, close=42_200.0)
    missed = BarsMissed(
        ts_ns=2, instrument=there, first_open_ns=OPEN_NS + HOUR_NS, count=1, cause=MissCause.OUTAGE
    )

    keeper.note((BarsClosed(ts_ns=1, bars=(FIRST, other)),))
    keeper.note((missed,))

    assert store.read("m", BTC, HOUR_NS) == [FIRST]
    assert store.read("n", there, HOUR_NS) == [other]
    assert store.gaps("m", BTC.symbol, HOUR_NS) == []
    assert store.gaps("n", BTC.symbol, HOUR_NS) == [Gap(OPEN_NS + HOUR_NS, 1, MissCause.OUTAGE)]
    store.close()
