"""The account kept from fills and closes: cash, positions, equity, peak and round trips, exact to the last digit.

Belongs here: arithmetic of money that several layers read. Limits on it belong to risk.
"""

from decimal import Decimal

from msgspec import Struct

from daemon.core.events import (
    BarsClosed,
    EquityMarked,
    HistoryLoaded,
    OrderFilled,
    PositionChanged,
    RunOpened,
    TradingResumed,
)
from daemon.core.instruments import Instrument, InstrumentId
from daemon.core.orders import Side

ZERO = Decimal(0)


class Position(Struct, kw_only=True):
    """What the bot itself bought (positive) or sold short (negative) of one instrument."""

    quantity: Decimal = ZERO
    average_price: Decimal = ZERO
    trip_cash: Decimal = ZERO  # cash flow since the position was last flat, fees in quote included
    trip_entry_notional: Decimal = ZERO


class Book:
    """Cash, positions and marks of the allotted capital; changed by `apply_*` only."""

    def __init__(self) -> None:
        self.instruments: dict[InstrumentId, Instrument] = {}
        self.allotted = ZERO
        self.cash = ZERO
        self.fees = ZERO  # all fees valued in quote
        self.foreign_fees: dict[str, Decimal] = {}  # fees in a third currency, not part of equity
        self.positions: dict[InstrumentId, Position] = {}
        self.marks: dict[InstrumentId, Decimal] = {}
        self.marked_ns: dict[InstrumentId, int] = {}
        self.previous_marks: dict[InstrumentId, Decimal] = {}
        self.peak = ZERO
        self.round_trips = 0
        self.returns: list[float] = []

    # --- reading ------------------------------------------------------------------------------

    def position(self, instrument: InstrumentId) -> Position:
        return self.positions.get(instrument) or Position()

    def notional(self, instrument: InstrumentId) -> Decimal:
        """Signed value of the position at its mark, quote units."""
        position = self.positions.get(instrument)
        if position is None or not position.quantity:
            return ZERO
        return position.quantity * self.marks.get(instrument, position.average_price)

    @property
    def equity(self) -> Decimal:
        return self.cash + sum((self.notional(each) for each in self.positions), ZERO)

    @property
    def gross_notional(self) -> Decimal:
        return sum((abs(self.notional(each)) for each in self.positions), ZERO)

    @property
    def realized(self) -> Decimal:
        """Profit of the account so far without the open positions' paper profit, net of fees."""
        at_cost = sum(
            (each.quantity * each.average_price for each in self.positions.values()), ZERO
        )
        return self.cash + at_cost - self.allotted

    @property
    def drawdown_ratio(self) -> float:
        """1 - equity / peak; 1.0 when the peak is not positive, which fails closed."""
        if self.peak <= 0:
            return 1.0
        return float(1 - self.equity / self.peak)

    @property
    def exposure_ratio(self) -> float:
        equity = self.equity
        return float(self.gross_notional / equity) if equity > 0 else 1.0

    def marked(self, ts_ns: int) -> EquityMarked:
        """The account valued now, as an event."""
        return EquityMarked(
            ts_ns=ts_ns,
            equity_quote=self.equity,
            peak_quote=max(self.peak, self.equity),
            drawdown_ratio=self.drawdown_ratio,
            exposure_ratio=self.exposure_ratio,
            fees_quote=self.fees,
        )

    # --- applying -----------------------------------------------------------------------------

    def apply_run_opened(self, event: RunOpened) -> None:
        self.instruments = {each.id: each for each in event.instruments}
        self.allotted = self.cash = self.peak = event.allotted_quote

    def apply_history_loaded(self, event: HistoryLoaded) -> None:
        for bar in event.bars:
            self._mark(bar.instrument, bar.close, bar.close_ns)

    def apply_bars_closed(self, event: BarsClosed) -> None:
        for bar in event.bars:
            self._mark(bar.instrument, bar.close, bar.close_ns)

    def apply_equity_marked(self, event: EquityMarked) -> None:
        self.peak = event.peak_quote

    def apply_trading_resumed(self, _event: TradingResumed) -> None:
        # The operator accepted the loss so far: drawdown is measured from here on.
        self.peak = self.equity

    def apply_order_filled(self, event: OrderFilled) -> None:
        instrument = self.instruments[event.instrument]
        position = self.positions.setdefault(event.instrument, Position())
        is_buy = event.side is Side.BUY
        value = event.price * event.quantity
        before = position.quantity
        change = event.quantity if is_buy else -event.quantity
        cash = -value if is_buy else value
        if event.fee_currency == instrument.base:
            change -= event.fee
            self.fees += event.fee * event.price
        elif event.fee_currency == instrument.quote:
            cash -= event.fee
            self.fees += event.fee
        elif event.fee:
            known = self.foreign_fees.get(event.fee_currency, ZERO)
            self.foreign_fees[event.fee_currency] = known + event.fee
        self.cash += cash
        self._move(position, change, event.price)
        position.trip_cash += cash
        if abs(position.quantity) > abs(before):
            position.trip_entry_notional += value
        self.marks.setdefault(event.instrument, event.price)

    def apply_position_changed(self, event: PositionChanged) -> None:
        if event.closed_return_ratio is None:
            return
        self.round_trips += 1
        self.returns.append(event.closed_return_ratio)
        position = self.positions[event.instrument]
        position.trip_cash = ZERO
        position.trip_entry_notional = ZERO

    def closed_return(self, instrument: InstrumentId) -> float | None:
        """Net return of the round trip that just ended, as a fraction of what was put in; None while it is open.

        A round trip ends when the position is back under one lot; what is left is valued at its mark.
        """
        position = self.positions[instrument]
        if abs(position.quantity) >= self.instruments[instrument].lot:
            return None
        if position.trip_entry_notional <= 0:
            return None
        left = position.quantity * self.marks.get(instrument, position.average_price)
        return float((position.trip_cash + left) / position.trip_entry_notional)

    def _mark(self, instrument: InstrumentId, close: float, close_ns: int) -> None:
        known = self.marks.get(instrument)
        if known is not None:
            self.previous_marks[instrument] = known
        self.marks[instrument] = Decimal(repr(close))
        self.marked_ns[instrument] = close_ns

    @staticmethod
    def _move(position: Position, change: Decimal, price: Decimal) -> None:
        after = position.quantity + change
        if position.quantity == 0 or (position.quantity > 0) == (change > 0):
            total = position.quantity * position.average_price + change * price
            position.average_price = total / after if after else ZERO
        elif (after > 0) != (position.quantity > 0) and after:
            position.average_price = price  # turned through zero
        position.quantity = after
