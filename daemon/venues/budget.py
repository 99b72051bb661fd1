"""One exchange's request budget: says when a request may leave, and to whom it must leave room.

Belongs here: weight per window, who goes first, and the silence an exchange asked for. How a ccxt
client is led through it belongs to `ccxt_budget`.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from enum import IntEnum
from typing import Protocol

from msgspec import Struct

from daemon.core.errors import ExchangeUnreachable
from daemon.core.timeframes import NS_PER_MS, NS_PER_S

LEASE_S = 15.0  # a request that was allowed and never answered has certainly ended by then
LOOK_AGAIN_S = 1.0


class Wire(Protocol):
    """The wire clock as a budget needs it."""

    def now_ns(self) -> int: ...

    def monotonic_s(self) -> float: ...


class Use(IntEnum):
    """What a request is for; a smaller number goes first and may use more of the budget."""

    ORDER = 0
    ACCOUNT = 1
    LIVE = 2
    HISTORY = 3


# History and polling leave a tenth to orders and the look-ups that follow them, whatever happens.
SHARES = {Use.ORDER: 1.0, Use.ACCOUNT: 0.95, Use.LIVE: 0.9, Use.HISTORY: 0.8}
# How many requests of one kind may be on their way: more of them only wait in the exchange's queue.
IN_FLIGHT_MAX = {Use.ORDER: 64, Use.ACCOUNT: 16, Use.LIVE: 16, Use.HISTORY: 8}
# How long room is waited for. An order is late after a moment; history has time.
PATIENCE_S = {Use.ORDER: 2.0, Use.ACCOUNT: 15.0, Use.LIVE: 15.0, Use.HISTORY: 600.0}


class NoRoom(ExchangeUnreachable):
    """The request was not sent: the exchange asked for silence, or the budget is used up."""


class Limit(Struct, frozen=True):
    """`weight` per `window_s` of wire time, as the exchange counts it."""

    weight: float
    window_s: float


class Spent:
    """One request that was allowed; it counts until a whole window after its answer."""

    __slots__ = ("is_settled", "lease_until_s", "use", "weight")

    def __init__(self, weight: float, use: Use, lease_until_s: float) -> None:
        self.weight = weight
        self.use = use
        self.lease_until_s = lease_until_s
        self.is_settled = False


class Budget:
    """Shared by every client of one exchange in this process, as the exchange counts by address.

    The exchange counts a request somewhere between its sending and its answer, in windows whose
    edges we do not know. So each counts here from before it is sent until a window after its
    answer: then no window of the exchange's can hold more than the limit.
    """

    def __init__(self, limit: Limit, *, wire: Wire) -> None:
        self.limit = limit
        self._wire = wire
        self._patience_s = dict(PATIENCE_S)
        self._date: tuple[int, float] | None = None
        self._time: tuple[int, float] | None = None  # the exchange's wire ns, and when it was so
        self._flying: set[Spent] = set()
        self._counted: deque[tuple[float, float]] = deque()  # (until when, weight)
        self._used = 0.0
        self._silent_until_s = self._no_orders_until_s = -math.inf
        self._turns = {use: asyncio.Lock() for use in Use}
        self._waiting = dict.fromkeys(Use, 0)
        self._changed = asyncio.Event()

    @property
    def used(self) -> float:
        """Weight that may still count at the exchange."""
        self._forget(self._wire.monotonic_s())
        return self._used

    @property
    def silent_s(self) -> float:
        """Seconds of silence the exchange still wants; 0 when it may be asked."""
        return max(0.0, self._silent_until_s - self._wire.monotonic_s())

    def set_time(self, exchange_ns: int) -> None:
        """What the exchange's wire clock shows at this moment."""
        self._time = (exchange_ns, self._wire.monotonic_s())

    def note_date(self, date_s: float) -> None:
        """A reply was dated so, in whole seconds."""
        self._date = (round((date_s + 0.5) * NS_PER_S), self._wire.monotonic_s())

    def date_ns(self) -> int | None:
        """The exchange's time by the newest reply, where no better measure is to be had."""
        return None if self._date is None else self._run_on(self._date)

    def wall_ms(self) -> int:
        """The exchange's wire time, for signatures and bans; ours as long as it was not measured.

        It runs on by the monotonic clock, so a step of this machine's wall clock spoils no
        signature.
        """
        if self._time is None:
            return self._wire.now_ns() // NS_PER_MS
        return self._run_on(self._time) // NS_PER_MS

    def ahead_s(self) -> float:
        """How far this machine's clock is ahead of the exchange's; 0 when that is not known."""
        if self._time is None:
            return 0.0
        return (self._wire.now_ns() - self._run_on(self._time)) / NS_PER_S

    def _run_on(self, known: tuple[int, float]) -> int:
        then_ns, at_s = known
        return then_ns + round((self._wire.monotonic_s() - at_s) * NS_PER_S)

    def let_orders_wait(self, seconds: float) -> None:
        """Where the market waits for us an order is never late."""
        self._patience_s[Use.ORDER] = seconds

    def silence(self, seconds: float, *, is_orders_only: bool = False) -> None:
        """The exchange asked not to be asked for so long; a longer wish stands."""
        until_s = self._wire.monotonic_s() + seconds
        self._no_orders_until_s = max(self._no_orders_until_s, until_s)
        if not is_orders_only:
            self._silent_until_s = max(self._silent_until_s, until_s)

    def learn(self, weight: float) -> None:
        """The exchange told its limit per window itself."""
        self.limit = Limit(weight, self.limit.window_s)
        self._changed.set()

    def heard(self, used: float) -> None:
        """The exchange told what it counts in its window: more than we know was somebody else."""
        now_s = self._wire.monotonic_s()
        self._forget(now_s)
        if used > self._used:
            # Whatever it says, its count begins anew with its next window.
            self._count(now_s, used - self._used, self.limit.window_s)

    async def spend(self, weight: float, use: Use) -> Spent:
        """Wait for room and take it; NoRoom, with numbers, when that would take too long.

        Requests of one kind go one after the other; before each, whoever may go first.
        """
        self._waiting[use] += 1
        try:
            async with self._turns[use]:
                await self._room_for(weight, use)
                spent = Spent(weight, use, self._wire.monotonic_s() + LEASE_S)
                self._flying.add(spent)
                self._used += weight
                return spent
        finally:
            self._waiting[use] -= 1
            self._changed.set()

    def settle(self, spent: Spent) -> None:
        """The request was answered, or given up."""
        if spent.is_settled:
            return
        spent.is_settled = True
        self._flying.discard(spent)
        self._used -= spent.weight
        # What is heavier than a whole window counts for as many windows as it fills.
        lasts_s = self.limit.window_s * max(1.0, spent.weight / self.limit.weight)
        self._count(self._wire.monotonic_s(), spent.weight, lasts_s)
        self._changed.set()

    async def _room_for(self, weight: float, use: Use) -> None:
        until_s = self._wire.monotonic_s() + self._patience_s[use]
        while (wait_s := self._wait_s(weight, use)) > 0:
            now_s = self._wire.monotonic_s()
            self._give_up_if_hopeless(weight, use, wait_s, until_s - now_s)
            self._changed.clear()
            try:
                async with asyncio.timeout(min(wait_s, LOOK_AGAIN_S)):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _give_up_if_hopeless(self, weight: float, use: Use, wait_s: float, left_s: float) -> None:
        silent_s = self._silent_for_s(use)
        # An order that waits for the end of a ban would be sent on a price of another time.
        if silent_s > (0.0 if use is Use.ORDER else left_s):
            raise NoRoom(f"it asked for silence, {silent_s:.0f} s are left")
        if left_s <= 0 or (math.isfinite(wait_s) and wait_s > left_s):
            raise NoRoom(
                f"the request budget is used up: {self._used:g} of {self.limit.weight:g} in"
                f" {self.limit.window_s:g} s, {weight:g} more for {use.name.lower()}"
            )

    def _wait_s(self, weight: float, use: Use) -> float:
        """0 when it may go; how long until it may; inf when that depends on an answer."""
        if silent_s := self._silent_for_s(use):
            return silent_s
        now_s = self._wire.monotonic_s()
        self._forget(now_s)
        if any(self._waiting[other] for other in Use if other < use):
            return math.inf
        if sum(each.use is use for each in self._flying) >= IN_FLIGHT_MAX[use]:
            return math.inf
        room = self.limit.weight * SHARES[use] - self._used - weight
        # What weighs nothing is counted apart, as orders on Kraken are; what is heavier than its
        # share goes when all is quiet.
        if room >= 0 or not weight or not self._used:
            return 0.0
        for until_s, freed in self._counted:
            room += freed
            if room >= 0:
                return until_s - now_s
        return math.inf

    def _silent_for_s(self, use: Use) -> float:
        until_s = self._no_orders_until_s if use is Use.ORDER else self._silent_until_s
        return max(0.0, until_s - self._wire.monotonic_s())

    def _forget(self, now_s: float) -> None:
        for spent in [each for each in self._flying if each.lease_until_s <= now_s]:
            self.settle(spent)
        while self._counted and self._counted[0][0] <= now_s:
            self._used -= self._counted.popleft()[1]
        if not self._counted and not self._flying:
            self._used = 0.0

    def _count(self, now_s: float, weight: float, lasts_s: float) -> None:
        until_s = now_s + lasts_s
        if self._counted:
            until_s = max(until_s, self._counted[-1][0])
        self._counted.append((until_s, weight))
        self._used += weight
