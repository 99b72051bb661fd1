"""How far a parent goes: says from halts, clocks, books and orders in sight why no more is sent for
it.

Belongs here: reasons to end, or to wait. What is sent, and when, belongs to `working`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from daemon.core.events import ParentEnd
from daemon.core.timeframes import NS_PER_S
from daemon.layers.execution.intents import CANCEL_AGAIN_NS, is_out_of_sight

if TYPE_CHECKING:
    from collections.abc import Collection

    from daemon.config import ExecutionSection
    from daemon.core.blotter import Blotter
    from daemon.core.events import Quote
    from daemon.core.instruments import InstrumentId
    from daemon.core.orders import Parent
    from daemon.layers.execution.routing import Router

BPS = Decimal(10_000)


class Bounds:
    """What is asked before each child; the state of trading and the newest books are told here."""

    def __init__(
        self,
        config: ExecutionSection,
        blotter: Blotter,
        router: Router,
        *,
        unsure: Collection[str],
        price_collar_bps: float,
    ) -> None:
        self._config = config
        self._blotter = blotter
        self._router = router
        self._unsure = unsure  # exchanges with orders of ours that the books do not know
        self._collar_ratio = Decimal(repr(price_collar_bps)) / BPS
        self.quotes: dict[InstrumentId, Quote] = {}  # the newest book of each
        self.is_halted = False
        self.is_flattening = False  # what is sold goes at the market
        self.is_stopping = False  # nothing may rest any more but stops

    def barred(self, parent: Parent) -> ParentEnd | None:
        """Why no more is sent for it, if so; what must be closed goes on until the very end."""
        if self.is_halted and not parent.is_exit:
            return ParentEnd.HALTED
        if self.is_stopping and not self.is_urgent(parent):
            return ParentEnd.STOPPED
        if parent.is_unprotected:
            return ParentEnd.UNPROTECTED
        if parent.is_given_up:
            return ParentEnd.POLICY
        return ParentEnd.FOREIGN_ORDER if self.is_unsure(parent) else None

    def is_unsure(self, parent: Parent) -> bool:
        members = self._blotter.listings.members(parent.instrument)
        return any(each.exchange in self._unsure for each in members)

    def is_urgent(self, parent: Parent) -> bool:
        """An exit by a flatten, or before a stop of what would sleep unprotected."""
        is_bare = self.is_stopping and self._blotter.is_bare(parent.instrument)
        return parent.is_exit and (self.is_flattening or is_bare)

    def given_up(self, parent: Parent, ts_ns: int) -> ParentEnd | None:
        """Why an entry is not worth another child: what was decided is old, or the market gone."""
        if parent.is_exit:
            return None
        if self.is_timed_out(parent, ts_ns):
            return ParentEnd.TIMED_OUT
        return ParentEnd.PRICE_COLLAR if self._has_run_away(parent) else None

    def let_go(self, parent: Parent, ts_ns: int) -> ParentEnd | None:
        """Why it goes no further although nobody knows what became of it on one exchange: it would
        keep back all exits, of what is held on another exchange, too.
        """
        is_routed = len(self._blotter.listings.members(parent.instrument)) > 1
        if not (is_routed and self._blotter.is_waiting(parent)):
            return None
        if not all(is_out_of_sight(each, ts_ns) for each in self._blotter.children_of(parent)):
            return None
        if parent.is_exit and not self._router.leaves_behind(parent):
            return None
        is_due = self.is_flattening and ts_ns - parent.approved_ns >= CANCEL_AGAIN_NS
        end = ParentEnd.TIMED_OUT if is_due or self.is_timed_out(parent, ts_ns) else None
        return self.barred(parent) or end

    def is_timed_out(self, parent: Parent, ts_ns: int) -> bool:
        return ts_ns - parent.approved_ns >= self._config.order_timeout_s * NS_PER_S

    def _has_run_away(self, parent: Parent) -> bool:
        """True when every book is so far from what was decided on that the size means nothing."""
        seen = [each for each in self.quotes_of(parent) if each.best(parent.side)]
        return bool(seen) and all(self.is_far(parent, each) for each in seen)

    def is_far(self, parent: Parent, quote: Quote) -> bool:
        price, decided = quote.best(parent.side), parent.decision_price
        return price is not None and abs(price - decided) > decided * self._collar_ratio

    def is_blind(self, parent: Parent) -> bool:
        """True when no book of it could be read: without one a limit or a slice means nothing."""
        quotes = self.quotes_of(parent)
        return bool(quotes) and not any(each.is_complete for each in quotes)

    def quotes_of(self, parent: Parent) -> list[Quote]:
        members = self._blotter.listings.members(parent.instrument)
        return [self.quotes[each] for each in members if each in self.quotes]
