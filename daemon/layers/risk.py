"""Layer 5: turns a desired position into an approved order that respects every limit, or into a denial.

Belongs here: how much may be risked, and when nothing may. How an order reaches a venue belongs to execution.
Sizing: stake = kelly_ratio * (p*b - q)/b of the equity, J. L. Kelly (1956), with p the calibrated and shrunk
probability of the traded direction and b the payoff net of costs; used as notional, far below growth-optimal.
"""

from __future__ import annotations

import math
from collections import deque
from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec import Struct

from daemon.core.events import (
    BarsClosed,
    BoundBy,
    DenyReason,
    Direction,
    EquityMarked,
    FeedRecovered,
    FeedStale,
    HaltReason,
    HaltRequested,
    HealthSampled,
    HealthStatus,
    ModelActivated,
    OrderApproved,
    OrderCompleted,
    OrderDenied,
    OrderFilled,
    OrderIntended,
    Payoff,
    PositionChanged,
    Reconciled,
    ResumeRequested,
    SignalEmitted,
    TradingHalted,
    TradingResumed,
)
from daemon.core.instruments import MarketType
from daemon.core.orders import Side

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.config import RiskSection
    from daemon.core.blotter import Blotter
    from daemon.core.book import Book
    from daemon.core.events import Event
    from daemon.core.instruments import Instrument, InstrumentId

HOUR_NS = 3_600 * 1_000_000_000
DAY_NS = 24 * HOUR_NS
PRIOR_TRADES = 50  # the model's out-of-sample payoffs weigh as much as this many closed trades


class Costs(Struct, frozen=True, kw_only=True):
    """Expected cost of one fill, as fractions of its notional."""

    fee_ratio: float
    slippage_ratio: float

    @property
    def round_trip_ratio(self) -> float:
        return 2.0 * (self.fee_ratio + self.slippage_ratio)


class Stake(Struct, frozen=True, kw_only=True):
    """A Kelly stake, full and as used, both fractions of the equity."""

    full_ratio: float
    used_ratio: float


class Denial(Struct, frozen=True):
    """A gate's no, with the number that was looked at and the limit it met."""

    reason: DenyReason
    value: str = ""
    limit: str = ""


def kelly(
    win_probability: float, payoff: Payoff, cost_ratio: float, kelly_ratio: float
) -> Stake | None:
    """Fractional Kelly stake of one bet; None when payoffs or costs leave nothing to win or are not finite."""
    win = payoff.win_ratio - cost_ratio
    loss = payoff.loss_ratio + cost_ratio
    numbers = (win_probability, win, loss, kelly_ratio)
    if not all(math.isfinite(each) for each in numbers) or win <= 0.0 or loss <= 0.0:
        return None
    odds = win / loss
    full = (win_probability * odds - (1.0 - win_probability)) / odds
    return Stake(full_ratio=full, used_ratio=max(0.0, full) * kelly_ratio)


