"""Canary: after an arming, positions are small and grow in steps, while orders do as they did on
paper.

Belongs here: when the size grows and when it falls back. Cutting it belongs to `sizing`; what paper
orders cost comes with the event that begins a canary, so that a replay decides alike.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec import Struct

from daemon.core.events import CanaryStepped
from daemon.core.orders import Leg
from daemon.core.reasons import BoundBy, CanaryReason, ParentEnd
from daemon.core.timeframes import DAY_NS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.core.blotter import Blotter
    from daemon.core.events import BarsClosed, CanaryBegun, Event, OrderFilled, ParentEnded

DEVIATIONS = 2.576  # of the difference of two means: 99 % of all that is alike lies within
# Ends that say nothing of the market: whoever ended them would have ended any order.
OURS = frozenset(
    {
        ParentEnd.HALTED,
        ParentEnd.STOPPED,
        ParentEnd.NOTHING_LEFT,
        ParentEnd.NOWHERE,
        ParentEnd.UNPROTECTED,
        ParentEnd.POLICY,
        ParentEnd.ORDER_RATE,
    }
)
FULL = Decimal(1)


class Measured(Struct):
    """Of one step: what filled orders cost against their decision, and how much was filled."""

    quantities: dict[str, float] = {}
    weighted_bps: dict[str, float] = {}
    filled: list[float] = []

    @property
    def orders(self) -> int:
        return len(self.quantities)

    @property
    def slippage_bps(self) -> float | None:
        """Mean of the orders, each by all of its fills together, as paper's were measured."""
        if not self.quantities:
            return None
        each = (self.weighted_bps[ours] / size for ours, size in self.quantities.items())
        return math.fsum(each) / self.orders

    @property
    def fill_ratio(self) -> float | None:
        return math.fsum(self.filled) / len(self.filled) if self.filled else None


