"""Makes believed bars of a file, by the gate and the sieve that a live feed has, and findings.

Belongs here: what a file, or a series in the store, is worth. Storing it belongs to `importing`,
printing it to the commands.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

from msgspec import Struct

from daemon.core.bars import Bar, BarRejectReason, BarSource, Suspicion
from daemon.core.errors import UsageRefused
from daemon.core.timeframes import NS_PER_MS, rfc3339, timeframe_ns
from daemon.layers.ingestion.gate import raw_of, told
from daemon.layers.ingestion.sieve import Refused, Sifted, sift, sort_out

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from daemon.core.bars import ToldBar
    from daemon.core.instruments import InstrumentId
    from daemon.store.recordings import Row

# What a file's candles are refused for, by the name under which it is counted.
COUNTED = {
    BarRejectReason.CONFLICTING: "conflicting_duplicates",
    BarRejectReason.NOT_POSITIVE: "non_positive",
    BarRejectReason.MALFORMED: "malformed",
    BarRejectReason.NOT_FINITE: "malformed",
    BarRejectReason.INCONSISTENT: "malformed",
    BarRejectReason.OFF_GRID: "off_grid",
    BarRejectReason.IN_FUTURE: "off_grid",
    BarRejectReason.SPIKE: "spikes",
    BarRejectReason.IMPUTED: "imputed",
    BarRejectReason.VOLUME_UNIT: "other_volume_unit",
}
NAMES = (
    *("rows", "accepted", "duplicates", "conflicting_duplicates", "gaps", "missing_bars"),
    *("zero_volume", "non_positive", "malformed", "off_grid", "spikes", "imputed"),
    *("volume_unit_changes", "other_volume_unit", "quarantined"),
)
FACTS = frozenset({"rows", "accepted", "duplicates", "gaps", "missing_bars", "zero_volume"})


class Example(Struct, frozen=True):
    """The first of its kind: market time, place in the file, what is wrong and what was told."""

    at: str | None
    place: str
    detail: str
    raw: str = ""


class Findings(Struct, frozen=True):
    """Counts under the names of NAMES, and the first example of each that is not 0."""

    counts: dict[str, int]
    examples: dict[str, Example]

    @property
    def is_clean(self) -> bool:
        """Whether nothing was refused and nothing waits for a decision; holes are facts."""
        return self.counts["quarantined"] == 0


class Checked(Struct, frozen=True):
    """What a file holds: bars to believe, in order, and everything else with its reason."""

    bars: tuple[Bar, ...]
    refused: tuple[Refused, ...]
    places: dict[int, str]
    timeframe: str
    findings: Findings


def check_file(
    path: Path,
    *,
    instrument: InstrumentId,
    now_ns: int,
    timeframe: str | None = None,
    spike_scale: float,
    accepts: Collection[Suspicion] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Checked:
    """Judge every row of a file; UsageRefused where it is no recording of bars at all.

    Without `timeframe` the commonest spacing is taken. A candle that closes after `now_ns` is of
    the future. Kinds in `accepts` are believed, and marked.
    """
    from daemon.store.recordings import commonest_spacing
    from daemon.store.scanning import scan_recording

    try:
        lines = scan_recording(path)
        timeframe = timeframe or commonest_spacing(_opens(lines))
    except ValueError as error:
        text = str(error)
        raise UsageRefused(text if str(path) in text else f"{path}: {text}") from error
    length_ns = timeframe_ns(timeframe)
    sorted_out = sort_out(
        lines,
        instrument=instrument,
        timeframe_ns=length_ns,
        now_ns=now_ns,
        source=BarSource.RECORDING,
        progress=None if progress is None else lambda done: progress(done, len(lines)),
    )
    sifted = sift(sorted_out.bars, timeframe_ns=length_ns, spike_scale=spike_scale, accepts=accepts)
    places = sorted_out.places
    refused = (*sorted_out.refused, *_doubted(sifted, places))
    findings = _findings(
        sorted_out.bars,
        sifted,
        refused,
        length_ns,
        rows=len(lines),
        duplicates=sorted_out.duplicates,
        places=places,
    )
    return Checked(sifted.bars, refused, places, timeframe, findings)


def believed_rows(
    rows: Sequence[Row], instrument: InstrumentId, length_ns: int, *, spike_scale: float
) -> tuple[list[Row], int]:
    """Sound rows of a recording, in order, without those that are hard to believe; how many were
    not.
    """
    bars = [
        Bar(
            instrument=instrument,
            open_ns=open_ms * NS_PER_MS,
            close_ns=open_ms * NS_PER_MS + length_ns,
            open=open_,
            high=high,
            low=low,
            close=close,
            volume=volume,
            received_ns=open_ms * NS_PER_MS + length_ns,
            source=BarSource.RECORDING,
        )
        for open_ms, open_, high, low, close, volume in rows
    ]
    sifted = sift(bars, timeframe_ns=length_ns, spike_scale=spike_scale)
    doubted = {bar.open_ns // NS_PER_MS for bar, _ in sifted.doubted}
    return [row for row in rows if row[0] not in doubted], len(doubted)


def check_stored(
    bars: Sequence[Bar], *, length_ns: int, spike_scale: float, quarantined: int
) -> Findings:
    """Judge a series of the store again; `quarantined` rows of it wait for a decision."""
    sifted = sift(bars, timeframe_ns=length_ns, spike_scale=spike_scale)
    refused = tuple(_doubted(sifted, {}))
    found = _findings(bars, sifted, refused, length_ns, rows=len(bars), duplicates=0, places={})
    counts = {**found.counts, "quarantined": found.counts["quarantined"] + quarantined}
    return Findings(counts, found.examples)


def _opens(lines: Sequence[ToldBar]) -> list[int]:
    return sorted(line.raw.open_ms for line in lines if isinstance(line.raw.open_ms, int))


def _doubted(sifted: Sifted, places: dict[int, str]) -> list[Refused]:
    return [
        Refused(places.get(bar.open_ns, "store"), raw_of(bar), refusal, bar.open_ns)
        for bar, refusal in sifted.doubted
    ]


def _findings(  # private, and all of it is counted
    bars: Sequence[Bar],
    sifted: Sifted,
    refused: Sequence[Refused],
    length_ns: int,
    *,
    rows: int,
    duplicates: int,
    places: dict[int, str],
) -> Findings:
    holes = [
        (before.close_ns, (after.open_ns - before.close_ns) // length_ns)
        for before, after in pairwise(bars)
        if after.open_ns > before.close_ns
    ]
    quiet = [bar for bar in bars if bar.volume == 0]
    marked = [bar for bar in sifted.bars if bar.suspicion is not None]
    told_wrong = Counter(COUNTED[each.refusal.reason] for each in refused)
    told_wrong.update(_MARKED[bar.suspicion] for bar in marked if bar.suspicion is not None)
    counts = (
        dict.fromkeys(NAMES, 0)
        | told_wrong
        | {
            "rows": rows,
            "accepted": len(sifted.bars),
            "duplicates": duplicates,
            "gaps": len(holes),
            "missing_bars": sum(count for _, count in holes),
            "zero_volume": len(quiet),
            "volume_unit_changes": len(sifted.unit_changes),
            "quarantined": len(refused),
        }
    )
    examples = _examples(sifted, refused, marked, places)
    for open_ns, count in holes[:1]:
        examples["gaps"] = Example(_at(open_ns), "", f"{count} bars missing")
    for bar in quiet[:1]:
        examples["zero_volume"] = Example(_at(bar.open_ns), places.get(bar.open_ns, ""), "")
    return Findings({name: counts[name] for name in NAMES}, examples)


def _examples(
    sifted: Sifted, refused: Sequence[Refused], marked: Sequence[Bar], places: dict[int, str]
) -> dict[str, Example]:
    examples: dict[str, Example] = {}
    for each in sorted(refused, key=lambda one: (one.open_ns is None, one.open_ns or 0)):
        example = Example(_at(each.open_ns), each.place, each.refusal.detail, told(each.raw))
        examples.setdefault(COUNTED[each.refusal.reason], example)
    for bar in marked:
        detail = "believed, because it was accepted or confirmed"
        example = Example(_at(bar.open_ns), places.get(bar.open_ns, ""), detail, told(raw_of(bar)))
        examples.setdefault(_MARKED[bar.suspicion or Suspicion.SPIKE], example)
    for change in sifted.unit_changes[:1]:
        detail = f"volumes about {change.ratio:.3g} times those before"
        place = places.get(change.open_ns, "")
        examples["volume_unit_changes"] = Example(_at(change.open_ns), place, detail)
    return examples


_MARKED = {
    Suspicion.SPIKE: "spikes",
    Suspicion.IMPUTED: "imputed",
    Suspicion.VOLUME_UNIT: "other_volume_unit",
}


def _at(open_ns: int | None) -> str | None:
    return None if open_ns is None else rfc3339(open_ns)
