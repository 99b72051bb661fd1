"""Which lines become of what the edge measured: a clock, a disk, a key, an exchange that is back.

Belongs here: the lines of `ClockChecked`, `DiskChecked`, `KeyChecked` and `ExchangeBack`; others
are in `lines`.
"""

from collections.abc import Iterator

from daemon.core.events import ClockChecked, DiskChecked, ExchangeBack, KeyChecked
from daemon.core.timeframes import rfc3339
from daemon.logs.parts import Fields, Memory


def clock_off(event: ClockChecked, _: Memory) -> Iterator[Fields]:
    if not event.is_trusted:
        action = "set this machine's clock by NTP; until it agrees nothing is opened"
        yield {**_clock(event), "action": action}


def clock_agrees(event: ClockChecked, _: Memory) -> Iterator[Fields]:
    if event.is_trusted:
        yield _clock(event)


def _clock(event: ClockChecked) -> Fields:
    return {
        "exchange": event.exchange,
        "at": rfc3339(event.ts_ns),
        "offset_ms": event.offset_ms,
        "error_ms": event.error_ms,
        "limit": f"{event.limit_ms:g} ms",
    }


def disk_low(event: DiskChecked, _: Memory) -> Iterator[Fields]:
    if not event.is_enough:
        action = "free some of it (tradingd data prune); until then nothing is opened"
        yield {**_disk(event), "action": action}


def disk_enough(event: DiskChecked, _: Memory) -> Iterator[Fields]:
    if event.is_enough:
        yield _disk(event)


def _disk(event: DiskChecked) -> Fields:
    return {
        "at": rfc3339(event.ts_ns),
        "free_megabytes": event.free_megabytes,
        "limit": f"{event.limit_megabytes} MB",
    }


def key_checked(event: KeyChecked, _: Memory) -> Iterator[Fields]:
    yield {"exchange": event.exchange, "at": rfc3339(event.ts_ns)}


def key_remark(event: KeyChecked, _: Memory) -> Iterator[Fields]:
    for each in event.remarks:
        yield {"exchange": event.exchange, "at": rfc3339(event.ts_ns), "detail": each}


def exchange_back(event: ExchangeBack, _: Memory) -> Iterator[Fields]:
    yield {"exchange": event.exchange, "at": rfc3339(event.ts_ns)}