class Risk:
    """Gates in a fixed order; trading state is latched and lives only in journaled events."""

    def __init__(
        self, config: RiskSection, book: Book, blotter: Blotter, *, costs: Costs, timeframe_ns: int
    ) -> None:
        self._config = config
        self._book = book
        self._blotter = blotter
        self._costs = costs
        self._timeframe_ns = timeframe_ns
        self._is_reconciled = False
        self._halted: dict[HaltReason, str] = {}
        self._stale: set[InstrumentId] = set()
        self._model: ModelActivated | None = None
        self._health = HealthStatus.UNKNOWN
        self._intended_ns: deque[int] = deque(maxlen=max(1, config.max_orders_per_hour))
        self._day = -1
        self._day_start_equity = Decimal(0)
        self._trades = {True: _Tally(), False: _Tally()}  # by whether the position was long
        self._is_long: dict[InstrumentId, bool] = {}

    @property
    def halted(self) -> dict[HaltReason, str]:
        return dict(self._halted)

    # --- applying -----------------------------------------------------------------------------

    def apply_reconciled(self, event: Reconciled) -> None:
        self._is_reconciled = event.is_clean

    def apply_model_activated(self, event: ModelActivated) -> None:
        self._model = event

    def apply_feed_stale(self, event: FeedStale) -> None:
        self._stale.add(event.instrument)

    def apply_feed_recovered(self, event: FeedRecovered) -> None:
        self._stale.discard(event.instrument)

    def apply_order_intended(self, event: OrderIntended) -> None:
        self._intended_ns.append(event.ts_ns)

    def apply_health_sampled(self, event: HealthSampled) -> None:
        self._health = event.status

    def apply_trading_halted(self, event: TradingHalted) -> None:
        self._halted[event.reason] = event.detail

    def apply_trading_resumed(self, _event: TradingResumed) -> None:
        self._halted.clear()
        self._day_start_equity = self._book.equity

    def apply_equity_marked(self, event: EquityMarked) -> None:
        day = event.ts_ns // DAY_NS
        if day != self._day:
            self._day = day
            self._day_start_equity = event.equity_quote

    def apply_position_changed(self, event: PositionChanged) -> None:
        if event.closed_return_ratio is not None:
            is_long = self._is_long.pop(event.instrument, True)
            self._trades[is_long].add(event.closed_return_ratio)
        elif event.quantity:
            self._is_long[event.instrument] = event.quantity > 0

    # --- deciding -----------------------------------------------------------------------------

    def on_bars_closed(self, event: BarsClosed) -> Iterator[Event]:
        """Mark the account to the new closes."""
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

    def on_order_completed(self, event: OrderCompleted) -> Iterator[Event]:
        yield self._book.marked(event.ts_ns)

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
            detail = "; ".join(event.reasons)
            yield TradingHalted(
                ts_ns=event.ts_ns,
                reason=HaltReason.MODEL_CRITICAL,
                detail=detail,
                value=event.auc_high,
                limit=0.5,
            )

    def on_reconciled(self, event: Reconciled) -> Iterator[Event]:
        if not event.is_clean and HaltReason.RECONCILE not in self._halted:
            detail = "; ".join(event.differences)
            yield TradingHalted(ts_ns=event.ts_ns, reason=HaltReason.RECONCILE, detail=detail)

    def on_halt_requested(self, event: HaltRequested) -> Iterator[Event]:
        detail = f"{event.who}: {event.reason}"
        yield TradingHalted(ts_ns=event.ts_ns, reason=HaltReason.OPERATOR, detail=detail)

    def on_resume_requested(self, event: ResumeRequested) -> Iterator[Event]:
        yield TradingResumed(ts_ns=event.ts_ns, reason=event.reason, who=event.who)

    def on_signal_emitted(self, event: SignalEmitted) -> Iterator[Event]:
        """Exactly one approval or denial for every signal."""
        if event.direction is Direction.FLAT:
            yield self._exit(event)
        else:
            yield self._enter(event)

    def _exit(self, event: SignalEmitted) -> OrderApproved | OrderDenied:
        """Close what is there; no halt, stale feed or limit stands in the way of an exit."""
        instrument = self._book.instruments[event.instrument]
        position = self._book.position(event.instrument).quantity
        quantity = instrument.quantize_down(abs(position))
        price = self._book.marks.get(event.instrument)
        if denial := self._order_in_the_way(event):
            return self._deny(event, denial)
        if quantity <= 0 or price is None:
            return self._deny(event, Denial(DenyReason.NOTHING_TO_CLOSE, str(position)))
        if denial := _below_minimum(instrument, quantity, price):
            return self._deny(event, denial)
        return self._approve(
            event,
            side=Side.SELL if position > 0 else Side.BUY,
            quantity=quantity,
            price=price,
            is_exit=True,
            bound_by=BoundBy.POSITION,
            stake=Stake(full_ratio=0.0, used_ratio=0.0),
            wanted=quantity * price,
        )

    def _enter(self, event: SignalEmitted) -> OrderApproved | OrderDenied:
        instrument = self._book.instruments[event.instrument]
        price = self._book.marks.get(event.instrument)
        denial = (
            self._state_forbids()
            or self._order_in_the_way(event)
            or self._data_forbids(event)
            or self._losses_forbid()
            or self._rate_forbids(event.ts_ns)
            or self._position_forbids(event, instrument)
        )
        if denial is not None:
            return self._deny(event, denial)
        if price is None or price <= 0:
            return self._deny(event, Denial(DenyReason.NO_PRICE))
        stake = self._stake(event)
        if stake is None:
            return self._deny(event, Denial(DenyReason.NO_PAYOFFS))
        if not stake.used_ratio > 0.0:
            return self._deny(
                event, Denial(DenyReason.NO_KELLY_STAKE, f"{stake.full_ratio:.4f}", "0")
            )
        wanted = Decimal(repr(stake.used_ratio)) * self._book.equity
        bound_by, notional = self._bounded(event, wanted)
        if notional <= 0:
            return self._deny(
                event, Denial(_denial_of(bound_by), f"{wanted:.2f}", f"{notional:.2f}")
            )
        # Sized at the price it is expected to fill at, or rounding and slippage would break the cap.
        slip = Decimal(repr(self._costs.slippage_ratio))
        is_long = event.direction is Direction.LONG
        quantity = instrument.quantize_down(notional / (price * (1 + slip)))
        if denial := _below_minimum(instrument, quantity, price):
            return self._deny(event, denial)
        return self._approve(
            event,
            side=Side.BUY if is_long else Side.SELL,
            quantity=quantity,
            price=price,
            is_exit=False,
            bound_by=bound_by,
            stake=stake,
            wanted=wanted,
        )

    # --- gates --------------------------------------------------------------------------------

    def _state_forbids(self) -> Denial | None:
        if self._halted:
            return Denial(DenyReason.HALTED, ",".join(sorted(self._halted)))
        if not self._is_reconciled:
            return Denial(DenyReason.NOT_RECONCILED)
        return None

    def _order_in_the_way(self, event: SignalEmitted) -> Denial | None:
        orders = self._blotter.open_orders(event.instrument)
        for order in orders:
            if order.is_unresolved:
                return Denial(DenyReason.UNRESOLVED_ORDER, order.client_order_id)
        return Denial(DenyReason.ORDER_OPEN, orders[0].client_order_id) if orders else None

    def _data_forbids(self, event: SignalEmitted) -> Denial | None:
        if event.instrument in self._stale:
            return Denial(DenyReason.STALE_DATA)
        if self._health is HealthStatus.CRITICAL:
            return Denial(DenyReason.MODEL_CRITICAL)
        before = self._book.previous_marks.get(event.instrument)
        price = self._book.marks.get(event.instrument)
        if before and price:
            moved_bps = abs(float(price / before) - 1.0) * 10_000
            if not moved_bps <= self._config.price_collar_bps:
                limit = str(self._config.price_collar_bps)
                return Denial(DenyReason.PRICE_COLLAR, f"{moved_bps:.1f}", limit)
        return None

    def _losses_forbid(self) -> Denial | None:
        limit = self._config.max_daily_loss_ratio
        start = self._day_start_equity
        if limit <= 0 or start <= 0:
            return None
        lost = float(1 - self._book.equity / start)
        if not lost < limit:
            return Denial(DenyReason.DAILY_LOSS, f"{lost:.4f}", f"{limit:.4f}")
        return None

    def _rate_forbids(self, ts_ns: int) -> Denial | None:
        limit = self._config.max_orders_per_hour
        recent = sum(1 for each in self._intended_ns if ts_ns - each < HOUR_NS)
        return Denial(DenyReason.ORDER_RATE, str(recent), str(limit)) if recent >= limit else None

    def _position_forbids(self, event: SignalEmitted, instrument: Instrument) -> Denial | None:
        position = self._book.position(event.instrument).quantity
        is_long = event.direction is Direction.LONG
        if not is_long and instrument.market_type is MarketType.SPOT:
            return Denial(DenyReason.SPOT_CANNOT_SHORT)
        if abs(position) >= instrument.lot and (position > 0) == is_long:
            return Denial(DenyReason.ALREADY_POSITIONED, str(position))
        return None

    # --- sizing -------------------------------------------------------------------------------

    def _stake(self, event: SignalEmitted) -> Stake | None:
        if self._model is None or event.win_probability is None:
            return None
        is_long = event.direction is Direction.LONG
        prior = self._model.long_payoff if is_long else self._model.short_payoff
        payoff = self._trades[is_long].shrunk(prior, self._costs.round_trip_ratio)
        cost = self._costs.round_trip_ratio
        return kelly(event.win_probability, payoff, cost, self._config.kelly_ratio)

    def _bounded(self, event: SignalEmitted, wanted: Decimal) -> tuple[BoundBy, Decimal]:
        """The tightest of all caps on the resulting position, pending orders counted as filled."""
        config, book, blotter = self._config, self._book, self._blotter
        equity = book.equity
        pending = sum(
            (blotter.pending_notional(each, Side.BUY) for each in book.instruments), Decimal(0)
        )
        here = abs(book.notional(event.instrument)) + blotter.pending_notional(
            event.instrument, Side.BUY
        )
        fee = Decimal(repr(self._costs.fee_ratio))
        caps = (
            (BoundBy.KELLY, wanted),
            (BoundBy.MAX_POSITION_RATIO, _share(config.max_position_ratio, equity) - here),
            (
                BoundBy.MAX_GROSS_EXPOSURE_RATIO,
                _share(config.max_gross_exposure_ratio, equity) - book.gross_notional - pending,
            ),
            (BoundBy.MAX_ORDER_NOTIONAL, config.max_order_notional_quote),
            (BoundBy.FREE_CAPITAL, (book.cash - pending) / (1 + fee)),
        )
        return min(caps, key=lambda each: each[1])

    # --- verdicts -----------------------------------------------------------------------------

    def _approve(
        self,
        event: SignalEmitted,
        *,
        side: Side,
        quantity: Decimal,
        price: Decimal,
        is_exit: bool,
        bound_by: BoundBy,
        stake: Stake,
        wanted: Decimal,
    ) -> OrderApproved:
        equity = self._book.equity
        notional = quantity * price
        return OrderApproved(
            ts_ns=event.ts_ns,
            instrument=event.instrument,
            trace=event.trace,
            close_ns=event.close_ns,
            side=side,
            quantity=quantity,
            decision_price=price,
            is_exit=is_exit,
            bound_by=bound_by,
            kelly_full_ratio=stake.full_ratio,
            kelly_used_ratio=stake.used_ratio,
            wanted_ratio=float(wanted / equity) if equity > 0 else 0.0,
            allowed_ratio=float(notional / equity) if equity > 0 else 0.0,
            notional_quote=notional,
            equity_quote=equity,
            drawdown_ratio=self._book.drawdown_ratio,
        )

    @staticmethod
    def _deny(event: SignalEmitted, denial: Denial) -> OrderDenied:
        return OrderDenied(
            ts_ns=event.ts_ns,
            instrument=event.instrument,
            trace=event.trace,
            close_ns=event.close_ns,
            reason=denial.reason,
            direction=event.direction,
            value=denial.value,
            limit=denial.limit,
        )


