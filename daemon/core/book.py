"""The account kept from fills and closes: cash, positions, equity, peak, round trips, all exact.

Belongs here: arithmetic of money that several layers read. Limits on it belong to risk, a single
position to `positions`, exchange rates to `currencies`.
"""

from decimal import Decimal, localcontext

from msgspec import Struct

from daemon.core.cash import Cash
from daemon.core.currencies import Rate
from daemon.core.events import (
    BarsClosed,
    DustSetAside,
    EquityMarked,
    FundingCharged,
    HaltReason,
    HistoryLoaded,
    OrderFilled,
    PositionChanged,
    PositionLiquidated,
    RulesChanged,
    RunOpened,
    TradingHalted,
    TradingResumed,
)
from daemon.core.instruments import Instrument, InstrumentId
from daemon.core.orders import Side
from daemon.core.positions import EXACT, ZERO, Position
from daemon.core.prices import Prices

RATE_AGE_BARS = 3  # an exchange rate older than so many bars values nothing that is to be risked


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
        self._money = Cash()
        self.cash, self.others = self._money.on, self._money.others  # by exchange and currency
        self.fees = ZERO  # valued when they were paid
        self.funding = ZERO  # received for swaps, negative when it was paid; likewise
        self.foreign_fees: dict[str, Decimal] = {}  # those that nothing could value
        self.positions: dict[InstrumentId, Position] = {}
        self._held: dict[InstrumentId, Position] = {}  # those of which there is anything
        self.symbols: dict[str, list[InstrumentId]] = {}  # wherever they are listed
        self.rate_age_max_ns = 0
        self.leverage = Decimal(1)  # of swaps, each of which has a margin of its own
        self._prices = Prices()
        self.marks, self.marked_ns = self._prices.marks, self._prices.marked_ns
        self.previous_marks = self._prices.previous_marks
        self.peak = ZERO
        self.allotted = ZERO  # worth of the capital when it could first be valued
        self.round_trips = 0
        self.returns: list[float] = []
        self._allotted_on: dict[str, Decimal] = {}  # by exchange, valued as `allotted` is
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

    def margin_ratio(self, instrument: InstrumentId) -> Decimal:
        """What one unit of its notional ties up of the quote currency, in units of it."""
        return 1 / self.leverage if self.instruments[instrument].is_swap else Decimal(1)

    def free_on(self, exchange: str, currency: str) -> Decimal:
        """What new entries may tie up there: cash less the margin of every swap that is held."""
        tied_up = (
            abs(position.owed) / self.leverage
            for each, position in self._held.items()
            if position.owed
            and each.exchange == exchange
            and self.instruments[each].quote == currency
        )
        return self.cash_on(exchange, currency) - sum(tied_up, ZERO)

    def notional(self, instrument: InstrumentId) -> Decimal:
        """Signed value of the position at its mark, quote units; dust is a part of it."""
        position = self.positions.get(instrument)
        if position is None:
            return ZERO
        return position.all_quantity * self._mark_of(instrument, position)

    def exposure(self, instrument: InstrumentId) -> Decimal:
        """The same in the reporting currency; what nothing can value is left out."""
        return self.value(self.notional(instrument), self.instruments[instrument].quote) or ZERO

    @property
    def reporting(self) -> str:
        """The currency in which sums are told."""
        return self._prices.reporting

    def value(self, amount: Decimal, currency: str) -> Decimal | None:
        return self._prices.value(amount, currency)

    def rate(self, currency: str) -> Rate | None:
        return self._prices.rate(currency)

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
                    for each, position in self._held.items()
                    if each.exchange == exchange and self._holds(each, currency)
                ),
                self.cash.get(there, ZERO) + self.others.get(there, ZERO),
            )

    def _holds(self, instrument: InstrumentId, currency: str) -> bool:
        """A swap is a promise, and holds no coin."""
        listed = self.instruments[instrument]
        return listed.base == currency and not listed.is_swap

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
        made = dict(self._money.totals)
        for each, position in self._held.items():
            made[self.instruments[each].quote] += position.cost_quote
        return sum(
            (
                self.value(amount - self._money.allotted[currency], currency) or ZERO
                for currency, amount in made.items()
            ),
            ZERO,
        )

    @property
    def revaluation(self) -> Decimal:
        """What exchange rates made of the allotted capital itself; 0 where it has one currency."""
        if not self._is_begun:
            return ZERO
        now = (self.value(amount, each) or ZERO for each, amount in self._money.allotted.items())
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
        money = self._money.all_on(exchange)
        cash = (self.value(amount, each) or ZERO for each, amount in money.items())
        held = (
            self.value(position.worth(self._mark_of(each, position)), self.instruments[each].quote)
            for each, position in self._held.items()
            if each.exchange == exchange
        )
        return sum(cash, ZERO) + sum((each or ZERO for each in held), ZERO)

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

    def _mark_of(self, instrument: InstrumentId, position: Position) -> Decimal:
        return self.marks.get(instrument, position.average_price)

    def _net(self) -> tuple[dict[str, Decimal], dict[str, Decimal]]:
        """Of what is held, by quote currency: sums of what it is worth, and of its sizes."""
        net: dict[str, Decimal] = {}
        gross: dict[str, Decimal] = {}
        for each, position in self._held.items():
            mark, quote = self._mark_of(each, position), self.instruments[each].quote
            net[quote] = net.get(quote, ZERO) + position.worth(mark)
            gross[quote] = gross.get(quote, ZERO) + abs(position.all_quantity * mark)
        return net, gross

    def _sum(self) -> Worth:
        net, gross = self._net()
        equity, exposed, missing = ZERO, ZERO, []
        there = [each for each, cash in self._money.totals.items() if cash or each in net]
        for currency in there:
            value = self.value(self._money.totals[currency] + net.get(currency, ZERO), currency)
            if value is None:
                missing.append(currency)
            else:
                equity += value
                exposed += self.value(gross.get(currency, ZERO), currency) or ZERO
        for (_, currency), amount in self.others.items():
            equity += self.value(amount, currency) or ZERO
        return Worth(equity, exposed, tuple(there), tuple(missing))

    # --- applying -----------------------------------------------------------------------------

    def apply_rules_changed(self, event: RulesChanged) -> None:
        self.instruments[event.instrument.id] = event.instrument

    def apply_run_opened(self, event: RunOpened) -> None:
        self.instruments = {each.id: each for each in event.instruments}
        self._money.open(event.allotted_by_account(), event.instruments)
        for each in event.instruments:
            self.symbols.setdefault(each.id.symbol, []).append(each.id)
        self.leverage = event.leverage
        self._prices.open(event.instruments, event.currency)
        self.rate_age_max_ns = RATE_AGE_BARS * event.timeframe_ns
        self._changed()

    def apply_history_loaded(self, event: HistoryLoaded) -> None:
        self._prices.mark(event.bars)
        self._changed()

    def apply_bars_closed(self, event: BarsClosed) -> None:
        self._prices.mark(event.bars)
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
            # What a swap changes is not the coin: only its profit is paid, and a fee in base is
            # one in a third asset.
            paid = position.realize(change, event.price) if instrument.is_swap else cash
            is_in_base = event.fee_currency == instrument.base and not instrument.is_swap
            if is_in_base:
                change, fee = change - fee, fee * event.price
            elif event.fee_currency == instrument.quote:
                cash, paid = cash - fee, paid - fee
        self._money.pay(instrument.id.exchange, instrument.quote, paid)
        if is_in_base or event.fee_currency == instrument.quote:
            self._paid(fee, instrument.quote)
        elif fee:
            cash -= self._other_fee(event, instrument.quote)
        position.fold(change, cash, value, event.price)
        position.end_trip(instrument.lot, self.marks[instrument.id])
        self._moved(event.instrument)

    def apply_funding_charged(self, event: FundingCharged) -> None:
        """What the exchange booked is paid even where the position has been closed since."""
        position, quote = self.position(event.instrument), self.instruments[event.instrument].quote
        if not position.quantity and event.amount is None:
            return
        with localcontext(EXACT):
            amount = event.amount
            if amount is None:
                amount = -position.quantity * event.price * event.rate
            if position.quantity:
                position.trip_cash += amount
        self._money.pay(event.instrument.exchange, quote, amount)
        self.funding += self.value(amount, quote) or ZERO
        self._changed()

    def apply_position_liquidated(self, event: PositionLiquidated) -> None:
        """The exchange took the position away: it is closed at that price, whatever it was."""
        position = self.positions.get(event.instrument)
        if position is None or not position.quantity:
            return
        instrument = self.instruments[event.instrument]
        change = -position.quantity
        with localcontext(EXACT):
            value = abs(change) * event.price
            cash = -change * event.price - event.fee
            paid = position.realize(change, event.price) - event.fee
        self._money.pay(instrument.id.exchange, instrument.quote, paid)
        self._paid(event.fee, instrument.quote)
        position.fold(change, cash, value, event.price)
        position.end_trip(instrument.lot, event.price)
        self._moved(event.instrument)

    def apply_dust_set_aside(self, event: DustSetAside) -> None:
        self.positions[event.instrument].set_aside(event.price)
        self._moved(event.instrument)

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

    def _moved(self, instrument: InstrumentId) -> None:
        position = self.positions[instrument]
        if position.quantity or position.dust or position.owed:
            self._held[instrument] = position
        else:
            self._held.pop(instrument, None)
        self._changed()

    def _changed(self) -> None:
        self._worth = self._sum()
        if not self._is_begun:
            value = [
                self.value(amount, each) for each, amount in self._money.allotted.items() if amount
            ]
            if None not in value:
                self._is_begun = True
                self.allotted = self.peak = sum((each for each in value if each is not None), ZERO)
                exchanges = {exchange for exchange, _ in self.cash}
                self._allotted_on = {each: self.equity_on(each) for each in sorted(exchanges)}

    def _paid(self, fee: Decimal, currency: str) -> Decimal:
        """Count a fee in the reporting currency, or beside it where no mark leads there."""
        value = self.value(fee, currency)
        if value is None:
            self.foreign_fees[currency] = self.foreign_fees.get(currency, ZERO) + fee
            return ZERO
        self.fees += value
        return value

    def _other_fee(self, event: OrderFilled, quote: str) -> Decimal:
        """A fee in a third asset, and its worth in the instrument's quote as far as marks tell."""
        self._money.charge(event.instrument.exchange, event.fee_currency, event.fee)
        value = self._paid(event.fee, event.fee_currency)
        per_unit = self.value(Decimal(1), quote)
        return value / per_unit if per_unit else ZERO
