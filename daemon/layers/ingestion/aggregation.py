"""Aggregation: turns fine bars in order, and what is said of missing ones, into coarse bars.

Belongs here: which coarse slot is whole, and what its bar is. Whether a fine bar is believed
belongs to `gate`; a coarse bar passes no gate of its own, because nobody told it but us.
"""

from __future__ import annotations

from collections import deque
from decimal import Context, Decimal
from typing import TYPE_CHECKING

import msgspec

from daemon.core.bars import Bar, BarQuality, MissCause
from daemon.core.events import BarRevised, BarsClosed, BarsMissed
from daemon.core.timeframes import floor_to_grid
from daemon.layers.ingestion.gate import same_numbers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence

    from daemon.core.events import Input
    from daemon.core.instruments import InstrumentId

REVISABLE_SLOTS = 3  # a fine bar of an older coarse slot is revised in the store alone
# Sums of decimals that no double has the digits to tell apart from the exact ones.
EXACT = Context(prec=120)


def merged(parts: Sequence[Bar], open_ns: int, close_ns: int) -> Bar:
    """The coarse bar of consecutive fine ones, at least one, oldest first.

    A bar in which nobody traded has no price of its own, only the one before it, so it counts only
    where there is nothing else. The volume is the sum of the numbers as they are written: venues
    add decimals, and neither a sum of doubles nor an exact sum of their binary values gives back
    the double that is nearest to the decimal sum.
    """
    traded = [bar for bar in parts if bar.volume > 0] or parts
    return Bar(
        instrument=parts[0].instrument,
        open_ns=open_ns,
        close_ns=close_ns,
        open=traded[0].open,
        high=max(bar.high for bar in traded),
        low=min(bar.low for bar in traded),
        close=traded[-1].close,
        volume=decimal_sum(bar.volume for bar in traded),
        received_ns=max(bar.received_ns for bar in parts),
        source=parts[-1].source,
        quality=BarQuality.OK if traded[0].volume > 0 else BarQuality.NO_TRADES,
        is_final=all(bar.is_final for bar in parts),
        suspicion=next((bar.suspicion for bar in traded if bar.suspicion), None),
    )


def decimal_sum(numbers: Iterable[float]) -> float:
    """The double nearest to the sum of the numbers as decimals, each in its shortest text."""
    total = Decimal(0)
    for number in numbers:
        total = EXACT.add(total, Decimal(repr(number)))
    return float(total)


class Aggregation:
    """One instrument's coarse bars, made of fine events as they come, in order.

    Slots before `from_ns`, or before the first event when it is None, are nobody's business. A
    coarse slot is whole when each of its fine slots has a bar or had no trades. When one was missed
    for any other reason the coarse slot is missed for that reason, however much of it is there.
    """

    def __init__(
        self, instrument: InstrumentId, *, fine_ns: int, coarse_ns: int, from_ns: int | None
    ) -> None:
        assert coarse_ns % fine_ns == 0, "a coarse slot is a whole number of fine ones"
        self._instrument = instrument
        self._fine_ns = fine_ns
        self._coarse_ns = coarse_ns
        self._from_ns = from_ns
        self._at_ns = from_ns  # every fine slot before it is accounted for
        self._parts: dict[int, Bar] = {}
        self._spoiled: MissCause | None = None  # why the open coarse slot cannot become whole
        self._published: deque[tuple[Bar, dict[int, Bar]]] = deque(maxlen=REVISABLE_SLOTS)

    def add(self, bar: Bar) -> tuple[list[BarsMissed], Bar | None]:
        """Take a fine bar: the coarse slots missed before it, and the bar that it completes."""
        missed: list[BarsMissed] = []
        if self._at_ns is None:
            self._begin(bar.open_ns)
        elif bar.open_ns < self._at_ns:
            return [], None  # told before
        elif bar.open_ns > self._at_ns:
            # Whoever left this out knew nothing of it either.
            count = (bar.open_ns - self._at_ns) // self._fine_ns
            _, missed = self.miss(self._at_ns, count, MissCause.OUTAGE, bar.received_ns)
        self._parts[bar.open_ns] = bar
        self._at_ns = bar.close_ns
        made = self._finish(bar.close_ns) if bar.close_ns % self._coarse_ns == 0 else None
        if isinstance(made, MissCause):
            missed.append(self._missed(bar.close_ns - self._coarse_ns, made, bar.received_ns))
            made = None
        return self._joined(missed), made

    def miss(
        self, first_open_ns: int, count: int, cause: MissCause, ts_ns: int
    ) -> tuple[Bar | None, list[BarsMissed]]:
        """Take a run of missed fine slots: the bar it completes, then the coarse slots missed."""
        end_ns = first_open_ns + count * self._fine_ns
        if self._at_ns is None:
            self._begin(first_open_ns)
        assert self._at_ns is not None
        bar: Bar | None = None
        missed: list[BarsMissed] = []
        if first_open_ns > self._at_ns:
            # Whoever left this out knew nothing of it either.
            untold = (first_open_ns - self._at_ns) // self._fine_ns
            _, missed = self.miss(self._at_ns, untold, MissCause.OUTAGE, ts_ns)
        while self._at_ns < end_ns:
            self._spoil(cause)
            close_ns = floor_to_grid(self._at_ns, self._coarse_ns) + self._coarse_ns
            self._at_ns = min(close_ns, end_ns)
            if self._at_ns < close_ns:
                break
            made = self._finish(close_ns)
            if isinstance(made, Bar):
                bar = msgspec.structs.replace(made, received_ns=max(made.received_ns, ts_ns))
            elif made is not None:
                missed.append(self._missed(close_ns - self._coarse_ns, made, ts_ns))
        return bar, self._joined(missed)

    def revise(self, event: BarRevised) -> BarRevised | None:
        """Take a changed fine bar; the coarse revision when a bar that went out is another now."""
        bar = event.bar
        if bar.open_ns in self._parts:
            self._parts[bar.open_ns] = bar
        for number, (was, parts) in enumerate(self._published):
            if not was.open_ns <= bar.open_ns < was.close_ns:
                continue
            parts[bar.open_ns] = bar
            now = merged([parts[each] for each in sorted(parts)], was.open_ns, was.close_ns)
            now = msgspec.structs.replace(now, quality=BarQuality.REVISED)
            if same_numbers(now, was):
                return None
            self._published[number] = (now, parts)
            return BarRevised(ts_ns=event.ts_ns, bar=now, was=was)
        return None

    def _begin(self, open_ns: int) -> None:
        self._from_ns = self._at_ns = open_ns

    def _spoil(self, cause: MissCause) -> None:
        """A fine slot has no bar: an outage outweighs a bar that is not believed."""
        if cause is not MissCause.NO_TRADES and self._spoiled is not MissCause.OUTAGE:
            self._spoiled = cause

    def _finish(self, close_ns: int) -> Bar | MissCause | None:
        """The bar of the coarse slot that ends, why it has none, or None before the beginning."""
        open_ns = close_ns - self._coarse_ns
        parts, self._parts = self._parts, {}
        spoiled, self._spoiled = self._spoiled, None
        assert self._from_ns is not None
        if open_ns < self._from_ns:
            return None
        if spoiled is not None:
            return spoiled
        if not parts:
            return MissCause.NO_TRADES
        bar = merged(list(parts.values()), open_ns, close_ns)
        self._published.append((bar, parts))
        return bar

    def _joined(self, missed: Sequence[BarsMissed]) -> list[BarsMissed]:
        """Coarse slots one after another that are missed for the same reason, as one run."""
        runs: list[BarsMissed] = []
        for each in missed:
            before = runs[-1] if runs else None
            if before is not None and before.cause is each.cause:
                runs[-1] = msgspec.structs.replace(before, count=before.count + each.count)
            else:
                runs.append(each)
        return runs

    def _missed(self, open_ns: int, cause: MissCause, ts_ns: int) -> BarsMissed:
        return BarsMissed(
            ts_ns=ts_ns,
            instrument=self._instrument,
            first_open_ns=open_ns,
            count=1,
            cause=cause,
        )


