"""Layer 5's handler: remembers what gates look at, and answers each signal with one verdict.

Belongs here: what is remembered. The answers belong to `verdicts`, halting to `halts`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec.structs import replace

from daemon.core.events import (
    AskQuotes,
    DenyReason,
    Direction,
    HealthStatus,
    OrderDenied,
    Quote,
    SignalEmitted,
    SignalReason,
)
from daemon.core.instruments import InstrumentId
from daemon.core.orders import Leg, Side
from daemon.core.scores import lost_in
from daemon.core.streaks import Streak
from daemon.layers.risk.canary import Canary
from daemon.layers.risk.days import Days
from daemon.layers.risk.denials import Denial, of_all, told
from daemon.layers.risk.distrust import Distrust
from daemon.layers.risk.exits import flat
from daemon.layers.risk.exposure import Exposure
from daemon.layers.risk.flattening import Flattening
from daemon.layers.risk.halts import Halts
from daemon.layers.risk.holdings import Holdings
from daemon.layers.risk.returns import Returns
from daemon.layers.risk.situations import Held, Situation
from daemon.layers.risk.sizing import Tally
from daemon.layers.risk.swaps import Swaps
from daemon.layers.risk.verdicts import enter, leave

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from daemon.config import RiskSection
    from daemon.core.blotter import Blotter
    from daemon.core.book import Book
    from daemon.core.costs import Costs
    from daemon.core.events import (
        BarRejected,
        BarsClosed,
        ClockChecked,
        DataDistrusted,
        DiskChecked,
        Event,
        ExchangeBack,
        ExchangeLost,
        FeedRecovered,
        FeedStale,
        HaltReason,
        HealthSampled,
        HistoryLoaded,
        ListingChanged,
        ModelActivated,
        OrderApproved,
        Payoff,
        PositionChanged,
        ProtectionFailed,
        QuotesTaken,
        Reconciled,
        RunOpened,
        Started,
    )
    from daemon.core.orders import Order
    from daemon.core.pace import Pace
    from daemon.core.repute import Repute
    from daemon.layers.risk.policy import Policy


class Risk:
    """Gates, sizes and halts; reads book and blotter, and changes neither."""

    def __init__(
        self,
        config: RiskSection,
        book: Book,
        blotter: Blotter,
        *,
        costs: Callable[[InstrumentId], Costs],
        repute: Repute,
        pace: Pace,
        quarantine_max_per_day: int = 0,
        stop_loss_ratio: float = 0.0,
        policy: Policy,
    ) -> None:
        self.config = config
        self._book = book
        self._blotter = blotter
        self._repute = repute
        self._pace = pace
        self.costs = costs
        self._stop_loss_ratio = stop_loss_ratio
        self._reconciled: dict[str, bool] = {}  # by exchange; "" stands for all others
        self._foreign: set[str] = set()  # exchanges with orders of ours that the books do not know
        self._are_starts_told = False  # journals of earlier versions hold no Started
        self.policy = policy
        self.halts = Halts(config, book, self.policy)
        self.canary = Canary(blotter)
        self.holdings = Holdings(book, blotter)
        self.swaps = Swaps(config, book)
        self.flattening = Flattening(book, blotter)
        self._stale: set[InstrumentId] = set()
        self.distrust = Distrust(quarantine_max_per_day)
        self._clocks: dict[str, ClockChecked] = {}  # of exchanges whose time is not ours
        self._disk: DiskChecked | None = None  # of too little room
        self._model: ModelActivated | None = None
        self._health, self._skill_lost = HealthStatus.UNKNOWN, frozenset[InstrumentId]()
        self._returns = Returns(config.volatility_bars)
        self._exposure = Exposure(config, book, blotter, self._returns)
        self._losses = Streak(config.max_losses_in_a_row, config.loss_pause_bars)
        self._untraded: dict[InstrumentId, str] = {}  # what the exchange does not trade, and why
        self._lost: dict[str, str] = {}  # exchanges that are not reached, and why
        self._is_live = False
        self._bar_ns = 0
        self.days = Days()
        self._long_trades, self._short_trades = Tally(), Tally()
        self._is_long: dict[InstrumentId, bool] = {}
        self.asked: dict[tuple[str, Direction], SignalEmitted] = {}  # signals without a verdict

    @property
    def halted(self) -> dict[HaltReason, str]:
        """Halts in force, by reason."""
        return self.halts.in_force

    # --- applying -----------------------------------------------------------------------------

    def apply_run_opened(self, event: RunOpened) -> None:
        self._is_live = event.is_real_money
        self._bar_ns = event.timeframe_ns

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
        if event.foreign:
            self._foreign.add(event.exchange)
        else:
            self._foreign.discard(event.exchange)

    def apply_model_activated(self, event: ModelActivated) -> None:
        if self._model is None or self._model.model != event.model:
            # What was known is known of another one.
            self._health, self._skill_lost = HealthStatus.UNKNOWN, frozenset()
        self._model = event

    def apply_history_loaded(self, event: HistoryLoaded) -> None:
        self._returns.note(event.bars)

    def apply_bars_closed(self, event: BarsClosed) -> None:
        self._returns.note(event.bars)
        if self._book.is_valued:  # by these bars, which the book has applied before
            self.days.note(max(bar.close_ns for bar in event.bars), self._book.equity)

    def apply_exchange_lost(self, event: ExchangeLost) -> None:
        self._lost[event.exchange] = event.error

    def apply_exchange_back(self, event: ExchangeBack) -> None:
        self._lost.pop(event.exchange, None)

    def apply_listing_changed(self, event: ListingChanged) -> None:
        if event.is_tradable:
            self._untraded.pop(event.instrument, None)
        else:
            self._untraded[event.instrument] = event.detail

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

    def apply_disk_checked(self, event: DiskChecked) -> None:
        self._disk = None if event.is_enough else event

    def apply_signal_emitted(self, event: SignalEmitted) -> None:
        self.asked[event.trace, event.direction] = event

    def apply_order_approved(self, event: OrderApproved) -> None:
        direction = Direction.LONG if event.side is Side.BUY else Direction.SHORT
        self.asked.pop((event.trace, Direction.FLAT if event.is_exit else direction), None)

    def apply_order_denied(self, event: OrderDenied) -> None:
        self.asked.pop((event.trace, event.direction), None)

    def apply_health_sampled(self, event: HealthSampled) -> None:
        self._health, self._skill_lost = event.status, lost_in(event.symbols)

    def apply_position_changed(self, event: PositionChanged) -> None:
        if event.closed_return_ratio is not None:
            was_long = self._is_long.pop(event.instrument, True)
            trades = self._long_trades if was_long else self._short_trades
            trades.add(event.closed_return_ratio)
            if event.closed_return_ratio > 0.0:
                self._losses.good()
            else:
                self._losses.bad(event.ts_ns, self._bar_ns)
        elif event.quantity:
            self._is_long[event.instrument] = event.quantity > 0

    def _forget_streams(self) -> None:
        self._stale.clear()
        self._clocks.clear()
        self._disk = None
        self._lost.clear()
        self._untraded.clear()

    # --- deciding: the account ----------------------------------------------------------------

    def on_bars_closed(self, event: BarsClosed) -> Iterator[Event]:
        """Mark the account to the new closes, and give up on quotes that never came."""
        if self._book.is_valued:  # not before all of it has a price
            yield self._book.marked(event.ts_ns)
        closes = {bar.instrument: bar.close_ns for bar in event.bars}
        for signal in self.asked.values():
            if signal.close_ns < closes.get(signal.instrument, 0):
                yield told(Denial(DenyReason.NO_QUOTE), signal, event.ts_ns)

    def on_bar_rejected(self, event: BarRejected) -> Iterator[Event]:
        if (verdict := self.distrust.verdict(event)) is not None:
            yield verdict

    # --- deciding: signals --------------------------------------------------------------------

    def on_signal_emitted(self, event: SignalEmitted) -> Iterator[Event]:
        """A denial at once, or the question what the market offers; the verdict follows on that."""
        if isinstance(verdict := self._verdict(event, None), OrderDenied):
            yield verdict
            return
        yield AskQuotes(
            ts_ns=event.ts_ns,
            instrument=event.instrument,
            trace=event.trace,
            direction=event.direction,
            instruments=self._blotter.listings.members(event.instrument),
            notional_quote=verdict.quantity * verdict.decision_price,
        )

    def on_quotes_taken(self, event: QuotesTaken) -> Iterator[Event]:
        """Exactly one approval or denial for every signal, by all that holds by now."""
        signal = self.asked.get((event.trace, event.direction))
        if signal is not None and signal.instrument == event.instrument:
            quote = event.best(Side.BUY if self.is_buy(signal) else Side.SELL)
            yield self._verdict(replace(signal, ts_ns=event.ts_ns), quote)

    def is_buy(self, signal: SignalEmitted) -> bool:
        if signal.direction is not Direction.FLAT:
            return signal.direction is Direction.LONG
        members = self._blotter.listings.members(signal.instrument)
        return sum(self._book.position(each).quantity for each in members) < 0

    def on_protection_failed(self, event: ProtectionFailed) -> Iterator[Event]:
        """What the exchange will not protect is not held."""
        yield flat(
            event.instrument,
            SignalReason.UNPROTECTED,
            self._book.marks.get(event.instrument),
            ts_ns=event.ts_ns,
            trace=event.trace,
            close_ns=event.close_ns,
        )

    def _verdict(self, signal: SignalEmitted, quote: Quote | None) -> OrderApproved | OrderDenied:
        now = self.situation(signal, quote)
        if signal.direction is Direction.FLAT:
            return leave(now, self.config)
        costs = self.costs(signal.instrument)
        return enter(now, self.payoff(signal.direction, costs), self.config, costs)

    def payoff(self, direction: Direction, costs: Costs) -> Payoff | None:
        if self._model is None:
            return None
        is_long = direction is Direction.LONG
        prior = self._model.long_payoff if is_long else self._model.short_payoff
        trades = self._long_trades if is_long else self._short_trades
        return trades.shrunk(prior, costs.round_trip_ratio)

    def _is_reconciled(self, exchange: str) -> bool:
        return self._reconciled.get(exchange, self._reconciled.get("", False))

    def situation(self, signal: SignalEmitted, quote: Quote | None) -> Situation:
        book, blotter, instrument = self._book, self._blotter, signal.instrument
        members = blotter.listings.members(instrument)
        listed = book.instruments[instrument]
        paced = self._pace.now(signal.ts_ns)
        is_long = signal.direction is Direction.LONG
        room = self._exposure.room(
            instrument,
            is_long=is_long,
            entries_today=paced.entries_today_quote,
            cut=self.canary.cut(self.halts.probation.ratio),
        )
        exchanges = [each.exchange for each in members]
        repute = self._repute
        return Situation(
            signal=signal,
            instrument=listed,
            quantity=sum((book.position(each).quantity for each in members), Decimal(0)),
            mark=book.marks.get(instrument),
            marked_ns=book.marked_ns.get(instrument),
            previous_mark=book.previous_marks.get(instrument),
            room=room,
            day_start_equity=self.days.start_equity,
            drawdown_ratio=book.drawdown_ratio,
            halts=tuple(sorted(self.halts.in_force)),
            is_reconciled=all(self._is_reconciled(each) for each in exchanges),
            has_foreign=any(each in self._foreign for each in exchanges),
            is_stale=instrument in self._stale,
            distrust=self.distrust.of(instrument, signal.ts_ns),
            clock=of_all(self._clocks.get(each) for each in exchanges),
            disk=self._disk,
            health=self._health,
            is_skill_lost=not self._skill_lost.isdisjoint({instrument, *members}),
            open_orders=self._in_the_way(signal),
            parent=blotter.parent_of(instrument),
            quote=quote,
            is_live=self._is_live,
            paced=paced,
            volatility_ratio=room.volatility_ratio,
            loss_pause=self._losses.pause(signal.ts_ns),
            refusal_pause=of_all(repute.refusal_pause(each, signal.ts_ns) for each in exchanges),
            not_tradable=self._untraded.get(instrument),
            given_up=self.policy.keeps_closed(instrument, signal.ts_ns),
            exchange_lost=of_all(self._lost.get(each) for each in exchanges),
            unknown_on_exchange=min(repute.unknown_on(each) for each in exchanges),
            valuations=tuple(self._exposure.valuations(signal, self._stale)),
            stop_loss_ratio=self._stop_loss_ratio,
            listed=tuple(
                Held(book.instruments[each], book.position(each).quantity) for each in members
            ),
            fees_in_base=max(
                -book.others.get((each, listed.base), Decimal(0)) for each in exchanges
            ),
        )

    def _in_the_way(self, signal: SignalEmitted) -> tuple[Order, ...]:
        """Open orders that this signal would meet.

        An exit cancels the stop behind its position first; an entry finds one only where nobody
        knows what became of it, or a position stands. What an exit finds on one exchange keeps
        nothing back that is held on another.
        """
        blotter = self._blotter
        members = blotter.listings.members(signal.instrument)
        if signal.direction is Direction.FLAT and self.flattening.may_leave(signal.instrument):
            return ()
        found = (each for at in members for each in blotter.open_orders(at))
        if signal.direction is Direction.FLAT:
            return tuple(each for each in found if each.leg is not Leg.STOP)
        return tuple(each for each in found if each.leg is not Leg.STOP or each.is_unresolved)
