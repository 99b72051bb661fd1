"""Asks an exchange what may be asked again: retries, bounds, and one word for "no answer".

Belongs here: readings of market and account. Orders never pass here, because they are sent only
once.
"""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from daemon.core.clock import WireClock
from daemon.core.errors import ExchangeUnreachable, LiveRefused
from daemon.core.timeframes import NS_PER_MS, NS_PER_S
from daemon.venues.budget import NoRoom
from daemon.venues.ccxt_budget import budget_of
from daemon.venues.ccxt_outcomes import (
    CLOCK_IS_OFF,
    code_of,
    explain,
    is_key_refused,
    is_rate_limit,
    is_worth_repeating,
)

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Callable, Collection

    from daemon.core.instruments import InstrumentId
    from daemon.venues.budget import Budget

T = TypeVar("T")
WITHIN_S = 20.0
FIRST_CONTACT_WITHIN_S = 12.0  # a terminal gets its one line within 15 s
WAIT_FIRST_S = 0.2
WAIT_MAX_S = 3.0
BACKOFF_MIN_S = 0.05
ATTEMPTS_MAX = 8
FIRST_CONTACT_ATTEMPTS = 4
CLOCK_WITHIN_S = 3.0
CROWDED_S = 10.0  # "too often" in words, with a status that asks for nothing


class OddReply(ValueError):
    """A reply that is not what was asked for, with a status that says all is well."""


class Reader:
    """All repeatable requests of one client; its budget sends none while silence is asked for."""

    def __init__(
        self,
        client: Any,
        exchange: str,
        *,
        rng: random.Random,
        wire: WireClock | None = None,
        within_s: float = WITHIN_S,
    ) -> None:
        self._client = client
        self._exchange = exchange
        self._rng = rng
        self._within_s = within_s
        self._wire = wire or WireClock()
        # A client that was not made here has no budget yet; it still obeys a ban.
        self._budget: Budget = getattr(client, "budget", None) or budget_of(exchange)
        self._loading = asyncio.Lock()

    async def read(
        self,
        what: str,
        ask: Callable[[], Awaitable[T]],
        *,
        within_s: float | None = None,
        attempts: int = ATTEMPTS_MAX,
    ) -> T:
        """What `ask` returns, asked again while that may help; else ExchangeUnreachable.

        LiveRefused when the exchange refuses the key. Texts name the exchange and the reason, no
        urls.
        """
        within_s = self._within_s if within_s is None else within_s
        until_s = self._wire.monotonic_s() + within_s
        wait_s = self._budget.silent_s
        reason = f"it asked for silence, {wait_s:.0f} s are left" if wait_s else "no answer"
        try:
            async with asyncio.timeout(within_s):
                for attempt in range(attempts):
                    if self._wire.monotonic_s() + wait_s >= until_s:
                        break
                    await asyncio.sleep(wait_s)
                    try:
                        return await ask()
                    except NoRoom as error:
                        raise self._unreachable(what, str(error)) from None
                    except Exception as error:  # noqa: BLE001  # ccxt raises builtin errors too
                        reason = explain(error)
                        if not is_worth_repeating(error):
                            raise self._final(what, error) from None
                        if code_of(error) == CLOCK_IS_OFF:
                            await self.set_clock()
                        wait_s = self._wait_s(error, attempt)
        except TimeoutError:
            pass
        raise self._unreachable(what, reason)

    async def set_clock(self) -> None:
        """The exchange found our time off: take its time for the requests to come."""

        async def ask() -> None:
            sent_s = self._wire.monotonic_s()
            told_ms = await self._client.fetch_time()
            if not isinstance(told_ms, int):
                raise OddReply("time is not a number")
            half_ns = round((self._wire.monotonic_s() - sent_s) * NS_PER_S / 2)
            self._budget.set_time(told_ms * NS_PER_MS + half_ns)

        with contextlib.suppress(ExchangeUnreachable, LiveRefused):
            await self.read("time", ask, within_s=CLOCK_WITHIN_S)

    async def markets(self, *, is_anew: bool = False, **bounds: Any) -> None:
        """Load the exchange's instruments into the client, once or anew; bounds as for `read`."""
        async with self._loading:
            if is_anew or not self._client.markets:
                load = partial(self._client.load_markets, is_anew)
                await self.read("instruments", load, **bounds)

    async def listed(
        self, instruments: Collection[InstrumentId], *, is_sure: bool = False
    ) -> list[InstrumentId]:
        """Those of them that can be asked about; of what is listed no more nothing is open. To be
        sure of that the list is read anew.
        """
        await self.markets()
        if is_sure and not all(each.symbol in self._client.markets for each in instruments):
            await self.markets(is_anew=True)
        return [each for each in instruments if each.symbol in self._client.markets]

    def ahead_s(self) -> float:
        """How far this machine's clock is ahead of the exchange's, as far as it was measured."""
        return self._budget.ahead_s()

    def pause_s(self, attempt: int) -> float:
        """Doubling waits with jitter; at least 50 ms, as an immediate retry can lose streams."""
        wait_s = min(WAIT_MAX_S, WAIT_FIRST_S * 2.0 ** min(attempt, 10))
        return max(BACKOFF_MIN_S, wait_s * self._rng.uniform(0.5, 1.5))

    def _wait_s(self, error: Exception, attempt: int) -> float:
        if is_rate_limit(error) and not self._budget.silent_s:
            self._budget.silence(CROWDED_S)
        return max(self.pause_s(attempt), self._budget.silent_s)

    def _final(self, what: str, error: Exception) -> ExchangeUnreachable | LiveRefused:
        if is_key_refused(error):
            return LiveRefused(f"{self._exchange} refuses the key: {explain(error)}")
        return self._unreachable(what, explain(error))

    def _unreachable(self, what: str, reason: str) -> ExchangeUnreachable:
        return ExchangeUnreachable(f"{self._exchange} gives no {what}: {reason}")