class Aggregator:
    """Stands between a feed of fine bars and whoever decides on coarse ones, for all instruments.

    `keep` hears every fine event before anything is made of it; `from_ns` says per instrument from
    where on coarse bars are wanted; where it says nothing, from the first whole one.
    """

    def __init__(
        self,
        from_ns: Mapping[InstrumentId, int],
        *,
        fine_ns: int,
        coarse_ns: int,
        publish: Callable[[Input], Awaitable[None]],
        keep: Callable[[Input], None],
    ) -> None:
        self._publish = publish
        self._keep = keep
        self._from_ns = dict(from_ns)
        self._fine_ns = fine_ns
        self._coarse_ns = coarse_ns
        self._made: dict[InstrumentId, Aggregation] = {}

    async def publish(self, event: Input) -> None:
        """Take one event of the feed; what is not about bars goes on as it is."""
        if not isinstance(event, BarsClosed | BarsMissed | BarRevised):
            await self._publish(event)
            return
        self._keep(event)
        for made in self._coarse(event):
            await self._publish(made)

    def _coarse(self, event: BarsClosed | BarsMissed | BarRevised) -> Iterator[Input]:
        if isinstance(event, BarRevised):
            revised = self._of(event.bar.instrument).revise(event)
            if revised is not None:
                yield revised
        elif isinstance(event, BarsMissed):
            made = self._of(event.instrument)
            run = (event.first_open_ns, event.count, event.cause, event.ts_ns)
            bar, missed = made.miss(*run)
            if bar is not None:
                yield BarsClosed(ts_ns=event.ts_ns, bars=(bar,))
            yield from missed
        else:
            bars: list[Bar] = []
            for fine in event.bars:
                missed, coarse = self._of(fine.instrument).add(fine)
                yield from missed
                bars += [] if coarse is None else [coarse]
            if bars:
                yield BarsClosed(ts_ns=event.ts_ns, bars=tuple(bars))

    def _of(self, instrument: InstrumentId) -> Aggregation:
        if instrument not in self._made:
            self._made[instrument] = Aggregation(
                instrument,
                fine_ns=self._fine_ns,
                coarse_ns=self._coarse_ns,
                from_ns=self._from_ns.get(instrument),
            )
        return self._made[instrument]


def aggregated(
    made: Aggregation, bars: Iterable[Bar], missed: Iterable[BarsMissed]
) -> tuple[list[Bar], list[BarsMissed]]:
    """The coarse bars and holes of a stretch of history, by the same rules as a feed's."""
    coarse: list[Bar] = []
    holes: list[BarsMissed] = []
    told = deque(sorted(missed, key=lambda each: each.first_open_ns))
    for bar in bars:
        while told and told[0].first_open_ns < bar.open_ns:
            hole = told.popleft()
            run = (hole.first_open_ns, hole.count, hole.cause, hole.ts_ns)
            finished, more = made.miss(*run)
            coarse += [] if finished is None else [finished]
            holes += more
        more, finished = made.add(bar)
        holes += more
        coarse += [] if finished is None else [finished]
    return coarse, holes
