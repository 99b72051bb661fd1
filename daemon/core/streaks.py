"""Bad news in a row: counts losses and refusals, and says until when nothing is opened after them.

Belongs here: the count and the pause. What counts as bad belongs to whoever tells of it.
"""

from __future__ import annotations

from msgspec import Struct


class Pause(Struct, frozen=True):
    """Nothing is opened before `until_ns`, market time, after so many in a row."""

    until_ns: int
    count: int


class Streak:
    """So many in a row make a pause, and are forgotten with its beginning; `limit` of 0 is off."""

    def __init__(self, limit: int, pause_bars: int) -> None:
        self._limit = limit
        self._pause_bars = pause_bars
        self.count = 0
        self._pause: Pause | None = None

    def good(self) -> None:
        self.count = 0

    def bad(self, ts_ns: int, bar_ns: int) -> None:
        """One more; `bar_ns` is the length of a bar now."""
        self.count += 1
        if self._limit and self.count >= self._limit:
            self._pause = Pause(ts_ns + self._pause_bars * bar_ns, self.count)
            self.count = 0

    def pause(self, ts_ns: int) -> Pause | None:
        """The pause that is on at `ts_ns`, if one is."""
        pause = self._pause
        return pause if pause is not None and ts_ns < pause.until_ns else None
