"""Runs recorded bars through the live route table, with a simulated venue at its edge.

Belongs here: the order of recorded inputs. How an order fills belongs to `simulated_venue`;
decisions come from the pipeline, which is handed in, so that nothing here can differ from live.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from daemon.core.bars import MissCause
from daemon.core.events import (
    AskQuotes,
    BarsClosed,
    BarsMissed,
    CancelOrder,
    Event,
    HealthTick,
    SubmitOrder,
)
from daemon.research.series import Series

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from daemon.core.bars import Bar
    from daemon.core.events import Command, Input
    from daemon.core.instruments import InstrumentId
    from daemon.core.pipeline import Pipeline
    from daemon.research.simulated_venue import SimulatedVenue

SLOTS_A_PROGRESS = 500


def series_of(symbol: str, bars: Sequence[Bar], timeframe_ns: int) -> Series:
    """Bars of one symbol, oldest first, as the arrays a training takes."""
    opens = np.array([bar.open_ns for bar in bars], dtype=np.int64)
    numbers = [(bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in bars]
    return Series(symbol, opens, np.array(numbers, dtype=np.float64).reshape(-1, 5), timeframe_ns)


def cross_sections(
    bars: Sequence[Bar], timeframe_ns: int
) -> Iterator[tuple[list[BarsMissed], BarsClosed]]:
    """Slots in order, each with the holes that end with it, as a feed would have published them."""
    slots: dict[int, list[Bar]] = defaultdict(list)
    for bar in bars:
        slots[bar.close_ns].append(bar)
    newest: dict[InstrumentId, int] = {}
    for close_ns in sorted(slots):
        missed = []
        for bar in sorted(slots[close_ns], key=lambda each: each.instrument):
            expected_ns = newest.get(bar.instrument, bar.open_ns)
            if bar.open_ns > expected_ns:
                missed.append(
                    BarsMissed(
                        ts_ns=close_ns,
                        instrument=bar.instrument,
                        first_open_ns=expected_ns,
                        count=(bar.open_ns - expected_ns) // timeframe_ns,
                        cause=MissCause.OUTAGE,
                    )
                )
            newest[bar.instrument] = bar.close_ns
        ordered = tuple(sorted(slots[close_ns], key=lambda each: each.instrument))
        yield missed, BarsClosed(ts_ns=close_ns, bars=ordered)


def replay(
    pipeline: Pipeline,
    venue: SimulatedVenue,
    bars: Sequence[Bar],
    *,
    timeframe_ns: int,
    sample_every_bars: int,
    before_slot: Callable[[int], list[Input]],
    progress: Callable[[int], None],
) -> Iterator[tuple[Event, ...]]:
    """The steps of the run, each with its input first, in the order a journal would hold them.

    `before_slot` may return inputs (a newly activated model) to be taken before the slot that
    closes then; `progress` hears now and then how many slots are done.
    """
    for number, (missed, closed) in enumerate(cross_sections(bars, timeframe_ns), 1):
        close_ns = closed.ts_ns
        inputs: list[Input] = [*before_slot(close_ns), *missed, *venue.passing(closed), closed]
        if number % sample_every_bars == 0:
            inputs.append(HealthTick(ts_ns=close_ns))
        for event in inputs:
            yield from _settled(pipeline, venue, event)
        if number % SLOTS_A_PROGRESS == 0:
            progress(number)


def _settled(
    pipeline: Pipeline, venue: SimulatedVenue, event: Input
) -> Iterator[tuple[Event, ...]]:
    """One input's step, then the steps of all answers it leads to."""
    waiting: list[Input] = [event]
    while waiting:
        step = pipeline.step(waiting.pop(0))
        yield step.events
        waiting += [_answer(venue, command) for command in step.commands]


def _answer(venue: SimulatedVenue, command: Command) -> Input:
    if isinstance(command, AskQuotes):
        return venue.quotes(command)
    if isinstance(command, CancelOrder):
        return venue.cancel(command)
    assert isinstance(command, SubmitOrder), (
        f"{type(command).__name__} has no meaning in a backtest"
    )
    return venue.answer(command)
