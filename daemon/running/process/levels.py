"""What is too much: the figures of a sample become a level for each part of the process.

Belongs here: limits, and how figures are told. Taking samples belongs to `process.health`.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from msgspec import Struct

from daemon.running.process.reading import MEGABYTE, Reading
from daemon.running.process.stage_times import Summary

if TYPE_CHECKING:
    from daemon.config import ProcessSection

FULL_WARN_RATIO = 0.5  # of a queue
FILES_WARN_RATIO = 0.8  # of the files that may be open
WAITING_WARN_S = 5.0  # inputs wait, and no step is committed
FULL_WITHIN_DAYS = 3.0
# A level rises at once and falls after so many samples: what flaps is told once.
CALM_SAMPLES = 12


class Level(Enum):
    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        return list(Level).index(self)


class Figures(Struct, frozen=True, kw_only=True):
    """One sample; growth in bytes an hour (memory) and a day (journal)."""

    lag_p50_ms: float
    lag_p99_ms: float
    lag_max_ms: float
    waiting_s: float
    times: Summary
    depths: dict[str, tuple[int, int]]  # of each queue: how many wait, how many may
    reading: Reading
    memory_growth: float | None
    journal_growth: float | None

    @property
    def step_p99_ms(self) -> float | None:
        return self.times.step.p99_ms if self.times.step.calls else None

    @property
    def queued(self) -> int:
        return sum(count for name, (count, _) in self.depths.items() if name != "outbox")

    @property
    def full_in_days(self) -> float | None:
        """Until the journal alone has filled the disk; None while it does not grow."""
        free = self.reading.disk_free_bytes
        if free is None or self.journal_growth is None or self.journal_growth <= 0:
            return None
        return free / self.journal_growth

    def line(self) -> dict[str, object]:
        """The fields of the log line."""
        said, slowest = self.reading, next(iter(self.times.handlers), None)
        return {
            "lag_p99_ms": round(self.lag_p99_ms, 1),
            "lag_max_ms": round(self.lag_max_ms, 1),
            "step_p99_ms": self.step_p99_ms,
            "slowest": slowest,
            "slowest_p99_ms": self.times.handlers[slowest].p99_ms if slowest else None,
            "queued": self.queued,
            "in_flight": self.depths["outbox"][0],
            "memory_megabytes": megabytes(said.memory_bytes),
            "memory_growth_megabytes_per_hour": megabytes(self.memory_growth),
            "disk_free_megabytes": megabytes(said.disk_free_bytes),
            "journal_megabytes": megabytes(said.journal_bytes),
            "journal_growth_megabytes_per_day": megabytes(self.journal_growth),
            "open_files": said.open_files,
            "threads": said.threads,
        }

    def told(self) -> dict[str, object]:
        """Everything, for `status --json`."""
        days = self.full_in_days
        return {
            "lag_p50_ms": round(self.lag_p50_ms, 1),
            **self.line(),
            "waiting_s": round(self.waiting_s, 1),
            "queues": {name: count for name, (count, _) in self.depths.items()},
            "disk_full_in_days": None if days is None else round(days, 1),
            "disk_error": self.reading.disk_error or None,
            "open_files_max": self.reading.open_files_max,
        }

    def sentence(self, levels: Levels) -> str:
        """The short part, for a person."""
        said = self.reading
        unwell = ", ".join(levels.unwell()) or "well"
        disk = "?" if said.disk_free_bytes is None else f"{said.disk_free_bytes / 1e9:.1f} GB"
        memory = "?" if said.memory_bytes is None else f"{said.memory_bytes / MEGABYTE:.0f} MB"
        step = "-" if self.step_p99_ms is None else f"{self.step_p99_ms:.1f} ms"
        return (
            f"{unwell}; loop lag p99 {self.lag_p99_ms:.1f} ms, step p99 {step}, "
            f"{self.queued} queued, memory {memory}, disk free {disk}"
        )


class Levels:
    """The level of each part, with its reason while it is not well."""

    def __init__(self, config: ProcessSection) -> None:
        self._config = config
        self._now: dict[str, tuple[Level, str]] = {}
        self._calm: dict[str, int] = {}

    @property
    def worst(self) -> Level:
        levels = [level for level, _ in self._now.values()]
        return max(levels, key=lambda each: each.rank, default=Level.OK)

    def unwell(self) -> list[str]:
        """Part, level and reason of each that is not well."""
        return [
            f"{part} {level.value} ({why})"
            for part, (level, why) in self._now.items()
            if level is not Level.OK
        ]

    def note(self, figures: Figures, *, is_standing: bool) -> bool:
        """Hear of a sample; True when a level is another one than before."""
        has_changed = False
        for part, (level, why) in self._judged(figures, is_standing=is_standing).items():
            was, _ = self._now.get(part, (Level.OK, ""))
            if level.rank >= was.rank:
                self._calm[part] = 0
            else:
                self._calm[part] = self._calm.get(part, 0) + 1
                if self._calm[part] < CALM_SAMPLES:
                    continue
            has_changed |= level is not was
            self._now[part] = level, why
        return has_changed

    def _judged(self, now: Figures, *, is_standing: bool) -> dict[str, tuple[Level, str]]:
        config = self._config
        return {
            "loop": _over(now.lag_p99_ms, config.lag_warn_ms, "ms late"),
            "steps": (Level.CRITICAL, f"none for {now.waiting_s:.0f} s")
            if is_standing
            else _over(now.waiting_s, WAITING_WARN_S, "s without one"),
            "queues": _fullest(now.depths),
            "memory": _over(
                (now.reading.memory_bytes or 0) / MEGABYTE, config.memory_warn_megabytes, "MB"
            ),
            "disk": self._disk(now),
            "files": _over(
                now.reading.open_files or 0, FILES_WARN_RATIO * now.reading.open_files_max, "open"
            ),
        }

    def _disk(self, now: Figures) -> tuple[Level, str]:
        free, config = now.reading.disk_free_bytes, self._config
        if free is None:
            return Level.WARNING, f"cannot be asked: {now.reading.disk_error}"
        left = free / MEGABYTE
        if left < config.disk_stop_megabytes:
            return Level.CRITICAL, f"{left:.0f} MB free, nothing is opened"
        if left < config.disk_warn_megabytes:
            return Level.WARNING, f"{left:.0f} MB free"
        if now.full_in_days is not None and now.full_in_days < FULL_WITHIN_DAYS:
            return Level.WARNING, f"{left:.0f} MB free, full in {now.full_in_days:.1f} days"
        return Level.OK, ""


def _over(value: float, limit: float, unit: str) -> tuple[Level, str]:
    if value <= limit:
        return Level.OK, ""
    return Level.WARNING, f"{value:.0f} {unit}, limit {limit:g}"


def _fullest(depths: dict[str, tuple[int, int]]) -> tuple[Level, str]:
    for name, (count, most) in depths.items():
        if count > FULL_WARN_RATIO * most:
            return Level.WARNING, f"{name} {count} of {most}"
    return Level.OK, ""


def megabytes(size: float | None) -> float | None:
    return None if size is None else round(size / MEGABYTE, 1)
