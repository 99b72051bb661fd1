"""How late the event loop comes while a model is trained beside it, against how late it comes else.

A loop takes a step of the daemon's own core for SYMBOLS symbols every STEP_EVERY_S and notes how
late a timer of TICK_S fires. Stretches with and without a training take turns in one run, so that
what else the machine does is in both. The training is the daemon's own: its process, on a year of
hourly bars of two symbols. The same is told of one that does not give way. The aim is a p99 within
twice that of quiet.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.config import Settings
from daemon.core.bars import Bar, BarSource
from daemon.core.clock import WireClock
from daemon.core.instruments import InstrumentId
from daemon.core.jobs import CandidateJob, TrainingJob, TrainingSeries
from daemon.embedded.synthetic import SyntheticMarket
from daemon.feature_config import feature_set_of
from daemon.running.models.training_jobs import training_job
from daemon.running.models.training_process import TrainingTimedOut, train
from daemon.store.bars import BarStore
from tests.bench.close_to_decision import Market, a_model, opened_core

if TYPE_CHECKING:
    from collections.abc import Iterator

HOUR_NS = 3_600_000_000_000
NS_PER_MS = 1_000_000
BARS = 8_760
SYMBOLS = 50
TICK_S = 0.01
STEP_EVERY_S = 0.1
STRETCH_S = 12.0
TURNS = 3


def measure() -> Iterator[dict[str, object]]:
    """One figure for a training as the daemon has it, and one for a training that gives no way."""
    with tempfile.TemporaryDirectory() as folder:
        job = _job(Path(folder))
        for name, candidate in (("gentle", CandidateJob()), ("rude", None)):
            told = TrainingJob(**{
                each: getattr(job, each) for each in job.__struct_fields__ if each != "candidate"
            }, candidate=candidate)  # fmt: skip
            yield {"training": name, **asyncio.run(_compared(told))}


async def _compared(job: TrainingJob) -> dict[str, object]:
    quiet: list[float] = []
    busy: list[float] = []
    loop = _Loop()
    for turn in range(TURNS):
        quiet += await loop.lags_s(STRETCH_S)
        training = asyncio.create_task(_trained(job))
        busy += await loop.lags_s(STRETCH_S)
        training.cancel()
        await asyncio.gather(training, return_exceptions=True)
        sys.stderr.write(f"\rtraining_lag {turn + 1}/{TURNS} turns ")
    sys.stderr.write("\n")
    quiet_ms, busy_ms = _p99_ms(quiet), _p99_ms(busy)
    return {
        "quiet_p99_ms": round(quiet_ms, 3),
        "training_p99_ms": round(busy_ms, 3),
        "ratio": round(busy_ms / quiet_ms, 2),
        "quiet_p50_ms": round(_p50_ms(quiet), 3),
        "training_p50_ms": round(_p50_ms(busy), 3),
        "ticks": len(quiet) + len(busy),
    }


async def _trained(job: TrainingJob) -> None:
    """Again and again, until it is cancelled."""
    while True:
        try:
            await train(job, lambda _line: None, within_s=600.0)
        except TrainingTimedOut:
            return


class _Loop:
    """The daemon's core taking steps, and a timer that says how late it is."""

    def __init__(self) -> None:
        self._market = Market(SYMBOLS)
        self._core = opened_core(self._market, a_model())
        self._slot = 0
        self._wire = WireClock()

    async def lags_s(self, for_s: float) -> list[float]:
        lags: list[float] = []
        until_s = self._wire.monotonic_s() + for_s
        next_step_s = self._wire.monotonic_s()
        while (now_s := self._wire.monotonic_s()) < until_s:
            if now_s >= next_step_s:
                self._core.pipeline.step(self._market.closed(self._slot))
                self._slot += 1
                next_step_s = now_s + STEP_EVERY_S
            due_s = self._wire.monotonic_s() + TICK_S
            await asyncio.sleep(TICK_S)
            lags.append(max(0.0, self._wire.monotonic_s() - due_s))
        return lags


def _job(folder: Path) -> TrainingJob:
    settings = Settings()
    market = SyntheticMarket(settings.data.symbols, HOUR_NS // NS_PER_MS, seed=1, edge=0.4)
    store = BarStore.open(folder / "bars.db")
    for symbol in settings.data.symbols:
        found = market.bars(
            symbol.replace("/", ""), market.from_ms, market.from_ms + BARS * 3_600_000, BARS
        )
        store.append(
            "synthetic",
            HOUR_NS,
            [
                Bar(
                    instrument=InstrumentId("embedded", symbol),
                    open_ns=bar.open_ms * NS_PER_MS,
                    close_ns=bar.open_ms * NS_PER_MS + HOUR_NS,
                    open=float(bar.open),
                    high=float(bar.high),
                    low=float(bar.low),
                    close=float(bar.close),
                    volume=float(bar.volume),
                    received_ns=bar.open_ms * NS_PER_MS + HOUR_NS,
                    source=BarSource.STREAM,
                )
                for bar in found
            ],
        )
    store.close()
    return training_job(
        settings,
        feature_set_of(settings),
        bars_db=folder / "bars.db",
        registry=folder / "models",
        market="synthetic",
        series=[TrainingSeries("synthetic", each, each) for each in settings.data.symbols],
        since_ns=0,
        until_ns=market.from_ms * NS_PER_MS + BARS * HOUR_NS,
        created_ns=0,
    )


def _p99_ms(lags_s: list[float]) -> float:
    return _percentile_ms(lags_s, 0.99)


def _p50_ms(lags_s: list[float]) -> float:
    return _percentile_ms(lags_s, 0.50)


def _percentile_ms(lags_s: list[float], share: float) -> float:
    return 1e3 * sorted(lags_s)[min(len(lags_s) - 1, int(share * len(lags_s)))]
