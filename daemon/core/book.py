"""The account kept from fills and closes: cash, positions, equity, peak, round trips, all exact.

Belongs here: arithmetic of money that several layers read. Limits on it belong to risk.
"""

from collections.abc import Mapping
from decimal import (
    Context,
    Decimal,
    DivisionByZero,
    Inexact,
    InvalidOperation,
    Overflow,
    localcontext,
)

from msgspec import Struct

from daemon.core.events import (
    BarsClosed,
    EquityMarked,
    HaltReason,
    HistoryLoaded,
    OrderFilled,
    PositionChanged,
    RunOpened,
    TradingHalted,
    TradingResumed,
)
from daemon.core.instruments import Instrument, InstrumentId
from daemon.core.orders import Side

ZERO = Decimal(0)
# Wide enough for every sum of products of an account, and a digit that is lost all the same raises.
EXACT = Context(prec=100, traps=[DivisionByZero, Inexact, InvalidOperation, Overflow])


def shares(capital: Decimal, held: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """The capital divided over accounts in proportion to what each holds, to the last digit.

    Where they hold at least the capital together, none is asked for more than it holds.
    """
    with localcontext(EXACT):
        total = sum(held.values(), ZERO)
        assert total >= capital, "more is divided than there is"
        lot = Decimal("1e-8")
        divided = {
            name: (capital * amount // (total * lot)) * lot if total else ZERO
            for name, amount in held.items()
        }
        # What rounding left goes where most is left over.
        roomiest = max(held, key=lambda name: (held[name] - divided[name], name))
        divided[roomiest] += capital - sum(divided.values(), ZERO)
    return divided


class Position(Struct, kw_only=True):
    """What the bot itself bought (positive) or sold short (negative) of one instrument."""

    quantity: Decimal = ZERO
    average_price: Decimal = ZERO
    trip_cash: Decimal = ZERO  # cash flow of this round trip, fees in quote included
    trip_entry_notional: Decimal = ZERO
    is_trip: bool = False  # it has been a lot or more since it was last flat
    closed_return: float | None = None  # of the round trip that the newest fill ended


class Book:
    """Cash, positions and marks of the allotted capital; changed by `apply_*` only."""

    def __init__(self) -> None:
        self.instruments: dict[InstrumentId, Instrument] = {}
        self.allotted = ZERO
        self.cash = ZERO
        self._cash_on: dict[str, Decimal] = {}  # the same cash by the exchange it lies on
        self.fees = ZERO  # all fees valued in quote
        self.foreign_fees: dict[str, Decimal] = {}  # fees in a third currency, not part of equity
        self.positions: dict[InstrumentId, Position] = {}
        self.marks: dict[InstrumentId, Decimal] = {}
        self.marked_ns: dict[InstrumentId, int] = {}
        self.previous_marks: dict[InstrumentId, Decimal] = {}
        self.peak = ZERO
        self._is_drawdown_halted = False
        self.round_trips = 0
        self.returns: list[float] = []

    # --- reading ------------------------------------------------------------------------------

    def position(self, instrument: InstrumentId) -> Position:
        return self.positions.get(instrument) or Position()

    def cash_on(self, exchange: str) -> Decimal:
        """What may be spent there: the exchange's share of the allotted capital and what came of
        it; money does not move between exchanges by itself.
        """
        return self._cash_on.get(exchange, ZERO)

    def notional(self, instrument: InstrumentId) -> Decimal:
        """Signed value of the position at its mark, quote units."""
        position = self.positions.get(instrument)
        if position is None or not position.quantity:
            return ZERO
        return position.quantity * self.marks.get(instrument, position.average_price)

    @property
    def equity(self) -> Decimal:
        return self.cash + sum(self._notionals(), ZERO)

    @property
    def gross_notional(self) -> Decimal:
        return sum(map(abs, self._notionals()), ZERO)

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
        equity = self.equity
        peak = max(self.peak, equity)
        return float(1 - equity / peak) if peak > 0 else 1.0

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

    def _notionals(self) -> list[Decimal]:
        """Of what is held; every signal asks for their sums, so it is kept short."""
        marks = self.marks
        return [
            position.quantity * marks.get(each, position.average_price)
            for each, position in self.positions.items()
            if position.quantity
        ]

    # --- applying -----------------------------------------------------------------------------

    def apply_run_opened(self, event: RunOpened) -> None:
        self.instruments = {each.id: each for each in event.instruments}
        self.allotted = self.cash = self.peak = event.allotted_quote
        self._cash_on = {each.exchange: each.allotted_quote for each in event.each_account()}

    def apply_history_loaded(self, event: HistoryLoaded) -> None:
        for bar in event.bars:
            self._mark(bar.instrument, bar.close, bar.close_ns)

    def apply_bars_closed(self, event: BarsClosed) -> None:
        for bar in event.bars:
            self._mark(bar.instrument, bar.close, bar.close_ns)

    def apply_equity_marked(self, event: EquityMarked) -> None:
        self.peak = event.peak_quote

    def apply_trading_halted(self, event: TradingHalted) -> None:
        self._is_drawdown_halted |= event.reason is HaltReason.DRAWDOWN

    def apply_trading_resumed(self, _event: TradingResumed) -> None:
        # After a drawdown halt the operator accepted that loss and it is measured from here on; a
        # resume from any other halt must not wear the limit away.
        if self._is_drawdown_halted:
            self._is_drawdown_halted = False
            self.peak = self.equity

    def apply_order_filled(self, event: OrderFilled) -> None:
        instrument = self.instruments[event.instrument]
        position = self.positions.setdefault(event.instrument, Position())
        self.marks.setdefault(event.instrument, event.price)
        before = position.quantity
        with localcontext(EXACT):
            value = event.price * event.quantity
            is_buy = event.side is Side.BUY
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
            self._cash_on[instrument.id.exchange] += cash
            position.trip_cash += cash
            position.quantity += change
            if abs(position.quantity) > abs(before):
                position.trip_entry_notional += value
        self._average(position, before, event.price)
        self._end_trip(position, instrument)

    def apply_position_changed(self, event: PositionChanged) -> None:
        if event.closed_return_ratio is not None:
            self.round_trips += 1
            self.returns.append(event.closed_return_ratio)

    def closed_return(self, instrument: InstrumentId) -> float | None:
        """Net return of the round trip that the newest fill ended, as a fraction of its entries.

        A round trip ends when the position is back under one lot; what is left is valued at its
        mark, and the next round trip begins by taking it over at that price. None while it is open.
        """
        return self.position(instrument).closed_return

    def _mark(self, instrument: InstrumentId, close: float, close_ns: int) -> None:
        known = self.marks.get(instrument)
        if known is not None:
            self.previous_marks[instrument] = known
        self.marks[instrument] = Decimal(repr(close))
        self.marked_ns[instrument] = close_ns

    @staticmethod
    def _average(position: Position, before: Decimal, price: Decimal) -> None:
        after = position.quantity
        if not after:
            position.average_price = ZERO
        elif before == 0 or (before > 0) != (after > 0):
            position.average_price = price  # new, or turned through zero
        elif abs(after) > abs(before):
            total = before * position.average_price + (after - before) * price
            position.average_price = total / after

    def _end_trip(self, position: Position, instrument: Instrument) -> None:
        position.closed_return = None
        if abs(position.quantity) >= instrument.lot:
            position.is_trip = True
        elif position.is_trip:
            left = position.quantity * self.marks[instrument.id]
            gained = position.trip_cash + left
            position.closed_return = float(gained / position.trip_entry_notional)
            position.is_trip = False
            position.trip_cash = -left
            position.trip_entry_notional = ZERO
