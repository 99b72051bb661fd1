"""The account kept from fills and closes: cash, positions, equity, peak, round trips, all exact.

Belongs here: arithmetic of money that several layers read. Limits on it belong to risk, a single
position to `positions`, exchange rates to `currencies`.
"""

from collections.abc import Mapping
from decimal import Decimal, localcontext

from msgspec import Struct

from daemon.core.currencies import Rate, Rates
from daemon.core.events import (
    BarsClosed,
    DustSetAside,
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
from daemon.core.positions import EXACT, ZERO, Position

RATE_AGE_BARS = 3  # an exchange rate older than so many bars values nothing that is to be risked


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


class Worth(Struct, frozen=True, gc=False):
    """The account in the reporting currency, and the currencies it is made of; `missing` are those
    nobody can value yet.
    """

    equity: Decimal
    gross: Decimal
    currencies: tuple[str, ...]
    missing: tuple[str, ...]


class Book:
    """Cash, positions and marks of the allotted capital; changed by `apply_*` only.

    What the bot owns of a currency on an exchange is its cash there, its positions and dust in
    instruments of that base, and `others`: what was paid from assets that it was not allotted.
    Prices, costs and notionals of an instrument are in its quote; sums are in `reporting`.
    """

    def __init__(self) -> None:
        self.instruments: dict[InstrumentId, Instrument] = {}
        self.reporting = ""
        self.cash: dict[tuple[str, str], Decimal] = {}  # by exchange and currency
        self.others: dict[tuple[str, str], Decimal] = {}
        self.fees = ZERO  # valued when they were paid
        self.foreign_fees: dict[str, Decimal] = {}  # those that nothing could value
        self.positions: dict[InstrumentId, Position] = {}
        self.symbols: dict[str, list[InstrumentId]] = {}  # wherever they are listed
        self.rate_age_max_ns = 0
        self.marks: dict[InstrumentId, Decimal] = {}
        self.marked_ns: dict[InstrumentId, int] = {}
        self.previous_marks: dict[InstrumentId, Decimal] = {}
        self.peak = ZERO
        self.allotted = ZERO  # worth of the capital when it could first be valued
        self.round_trips = 0
        self.returns: list[float] = []
        self._allotted: dict[str, Decimal] = {}  # by currency
        self._allotted_on: dict[str, Decimal] = {}  # by exchange, valued as `allotted` is
        self._totals: dict[str, Decimal] = {}  # cash by currency, wherever it lies
        self._rates = Rates((), "")
        self._is_begun = False
        self._is_drawdown_halted = False
        # Every signal asks for it: summed once for all that come between two changes.
        self._worth = Worth(ZERO, ZERO, (), ())

    # --- reading: one instrument, one currency ------------------------------------------------

    def position(self, instrument: InstrumentId) -> Position:
        return self.positions.get(instrument) or Position()

    def cash_on(self, exchange: str, currency: str) -> Decimal:
        """What may be spent there: the exchange's share of the allotted capital and what came of
        it; money does not move between exchanges, nor between currencies, by itself.
        """
        return self.cash.get((exchange, currency), ZERO)

    def notional(self, instrument: InstrumentId) -> Decimal:
        """Signed value of the position at its mark, quote units; dust is a part of it."""
        position = self.positions.get(instrument)
        if position is None:
            return ZERO
        return self._notional(instrument, position)

    def exposure(self, instrument: InstrumentId) -> Decimal:
        """The same in the reporting currency; what nothing can value is left out."""
        return self.value(self.notional(instrument), self.instruments[instrument].quote) or ZERO

    def value(self, amount: Decimal, currency: str) -> Decimal | None:
        """The amount in the reporting currency; None where no mark leads there."""
        if currency == self.reporting:
            return amount
        rate = self.rate(currency)
        return None if rate is None else amount * rate.value

    def rate(self, currency: str) -> Rate | None:
        return self._rates.rate(currency, self.marks, self.marked_ns)

    def needed_rates(self, quote: str) -> tuple[str, ...]:
        """Currencies that must be valued before anything is risked in `quote`: it and all held."""
        return tuple(sorted({quote, *self._worth.currencies} - {self.reporting}))

    def owned(self, exchange: str, currency: str) -> Decimal:
        """All that is the bot's of a currency there, whatever it is booked as; exact."""
        there = exchange, currency
        with localcontext(EXACT):
            return sum(
                (
                    position.all_quantity
                    for each, position in self.positions.items()
                    if each.exchange == exchange and self.instruments[each].base == currency
                ),
                self.cash.get(there, ZERO) + self.others.get(there, ZERO),
            )

    # --- reading: the account in the reporting currency ---------------------------------------

    @property
    def equity(self) -> Decimal:
        return self._worth.equity

    @property
    def gross_notional(self) -> Decimal:
        return self._worth.gross

    @property
    def is_valued(self) -> bool:
        """False while something that is owned has no rate: equity is then not all there is."""
        return self._is_begun and not self._worth.missing

    @property
    def realized(self) -> Decimal:
        """Profit so far without the open positions' paper profit, net of fees, at today's rates."""
        made = dict(self._totals)
        for each, position in self.positions.items():
            made[self.instruments[each].quote] += position.cost_quote
        return sum(
            (
                self.value(amount - self._allotted[currency], currency) or ZERO
                for currency, amount in made.items()
            ),
            ZERO,
        )

    @property
    def revaluation(self) -> Decimal:
        """What exchange rates made of the allotted capital itself; 0 where it has one currency."""
        if not self._is_begun:
            return ZERO
        now = (self.value(amount, each) or ZERO for each, amount in self._allotted.items())
        return sum(now, ZERO) - self.allotted

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

    def equity_on(self, exchange: str) -> Decimal:
        """What lies on one exchange, valued as all of it is."""
        there = {each: amount for each, amount in self.cash.items() if each[0] == exchange}
        there |= {
            each: there.get(each, ZERO) + amount
            for each, amount in self.others.items()
            if each[0] == exchange
        }
        cash = (self.value(amount, each[1]) or ZERO for each, amount in there.items())
        held = (self.exposure(each) for each in self.positions if each.exchange == exchange)
        return sum(cash, ZERO) + sum(held, ZERO)

    def allotted_on(self, exchange: str) -> Decimal:
        """Its part of what was allotted."""
        return self._allotted_on.get(exchange, ZERO)

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

    def _notional(self, instrument: InstrumentId, position: Position) -> Decimal:
        return position.all_quantity * self.marks.get(instrument, position.average_price)

    def _net(self) -> tuple[dict[str, Decimal], dict[str, Decimal]]:
        """Notionals of what is held by quote currency: signed sums, and sums of their sizes."""
        net: dict[str, Decimal] = {}
        gross: dict[str, Decimal] = {}
        for each, position in self.positions.items():
            if position.quantity or position.dust:
                notional, quote = self._notional(each, position), self.instruments[each].quote
                net[quote] = net.get(quote, ZERO) + notional
                gross[quote] = gross.get(quote, ZERO) + abs(notional)
        return net, gross

    def _sum(self) -> Worth:
        net, gross = self._net()
        equity, exposed, missing = ZERO, ZERO, []
        there = [each for each, cash in self._totals.items() if cash or each in net]
        for currency in there:
            value = self.value(self._totals[currency] + net.get(currency, ZERO), currency)
            if value is None:
                missing.append(currency)
            else:
                equity += value
                exposed += self.value(gross.get(currency, ZERO), currency) or ZERO
        for (_, currency), amount in self.others.items():
            equity += self.value(amount, currency) or ZERO
        return Worth(equity, exposed, tuple(there), tuple(missing))

    # --- applying -----------------------------------------------------------------------------

    def apply_run_opened(self, event: RunOpened) -> None:
        self.instruments = {each.id: each for each in event.instruments}
        self.reporting = event.currency
        self.cash = event.allotted_by_account()
        for each in event.instruments:
            self.symbols.setdefault(each.id.symbol, []).append(each.id)
            self.cash.setdefault((each.id.exchange, each.quote), ZERO)
        for (_, currency), amount in self.cash.items():
            self._allotted[currency] = self._allotted.get(currency, ZERO) + amount
        self._totals = dict(self._allotted)
        self._rates = Rates(event.instruments, self.reporting)
        self.rate_age_max_ns = RATE_AGE_BARS * event.timeframe_ns
        self._changed()

    def apply_history_loaded(self, event: HistoryLoaded) -> None:
        for bar in event.bars:
            self._mark(bar.instrument, bar.close, bar.close_ns)
        self._changed()

    def apply_bars_closed(self, event: BarsClosed) -> None:
        for bar in event.bars:
            self._mark(bar.instrument, bar.close, bar.close_ns)
        self._changed()

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
        with localcontext(EXACT):
            value = event.price * event.quantity
            is_buy = event.side is Side.BUY
            change = event.quantity if is_buy else -event.quantity
            cash, fee = -value if is_buy else value, event.fee
            if event.fee_currency == instrument.base:
                change, fee = change - fee, fee * event.price
            elif event.fee_currency == instrument.quote:
                cash -= fee
        self._pay(instrument.id.exchange, instrument.quote, cash)
        if event.fee_currency in {instrument.base, instrument.quote}:
            self._paid(fee, instrument.quote)
        elif fee:
            cash -= self._other_fee(event, instrument.quote)
        position.fold(change, cash, value, event.price)
        position.end_trip(instrument.lot, self.marks[instrument.id])
        self._changed()

    def apply_dust_set_aside(self, event: DustSetAside) -> None:
        self.positions[event.instrument].set_aside(event.price)
        self._changed()

    def apply_position_changed(self, event: PositionChanged) -> None:
        if event.closed_return_ratio is not None:
            self.round_trips += 1
            self.returns.append(event.closed_return_ratio)

    def closed_return(self, instrument: InstrumentId) -> float | None:
        """Net return of the round trip that the newest change ended, as a fraction of its entries.

        A round trip ends when the position is back under one lot; what is left is valued at its
        mark, and the next round trip begins by taking it over at that price. None while it is open.
        """
        return self.position(instrument).closed_return

    def _changed(self) -> None:
        self._worth = self._sum()
        if not self._is_begun:
            value = [self.value(amount, each) for each, amount in self._allotted.items() if amount]
            if None not in value:
                self._is_begun = True
                self.allotted = self.peak = sum((each for each in value if each is not None), ZERO)
                exchanges = {exchange for exchange, _ in self.cash}
                self._allotted_on = {each: self.equity_on(each) for each in sorted(exchanges)}

    def _pay(self, exchange: str, currency: str, amount: Decimal) -> None:
        with localcontext(EXACT):
            self.cash[exchange, currency] += amount
            self._totals[currency] += amount

    def _paid(self, fee: Decimal, currency: str) -> Decimal:
        """Count a fee in the reporting currency, or beside it where no mark leads there."""
        value = self.value(fee, currency)
        if value is None:
            self.foreign_fees[currency] = self.foreign_fees.get(currency, ZERO) + fee
            return ZERO
        self.fees += value
        return value

    def _other_fee(self, event: OrderFilled, quote: str) -> Decimal:
        """A fee in a third asset: from what was allotted of it, else from a ledger of its own.

        What it was worth in the instrument's quote, as far as marks tell.
        """
        there = event.instrument.exchange, event.fee_currency
        if there in self.cash:
            self._pay(*there, -event.fee)
        else:
            with localcontext(EXACT):
                self.others[there] = self.others.get(there, ZERO) - event.fee
        value = self._paid(event.fee, event.fee_currency)
        per_unit = self.value(Decimal(1), quote)
        return value / per_unit if per_unit else ZERO

    def _mark(self, instrument: InstrumentId, close: float, close_ns: int) -> None:
        known = self.marks.get(instrument)
        if known is not None:
            self.previous_marks[instrument] = known
        self.marks[instrument] = Decimal(repr(close))
        self.marked_ns[instrument] = close_ns
