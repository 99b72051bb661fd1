"""Halts: latches the reasons why nothing may be opened, until an operator resumes.

Belongs here: what halts and what ends it. The trading state is latched and lives in journaled
events only: it survives a restart, and a halt ends by ResumeRequested and by nothing else, unless
`successor_ends_model_halt` lets a promoted model end that of its predecessor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.core.events import (
    HaltReason,
    HealthStatus,
    TradingHalted,
    TradingResumed,
    TradingState,
    TradingStateChanged,
)
from daemon.core.instruments import plain
from daemon.core.timeframes import rfc3339
from daemon.layers.risk.probation import Probation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.config import RiskSection
    from daemon.core.book import Book
    from daemon.core.events import (
        EquityMarked,
        Event,
        FeaturesChecked,
        FlattenRequested,
        HaltRequested,
        HealthSampled,
        ModelPromoted,
        OrderFilled,
        PositionChanged,
        Reconciled,
        ResumeRequested,
    )
    from daemon.core.instruments import InstrumentId
    from daemon.layers.risk.policy import Policy


class Halts:
    """The halts in force; of two with one reason the newer detail is kept."""

    def __init__(self, config: RiskSection, book: Book, policy: Policy) -> None:
        self._config = config
        self._book = book
        self._policy = policy
        self.probation = Probation(config)
        self._halted: dict[HaltReason, str] = {}
        self._since_ns: dict[HaltReason, int] = {}
        self._is_flattening = False
        self._told = (TradingState.ACTIVE, False)  # state, and whether it is on probation

    @property
    def in_force(self) -> dict[HaltReason, str]:
        return dict(self._halted)

    @property
    def since_ns(self) -> dict[HaltReason, int]:
        """When each of them began, market time."""
        return dict(self._since_ns)

    @property
    def state(self) -> TradingState:
        if not self._halted:
            return TradingState.ACTIVE
        is_given_up = any(self._policy.gives_up(each) for each in self._halted)
        is_reducing = self._is_flattening or is_given_up
        return TradingState.REDUCING if is_reducing else TradingState.HALTED

    def apply_trading_halted(self, event: TradingHalted) -> None:
        self._halted[event.reason] = event.detail
        self._since_ns.setdefault(event.reason, event.ts_ns)

    def apply_flatten_requested(self, _event: FlattenRequested) -> None:
        self._is_flattening = True

    def apply_trading_resumed(self, _event: TradingResumed) -> None:
        # Losses count on: only the peak of a drawdown halt is taken anew, by the book.
        self._halted.clear()
        self._is_flattening = False
        self._since_ns.clear()
        self.probation.begin()

    def apply_position_changed(self, event: PositionChanged) -> None:
        if event.closed_return_ratio is not None and not self._halted:
            self.probation.note_closed()

    def apply_trading_state_changed(self, event: TradingStateChanged) -> None:
        self._told = event.state, event.probation_trades > 0

    def on_trading_halted(self, event: TradingHalted) -> Iterator[Event]:
        yield from self._told_if_new(event.ts_ns)

    def on_trading_resumed(self, event: TradingResumed) -> Iterator[Event]:
        yield from self._told_if_new(event.ts_ns)

    def on_position_changed(self, event: PositionChanged) -> Iterator[Event]:
        yield from self._told_if_new(event.ts_ns)

    def on_order_filled(self, event: OrderFilled) -> Iterator[Event]:
        yield from self._oversold(event.instrument, event.ts_ns)

    def _told_if_new(self, ts_ns: int) -> Iterator[Event]:
        left = 0 if self._halted else self.probation.trades_left
        if (self.state, left > 0) != self._told:
            yield TradingStateChanged(
                ts_ns=ts_ns,
                state=self.state,
                reasons=tuple(sorted(self._halted)),
                probation_trades=left,
            )

    def on_equity_marked(self, event: EquityMarked) -> Iterator[Event]:
        """A drawdown at the limit halts, and the halt stays."""
        limit = self._config.max_drawdown_ratio
        # Written so that a drawdown that is not a number halts too.
        if not event.drawdown_ratio < limit and HaltReason.DRAWDOWN not in self._halted:
            yield TradingHalted(
                ts_ns=event.ts_ns,
                reason=HaltReason.DRAWDOWN,
                detail=f"equity {event.equity_quote:.2f} of peak {event.peak_quote:.2f}",
                value=event.drawdown_ratio,
                limit=limit,
            )

    def on_health_sampled(self, event: HealthSampled) -> Iterator[Event]:
        if event.status is HealthStatus.CRITICAL and HaltReason.MODEL_CRITICAL not in self._halted:
            yield TradingHalted(
                ts_ns=event.ts_ns,
                reason=HaltReason.MODEL_CRITICAL,
                detail="; ".join(event.reasons),
                value=event.judged,
                limit=event.judged_limit,
            )

    def on_features_checked(self, event: FeaturesChecked) -> Iterator[Event]:
        """What the model is fed is not what it was taught: what it says means nothing."""
        is_new = HaltReason.FEATURES_DIFFER not in self._halted
        if event.differing and self._config.halt_on_features_differ and is_new:
            yield TradingHalted(
                ts_ns=event.ts_ns,
                reason=HaltReason.FEATURES_DIFFER,
                detail=f"{event.differing} of {event.rows} rows, first {event.feature} of "
                f"{event.instrument} at {rfc3339(event.close_ns or 0)}, fed {event.live!r}, "
                f"stored {event.stored!r}",
                value=event.differing / max(event.rows, 1),
                limit=0.0,
            )

    def on_reconciled(self, event: Reconciled) -> Iterator[Event]:
        """Differences halt; a clean comparison later allows entries again, and lifts no halt."""
        reason = HaltReason.FOREIGN_ORDER if event.foreign else HaltReason.RECONCILE
        if not event.is_clean and reason not in self._halted:
            where = f"{event.exchange}: " if event.exchange else ""
            detail = where + "; ".join(event.differences)
            yield TradingHalted(ts_ns=event.ts_ns, reason=reason, detail=detail)
        for instrument in list(self._book.positions):
            if event.exchange in {instrument.exchange, ""}:
                yield from self._oversold(instrument, event.ts_ns)

    def on_halt_requested(self, event: HaltRequested) -> Iterator[Event]:
        detail = f"{event.who}: {event.reason}"
        yield TradingHalted(ts_ns=event.ts_ns, reason=HaltReason.OPERATOR, detail=detail)

    def on_flatten_requested(self, event: FlattenRequested) -> Iterator[Event]:
        detail = f"{event.who}: flatten: {event.reason}"
        yield TradingHalted(ts_ns=event.ts_ns, reason=HaltReason.OPERATOR, detail=detail)

    def on_resume_requested(self, event: ResumeRequested) -> Iterator[Event]:
        """Nothing where nothing is halted: a needless resume must not forget the peak equity."""
        if self._halted:
            yield TradingResumed(ts_ns=event.ts_ns, reason=event.reason, who=event.who)

    def on_model_promoted(self, event: ModelPromoted) -> Iterator[Event]:
        """A successor may end the halt of the model it replaces, where that is the only one."""
        is_of_model = set(self._halted) == {HaltReason.MODEL_CRITICAL}
        if is_of_model and self._config.successor_ends_model_halt:
            reason = f"{event.model} took over from {event.replaced}, which had halted"
            yield TradingResumed(ts_ns=event.ts_ns, reason=reason, who=event.who)

    def _oversold(self, instrument: InstrumentId, ts_ns: int) -> Iterator[Event]:
        """Spot below nothing: what was there once was sold twice, or what was not the bot's."""
        rules, position = self._book.instruments[instrument], self._book.position(instrument)
        missing = rules.quantize_down(-position.quantity)
        if rules.is_swap or missing <= 0 or HaltReason.OVERFILL in self._halted:
            return
        price = self._book.marks.get(instrument, position.average_price)
        if rules.takes(missing, price, is_exit=True):  # less is a fee or a rest, and set aside
            detail = f"{instrument}: {plain(missing)} more was sold than the bot had"
            yield TradingHalted(ts_ns=ts_ns, reason=HaltReason.OVERFILL, detail=detail)