class Canary:
    """Which step the size is at, from journaled events alone; nothing is cut before one begins."""

    def __init__(self, blotter: Blotter) -> None:
        self._blotter = blotter
        self._terms: CanaryBegun | None = None
        self._step = 0
        self._since_ns = 0
        self._measured = Measured()

    @property
    def ratio(self) -> Decimal:
        """Of the usual size."""
        terms = self._terms
        return FULL if terms is None else _ratio(terms, self._step)

    def cut(self, probation_ratio: Decimal) -> tuple[Decimal, BoundBy]:
        """What an entry is multiplied with, and by which rule: the smaller of both."""
        if self.ratio < probation_ratio:
            return self.ratio, BoundBy.CANARY
        return probation_ratio, BoundBy.PROBATION

    @property
    def is_over(self) -> bool:
        return self._terms is None or self._step >= self._terms.steps

    def status(self) -> dict[str, object]:
        """For people; empty where nothing is cut."""
        terms, measured = self._terms, self._measured
        if terms is None or self.is_over:
            return {}
        return {
            "ratio": float(self.ratio),
            "step": self._step,
            "steps": terms.steps,
            "until_ns": self._since_ns + _length_ns(terms),
            "orders": measured.orders,
            "min_orders": terms.min_orders,
            "slippage_bps": _rounded(measured.slippage_bps),
            "slippage_limit_bps": _rounded(slippage_limit_bps(terms, measured.orders)),
            "fill_ratio": _rounded(measured.fill_ratio),
            "fill_limit_ratio": _rounded(fill_limit_ratio(terms, len(measured.filled))),
        }

    # --- applying -----------------------------------------------------------------------------

    def apply_canary_begun(self, event: CanaryBegun) -> None:
        self._terms = event
        self._begin(0, event.ts_ns)

    def apply_canary_stepped(self, event: CanaryStepped) -> None:
        self._begin(event.step, event.ts_ns)

    def apply_order_filled(self, event: OrderFilled) -> None:
        if self.is_over or self._blotter.orders[event.client_order_id].leg is Leg.STOP:
            return
        ours, size, measured = event.client_order_id, float(event.quantity), self._measured
        measured.quantities[ours] = measured.quantities.get(ours, 0.0) + size
        told = measured.weighted_bps.get(ours, 0.0)
        measured.weighted_bps[ours] = told + size * event.slippage_bps

    def apply_parent_ended(self, event: ParentEnded) -> None:
        if not self.is_over and event.reason not in OURS and event.wanted_quantity:
            self._measured.filled.append(float(event.filled_quantity / event.wanted_quantity))

    def _begin(self, step: int, ts_ns: int) -> None:
        self._step, self._since_ns, self._measured = step, ts_ns, Measured()

    # --- deciding -----------------------------------------------------------------------------

    def on_bars_closed(self, event: BarsClosed) -> Iterator[Event]:
        """Back to the first step as soon as orders are worse than on paper; on to the next when
        this one is over and they are not.
        """
        terms, measured = self._terms, self._measured
        if terms is None or self.is_over or measured.orders < terms.min_orders:
            return
        reason = self._reason(terms)
        if reason is None:
            return
        if reason is CanaryReason.AS_ON_PAPER:
            if event.ts_ns < self._since_ns + _length_ns(terms):
                return
            step = self._step + 1
        else:
            step = 0
        yield CanaryStepped(
            ts_ns=event.ts_ns,
            exchange=terms.exchange,
            step=step,
            steps=terms.steps,
            was_ratio=float(self.ratio),
            ratio=float(_ratio(terms, step)),
            reason=reason,
            orders=measured.orders,
            slippage_bps=_rounded(measured.slippage_bps),
            slippage_limit_bps=_rounded(slippage_limit_bps(terms, measured.orders)),
            fill_ratio=_rounded(measured.fill_ratio),
            fill_limit_ratio=_rounded(fill_limit_ratio(terms, len(measured.filled))),
        )

    def _reason(self, terms: CanaryBegun) -> CanaryReason | None:
        """None where paper has not told what to hold orders against: nothing grows then."""
        measured = self._measured
        most_bps = slippage_limit_bps(terms, measured.orders)
        least = fill_limit_ratio(terms, len(measured.filled))
        if most_bps is None:
            return None
        # Written so that what is not a number falls back, too.
        if measured.slippage_bps is not None and not measured.slippage_bps <= most_bps:
            return CanaryReason.SLIPPAGE
        filled = measured.fill_ratio
        if filled is not None and least is not None and not filled >= least:
            return CanaryReason.FILLS
        return CanaryReason.AS_ON_PAPER


def slippage_limit_bps(terms: CanaryBegun, orders: int) -> float | None:
    """What the mean of so many orders stays under, when they cost what paper's did; None where
    paper has not told.
    """
    if terms.paper_slippage_mean_bps is None or terms.paper_slippage_sd_bps is None or not orders:
        return None
    error = terms.paper_slippage_sd_bps * math.sqrt(1.0 / terms.paper_orders + 1.0 / orders)
    return terms.paper_slippage_mean_bps + DEVIATIONS * error


def fill_limit_ratio(terms: CanaryBegun, parents: int) -> float | None:
    """What the mean fill of so many stays above likewise. Paper's share is taken with one more that
    filled and one that did not (Laplace): all of a few is not all of them.
    """
    if terms.paper_fill_ratio is None or not parents:
        return None
    n = terms.paper_parents
    share = (terms.paper_fill_ratio * n + 1.0) / (n + 2.0)
    error = math.sqrt(share * (1.0 - share) * (1.0 / n + 1.0 / parents))
    return share - DEVIATIONS * error


def _ratio(terms: CanaryBegun, step: int) -> Decimal:
    first = Decimal(repr(terms.ratio))
    return min(FULL, first + (FULL - first) * step / terms.steps)


def _length_ns(terms: CanaryBegun) -> int:
    return round(terms.days * DAY_NS / terms.steps)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
