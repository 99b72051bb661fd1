from pathlib import Path

import msgspec

from daemon.store.bars import BarStore
from daemon.store.quarantine import Quarantine, Quarantined
from tests.builders import HOUR_NS, OPEN_NS


def a_row(**changes: object) -> Quarantined:
    row = Quarantined(
        market="m",
        symbol="BTC/USDT",
        timeframe_ns=HOUR_NS,
        open_ns=OPEN_NS,
        reason="spike",
        detail="why",
        raw="[1, 2]",
        source="recording",
        origin="x.csv line 3",
        seen_ns=7,
    )
    return msgspec.structs.replace(row, **changes)


def a_quarantine(tmp_path: Path) -> Quarantine:
    return Quarantine(BarStore.open(tmp_path / "bars.db"))


def test_what_is_not_believed_is_kept_as_it_came_and_once(tmp_path: Path) -> None:
    quarantine = a_quarantine(tmp_path)

    first = quarantine.add([a_row(), a_row(raw="no candle", reason="malformed", open_ns=None)])
    again = quarantine.add([a_row(origin="another file"), a_row(reason="imputed")])

    assert (first, again) == (2, 1)
    waiting = quarantine.waiting()
    assert [(row.reason, row.raw, row.open_ns) for row in waiting] == [
        ("malformed", "no candle", None),
        ("spike", "[1, 2]", OPEN_NS),
        ("imputed", "[1, 2]", OPEN_NS),
    ]
    assert msgspec.structs.replace(waiting[1], id=0) == a_row()


def test_series_are_counted_and_listed_apart(tmp_path: Path) -> None:
    quarantine = a_quarantine(tmp_path)
    quarantine.add([a_row(), a_row(raw="b"), a_row(symbol="ETH/USDT"), a_row(market="n")])

    assert quarantine.counts(market="m") == {
        ("m", "BTC/USDT", HOUR_NS): {"spike": 2},
        ("m", "ETH/USDT", HOUR_NS): {"spike": 1},
    }
    assert [row.symbol for row in quarantine.waiting("m", "ETH/USDT", HOUR_NS)] == ["ETH/USDT"]
    assert quarantine.waiting("m", "ETH/USDT", 2 * HOUR_NS) == []


def test_an_accepted_row_waits_no_longer_and_does_not_come_back(tmp_path: Path) -> None:
    quarantine = a_quarantine(tmp_path)
    quarantine.add([a_row(), a_row(raw="b")])

    quarantine.mark_accepted([quarantine.waiting()[0].id], 99)
    added = quarantine.add([a_row()])

    assert added == 0
    assert [row.raw for row in quarantine.waiting()] == ["b"]
    assert quarantine.counts() == {("m", "BTC/USDT", HOUR_NS): {"spike": 1}}
