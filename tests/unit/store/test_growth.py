"""The figures of docs/data.md: what a bar costs on the disk, in the store and in the journal."""

import asyncio
from pathlib import Path

from daemon.store.bars import BarStore
from daemon.store.journal import SqliteJournal
from tests.builders import (
    BTC,
    HOUR_NS,
    OPEN_NS,
    a_bar,
    a_bars_closed,
    a_feature_row,
    a_prediction,
    a_resolution,
    a_suppression,
    an_equity_mark,
    feature_rows,
    predictions,
)

BARS = 3_000
STORE_BYTES = 150
JOURNAL_BYTES = 2_500
TOLERANCE = 0.35


def test_a_bar_costs_as_much_in_the_store_as_is_said(tmp_path: Path) -> None:
    store = BarStore.open(tmp_path / "bars.db")
    bars = [a_bar(open_ns=OPEN_NS + n * HOUR_NS, close=42_000 + n / 7) for n in range(BARS)]
    store.append("synthetic-3b1dd35f92df96f6", HOUR_NS, bars)
    store.close()

    size = (tmp_path / "bars.db").stat().st_size / BARS

    assert abs(size / STORE_BYTES - 1) < TOLERANCE, f"{size:.0f} bytes: say so in docs/data.md"


def test_a_bar_without_an_order_costs_as_much_in_the_journal_as_is_said(tmp_path: Path) -> None:
    asyncio.run(_decided(tmp_path / "journal.db"))

    size = (tmp_path / "journal.db").stat().st_size / BARS

    assert abs(size / JOURNAL_BYTES - 1) < TOLERANCE, f"{size:.0f} bytes: say so in docs/data.md"


async def _decided(path: Path) -> None:
    values = tuple(0.0123456789012345 * n for n in range(1, 11))
    row, said = a_feature_row(values=values), a_prediction(instrument=BTC)
    step = (
        a_bars_closed(bars=(a_bar(),)),
        a_resolution(),
        an_equity_mark(),
        feature_rows(rows=(row,), refused=()),
        predictions(rows=(said,), refused=()),
        a_suppression(),
    )
    journal = SqliteJournal.open(path)
    await asyncio.gather(*(journal.append(step, is_durable=False) for _ in range(BARS)))
    await journal.close()
