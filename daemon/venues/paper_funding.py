"""Funding of swaps on paper: turns the rates an exchange charged into what a paper account pays.

Belongs here: when it is asked for, and for how much of a position. Money belongs to
`paper_account`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.core.events import FundingCharged
from daemon.core.timeframes import HOUR_NS, NS_PER_S
from daemon.venues.paper_account import FEE_STEP

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from decimal import Decimal

    from daemon.core.instruments import InstrumentId
    from daemon.core.ports import FundingRate
    from daemon.venues.paper_account import PaperAccount

    # The rates charged since a moment, oldest first; ExchangeUnreachable.
    FundingRates = Callable[[InstrumentId, int], Awaitable[Sequence[FundingRate]]]

TOLD_WITHIN_NS = 15 * NS_PER_S  # an exchange charges at whole hours, and tells the rate soon after
AGAIN_AFTER_NS = 60 * NS_PER_S


class PaperFunding:
    """Asks once an hour for each swap that was ever held, and charges what was held at the moment
    of each rate: also what fell into the time in which no process was there.
    """

    def __init__(self, account: PaperAccount, rates: FundingRates) -> None:
        self._account = account
        self._rates = rates
        self._asked: dict[InstrumentId, int] = {}
        self._again_ns: dict[
            InstrumentId, int
        ] = {}  # not before, whatever came of the last question
        self._charged_ns: dict[InstrumentId, int] = {}  # all up to then is paid

    def restore(self, funded: Iterable[FundingCharged]) -> None:
        """Take over what an earlier process charged, from its journal."""
        for event in funded:
            assert event.amount is not None, "a paper account says how much it was"
            self._account.fund(event.instrument, event.amount)
            self._note(event.instrument, event.ts_ns)

    def is_due(self, instrument: InstrumentId, now_ns: int) -> bool:
        """Whether there may be a rate that was not asked for yet."""
        is_new = _hour(now_ns) > self._asked.get(instrument, -1)
        is_new &= now_ns >= self._again_ns.get(instrument, 0)
        return is_new and self._account.first_held_ns(instrument) is not None

    async def charge(
        self, instrument: InstrumentId, now_ns: int, mark: Decimal
    ) -> list[FundingCharged]:
        """What is due by now, booked; `mark` is for rates that come without a price."""
        first_ns = self._account.first_held_ns(instrument)
        if first_ns is None:
            return []
        since_ns = self._charged_ns.get(instrument, first_ns)
        self._again_ns[instrument] = now_ns + AGAIN_AFTER_NS
        told = await self._rates(instrument, since_ns + 1)
        self._asked[instrument] = _hour(now_ns)
        charged = []
        for each in sorted(told, key=lambda rate: rate.ts_ns):
            if not since_ns < each.ts_ns <= now_ns:
                continue
            held = self._account.held_at(instrument, each.ts_ns)
            price = each.price or mark
            amount = (-held * price * each.rate).quantize(FEE_STEP)
            self._note(instrument, each.ts_ns)
            if amount:
                self._account.fund(instrument, amount)
                charged.append(
                    FundingCharged(
                        ts_ns=each.ts_ns,
                        instrument=instrument,
                        rate=each.rate,
                        price=price,
                        amount=amount,
                    )
                )
        return charged

    def _note(self, instrument: InstrumentId, ts_ns: int) -> None:
        self._charged_ns[instrument] = max(ts_ns, self._charged_ns.get(instrument, ts_ns))


def _hour(now_ns: int) -> int:
    """The newest one whose rate should be there."""
    return (now_ns - TOLD_WITHIN_NS) // HOUR_NS
