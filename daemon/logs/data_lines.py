"""Lines about data that is not believed.

Belongs here: as in `lines`, the fields of lines, made from events alone.
"""

from collections.abc import Iterator

from daemon.core import events as e
from daemon.core.bars import BarRejectReason
from daemon.core.timeframes import rfc3339
from daemon.logs.parts import Fields, Memory

RAW_LENGTH_MAX = 200


def bar_rejected(event: e.BarRejected, _: Memory) -> Iterator[Fields]:
    if event.reason is not BarRejectReason.DUPLICATE:
        yield _rejection(event)


def bar_repeated(event: e.BarRejected, _: Memory) -> Iterator[Fields]:
    if event.reason is BarRejectReason.DUPLICATE:
        yield _rejection(event)


def _rejection(event: e.BarRejected) -> Fields:
    return {
        "exchange": event.instrument.exchange,
        "symbol": event.instrument.symbol,
        "at": rfc3339(event.ts_ns),
        "reason": event.reason,
        "detail": event.detail or None,
        "raw": event.raw[:RAW_LENGTH_MAX],
        "source": event.source,
    }


def data_distrusted(event: e.DataDistrusted, _: Memory) -> Iterator[Fields]:
    yield {
        "exchange": event.instrument.exchange,
        "symbol": event.instrument.symbol,
        "at": rfc3339(event.ts_ns),
        "count": event.count,
        "limit": event.limit,
        "until": rfc3339(event.until_ns),
    }
