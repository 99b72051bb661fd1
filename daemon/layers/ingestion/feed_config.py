"""How a feed is to behave, and what it counts: transport, patience, limits.

Belongs here: numbers and choices. What is done with them belongs to `feed` and `track`.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec
from msgspec import Struct

from daemon.core.timeframes import NS_PER_S
from daemon.layers.ingestion.suspicion import SPIKE_SCALE
from daemon.layers.ingestion.trades import TradeCounts

AUTO = "auto"


class Transport(StrEnum):
    """How bars come in while they are made; REST is asked about all of them whatever it is."""

    WEBSOCKET = "websocket"  # the exchange's own candles
    TRADES = "trades"  # made here of its trades
    REST = "rest"  # polled


def transport_of(wanted: str, *, has_candles: bool, has_trades: bool) -> Transport:
    """What is wanted, or with "auto" the best there is; ValueError for what there is not."""
    there = {
        Transport.WEBSOCKET: has_candles,
        Transport.TRADES: has_trades,
        Transport.REST: True,
    }
    if wanted == AUTO:
        return next(each for each, is_there in there.items() if is_there)
    if not there[Transport(wanted)]:
        what = "candles" if wanted == Transport.WEBSOCKET else "trades"
        msg = f'streams no {what}: set data.transport = "{AUTO}"'
        raise ValueError(msg)
    return Transport(wanted)


class FeedConfig(Struct, frozen=True, kw_only=True):
    """How patient a feed is; all `_s` are wire seconds."""

    transport: Transport = Transport.WEBSOCKET
    market_rate: float = 1.0  # market seconds per wire second; 0 is lock-step
    grace_s: float = 2.0  # after a close, before REST is asked for the bar
    stale_after_s: float = 90.0  # a stream behind REST for so long is reconnected
    lockstep_silence_s: float = 2.0  # quiet for so long, REST is asked whether there is a bar
    lockstep_stale_after_s: float = 1.0
    poll_min_s: float = 0.5  # between two asks for the same bar, doubling
    poll_max_s: float = 15.0
    ask_limit_s: float = 300.0  # a hole nobody answers for is an outage after this
    quiet_max_s: float = 21_600.0  # no bar for so long is odd even where quiet slots have none
    revision_check_s: float | None = None  # re-read a stream bar by REST so long after it came
    venue_sends_empty_bars: bool = True  # quiet slots have flat bars, so a missing one is an outage
    page_limit: int = 500
    spike_scale: float = SPIKE_SCALE  # moves beyond so many usual ones are read twice
    reconnect_max_s: float = 30.0
    ready_after_s: float = 10.0  # a stream that says nothing for so long does not hold up the start

    @property
    def is_lockstep(self) -> bool:
        return self.market_rate == 0

    @property
    def has_stream(self) -> bool:
        return self.transport is not Transport.REST

    @property
    def patience_s(self) -> float:
        """How long the stream may be behind REST, or silent after a reconnect."""
        return self.lockstep_stale_after_s if self.is_lockstep else self.stale_after_s

    def grace_for_s(self, timeframe_ns: int) -> float:
        """Wire seconds to wait after a close: at most a quarter of a bar, however warped it is."""
        if self.is_lockstep:
            return 0.0
        return min(self.grace_s, timeframe_ns / NS_PER_S / self.market_rate / 4)


class FeedCounts(Struct):
    """What happened to one instrument's candles since the feed was built."""

    published: int = 0
    duplicates: int = 0
    refused: int = 0
    revised: int = 0
    missed_slots: int = 0
    polls: int = 0
    unanswered: int = 0
    reconnects: int = 0
    dropped: int = 0
    trades: TradeCounts = msgspec.field(default_factory=TradeCounts)
