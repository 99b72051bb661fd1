"""The bars of a backtest: turns files or the store into bars and the rules of their instruments.

Belongs here: where tested bars come from. What is done with them belongs to `backtests`.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from daemon.core.bars import Bar, BarSource
from daemon.core.errors import UsageRefused
from daemon.core.events import RunOpened
from daemon.core.instruments import Instrument, InstrumentId, MarketType, is_swap_symbol
from daemon.core.timeframes import NS_PER_MS, timeframe_ns
from daemon.layers.ingestion.aggregation import Aggregation, aggregated
from daemon.layers.ingestion.sieve import sift
from daemon.store.bars import BarStore
from daemon.store.journal_reader import JournalReader
from daemon.store.runs import newest_daemon_run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from daemon.config import Settings

EXCHANGE = "embedded"


class Recorded(Struct, frozen=True, kw_only=True):
    """Bars to test on, oldest first, and the rules of their instruments."""

    market: str  # whose bars these are, as models and store name it
    name: str  # for people
    bars: tuple[Bar, ...]
    instruments: tuple[Instrument, ...]
    quarantined: int = 0  # rows that the gate of a live feed would not believe


def recorded_bars(settings: Settings, files: Mapping[str, Sequence[Path]]) -> Recorded:
    """The bars of these files by symbol, else those of the newest daemon run's market in the store.

    UsageRefused where a file cannot be read or holds what no market can.
    """
    return _from_files(settings, files) if files else _from_store(settings)


def _from_files(settings: Settings, files: Mapping[str, Sequence[Path]]) -> Recorded:
    found = [_symbol_of_files(settings, symbol, paths) for symbol, paths in sorted(files.items())]
    fingerprints = [each.market for each in found]
    if len(found) == 1:
        return found[0]
    together = hashlib.sha256("|".join(fingerprints).encode()).hexdigest()[:16]
    bars = [bar for each in found for bar in each.bars]
    bars.sort(key=lambda bar: (bar.close_ns, bar.instrument))
    return Recorded(
        market=f"replay-{together}",
        name=", ".join(each.name for each in found),
        bars=tuple(bars),
        instruments=tuple(instrument for each in found for instrument in each.instruments),
        quarantined=sum(each.quarantined for each in found),
    )


def _symbol_of_files(settings: Settings, symbol: str, paths: Sequence[Path]) -> Recorded:
    """One symbol's files, joined on time; overlaps may be identical, never contradict.

    Rows that are hard to believe are left out, as a live feed would: their slots are holes.
    """
    from daemon.embedded.recorded import RecordedMarket
    from daemon.store.recordings import read_recording

    name = " and ".join(path.name for path in paths)
    length_ms = timeframe_ns(settings.data.fetched_timeframe) // NS_PER_MS
    try:
        rows = sorted(row for path in paths for row in read_recording(path))
        # A recording of a swap has the candles and the steps of its spot twin.
        spot = symbol.partition(":")[0]
        market = RecordedMarket({spot: rows}, timeframe_ms=length_ms, name=name)
    except ValueError as error:
        raise UsageRefused(str(error)) from error
    ((symbol_id, rules),) = market.symbols.items()
    found = market.bars(symbol_id, market.first_open_ms, rows[-1][0], len(rows))
    instrument = Instrument(
        id=InstrumentId(EXCHANGE, symbol),
        base=rules.base,
        quote=rules.quote,
        tick=rules.tick,
        lot=rules.lot,
        minimum_quantity=rules.minimum_quantity,
        minimum_notional=rules.minimum_notional,
        market_type=MarketType.SWAP if is_swap_symbol(symbol) else MarketType.SPOT,
    )
    bars = tuple(
        Bar(
            instrument=instrument.id,
            open_ns=each.open_ms * NS_PER_MS,
            close_ns=(each.open_ms + length_ms) * NS_PER_MS,
            open=float(each.open),
            high=float(each.high),
            low=float(each.low),
            close=float(each.close),
            volume=float(each.volume),
            received_ns=(each.open_ms + length_ms) * NS_PER_MS,
            source=BarSource.RECORDING,
        )
        for each in found
    )
    sifted = sift(bars, timeframe_ns=length_ms * NS_PER_MS, spike_scale=settings.data.spike_scale)
    if not sifted.bars:
        msg = f"{name}: not one of its {len(bars)} bars is believed; see tradingd data verify"
        raise UsageRefused(msg)
    return Recorded(
        market=f"replay-{market.fingerprint}",
        name=name,
        bars=_decided_on(settings, sifted.bars),
        instruments=(instrument,),
        quarantined=len(sifted.doubted),
    )


def _decided_on(settings: Settings, bars: tuple[Bar, ...]) -> tuple[Bar, ...]:
    """The bars of the timeframe decided on; a part that the recording lacks spoils its bar."""
    if settings.data.parts_per_bar == 1:
        return bars
    made = Aggregation(
        bars[0].instrument,
        fine_ns=timeframe_ns(settings.data.fetched_timeframe),
        coarse_ns=timeframe_ns(settings.data.timeframe),
        from_ns=None,
    )
    return tuple(aggregated(made, bars, ())[0])


def _from_store(settings: Settings) -> Recorded:
    """The bars of the newest run's market, with the instruments it traded."""
    state_dir = settings.run.state_dir
    paths = newest_daemon_run(state_dir)
    opened = JournalReader.open(paths.journal).latest(RunOpened)
    if opened is None:
        msg = f"run {paths.run} never opened, so its market is not known; name a file with --data"
        raise UsageRefused(msg)
    store = BarStore.open(paths.bars, read_only=True)
    try:
        bars = [
            bar
            for instrument in opened.instruments
            for bar in store.read(
                opened.account_on(instrument.id.exchange).market_key,
                instrument.id,
                opened.timeframe_ns,
            )
        ]
    finally:
        store.close()
    bars.sort(key=lambda bar: (bar.close_ns, bar.instrument))
    return Recorded(
        market="+".join(sorted(each.market_key for each in opened.each_account())),
        name=opened.market,
        bars=tuple(msgspec.structs.replace(bar, received_ns=bar.close_ns) for bar in bars),
        instruments=opened.instruments,
    )
