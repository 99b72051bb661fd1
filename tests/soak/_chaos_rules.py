"""Draws a fault script in which everything of F01 to F26 happens, from a seed.

Belongs here: which faults, how often, and where in the run. Carrying them out belongs to the
exchange; the run itself to `_chaos_run`.
"""

from __future__ import annotations

from random import Random
from typing import Any, Final

KLINES: Final = "/api/v3/klines"
UNREADABLE: Final = ('{"e":"kline"', "[]", "[1,2]", '{"e":"kline","s":"BTCUSDT"}')
PRICES: Final = '"o":"1","c":"1","h":"1","l":"1","v":"1","x":true'
UNKNOWN: Final = (
    '{"e":"noveltyEvent","E":1,"s":"BTCUSDT"}',
    f'{{"e":"kline","s":"NOVELUSDT","k":{{"t":0,"T":1,"s":"NOVELUSDT","i":"1m",{PRICES}}}}}',
    f'{{"e":"kline","s":"BTCUSDT","k":{{"t":0,"T":1,"s":"BTCUSDT","i":"7w",{PRICES}}}}}',
    "",
    "hello",
)
DAY_BARS: Final = 1_440  # of a minute
QUIET_BARS: Final = 15
FROZEN_BARS: Final = 12
BLOCKED_S: Final = 0.4


def script(seed: int, bars: int) -> dict[str, Any]:
    """The rules of one run of so many bars."""
    rng = Random(seed)
    rules = [*_of_streams(), *_of_connections(bars), *_of_frames(), *_of_pages(), *_of_bars()]
    rules += [*_of_requests(), *_of_windows(rng, bars)]
    return {"seed": seed, "rules": rules}


def blocked_at(seed: int, bars: int) -> list[int]:
    """Slots at which the daemon's event loop is blocked for a while (F21)."""
    rng = Random(f"blocked/{seed}")
    return sorted(rng.sample(range(bars), max(1, bars // 250)))


def _of_streams() -> list[dict[str, Any]]:
    closed = {"stream": "kline", "candle": "closed"}
    return [
        {"kind": "stall", **closed, "probability": 0.0006},  # F01
        {"kind": "repeat", **closed, "probability": 0.0004},  # F02
        {"kind": "drop", **closed, "bars": 2, "probability": 0.001},  # F04: a gap nobody tells
        {"kind": "close", **closed, "bars": 3, "probability": 0.0003},  # F05
        {"kind": "close", **closed, "code": 1011, "probability": 0.0001},
        {"kind": "old", **closed, "bars": 3, "probability": 0.01},  # F07
        {"kind": "unflagged", **closed, "probability": 0.01},  # F08
        {"kind": "late", **closed, "sec": 0.15, "probability": 0.005},  # F08, F10
        {"kind": "late", "stream": "kline", "candle": "partial", "sec": 0.1, "probability": 0.01},
        {"kind": "drop", **closed, "probability": 0.01},  # F18
        {"kind": "burst", "stream": "kline", "count": 40, "probability": 0.0005},  # F20
        {"kind": "deaf", "stream": "kline", "bars": 2, "probability": 0.05},  # F06
    ]


def _of_connections(bars: int) -> list[dict[str, Any]]:
    days = range(DAY_BARS, bars, DAY_BARS)
    return [
        *({"kind": "close", "code": 1000, "from": day, "times": 1} for day in days),  # F03
        {"kind": "no_pong", "probability": 0.3},  # F22
        {"kind": "refused", "status": 503, "probability": 0.1},
        {"kind": "streams_max", "count": 3, "probability": 0.1},  # F26
    ]


def _of_frames() -> list[dict[str, Any]]:
    frame = {"kind": "frame", "stream": "kline", "candle": "closed"}
    return [
        *({**frame, "text": text, "probability": 0.0001} for text in UNREADABLE),  # F23
        {**frame, "hex": "fffe", "probability": 0.0001},
        *({**frame, "text": text, "probability": 0.003} for text in UNKNOWN),  # F24
        {"kind": "unknown_words", "path": "/api/v3/exchangeInfo"},
    ]


def _of_pages() -> list[dict[str, Any]]:
    return [
        {"kind": "page_short", "probability": 0.05},  # F13
        {"kind": "page_descending", "probability": 0.05},
        {"kind": "page_doubled", "probability": 0.05},
        {"kind": "page_shifted", "bars": 50, "probability": 0.03},  # F14
        {"kind": "page_unlimited", "probability": 0.03},
    ]


def _of_bars() -> list[dict[str, Any]]:
    once = {"told": "rest", "times": 1}
    return [
        {"kind": "bar_missing", "probability": 0.002},  # F12, for ever
        {"kind": "bar_value", "field": "prices", "value": 0, "probability": 0.001},  # F17, for ever
        {"kind": "bar_unsettled", "told": "stream", "probability": 0.01},  # F09
        {"kind": "bar_value", "field": "all", **once, "probability": 0.01},  # F15
        {"kind": "bar_value", "field": "close", "value": "NaN", **once, "probability": 0.01},
        {"kind": "bar_value", "field": "low", "value": -1, **once, "probability": 0.01},
        {"kind": "bar_value", "field": "time", "value": 1, **once, "probability": 0.01},
        {"kind": "bar_value", "field": "volume", "value": -1, "told": "stream", "every": 331},
        {"kind": "bar_swapped", **once, "probability": 0.02},  # F16
        {"kind": "bar_current_price", **once, "from": 0, "probability": 0.01},
    ]


def _of_requests() -> list[dict[str, Any]]:
    asked = {"path": KLINES}
    return [
        {"kind": "drop_before", **asked, "probability": 0.01},
        {"kind": "status", **asked, "status": 502, "body": "<html>", "probability": 0.01},
        {"kind": "body_after", **asked, "body": "", "probability": 0.01},
        {"kind": "body_after", **asked, "body": '{"rows":[]}', "probability": 0.01},
        {"kind": "delay_after", **asked, "sec": 0.2, "probability": 0.01},
    ]


def _of_windows(rng: Random, bars: int) -> list[dict[str, Any]]:
    """A quiet market, an exchange frozen by stream and REST alike, and a stretch of cut links."""
    rules: list[dict[str, Any]] = []
    for _ in range(max(1, bars // 500)):
        quiet = rng.randrange(max(1, bars - QUIET_BARS))
        frozen = rng.randrange(max(1, bars - FROZEN_BARS))
        window = {"from": frozen, "until": frozen + FROZEN_BARS}
        rules += [
            {
                "kind": "drop",
                "candle": "partial",
                "from": quiet,
                "until": quiet + QUIET_BARS,
            },  # F19
            {"kind": "page_frozen", **window},  # F11
            {"kind": "drop", "stream": "kline", **window},
        ]
    return rules
