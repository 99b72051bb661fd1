"""What an exchange lists of what a run trades: its instruments, those that it does not trade now
taken from the run's own journal.

Belongs here: going on although a symbol is gone. What becomes of a position in it belongs to risk,
hearing of it while the daemon runs to `listing_watch`.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from daemon.core.errors import JournalBroken
from daemon.core.events import ListingChanged, RulesChanged, RunOpened
from daemon.core.instruments import InstrumentId
from daemon.store.journal_reader import JournalReader

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from daemon.core.instruments import Instrument
    from daemon.core.ports import MarketData
    from daemon.running.world.sites import World

NOTHING_KNOWN: Mapping[InstrumentId, Instrument] = MappingProxyType({})  # of a run that begins


@dataclass(frozen=True, slots=True)
class Wanted:
    """The symbols of one exchange, and the instruments that the run has known."""

    symbols: Sequence[str]
    known: Mapping[InstrumentId, Instrument]


@dataclass(frozen=True, slots=True)
class Listed:
    """`untraded` says why, in the exchange's words or ours."""

    instruments: tuple[Instrument, ...]
    untraded: Mapping[InstrumentId, str]


async def listed(market_data: MarketData, exchange: str, wanted: Wanted) -> Listed:
    """All that is wanted. ValueError where a symbol is not traded that the run has never known:
    such a one was misspelt, while of the others something may be held.
    """
    symbols = list(wanted.symbols)
    try:
        return Listed(await market_data.instruments(symbols), {})
    except ValueError:
        told = await market_data.untraded(symbols)
        untraded = {InstrumentId(exchange, symbol): why for symbol, why in told.items()}
        if not untraded.keys() <= wanted.known.keys():
            raise
    traded = await market_data.instruments([each for each in symbols if each not in told])
    found = {each: wanted.known[each] for each in untraded} | {each.id: each for each in traded}
    return Listed(tuple(found[InstrumentId(exchange, each)] for each in symbols), untraded)


def known_by(path: Path) -> dict[InstrumentId, Instrument]:
    """The instruments of the run whose journal that is, as it last knew them. None where it cannot
    be read: whoever goes on with it says so, or begins what a crash left empty.
    """
    journal = JournalReader(path)
    try:
        opened = journal.latest(RunOpened)
        changed = {e.instrument.id: e.instrument for _, e in journal.read_kinds(RulesChanged)}
    except JournalBroken:
        return {}
    return {each.id: each for each in opened.instruments} | changed if opened else {}


def untraded_now(world: World, ts_ns: int) -> Iterator[ListingChanged]:
    """What a start found untraded, as inputs: no look of the running daemon finds that as news."""
    for site in world.sites:
        for instrument, why in site.untraded.items():
            yield ListingChanged(ts_ns=ts_ns, instrument=instrument, is_tradable=False, detail=why)
