"""Brings the bars of a file into the store: believed ones as bars, the rest into quarantine.

Belongs here: what is done about bars that are in the store already, and that all of an import is
stored or nothing. What a file is worth belongs to `files`.
"""

from __future__ import annotations

import json
import math
from statistics import median
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from daemon.core.bars import (
    Bar,
    BarQuality,
    BarRejectReason,
    BarSource,
    MissCause,
    RawBar,
    Suspicion,
)
from daemon.core.errors import CheckFailed
from daemon.core.timeframes import rfc3339, timeframe_ns
from daemon.layers.ingestion.gate import Refusal, accept, raw_of, same_numbers, told
from daemon.layers.ingestion.sieve import Refused
from daemon.layers.ingestion.suspicion import UNIT_JUMP
from daemon.store.gaps import Gap
from daemon.store.quarantine import Quarantine, Quarantined

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from daemon.bars.files import Checked
    from daemon.core.instruments import InstrumentId
    from daemon.store.bars import BarStore

UNIT_BARS = 50  # of store and file each, to compare what their volumes are counted in
# What an operator may decide to believe: whole candles that are only hard to believe.
DECIDABLE = frozenset({*(each.value for each in Suspicion), BarRejectReason.CONFLICTING.value})


class Imported(Struct, frozen=True, kw_only=True):
    """What became of a file's bars; gaps are slots within it that have no bar in the store."""

    added: int
    known: int
    revised: int
    conflicting: int
    gaps: int
    missing_bars: int
    quarantined: int
    quarantined_new: int


def import_bars(
    store: BarStore,
    checked: Checked,
    *,
    market: str,
    instrument: InstrumentId,
    origin: str,
    now_ns: int,
    revises: bool,
    accepts: Collection[Suspicion],
) -> Imported:
    """Store what a file holds, in one transaction.

    A bar that the store has with the same numbers is left out. One that it has with others stays
    as it is and the file's goes to quarantine, or with `revises` the file's becomes the newest
    revision. CheckFailed, and nothing is stored, for a file without a bar to believe and for one
    whose volumes are in another unit than the store's.
    """
    if not checked.bars:
        msg = f"{origin}: none of its {checked.findings.counts['rows']} rows is believed"
        raise CheckFailed(msg)
    length_ns = timeframe_ns(checked.timeframe)
    first_ns, end_ns = checked.bars[0].open_ns, checked.bars[-1].close_ns
    margin_ns = UNIT_BARS * length_ns
    nearby = store.read(market, instrument, length_ns, first_ns - margin_ns, end_ns + margin_ns)
    if Suspicion.VOLUME_UNIT not in accepts:
        _require_one_unit(checked.bars, nearby, origin)
    there = {bar.open_ns: bar for bar in nearby}
    bars, conflicts = _beside(checked, there, revises=revises)
    refused = [*checked.refused, *conflicts]
    series = (market, instrument.symbol, length_ns)
    rows = [_row(each, series, origin, now_ns) for each in refused]
    gaps = list(_gaps(checked, set(there), length_ns))
    with store.writing():
        appended = store.append(market, length_ns, bars)
        store.add_gaps(*series, gaps)
        fresh = Quarantine(store).add(rows)
    return Imported(
        added=appended.added,
        known=appended.known,
        revised=appended.revised,
        conflicting=len(conflicts) + appended.revised,
        gaps=len(gaps),
        missing_bars=sum(gap.count for gap in gaps),
        quarantined=len(rows),
        quarantined_new=fresh,
    )


def _beside(
    checked: Checked, there: dict[int, Bar], *, revises: bool
) -> tuple[list[Bar], list[Refused]]:
    """What to store beside the bars that are there, and what contradicts them."""
    bars: list[Bar] = []
    conflicts: list[Refused] = []
    for bar in checked.bars:
        was = there.get(bar.open_ns)
        if was is None or same_numbers(bar, was):
            bars.append(bar)
        elif revises:
            bars.append(msgspec.structs.replace(bar, quality=BarQuality.REVISED))
        else:
            conflicts.append(_conflict(bar, was, checked.places))
    return bars, conflicts


