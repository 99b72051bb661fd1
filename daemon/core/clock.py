"""The two clocks: wire time is real, market time is the exchange's and may be warped or frozen.

Belongs here: the only reads of the machine's clocks. Layers never come here: their now is the
event's time.
"""

import time
from collections.abc import Callable
from typing import Protocol

from daemon.core.timeframes import NS_PER_S

# For durations that are taken thousands of times a second: a call of our own around it would double
# what it costs.
monotonic_ns: Callable[[], int] = time.monotonic_ns


class Clock(Protocol):
    """Anything that can say what time it is, in nanoseconds since the epoch, UTC."""

    def now_ns(self) -> int: ...


class WireClock:
    """Real time, for signatures, timeouts and watchdogs."""

    def now_ns(self) -> int:
        return time.time_ns()

    def monotonic_s(self) -> float:
        """Seconds that never jump, for durations."""
        return time.monotonic()


class MarketClock:
    """Market time as an anchor plus a rate: 1 on a real exchange, 0 in lock-step, more when warped.

    It never goes back: told that it is ahead, it stands until the market has caught up.
    """

    def __init__(self, wire: WireClock, *, market_ns: int, rate: float = 1.0) -> None:
        self._wire = wire
        self._market_ns = market_ns
        self._rate = rate
        self._anchored_s = wire.monotonic_s()
        self._said_ns = market_ns

    @property
    def rate(self) -> float:
        """Market seconds per wire second."""
        return self._rate

    def now_ns(self) -> int:
        elapsed_s = self._wire.monotonic_s() - self._anchored_s
        reckoned_ns = self._market_ns + round(elapsed_s * self._rate * NS_PER_S)
        self._said_ns = max(self._said_ns, reckoned_ns)
        return self._said_ns

    def anchor(self, market_ns: int, rate: float | None = None) -> None:
        """Say what market time it is right now, and how fast it runs from here on."""
        self.now_ns()  # what anybody may have been told by now
        self._market_ns = market_ns
        self._anchored_s = self._wire.monotonic_s()
        if rate is not None:
            self._rate = rate

    def at_least(self, market_ns: int) -> None:
        """Say that market time has come this far, perhaps further."""
        if market_ns > self.now_ns():
            self.anchor(market_ns)


class ManualClock:
    """A clock that stands where it was put, for backtests, replays and tests."""

    def __init__(self, now_ns: int = 0) -> None:
        self._now_ns = now_ns

    def now_ns(self) -> int:
        return self._now_ns

    def advance_to(self, now_ns: int) -> None:
        self._now_ns = max(self._now_ns, now_ns)
