from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from daemon.core import events as e
from daemon.core.errors import ExchangeUnreachable
from daemon.core.ids import mark_of
from daemon.running.books.leftovers import Leftovers, told_by
from daemon.store.journal import SqliteJournal
from daemon.store.runs import RunPaths
from tests.builders import a_bars_closed
from tests.unit.running.test_adoption import BTC, RULES, TS_NS, Bank, a_fill

HELD = f"{mark_of(bot='b', account='a')}x"
HISTORY = e.HistoryLoaded(ts_ns=TS_NS, bars=())
CLEAN = e.Reconciled(ts_ns=TS_NS, is_clean=True, exchange=BTC.exchange)
ADOPTED = e.BooksAdopted(ts_ns=TS_NS, exchange=BTC.exchange, orders=())


async def of_journal(folder: Path, *steps: e.Event) -> set[str]:
    journal = SqliteJournal.open(folder / "journal.db")
    for step in steps:
        await journal.append([step], is_durable=False)
    told = told_by(journal)
    await journal.close()
    return told


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ((), set()),
        ((HISTORY,), set()),
        ((CLEAN,), set()),  # of a flatten, before the run had its history
        ((CLEAN, HISTORY), set()),
        ((HISTORY, CLEAN), {BTC.exchange}),
        ((HISTORY, ADOPTED), {BTC.exchange}),
        ((a_bars_closed(), CLEAN), {BTC.exchange}),
    ],
)
async def test_what_was_left_is_told_by_the_first_comparison_behind_the_history(
    tmp_path: Path, steps: tuple[e.Event, ...], told: set[str]
) -> None:
    assert await of_journal(tmp_path, *steps) == told


async def found(folder: Path, told: set[str], *, is_adopting: bool = False) -> list[e.Event]:
    """What a start enters that goes on with a run opened after the fill."""
    site = SimpleNamespace(
        exchange=BTC.exchange,
        paper=None,
        account="a",
        venue=Bank([a_fill(HELD, 1)]),
        instruments=(RULES,),
    )
    world: Any = SimpleNamespace(sites=(site,))
    paths = RunPaths(folder, "20240101T000000-3fa2")
    left = Leftovers(world, paths, "b", is_adopting=is_adopting)
    entered: list[e.Event] = []

    async def take(event: e.Event) -> None:
        entered.append(event)

    async def on_away(_exchange: str, error: ExchangeUnreachable) -> None:
        raise error

    await left.look((), TS_NS + 10, told=told, on_away=on_away)
    await left.take_over(take, TS_NS + 20)
    return entered


async def test_a_run_that_ended_in_its_first_training_is_told_what_was_left_at_the_next_start(
    tmp_path: Path,
) -> None:
    """Its position would be traded beside, unminded and without a stop."""
    (said,) = await found(tmp_path, set())

    assert isinstance(said, e.Reconciled)
    assert (said.is_clean, said.foreign) == (False, (HELD,))


async def test_what_was_told_once_is_not_told_again_and_can_still_be_adopted(
    tmp_path: Path,
) -> None:
    adopted = await found(tmp_path, {BTC.exchange}, is_adopting=True)

    assert await found(tmp_path, {BTC.exchange}) == await found(tmp_path, {""}) == []
    assert [type(each) for each in adopted] == [e.BooksAdopted]
