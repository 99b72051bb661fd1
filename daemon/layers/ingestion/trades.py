"""Bars out of trades: turns one stream's trades into the partial and closed candles they make.

Belongs here: which trade belongs where, and which slot was seen from its first trade to its last.
What a candle is worth belongs to `gate`; whether the venue's own candle says the same to `feed`.
"""

from __future__ import annotations

import math
from collections import deque
from decimal import Decimal
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

from daemon.core.bars import RawBar
from daemon.layers.ingestion.aggregation import EXACT

if TYPE_CHECKING:
    from daemon.core.bars import RawTrade

LATENESS_MS = 250  # a trade may come so long behind a later one
AHEAD_MAX_MS = 10_000  # of our clock; what is further ahead has no time that can be believed
IDS_KEPT = 10_000

Rank: TypeAlias = tuple[int, int]  # a trade's place: its time, then its id or its arrival


class TradeCounts(Struct):
    """What became of the trades of one instrument."""

    taken: int = 0
    repeated: int = 0
    late: int = 0  # for a slot that was closed already
    unreadable: int = 0


class _Slot:
    """What the trades of one slot have made so far."""

    def __init__(self, rank: Rank, price: float) -> None:
        self.first = self.last = rank
        self.open = self.high = self.low = self.close = price
        self.volume = Decimal(0)

    def add(self, rank: Rank, price: float, quantity: Decimal) -> None:
        if rank < self.first:
            self.first, self.open = rank, price
        if rank >= self.last:
            self.last, self.close = rank, price
        self.high, self.low = max(self.high, price), min(self.low, price)
        self.volume = EXACT.add(self.volume, quantity)

    def candle(self, open_ms: int, *, is_closed: bool) -> RawBar:
        volume = float(self.volume)
        return RawBar(open_ms, self.open, self.high, self.low, self.close, volume, is_closed)

    def glimpse(self, open_ms: int) -> RawBar:
        """What is known of a slot that was not seen whole: no number that could be compared."""
        volume = f"at least {self.volume}"
        return RawBar(open_ms, self.open, self.high, self.low, self.close, volume, is_closed=False)


class TradeBars:
    """The candles of one connection's trades; another connection needs another of these.

    A slot is closed when a trade has come that lies `lateness_ms` behind its end: until then one
    that was overtaken still finds its place. Only a slot of which every trade was seen is closed
    here. The one during which we came is not, nor one that an unreadable trade may belong to; of
    these it is only said that a later slot has begun, and REST has to tell them. A slot without
    trades is not mentioned.
    """

    def __init__(self, length_ms: int, counts: TradeCounts) -> None:
        self._length_ms = length_ms
        self._counts = counts
        self._lateness_ms = min(LATENESS_MS, length_ms // 4)
        self._slots: dict[int, _Slot] = {}
        self._whole_from_ms: int | None = None  # slots that open earlier were not seen whole
        self._closed_ms = 0  # slots that open earlier are closed
        self._newest_ms = 0
        self._arrived = 0
        self._ids: deque[object] = deque()
        self._known: set[object] = set()

    def take(self, trade: RawTrade, now_ms: int) -> list[RawBar]:
        """The candles this trade closes, oldest first, then the open one as it stands now."""
        read = _read(trade)
        if read is None or not _is_time(read[0], now_ms):
            self._counts.unreadable += 1
            self._doubt(now_ms)
            return []
        ts_ms, price, quantity = read
        if not quantity:
            return []  # nothing changed hands
        if self._is_repeated(trade.trade_id):
            self._counts.repeated += 1
            return []
        if self._whole_from_ms is None:
            self._doubt(max(ts_ms, now_ms))
        open_ms = ts_ms - ts_ms % self._length_ms
        if open_ms < self._closed_ms:
            self._counts.late += 1
            return []
        self._counts.taken += 1
        self._arrived += 1
        rank = (ts_ms, _number_of(trade.trade_id, self._arrived))
        slot = self._slots.setdefault(open_ms, _Slot(rank, price))
        slot.add(rank, price, quantity)
        self._newest_ms = max(self._newest_ms, ts_ms)
        return [*self._close(), *self._open()]

    def _close(self) -> list[RawBar]:
        """The slots that are over and were seen whole."""
        over_ms = self._newest_ms - self._lateness_ms - self._length_ms
        closed: list[RawBar] = []
        for open_ms in sorted(each for each in self._slots if each <= over_ms):
            slot = self._slots.pop(open_ms)
            self._closed_ms = open_ms + self._length_ms
            if self._is_whole(open_ms):
                closed.append(slot.candle(open_ms, is_closed=True))
        return closed

    def _open(self) -> list[RawBar]:
        """The oldest open slot that can be told; a later one would say that it is over."""
        while len(self._slots) > 1 and not self._is_whole(min(self._slots)):
            open_ms = min(self._slots)
            del self._slots[open_ms]
            self._closed_ms = open_ms + self._length_ms
        open_ms = min(self._slots)
        slot = self._slots[open_ms]
        is_whole = self._is_whole(open_ms)
        return [slot.candle(open_ms, is_closed=False) if is_whole else slot.glimpse(open_ms)]

    def _is_whole(self, open_ms: int) -> bool:
        return self._whole_from_ms is not None and open_ms >= self._whole_from_ms

    def _doubt(self, at_ms: int) -> None:
        """No slot up to the one of this moment was seen whole."""
        newest_ms = max(at_ms, self._newest_ms)
        whole_ms = newest_ms - newest_ms % self._length_ms + self._length_ms
        self._whole_from_ms = max(self._whole_from_ms or 0, whole_ms)

    def _is_repeated(self, trade_id: object) -> bool:
        if trade_id is None:
            return False
        if trade_id in self._known:
            return True
        self._known.add(trade_id)
        self._ids.append(trade_id)
        if len(self._ids) > IDS_KEPT:
            self._known.discard(self._ids.popleft())
        return False


def _read(trade: RawTrade) -> tuple[int, float, Decimal] | None:
    """Time, price and quantity; None where one of them is not what it should be."""
    ts_ms = trade.ts_ms
    if isinstance(ts_ms, float) and ts_ms.is_integer():
        ts_ms = int(ts_ms)
    if isinstance(ts_ms, bool) or not isinstance(ts_ms, int):
        return None
    price, quantity = _decimal(trade.price), _decimal(trade.quantity)
    if price is None or quantity is None or price <= 0 or quantity < 0:
        return None
    return ts_ms, float(price), quantity


def _decimal(value: object) -> Decimal | None:
    """A number as it is written: the text itself, or the shortest text of a double."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    try:
        number = Decimal(repr(value) if isinstance(value, float) else value)
    except ArithmeticError:
        return None
    return number if number.is_finite() and math.isfinite(float(number)) else None


def _is_time(ts_ms: int, now_ms: int) -> bool:
    """False for a time in seconds, in microseconds, or ahead of any clock."""
    return now_ms // 100 < ts_ms <= now_ms + AHEAD_MAX_MS


def _number_of(trade_id: object, arrived: int) -> int:
    """Ids that count tell the order within a millisecond; without one, the arrival does."""
    if isinstance(trade_id, int):
        return trade_id
    return int(trade_id) if isinstance(trade_id, str) and trade_id.isdecimal() else arrived
