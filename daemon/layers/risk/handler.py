"""Layer 5's handler: keeps the trading state, and answers each signal with one approval or denial.

Belongs here: what is remembered, and halting. What is said to a signal belongs to `verdicts`.
Trading state is latched and lives in journaled events only: it survives a restart, and a halt ends
by ResumeRequested and by nothing else.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec.structs import replace

from daemon.core.events import (
    AskQuotes,
    DenyReason,
    Direction,
    HaltReason,
    HealthStatus,
    OrderDenied,
    PositionChanged,
    Quote,
    SignalEmitted,
    SignalReason,
    TradingHalted,
    TradingResumed,
)
from daemon.core.orders import Leg, Side
from daemon.layers.risk.distrust import Distrust
from daemon.layers.risk.gates import Situation
from daemon.layers.risk.sizing import Room, Tally
from daemon.layers.risk.verdicts import enter, leave

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.config import RiskSection
    from daemon.core.blotter import Blotter
    from daemon.core.book import Book
    from daemon.core.events import (
        BarRejected,
        BarsClosed,
        ClockChecked,
        DataDistrusted,
        EquityMarked,
        Event,
        FeedRecovered,
        FeedStale,
        HaltRequested,
        HealthSampled,
        ModelActivated,
        OrderApproved,
        OrderCompleted,
        OrderFilled,
        OrderIntended,
        Payoff,
        ProtectionFailed,
        QuotesTaken,
        Reconciled,
        ResumeRequested,
        Started,
    )
    from daemon.core.instruments import InstrumentId
    from daemon.core.orders import Order
    from daemon.layers.risk.sizing import Costs

HOUR_NS = 3_600 * 1_000_000_000
DAY_NS = 24 * HOUR_NS
NO_SKILL_AUC = 0.5


class Risk:
    """Gates, sizes and halts; reads book and blotter, and changes neither."""

    def __init__(
        self,
        config: RiskSection,
        book: Book,
        blotter: Blotter,
        *,
        costs: Costs,
        quarantine_max_per_day: int = 0,
    ) -> None:
        self._config = config
        self._book = book
        self._blotter = blotter
        self._costs = costs
        self._reconciled: dict[str, bool] = {}  # by exchange; "" stands for all others
        self._are_starts_told = False  # journals of earlier versions hold no Started
        self._halted: dict[HaltReason, str] = {}
        self._stale: set[InstrumentId] = set()
        self.distrust = Distrust(quarantine_max_per_day)
        self._clocks: dict[str, ClockChecked] = {}  # of exchanges whose time is not ours
        self._model: ModelActivated | None = None
        self._health = HealthStatus.UNKNOWN
        self._intended_ns: deque[int] = deque(maxlen=config.max_orders_per_hour)
        self._day = -1
        self._day_start_equity = Decimal(0)
        self._long_trades, self._short_trades = Tally(), Tally()
        self._is_long: dict[InstrumentId, bool] = {}
        self._asked: dict[tuple[str, Direction], SignalEmitted] = {}  # signals without a verdict

    @property
    def halted(self) -> dict[HaltReason, str]:
        return dict(self._halted)

    # --- applying -----------------------------------------------------------------------------

    def apply_started(self, _event: Started) -> None:
        """Nothing is known of the venue yet, and the new streams have not been silent yet."""
        self._are_starts_told = True
        self._reconciled.clear()
        self._forget_streams()

    def apply_reconciled(self, event: Reconciled) -> None:
        if not event.exchange:
            self._reconciled.clear()
            if not self._are_starts_told:  # it ended every start then, and nothing else
                self._forget_streams()
        self._reconciled[event.exchange] = event.is_clean

    def apply_model_activated(self, event: ModelActivated) -> None:
        self._model = event

    def apply_feed_stale(self, event: FeedStale) -> None:
        self._stale.add(event.instrument)

    def apply_feed_recovered(self, event: FeedRecovered) -> None:
        self._stale.discard(event.instrument)

    def apply_bar_rejected(self, event: BarRejected) -> None:
        self.distrust.note(event)

    def apply_data_distrusted(self, event: DataDistrusted) -> None:
        self.distrust.keep(event)

    def apply_clock_checked(self, event: ClockChecked) -> None:
        if event.is_trusted:
            self._clocks.pop(event.exchange, None)
        else:
            self._clocks[event.exchange] = event

    def apply_order_intended(self, event: OrderIntended) -> None:
        if event.leg is not Leg.STOP:
            self._intended_ns.append(event.ts_ns)

    def apply_signal_emitted(self, event: SignalEmitted) -> None:
        self._asked[event.trace, event.direction] = event

    def apply_order_approved(self, event: OrderApproved) -> None:
        direction = Direction.LONG if event.side is Side.BUY else Direction.SHORT
        self._asked.pop((event.trace, Direction.FLAT if event.is_exit else direction), None)

    def apply_order_denied(self, event: OrderDenied) -> None:
        self._asked.pop((event.trace, event.direction), None)

    def apply_health_sampled(self, event: HealthSampled) -> None:
        self._health = event.status

    def apply_trading_halted(self, event: TradingHalted) -> None:
        self._halted[event.reason] = event.detail

    def apply_trading_resumed(self, _event: TradingResumed) -> None:
        # Losses count on: only the peak of a drawdown halt is taken anew, by the book.
        self._halted.clear()

    def apply_equity_marked(self, event: EquityMarked) -> None:
        day = event.ts_ns // DAY_NS
        # Reports may be stamped a little before the bars they follow: a day never begins twice.
        if day > self._day:
            self._day = day
            self._day_start_equity = event.equity_quote

    def apply_position_changed(self, event: PositionChanged) -> None:
        if event.closed_return_ratio is not None:
            was_long = self._is_long.pop(event.instrument, True)
            tally = self._long_trades if was_long else self._short_trades
            tally.add(event.closed_return_ratio)
        elif event.quantity:
            self._is_long[event.instrument] = event.quantity > 0

    def _forget_streams(self) -> None:
        self._stale.clear()
        self._clocks.clear()

    # --- deciding: the account ----------------------------------------------------------------

    def on_bars_closed(self, event: BarsClosed) -> Iterator[Event]:
        """Mark the account to the new closes, and give up on quotes that never came."""
        yield self._book.marked(event.ts_ns)
        closes = {bar.instrument: bar.close_ns for bar in event.bars}
        for signal in self._asked.values():
            if signal.close_ns < closes.get(signal.instrument, 0):
                yield _denied(signal, event.ts_ns, DenyReason.NO_QUOTE)

    def on_order_completed(self, event: OrderCompleted) -> Iterator[Event]:
        yield self._book.marked(event.ts_ns)

    def on_order_filled(self, event: OrderFilled) -> Iterator[Event]:
        position = self._book.position(event.instrument)
        yield PositionChanged(
            ts_ns=event.ts_ns,
            instrument=event.instrument,
            trace=event.trace,
            quantity=position.quantity,
            average_price=position.average_price,
            realized_quote=self._book.realized,
            equity_quote=self._book.equity,
            exposure_ratio=self._book.exposure_ratio,
            closed_return_ratio=self._book.closed_return(event.instrument),
        )

    # --- deciding: the trading state ----------------------------------------------------------

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
                value=event.auc_high,
                limit=NO_SKILL_AUC,
            )

    def on_reconciled(self, event: Reconciled) -> Iterator[Event]:
        """Differences halt; a clean comparison later allows entries again, and lifts no halt."""
        reason = HaltReason.FOREIGN_ORDER if event.foreign else HaltReason.RECONCILE
        if not event.is_clean and reason not in self._halted:
            where = f"{event.exchange}: " if event.exchange else ""
            detail = where + "; ".join(event.differences)
            yield TradingHalted(ts_ns=event.ts_ns, reason=reason, detail=detail)

    def on_bar_rejected(self, event: BarRejected) -> Iterator[Event]:
        verdict = self.distrust.verdict(event)
        if verdict is not None:
            yield verdict

    def on_halt_requested(self, event: HaltRequested) -> Iterator[Event]:
        detail = f"{event.who}: {event.reason}"
        yield TradingHalted(ts_ns=event.ts_ns, reason=HaltReason.OPERATOR, detail=detail)

    def on_resume_requested(self, event: ResumeRequested) -> Iterator[Event]:
        """Nothing where nothing is halted: a needless resume must not forget the peak equity."""
        if self._halted:
            yield TradingResumed(ts_ns=event.ts_ns, reason=event.reason, who=event.who)

    # --- deciding: signals --------------------------------------------------------------------

    def on_signal_emitted(self, event: SignalEmitted) -> Iterator[Event]:
        """A denial at once, or the question what the market offers; the verdict follows on that."""
        verdict = self._verdict(event, None)
        if isinstance(verdict, OrderDenied):
            yield verdict
            return
        yield AskQuotes(
            ts_ns=event.ts_ns,
            instrument=event.instrument,
            trace=event.trace,
            direction=event.direction,
            instruments=(event.instrument,),
            notional_quote=verdict.notional_quote,
        )

    def on_quotes_taken(self, event: QuotesTaken) -> Iterator[Event]:
        """Exactly one approval or denial for every signal, by all that holds by now."""
        signal = self._asked.get((event.trace, event.direction))
        if signal is not None and signal.instrument == event.instrument:
            yield self._verdict(
                replace(signal, ts_ns=event.ts_ns),
                event.of(event.instrument)
                or Quote(instrument=event.instrument, taken_ns=event.ts_ns, error="not told"),
            )

    def on_protection_failed(self, event: ProtectionFailed) -> Iterator[Event]:
        """What the exchange will not protect is not held."""
        yield SignalEmitted(
            ts_ns=event.ts_ns,
            instrument=event.instrument,
            trace=event.trace,
            close_ns=event.close_ns,
            direction=Direction.FLAT,
            reason=SignalReason.UNPROTECTED,
            model="",
            price=float(self._book.marks.get(event.instrument, Decimal(0))),
            probability_up=None,
            win_probability=None,
            confidence=None,
            edge_ratio=None,
            expires_ns=None,
        )

    def _verdict(self, signal: SignalEmitted, quote: Quote | None) -> OrderApproved | OrderDenied:
        now = self._situation(signal, quote)
        if signal.direction is Direction.FLAT:
            return leave(now, self._config)
        return enter(now, self._payoff(signal.direction), self._config, self._costs)

    def _payoff(self, direction: Direction) -> Payoff | None:
        if self._model is None:
            return None
        is_long = direction is Direction.LONG
        prior = self._model.long_payoff if is_long else self._model.short_payoff
        trades = self._long_trades if is_long else self._short_trades
        return trades.shrunk(prior, self._costs.round_trip_ratio)

    def _is_reconciled(self, exchange: str) -> bool:
        return self._reconciled.get(exchange, self._reconciled.get("", False))

    def _situation(self, signal: SignalEmitted, quote: Quote | None) -> Situation:
        book, blotter, instrument = self._book, self._blotter, signal.instrument
        # Of the few that have any: with many symbols this would grow with their square.
        pending = {
            each: blotter.pending_entries(each)
            for each in blotter.with_open()
            if each in book.instruments
        }
        pending_on_exchange = sum(
            (amount for each, amount in pending.items() if each.exchange == instrument.exchange),
            Decimal(0),
        )
        room = Room(
            equity=book.equity,
            cash=book.cash_on(instrument.exchange),
            held_here=abs(book.notional(instrument)),
            held_everywhere=book.gross_notional,
            pending_here=pending.get(instrument, Decimal(0)),
            pending_everywhere=sum(pending.values(), Decimal(0)),
            pending_on_exchange=pending_on_exchange,
        )
        return Situation(
            signal=signal,
            instrument=book.instruments[instrument],
            quantity=book.position(instrument).quantity,
            mark=book.marks.get(instrument),
            marked_ns=book.marked_ns.get(instrument),
            previous_mark=book.previous_marks.get(instrument),
            room=room,
            day_start_equity=self._day_start_equity,
            drawdown_ratio=book.drawdown_ratio,
            halts=tuple(sorted(self._halted)),
            is_reconciled=self._is_reconciled(instrument.exchange),
            is_stale=instrument in self._stale,
            distrust=self.distrust.of(instrument, signal.ts_ns),
            clock=self._clocks.get(instrument.exchange),
            health=self._health,
            open_orders=self._in_the_way(signal),
            parent=blotter.parents.get(instrument),
            quote=quote,
            orders_last_hour=sum(1 for each in self._intended_ns if signal.ts_ns - each < HOUR_NS),
        )

    def _in_the_way(self, signal: SignalEmitted) -> tuple[Order, ...]:
        """Open orders that this signal would meet.

        An exit cancels the stop behind its position first; an entry finds one only where nobody
        knows what became of it, or a position stands.
        """
        orders = self._blotter.open_orders(signal.instrument)
        is_exit = signal.direction is Direction.FLAT
        return tuple(
            each
            for each in orders
            if each.leg is not Leg.STOP or (each.is_unresolved and not is_exit)
        )


def _denied(signal: SignalEmitted, ts_ns: int, reason: DenyReason) -> OrderDenied:
    return OrderDenied(
        ts_ns=ts_ns,
        instrument=signal.instrument,
        trace=signal.trace,
        close_ns=signal.close_ns,
        reason=reason,
        direction=signal.direction,
    )
