"""The request budget: counts weight and orders per window of wire time, refuses the excess.

Belongs here: windows, limits and their headers. What a request weighs belongs to the route tables.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from daemon.embedded.dialect import Payload
from daemon.embedded.refusals import RequestError

MINUTE_S = 60
TEN_SECONDS_S = 10
DAY_S = 86_400
WEIGHT_MAX = 6_000
# In lock-step a month of bars passes in ten seconds of wire time. A limit that counts such seconds
# would make a run hang on how fast the machine is.
LOCKSTEP_WEIGHT_MAX = 6_000_000
# Far above a real account's 100, for the same reason.
ORDERS_10S_MAX = 10_000
ORDERS_DAY_MAX = 10_000_000


@dataclass(slots=True)
class Window:
    """A count that starts again whenever `length_s` of wire time are over."""

    length_s: int
    limit: int
    number: int = 0
    used: int = 0

    def add(self, amount: int, now_s: int) -> bool:
        """Count, and say whether the limit still holds."""
        number = now_s // self.length_s
        if number != self.number:
            self.number, self.used = number, 0
        self.used += amount
        return self.used <= self.limit

    def left_s(self, now_s: int) -> int:
        return self.length_s - now_s % self.length_s


@dataclass(slots=True)
class Budget:
    """What one client address has used."""

    now_s: Callable[[], int]
    weight_max: int = WEIGHT_MAX
    _weight: Window = field(init=False)
    _orders: tuple[Window, Window] = field(init=False)

    def __post_init__(self) -> None:
        self._weight = Window(MINUTE_S, self.weight_max)
        self._orders = (Window(TEN_SECONDS_S, ORDERS_10S_MAX), Window(DAY_S, ORDERS_DAY_MAX))

    def spend(self, weight: int) -> None:
        """RequestError 429 -1003 with Retry-After once the minute's weight is used up."""
        now_s = self.now_s()
        if not self._weight.add(weight, now_s):
            text = (
                f"Too much request weight used; current limit is {self.weight_max} request weight"
                " per 1 MINUTE. Please use WebSocket Streams for live updates to avoid polling"
                " the API."
            )
            wait = {"Retry-After": str(self._weight.left_s(now_s))}
            raise RequestError(-1003, text, status=429, headers=wait)

    def count_order(self) -> None:
        """RequestError 429 -1015 once too many orders were sent in a window."""
        now_s = self.now_s()
        for window in self._orders:
            if not window.add(1, now_s):
                text = (
                    f"Too many new orders; current limit is {window.limit} orders"
                    f" per {window.length_s} SECOND."
                )
                wait = {"Retry-After": str(window.left_s(now_s))}
                raise RequestError(-1015, text, status=429, headers=wait)

    def headers(self) -> dict[str, str]:
        self._weight.add(0, self.now_s())
        weight = str(self._weight.used)
        return {
            "X-MBX-USED-WEIGHT": weight,
            "X-MBX-USED-WEIGHT-1M": weight,
            "X-MBX-ORDER-COUNT-10S": str(self._orders[0].used),
            "X-MBX-ORDER-COUNT-1D": str(self._orders[1].used),
        }

    def limits(self, *, with_counts: bool = False) -> list[Payload]:
        """The limits as exchangeInfo lists them, or with counts as the ws-api repeats them."""
        rows = [
            ("REQUEST_WEIGHT", "MINUTE", 1, self._weight),
            ("ORDERS", "SECOND", 10, self._orders[0]),
            ("ORDERS", "DAY", 1, self._orders[1]),
        ]
        return [
            {
                "rateLimitType": kind,
                "interval": interval,
                "intervalNum": number,
                "limit": window.limit,
            }
            | ({"count": window.used} if with_counts else {})
            for kind, interval, number, window in rows
        ]