def _row(each: Refused, series: tuple[str, str, int], origin: str, now_ns: int) -> Quarantined:
    market, symbol, length_ns = series
    return Quarantined(
        market=market,
        symbol=symbol,
        timeframe_ns=length_ns,
        open_ns=each.open_ns,
        reason=each.refusal.reason.value,
        detail=each.refusal.detail,
        raw=told(each.raw),
        source=BarSource.RECORDING.value,
        origin=f"{origin} {each.place}",
        seen_ns=now_ns,
    )


def accept_rows(
    store: BarStore, rows: Sequence[Quarantined], *, instrument: InstrumentId, now_ns: int
) -> int:
    """Store quarantined candles that an operator believes, marked with what was suspicious.

    All in one transaction; CheckFailed for a candle that is no sound bar, whoever believes it.
    """
    bars: dict[tuple[str, int], list[Bar]] = {}
    for row in rows:
        bars.setdefault((row.market, row.timeframe_ns), []).append(_bar_of(row, instrument, now_ns))
    with store.writing():
        for (market, length_ns), its_bars in bars.items():
            store.append(market, length_ns, its_bars)
        Quarantine(store).mark_accepted([row.id for row in rows], now_ns)
    return len(rows)


def _bar_of(row: Quarantined, instrument: InstrumentId, now_ns: int) -> Bar:
    what = f"quarantined row {row.id} ({row.reason})"
    try:
        values = json.loads(row.raw)
    except ValueError:
        values = None
    if row.reason not in DECIDABLE or not isinstance(values, list) or len(values) != 6:  # a candle
        decidable = ", ".join(sorted(DECIDABLE))
        msg = f"{what} is no sound bar and cannot be accepted; what can is {decidable}"
        raise CheckFailed(msg)
    bar = accept(
        RawBar(*values),
        None,
        instrument=instrument,
        timeframe_ns=row.timeframe_ns,
        now_ns=now_ns,
        source=BarSource(row.source),
    )
    if isinstance(bar, Refusal):
        msg = f"{what} is no sound bar: {bar.detail}"
        raise CheckFailed(msg)
    if row.reason == BarRejectReason.CONFLICTING.value:
        return msgspec.structs.replace(bar, quality=BarQuality.REVISED)
    return msgspec.structs.replace(bar, suspicion=Suspicion(row.reason))


def _conflict(bar: Bar, was: Bar, places: dict[int, str]) -> Refused:
    detail = f"the store has close {was.close!r} and volume {was.volume!r} from {was.source.value}"
    refusal = Refusal(BarRejectReason.CONFLICTING, detail)
    return Refused(places.get(bar.open_ns, ""), raw_of(bar), refusal, bar.open_ns)


def _gaps(checked: Checked, there: set[int], length_ns: int) -> Iterator[Gap]:
    """Slots between the file's bars for which neither file nor store has one, with the cause.

    A file does not say why a bar is missing, so it is an outage: nothing is decided across it.
    """
    untold = {each.open_ns for each in checked.refused}
    before = checked.bars[0]
    for bar in checked.bars[1:]:
        gap: Gap | None = None
        for open_ns in range(before.close_ns, bar.open_ns, length_ns):
            if open_ns in there:
                continue
            cause = MissCause.QUARANTINED if open_ns in untold else MissCause.OUTAGE
            if gap is not None and gap.cause is cause and gap.until_ns(length_ns) == open_ns:
                gap = Gap(gap.first_open_ns, gap.count + 1, cause)
                continue
            if gap is not None:
                yield gap
            gap = Gap(open_ns, 1, cause)
        if gap is not None:
            yield gap
        before = bar


def _require_one_unit(bars: Sequence[Bar], known: Sequence[Bar], origin: str) -> None:
    ours = [bar.volume for bar in known if bar.volume > 0]
    theirs = [bar.volume for bar in bars if bar.volume > 0]
    if not ours or not theirs:
        return
    since_ns = known[0].open_ns
    near = [bar.volume for bar in bars if bar.volume > 0 and bar.open_ns >= since_ns] or theirs
    ratio = median(near) / median(ours)
    if abs(math.log(ratio)) > UNIT_JUMP:
        msg = (
            f"{origin}: its volumes are about {ratio:.3g} times those in the store around "
            f"{rfc3339(since_ns)}, so they are in another unit; --accept volume_unit takes them"
        )
        raise CheckFailed(msg)
