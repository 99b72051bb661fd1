"""What it costs to watch: one step with and without its handlers timed, in turn, and one sample.

Both go through the same handlers of the same core, so that nothing but the watching differs.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from daemon.config import ProcessSection
from daemon.core import events as e
from daemon.core.clock import WireClock
from daemon.running.process.health import ProcessHealth
from daemon.running.process.progress import Progress
from daemon.running.process.reading import Reading, read_process
from daemon.running.process.stage_times import StageTimes
from tests.bench.close_to_decision import Market, a_model, opened_core

if TYPE_CHECKING:
    from collections.abc import Iterator

SLOTS = {1: 4_000, 50: 400}
SAMPLES = 200


def measure() -> Iterator[dict[str, object]]:
    """The figures, one by one."""
    model = a_model()
    for count, slots in SLOTS.items():
        market = Market(count)
        core = opened_core(market, model)
        times = StageTimes()
        pipelines = (core.pipeline, times.timed(core.pipeline))
        took_us: tuple[list[float], list[float]] = ([], [])
        for slot in range(slots):
            event, is_watched = market.closed(slot), slot % 2
            begun_ns = time.perf_counter_ns()
            if is_watched:
                times.begin(event)
            step = pipelines[is_watched].step(event)
            if is_watched:
                times.thought(event)
                times.committed(event)
                times.end(event)
            took_us[is_watched].append((time.perf_counter_ns() - begun_ns) / 1_000)
            for each in step.commands:
                if isinstance(each, e.AskQuotes):
                    core.pipeline.step(market.quoted(each))
        plain, watched = (median(each) for each in took_us)
        yield {"figure": "step", "symbols": count, "value": round(plain, 1), "unit": "us"}
        yield {"figure": "watched", "symbols": count, "value": round(watched, 1), "unit": "us"}
        ratio = round(watched / plain, 3)
        yield {"figure": "watched_to_plain", "symbols": count, "value": ratio, "unit": "ratio"}
    yield from _sampled(times)


def _sampled(times: StageTimes) -> Iterator[dict[str, object]]:
    """One look at everything, as is done every five seconds."""
    wire = WireClock()

    async def nobody(_event: object) -> None: ...

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        async def read() -> Reading:
            return read_process(folder, folder / "journal.db")

        health = ProcessHealth(
            ProcessSection(),
            read,
            times=times,
            progress=Progress(wire.monotonic_s, lambda: 0, stuck_after_s=20.0),
            depths=lambda: {"outbox": (0, 1)},
            monotonic_s=wire.monotonic_s,
            market_ns=lambda: 0,
            put=nobody,
            emit=lambda _event, **_fields: None,
        )

        async def scenario() -> float:
            took: list[float] = []
            for _ in range(SAMPLES):
                begun = time.perf_counter_ns()
                await health.check()
                took.append((time.perf_counter_ns() - begun) / 1_000)
            return median(took)

        yield {"figure": "sample", "value": round(asyncio.run(scenario()), 1), "unit": "us"}
