"""Candles and bars for the tests of layer 1; every field defaulted."""

from daemon.core.bars import Bar, BarSource, RawBar
from daemon.core.instruments import InstrumentId
from daemon.core.timeframes import NS_PER_MS, parse_time

HOUR_NS = 3_600 * 1_000_000_000
START_NS = parse_time("2024-03-01T00:00:00Z")
BTC = InstrumentId("embedded", "BTC/USDT")
ETH = InstrumentId("embedded", "ETH/USDT")


def open_of(slot: int) -> int:
    """Open time of the slot, in ns."""
    return START_NS + slot * HOUR_NS


def volume_of(slot: int) -> float:
    """No two neighbours have the same, or they would look invented."""
    return 7.0 + slot * slot % 13 / 4


def a_raw(
    slot: int,
    close: object = 100.5,
    *,
    is_closed: bool | None = None,
    open_ms: object = None,
    open: object = 100.0,  # noqa: A002
    high: object = 101.0,
    low: object = 99.0,
    volume: object = None,
) -> RawBar:
    open_ms = open_of(slot) // NS_PER_MS if open_ms is None else open_ms
    volume = volume_of(slot) if volume is None else volume
    return RawBar(open_ms, open, high, low, close, volume, is_closed)


def a_bar(slot: int, close: float = 100.5, instrument: InstrumentId = BTC) -> Bar:
    return Bar(
        instrument=instrument,
        open_ns=open_of(slot),
        close_ns=open_of(slot + 1),
        open=100.0,
        high=101.0,
        low=99.0,
        close=close,
        volume=volume_of(slot),
        received_ns=open_of(slot + 1),
        source=BarSource.STREAM,
    )