class _Tally:
    """Closed trades of one direction: sums of net wins and losses."""

    def __init__(self) -> None:
        self.wins = self.losses = 0
        self.won = self.lost = 0.0

    def add(self, net_ratio: float) -> None:
        if net_ratio > 0:
            self.wins += 1
            self.won += net_ratio
        else:
            self.losses += 1
            self.lost -= net_ratio

    def shrunk(self, prior: Payoff, cost_ratio: float) -> Payoff:
        """The model's gross payoffs, moved toward the ledger's as trades come in (ledger is net: costs added back)."""
        win = (PRIOR_TRADES * prior.win_ratio + self.won + self.wins * cost_ratio) / (
            PRIOR_TRADES + self.wins
        )
        loss = (PRIOR_TRADES * prior.loss_ratio + self.lost - self.losses * cost_ratio) / (
            PRIOR_TRADES + self.losses
        )
        n = prior.n + self.wins + self.losses
        return Payoff(win_ratio=win, loss_ratio=max(loss, 0.0), n=n)


def _share(ratio: float, equity: Decimal) -> Decimal:
    return Decimal(repr(ratio)) * equity


def _below_minimum(instrument: Instrument, quantity: Decimal, price: Decimal) -> Denial | None:
    notional = quantity * price
    if quantity <= 0 or quantity < instrument.minimum_quantity:
        return Denial(DenyReason.BELOW_MINIMUM, str(quantity), str(instrument.minimum_quantity))
    if notional < instrument.minimum_notional:
        return Denial(DenyReason.BELOW_MINIMUM, f"{notional:.8f}", str(instrument.minimum_notional))
    return None


def _denial_of(bound_by: BoundBy) -> DenyReason:
    return {
        BoundBy.MAX_POSITION_RATIO: DenyReason.POSITION_CAP,
        BoundBy.MAX_GROSS_EXPOSURE_RATIO: DenyReason.GROSS_EXPOSURE_CAP,
    }.get(bound_by, DenyReason.NO_CAPITAL)
