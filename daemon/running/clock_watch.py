"""Watches the clocks: measures how far an exchange's wire time is from ours, and notices jumps.

Belongs here: when it is measured, what is believed, and when nothing may be opened any more. What a
measurement is used for belongs to the budget (signatures) and to the market clock (decisions).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from daemon.core.errors import ExchangeUnreachable
from daemon.core.events import ClockChecked
from daemon.core.timeframes import NS_PER_MS, NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from daemon.core.events import Input

SAMPLES = 5
EVERY_S = 300.0
AGAIN_S = 15.0  # while it is not believed
OLD_AFTER_S = 3_600.0  # a machine's clock may be off by a third of a second after so long
TICK_S = 1.0
JUMP_S = 0.5  # wall against monotonic, since the last look
STOPPED_S = 20.0  # a look that comes so late: the process did not run
TOLD_FROM_MS = 500.0


class Wire(Protocol):
    def now_ns(self) -> int: ...

    def monotonic_s(self) -> float: ...


class Reading(Struct, frozen=True, kw_only=True):
    """One measurement: the quickest of a few questions, so the one that can be least wrong."""

    offset_ns: int  # exchange minus this machine
    round_trip_s: float
    at_s: float  # wire monotonic

    @property
    def offset_ms(self) -> float:
        return self.offset_ns / NS_PER_MS

    @property
    def error_ms(self) -> float:
        """Half the round trip: the answer may have been given at either end of it."""
        return self.round_trip_s * 500.0


async def measured(read_ns: Callable[[], Awaitable[int]], wire: Wire) -> Reading | None:
    """The quickest of a few questions after an exchange's time; None where it answers none."""
    best: Reading | None = None
    for _ in range(SAMPLES):
        sent_s, sent_ns = wire.monotonic_s(), wire.now_ns()
        try:
            told_ns = await read_ns()
        except ExchangeUnreachable:
            break
        came_s = wire.monotonic_s()
        took_s = came_s - sent_s
        middle_ns = sent_ns + round(took_s * NS_PER_S / 2)
        if best is None or took_s < best.round_trip_s:
            best = Reading(offset_ns=told_ns - middle_ns, round_trip_s=took_s, at_s=came_s)
    return best


class ClockWatch:
    """One exchange's clock against ours.

    `on_time` hears the exchange's wire time, in ns, after every measurement; `on_jump` that this
    machine slept, stopped or was set to another time, so that what happened meanwhile was missed.
    """

    def __init__(
        self,
        exchange: str,
        read_ns: Callable[[], Awaitable[int]],
        *,
        wire: Wire,
        limit_ms: float,
        market_ns: Callable[[], int],
        put: Callable[[Input], Awaitable[None]],
        emit: Callable[..., None],
        on_time: Callable[[int], None],
        on_jump: Callable[[], None],
    ) -> None:
        self._exchange = exchange
        self._read_ns = read_ns
        self._wire = wire
        self._limit_ms = limit_ms
        self._market_ns = market_ns
        self._put = put
        self._emit = emit
        self._on_time = on_time
        self._on_jump = on_jump
        self._reading: Reading | None = None
        self._is_trusted = True  # as the core knows it
        self._is_drifted = False
        self._was_apart_s = 0.0  # wall time minus monotonic time at the last look

    def status(self) -> dict[str, object]:
        """For people: the last measurement and whether it lets positions be opened."""
        reading = self._reading
        if reading is None:
            return {"offset_ms": None, "trusted": self._is_trusted}
        return {
            "offset_ms": round(reading.offset_ms, 1),
            "error_ms": round(reading.error_ms, 1),
            "age_s": round(self._wire.monotonic_s() - reading.at_s),
            "trusted": self._is_trusted,
        }

    async def run(self) -> None:
        """Measure every few minutes, and at once after a jump, until cancelled."""
        self._was_apart_s = self._apart_s()
        while True:
            now_s = self._wire.monotonic_s()
            due_s = now_s + (EVERY_S if self._is_trusted else AGAIN_S)
            has_jumped = False
            while not has_jumped and self._wire.monotonic_s() < due_s:
                has_jumped = await self._tick()
            await self.check(has_jumped=has_jumped)
            if has_jumped:
                self._on_jump()

    async def check(self, *, has_jumped: bool = False) -> None:
        """Measure, tell who needs the time, and tell the core when its trust has to change."""
        reading = await measured(self._read_ns, self._wire)
        if reading is not None:
            self._reading = reading
            self._on_time(self._wire.now_ns() + reading.offset_ns)
            self._tell(reading)
        elif has_jumped:
            self._reading = None  # what was measured before the jump says nothing any more
        is_trusted = self._is_within()
        if is_trusted != self._is_trusted:
            self._is_trusted = is_trusted
            await self._put(self._checked(is_trusted=is_trusted))

    async def _tick(self) -> bool:
        before_s = self._wire.monotonic_s()
        await asyncio.sleep(TICK_S)
        late_s = self._wire.monotonic_s() - before_s - TICK_S
        apart_s = self._apart_s()
        jumped_s = apart_s - self._was_apart_s
        # Slow drift is put right here all the time; only a step is a jump.
        self._was_apart_s = apart_s
        if abs(jumped_s) < JUMP_S and late_s < STOPPED_S:
            return False
        self._emit(
            "clock.jumped",
            exchange=self._exchange,
            jumped_s=round(jumped_s, 3),
            silent_s=round(late_s, 3),
            action="the clock is measured again and bars are looked for",
        )
        return True

    def _tell(self, reading: Reading) -> None:
        fields = {
            "exchange": self._exchange,
            "offset_ms": round(reading.offset_ms, 1),
            "error_ms": round(reading.error_ms, 1),
            "limit": f"{self._limit_ms:g} ms",
        }
        self._emit("clock.measured", **fields)
        is_drifted = abs(reading.offset_ms) > TOLD_FROM_MS
        if is_drifted and not self._is_drifted:
            self._emit("clock.drifted", **fields, action="set this machine's clock by NTP")
        self._is_drifted = is_drifted

    def _is_within(self) -> bool:
        reading = self._reading
        if reading is None or self._wire.monotonic_s() - reading.at_s > OLD_AFTER_S:
            return False
        return abs(reading.offset_ms) + reading.error_ms <= self._limit_ms

    def _checked(self, *, is_trusted: bool) -> ClockChecked:
        reading = self._reading
        return ClockChecked(
            ts_ns=self._market_ns(),
            exchange=self._exchange,
            is_trusted=is_trusted,
            offset_ms=None if reading is None else round(reading.offset_ms, 1),
            error_ms=None if reading is None else round(reading.error_ms, 1),
            limit_ms=self._limit_ms,
        )

    def _apart_s(self) -> float:
        return self._wire.now_ns() / NS_PER_S - self._wire.monotonic_s()
