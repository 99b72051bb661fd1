"""Finds the bar store of a state directory and the series in it that a person means.

Belongs here: opening and choosing. What is done with a series belongs to the commands.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from daemon.cli.running import config_path
from daemon.config import load
from daemon.core.errors import UsageRefused
from daemon.core.timeframes import parse_time, timeframe_ns, timeframe_text
from daemon.store.bars import BarStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from daemon.store.bars import SeriesKey


@contextmanager
def opened_store(
    config: Path | None, state_dir: Path | None, *, read_only: bool = True
) -> Iterator[BarStore]:
    """The bar store that a state directory has; UsageRefused where there is none."""
    directory = load(config_path(config), {"run.state_dir": state_dir}).run.state_dir
    path = directory / "bars.db"
    if not path.is_file():
        msg = f"there are no bars in {directory}: `tradingd data fetch` or a run brings some"
        raise UsageRefused(msg)
    store = BarStore.open(path, read_only=read_only)
    try:
        yield store
    finally:
        store.close()


def named(key: SeriesKey) -> str:
    """A series in one phrase."""
    return f"{key.market} {key.symbol} {timeframe_text(key.timeframe_ns)}"


def chosen(
    store: BarStore,
    *,
    market: str | None = None,
    symbol: str | None = None,
    timeframe: str | None = None,
) -> list[SeriesKey]:
    """The series that fit; UsageRefused names what there is when none does."""
    known = store.series()
    length_ns = None if timeframe is None else length_of(timeframe)
    found = [
        key
        for key in known
        if market in {None, key.market}
        and symbol in {None, key.symbol}
        and length_ns in {None, key.timeframe_ns}
    ]
    if not found and (market, symbol, timeframe) != (None, None, None):
        wanted = " ".join(each for each in (market, symbol, timeframe) if each is not None)
        there = ", ".join(map(named, known)) or "nothing"
        msg = f"no series {wanted} in the store; it holds {there}"
        raise UsageRefused(msg)
    return found


def chosen_one(
    store: BarStore, *, market: str | None, symbol: str, timeframe: str | None
) -> SeriesKey:
    """The one series that fits; UsageRefused says what would tell several apart."""
    found = chosen(store, market=market, symbol=symbol, timeframe=timeframe)
    if len(found) > 1:
        option = "--timeframe" if len({key.market for key in found}) == 1 else "--market"
        there = ", ".join(map(named, found))
        msg = f"{symbol} is there {len(found)} times: {there}; choose by {option}"
        raise UsageRefused(msg)
    return found[0]


def length_of(timeframe: str) -> int:
    """A timeframe as typed, in ns; UsageRefused."""
    try:
        return timeframe_ns(timeframe)
    except ValueError as error:
        msg = f"--timeframe: {error}"
        raise UsageRefused(msg) from error


def moment_of(option: str, text: str | None) -> int | None:
    """A time as typed, in ns UTC; UsageRefused."""
    if text is None:
        return None
    try:
        return parse_time(text)
    except ValueError as error:
        msg = f"{option}: {error}"
        raise UsageRefused(msg) from error
