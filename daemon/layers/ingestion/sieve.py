"""The sieve: turns candles of a file or of history into believed bars, and what is wrong with the
rest.

Belongs here: judging many candles of one instrument at once, with the rules of `gate` and
`suspicion`. One candle after another, as a stream tells them, belongs to `publisher`.
"""

from __future__ import annotations

import math
from itertools import zip_longest
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from daemon.core.bars import Bar, BarRejectReason, RawBar, Suspicion
from daemon.layers.ingestion.gate import Refusal, accept, open_time_ns
from daemon.layers.ingestion.suspicion import SPIKE_SCALE, UNIT_BARS, UNIT_JUMP, Past

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from daemon.core.bars import BarSource, ToldBar
    from daemon.core.instruments import InstrumentId

NOTHING: frozenset[Suspicion] = frozenset()


class Refused(Struct, frozen=True):
    """A candle that is not believed, and why."""

    place: str
    raw: RawBar
    refusal: Refusal
    open_ns: int | None


class Sorted(Struct, frozen=True):
    """Candles that the gate let pass, each slot once, in order of time; and those it did not."""

    bars: tuple[Bar, ...]
    places: dict[int, str]  # by open time
    refused: tuple[Refused, ...]
    duplicates: int


class UnitChange(Struct, frozen=True):
    """From the bar that opens at `open_ns` on, volumes are about `ratio` times what they were."""

    open_ns: int
    ratio: float


class Sifted(Struct, frozen=True):
    """Bars that are believed, those that are not and why, and where the unit of volume changed."""

    bars: tuple[Bar, ...]
    doubted: tuple[tuple[Bar, Refusal], ...]
    unit_changes: tuple[UnitChange, ...]


def sort_out(
    told: Iterable[ToldBar],
    *,
    instrument: InstrumentId,
    timeframe_ns: int,
    now_ns: int,
    source: BarSource,
    progress: Callable[[int], None] | None = None,
) -> Sorted:
    """Pass candles in any order through the gate.

    Of two different candles of one slot the first one told is kept and the other refused: nothing
    says which is right.
    """
    kept: dict[int, Bar] = {}
    places: dict[int, str] = {}
    refused: list[Refused] = []
    duplicates = 0
    for number, each in enumerate(told, 1):
        if progress is not None:
            progress(number)
        open_ns = None if each.fault else open_time_ns(each.raw)
        bar: Bar | Refusal
        if each.fault:
            bar = Refusal(BarRejectReason.MALFORMED, each.fault)
        else:
            bar = accept(
                each.raw,
                None if open_ns is None else kept.get(open_ns),
                instrument=instrument,
                timeframe_ns=timeframe_ns,
                now_ns=now_ns,
                source=source,
            )
        if isinstance(bar, Bar):
            kept[bar.open_ns], places[bar.open_ns] = bar, each.place
        elif bar.reason is BarRejectReason.DUPLICATE:
            duplicates += 1
        else:
            refused.append(Refused(each.place, each.raw, bar, open_ns))
    bars = tuple(kept[open_ns] for open_ns in sorted(kept))
    return Sorted(bars, places, tuple(refused), duplicates)


def sift(
    bars: Sequence[Bar],
    *,
    timeframe_ns: int,
    spike_scale: float = SPIKE_SCALE,
    accepts: Collection[Suspicion] = NOTHING,
) -> Sifted:
    """Take out of bars in order, each slot once, what is hard to believe.

    Kinds in `accepts` stay, marked, and so do bars that are marked already. Of bars whose volumes
    are in different units those in the unit of the newest are believed, since that is what will
    follow.
    """
    past = Past(timeframe_ns, spike_scale=spike_scale)
    believed: list[Bar] = []
    doubted: list[tuple[Bar, Refusal]] = []
    with_volume: list[int] = []  # open times
    changes: list[UnitChange] = []
    for bar, after in zip_longest(bars, bars[1:]):
        if bar.volume > 0:
            with_volume.append(bar.open_ns)
        doubt = past.doubt(bar, after)
        kept = bar
        if doubt is not None and doubt.suspicion is Suspicion.VOLUME_UNIT:
            changes.append(UnitChange(with_volume[-UNIT_BARS], past.unit_ratio(bar)))
        elif doubt is not None:
            if doubt.suspicion is not bar.suspicion and doubt.suspicion not in accepts:
                reason = BarRejectReason(doubt.suspicion.value)
                doubted.append((bar, Refusal(reason, doubt.detail)))
                past.leave(bar)
                continue
            kept = msgspec.structs.replace(bar, suspicion=doubt.suspicion)
        past.take(bar)
        believed.append(kept)
    believed, in_other_unit = _in_newest_unit(
        believed, changes, is_accepted=Suspicion.VOLUME_UNIT in accepts
    )
    doubted += in_other_unit
    doubted.sort(key=lambda each: each[0].open_ns)
    return Sifted(tuple(believed), tuple(doubted), tuple(changes))


def _in_newest_unit(
    bars: Sequence[Bar], changes: Sequence[UnitChange], *, is_accepted: bool
) -> tuple[list[Bar], list[tuple[Bar, Refusal]]]:
    # How much larger the newest volumes are than those before each change, from the end on.
    stretches: list[tuple[int, float]] = []  # first open time that is later, log
    log = 0.0
    for change in reversed(changes):
        log += math.log(change.ratio)
        stretches.append((change.open_ns, log))
    stretches.reverse()
    kept: list[Bar] = []
    refused: list[tuple[Bar, Refusal]] = []
    for bar in bars:
        while stretches and bar.open_ns >= stretches[0][0]:
            del stretches[0]
        if not stretches or abs(stretches[0][1]) <= UNIT_JUMP:
            kept.append(bar)
            continue
        if is_accepted or bar.suspicion is Suspicion.VOLUME_UNIT:
            kept.append(msgspec.structs.replace(bar, suspicion=Suspicion.VOLUME_UNIT))
            continue
        ratio = math.exp(stretches[0][1])
        detail = f"volume in another unit than the newest bars, which have about {ratio:.3g} times"
        refused.append((bar, Refusal(BarRejectReason.VOLUME_UNIT, detail)))
    return kept, refused
