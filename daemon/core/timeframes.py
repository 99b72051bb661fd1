"""Timeframes as exact lengths: turns "1h" into nanoseconds and bar times into text.

Belongs here: arithmetic on the time grid. Reading a clock belongs to `clock`.
"""

from datetime import UTC, datetime

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000
HOUR_NS = 3_600 * NS_PER_S
DAY_NS = 24 * HOUR_NS
SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
SECONDS_PER_YEAR = 365 * 86_400


def timeframe_ns(timeframe: str) -> int:
    """Length of one bar in nanoseconds; ValueError for anything but <number><s|m|h|d|w>."""
    number, unit = timeframe[:-1], timeframe[-1:]
    if not (number.isascii() and number.isdigit()) or int(number) < 1 or unit not in SECONDS:
        msg = f"timeframe {timeframe!r} is not a fixed length; write for example 1m, 15m, 1h, 1d"
        raise ValueError(msg)
    return int(number) * SECONDS[unit] * NS_PER_S


def timeframe_text(length_ns: int) -> str:
    """A length as `timeframe_ns` reads it, in the largest unit that divides it."""
    seconds = length_ns // NS_PER_S
    unit = next(unit for unit, length in reversed(SECONDS.items()) if seconds % length == 0)
    return f"{seconds // SECONDS[unit]}{unit}"


def bars_per_year(length_ns: int) -> float:
    """How many bars of this length a market that never closes has in 365 days."""
    return SECONDS_PER_YEAR * NS_PER_S / length_ns


def floor_to_grid(ts_ns: int, length_ns: int) -> int:
    """Open time of the bar that contains `ts_ns`; the grid starts at the epoch (UTC)."""
    return ts_ns - ts_ns % length_ns


def rfc3339(ts_ns: int) -> str:
    """UTC text with milliseconds, for example 2024-01-01T00:00:00.000Z."""
    seconds, rest = divmod(ts_ns, NS_PER_S)
    moment = datetime.fromtimestamp(seconds, tz=UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest // NS_PER_MS:03d}Z"


def parse_time(text: str) -> int:
    """Nanoseconds of an RFC 3339 time; ValueError without a zone, because local time is a trap."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        msg = f"time {text!r} is not RFC 3339; write for example 2024-01-01T00:00Z"
        raise ValueError(msg) from None
    if moment.tzinfo is None:
        whole = text if len(text) > len("2024-01-01") else f"{text}T00:00"
        msg = f"time {text!r} has no zone; write {whole}Z for UTC"
        raise ValueError(msg)
    delta = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * NS_PER_S + delta.microseconds * 1_000
