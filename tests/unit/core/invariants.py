"""What must hold after every step, whatever the market and the venue do.

Belongs here: an account of its own, kept from what the venue told and from nothing else, and the
rules that the core is held against. What may happen belongs to `simulation`.
"""

from collections import defaultdict
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Any

import pytest

from daemon.app import Core
from daemon.config import RiskSection
from daemon.core import events as e
from daemon.core.instruments import InstrumentId
from daemon.core.orders import TERMINAL, Leg, OrderState, Side
from daemon.core.pipeline import Step
from daemon.core.positions import EXACT
from tests.unit.core.entry_rules import EntryRules
from tests.unit.core.simulation import ACCOUNTS, INSTRUMENTS

if TYPE_CHECKING:
    from collections.abc import Callable

EXIT_DENIALS = {
    e.DenyReason.NOT_RECONCILED,  # only beside orders of ours that the books do not know
    e.DenyReason.ORDER_OPEN,
    e.DenyReason.UNRESOLVED_ORDER,
    e.DenyReason.NOTHING_TO_CLOSE,
    e.DenyReason.BELOW_MINIMUM,
    e.DenyReason.NO_QUOTE,  # only of one whose question was lost: it is asked again
}
ENDS = (e.OrderRefused, e.OrderNotSent, e.OrderAbsent, e.OrderCompleted)
DAY_NS = 86_400 * 1_000_000_000
ROUNDING = 1 + Decimal("1e-12")


class Ledger:
    """What an account holds by the venue's own words, each trade once, exact.

    `balances` are those of the accounts, of whatever is there; `held` and `spendable` divide them
    into positions and what is left to buy with. Swaps are booked as if they were paid in full.
    """

    def __init__(self, reporting: str) -> None:
        self.reporting = reporting
        self.balances = defaultdict(
            Decimal,
            {
                (account.exchange, each.currency): each.total
                for account in ACCOUNTS
                for each in account.allotted
            },
        )
        self.spendable = dict(self.balances)
        self.held: defaultdict[InstrumentId, Decimal] = defaultdict(Decimal)
        self.marks: dict[InstrumentId, Decimal] = {}
        self.marked_ns: dict[InstrumentId, int] = {}
        self.trades: set[tuple[str, str]] = set()
        self.filled: defaultdict[str, Decimal] = defaultdict(Decimal)

    @property
    def equity(self) -> Decimal:
        cash = sum(self.value(amount, each[1]) for each, amount in self.spendable.items())
        return cash + sum(map(self.notional, INSTRUMENTS), Decimal(0))

    def notional(self, instrument: InstrumentId) -> Decimal:
        """In the reporting currency."""
        value = self.held[instrument] * self.marks.get(instrument, Decimal(0))
        return self.value(value, INSTRUMENTS[instrument].quote)

    def value(self, amount: Decimal, currency: str) -> Decimal:
        """There are two currencies, and bitcoin is priced on two exchanges: the newest counts."""
        if currency == self.reporting:
            return amount
        listed = [each for each in INSTRUMENTS if each.symbol == "BTC/USDT"]
        rate = self.marks[max(listed, key=lambda each: self.marked_ns[each])]
        return amount * rate if self.reporting == "USDT" else amount / rate

    def marks_to(self, event: e.BarsClosed | e.HistoryLoaded) -> None:
        for bar in event.bars:
            self.marks[bar.instrument] = Decimal(repr(bar.close))
            self.marked_ns[bar.instrument] = bar.close_ns

    def hears(self, report: e.OrderReported, order: e.OrderIntended) -> None:
        sign = 1 if order.side is Side.BUY else -1
        instrument = INSTRUMENTS[order.instrument]
        for fill in report.fills:
            if (report.client_order_id, fill.trade_id) in self.trades:
                continue
            self.trades.add((report.client_order_id, fill.trade_id))
            self.filled[report.client_order_id] += fill.quantity
            there = order.instrument.exchange
            with localcontext(EXACT):
                if not instrument.is_swap:
                    self.balances[there, instrument.base] += sign * fill.quantity
                self.balances[there, instrument.quote] -= sign * fill.quantity * fill.price
                self.balances[there, fill.fee_currency] -= fill.fee
                self.held[order.instrument] += sign * fill.quantity
                self.spendable[there, instrument.quote] -= sign * fill.quantity * fill.price
                if fill.fee_currency == instrument.base and not instrument.is_swap:
                    self.held[order.instrument] -= fill.fee
                elif (there, fill.fee_currency) in self.spendable:
                    self.spendable[there, fill.fee_currency] -= fill.fee

    def swaps(self, event: e.FundingCharged | e.PositionLiquidated) -> None:
        """What a swap pays or costs without an order; nothing without a position."""
        held, there = self.held[event.instrument], (event.instrument.exchange, "USDT")
        if not held:
            return
        with localcontext(EXACT):
            if isinstance(event, e.FundingCharged):
                paid = -held * event.price * event.rate
            else:
                paid = held * event.price - event.fee
                self.held[event.instrument] -= held
            self.balances[there] += paid
            self.spendable[there] += paid


class Invariants:
    """Held against every step of one story."""

    def __init__(self, core: Core, config: RiskSection) -> None:
        self._core = core
        self._config = config
        self._ledger = Ledger(config.reporting_currency)
        self._intents: dict[str, e.OrderIntended] = {}
        self._open: dict[str, e.OrderIntended] = {}
        self._promised: dict[InstrumentId, e.OrderApproved] = {}  # approved, not yet worked off
        self._children: dict[InstrumentId, list[str]] = {}  # of what is promised
        self._is_routed = False
        self._sent: set[str] = set()
        self._states: dict[str, OrderState] = {}
        self._approved: set[tuple[InstrumentId, int]] = set()
        self._halts: set[e.HaltReason] = set()
        self._is_reconciled = False
        self._stale: set[InstrumentId] = set()
        self._lost: set[str] = set()
        self._today: tuple[int, Decimal] = (-1, Decimal(0))
        self._quote: e.Quote | None = None
        self._peak = Decimal(0)
        self._must_halt = False
        self._overfilled = set[str]()
        self._entry_rules = EntryRules(config)

    def hold(self, step: Step) -> None:
        """Raise AssertionError when the step, or what the core has become, breaks a rule."""
        first = step.events[0]
        if isinstance(first, e.OrderReported) and first.client_order_id in self._intents:
            self._ledger.hears(first, self._intents[first.client_order_id])
        for event in step.events:
            self._see(event)
        self._commands_follow_their_intents(step)
        self._books_close()
        self._orders_only_move_on()
        self._halts_are_latched()

    def at_rest(self, executed: dict[str, Decimal], resting: set[str]) -> None:
        """Every answer has arrived: only stops behind positions are open, and what the venue
        executed is booked.
        """
        blotter, book = self._core.blotter, self._core.book
        assert {each.client_order_id for each in blotter.all_open()} == resting
        for order in blotter.all_open():
            assert order.leg is Leg.STOP
            assert order.leaves_quantity <= abs(book.position(order.instrument).quantity)
        assert blotter.parents == {}
        booked = {
            each.client_order_id: each.filled_quantity
            for each in self._core.blotter.orders.values()
            if each.filled_quantity
        }
        assert booked == {each: quantity for each, quantity in executed.items() if quantity}

    # --- one event ----------------------------------------------------------------------------

    def _see(self, event: e.Event) -> None:
        self._entry_rules.see(event)
        looks: dict[type[e.Event], Callable[[Any], object]] = {
            e.BarsClosed: self._closes,
            e.HistoryLoaded: self._closes,
            e.TradingHalted: lambda halt: self._halts.add(halt.reason),
            e.TradingResumed: self._resumes,
            e.RunOpened: self._opens,
            e.Started: self._starts,
            e.Reconciled: self._reconciles,
            e.FeedStale: lambda feed: self._stale.add(feed.instrument),
            e.FeedRecovered: lambda feed: self._stale.discard(feed.instrument),
            e.ExchangeLost: lambda lost: self._lost.add(lost.exchange),
            e.ExchangeBack: lambda back: self._lost.discard(back.exchange),
            e.QuotesTaken: self._quotes,
            e.FundingCharged: self._ledger.swaps,
            e.PositionLiquidated: self._ledger.swaps,
            e.EquityMarked: self._marks,
            e.OrderApproved: self._approval,
            e.OrderDenied: self._denial,
            e.OrderIntended: self._intent,
            e.ParentEnded: lambda end: self._promised.pop(self._key(end.instrument), None),
            **dict.fromkeys(ENDS, lambda end: self._open.pop(end.client_order_id, None)),
        }
        if look := looks.get(type(event)):
            look(event)

    def _closes(self, event: e.BarsClosed | e.HistoryLoaded) -> None:
        self._ledger.marks_to(event)

    def _resumes(self, _event: e.TradingResumed) -> None:
        # Only whoever ends a drawdown halt has accepted that loss.
        if e.HaltReason.DRAWDOWN in self._halts:
            self._peak = self._ledger.equity
        self._halts.clear()
        self._must_halt = False

    def _opens(self, event: e.RunOpened) -> None:
        self._is_routed = event.is_routed

    def _starts(self, _event: e.Started) -> None:
        self._is_reconciled = False
        self._stale.clear()
        self._lost.clear()

    def _reconciles(self, event: e.Reconciled) -> None:
        self._is_reconciled = event.is_clean

    def _quotes(self, event: e.QuotesTaken) -> None:
        self._quote = event.best(Side.BUY)  # only entries are held to it

    def _denial(self, event: e.OrderDenied) -> None:
        if event.direction is e.Direction.FLAT:
            assert event.reason in EXIT_DENIALS, "only these stand in the way of an exit"

    def _approval(self, event: e.OrderApproved) -> None:
        decision = (event.instrument, event.close_ns)
        if not event.is_exit:
            assert decision not in self._approved, "one entry per instrument and bar"
            self._approved.add(decision)
        others = {
            each.instrument
            for each in self._open.values()
            if each.leg is not Leg.STOP and each.instrument in self._group(event.instrument)
        }
        if event.is_exit and others:  # of unknown fate, on another exchange than what is left
            held = {each for each in self._group(event.instrument) if self._ledger.held[each]}
            assert held - others, "no exit beside an order that is open or unresolved"
        else:
            assert not others, "no order beside one that is open or unresolved"
        if event.is_exit:
            self._exit(event)
        else:
            self._entry(event)
        self._promised[self._key(event.instrument)] = event
        self._children[self._key(event.instrument)] = []

    def _exit(self, event: e.OrderApproved) -> None:
        book = self._core.book  # what it has set aside as dust is no position
        held = sum(
            (
                self._ledger.held[each] - book.position(each).dust
                for each in self._group(event.instrument)
            ),
            Decimal(0),
        )
        change = event.quantity if event.side is Side.BUY else -event.quantity
        assert abs(held + change) < abs(held), "an exit makes the position smaller"
        assert (held + change) * held >= 0, "an exit does not turn a position round"

    def _entry(self, event: e.OrderApproved) -> None:
        ledger, config = self._ledger, self._config
        assert self._halts == set(), "a halted book opens nothing"
        assert self._is_reconciled, "nothing is opened before the books agree"
        assert event.instrument not in self._stale, "nothing is opened on a stale feed"
        group = self._group(event.instrument)
        exchanges = {each.exchange for each in group}
        assert not exchanges <= self._lost, "nothing is opened where nobody answers"
        is_swap, is_long = INSTRUMENTS[event.instrument].is_swap, event.side is Side.BUY
        assert is_long or is_swap, "spot cannot be short"
        self._entry_into_the_book(event)
        equity = ledger.equity
        self._entry_rules.hold(event, group, equity)
        pending = {each: self._pending(each) for each in INSTRUMENTS}
        quote = INSTRUMENTS[event.instrument].quote
        value = ledger.value(event.quantity * event.decision_price, quote)
        here = sum(abs(ledger.notional(each)) + pending[each] for each in group) + value
        gross = sum(abs(ledger.notional(each)) + pending[each] for each in INSTRUMENTS) + value
        assert here <= Decimal(repr(config.max_position_ratio)) * equity * ROUNDING
        assert gross <= Decimal(repr(config.max_gross_exposure_ratio)) * equity * ROUNDING
        assert value <= config.max_order_notional_quote * ROUNDING
        if config.max_net_exposure_ratio:
            sign = 1 if is_long else -1
            net = sum(ledger.notional(each) * sign for each in INSTRUMENTS) + value
            net += sum(
                pending[each]
                for each in INSTRUMENTS
                if pending[each] and (self._promised[self._key(each)].side is Side.BUY) is is_long
            )
            assert net <= Decimal(repr(config.max_net_exposure_ratio)) * equity * ROUNDING
        if config.max_day_notional_quote:
            day, ordered = self._today
            ordered = ordered if day >= event.ts_ns // DAY_NS else Decimal(0)
            assert ordered + value <= config.max_day_notional_quote * ROUNDING
        if config.allocation != "shared":
            symbol = event.instrument.symbol
            share = Decimal(1) / len({each.symbol for each in INSTRUMENTS})
            if isinstance(config.allocation, dict):
                share = Decimal(repr(config.allocation[symbol]))
            same = [each for each in INSTRUMENTS if each.symbol == symbol]
            having = sum(abs(ledger.notional(each)) + pending[each] for each in same) + value
            assert having <= share * equity * ROUNDING, "no symbol takes another's share"
        purses = {(each, quote) for each in exchanges}
        there = sum(
            amount * self._margin(each)
            for each, amount in pending.items()
            if (each.exchange, INSTRUMENTS[each].quote) in purses
        )
        money = sum((self._free(*each) for each in purses), Decimal(0))
        spendable = ledger.value(money, quote)
        value *= self._margin(event.instrument)
        assert there + value <= spendable * ROUNDING, "no exchange pays for another"

    def _margin(self, instrument: InstrumentId) -> Decimal:
        """What of a notional has to be there."""
        is_swap = INSTRUMENTS[instrument].is_swap
        return 1 / Decimal(repr(self._config.max_leverage)) if is_swap else Decimal(1)

    def _free(self, exchange: str, currency: str) -> Decimal:
        """What is left of a purse once every swap has its margin."""
        owed = self._owed(exchange, currency)
        margins = sum(map(abs, owed)) / Decimal(repr(self._config.max_leverage))
        return self._ledger.spendable[exchange, currency] + sum(owed) - margins

    def _owed(self, exchange: str, currency: str) -> list[Decimal]:
        return [
            position.owed
            for each, position in self._core.book.positions.items()
            if (each.exchange, INSTRUMENTS[each].quote) == (exchange, currency)
        ]

    def _entry_into_the_book(self, event: e.OrderApproved) -> None:
        quote, config = self._quote, self._config
        assert quote is not None
        assert quote.instrument in self._group(event.instrument), "the book that was asked for"
        bid, ask = quote.best(Side.SELL), quote.best(Side.BUY)
        assert bid is not None
        assert ask is not None
        if config.max_spread_bps:
            assert (ask / bid - 1) * 10_000 <= Decimal(repr(config.max_spread_bps))
        if config.max_depth_ratio:
            shown = sum(price * quantity for price, quantity in quote.side(event.side))
            most = shown * Decimal(repr(config.max_depth_ratio))
            assert event.quantity * event.decision_price <= most * ROUNDING

    def _pending(self, instrument: InstrumentId) -> Decimal:
        promised = self._promised.get(instrument)  # what is routed counts once
        if promised is None or promised.is_exit:
            return Decimal(0)
        value = self._left_of(promised) * promised.decision_price
        return self._ledger.value(value, INSTRUMENTS[instrument].quote)

    def _left_of(self, promised: e.OrderApproved) -> Decimal:
        """What of an approval has not come about yet, sent or not."""
        filled = sum(
            (self._ledger.filled[each] for each in self._children[self._key(promised.instrument)]),
            Decimal(0),
        )
        return max(Decimal(0), promised.quantity - filled)

    def _group(self, instrument: InstrumentId) -> list[InstrumentId]:
        """All that an order for it may go to, the one that stands for them first."""
        if not self._is_routed:
            return [instrument]
        return [each for each in INSTRUMENTS if each.symbol == instrument.symbol]

    def _key(self, instrument: InstrumentId) -> InstrumentId:
        return self._group(instrument)[0]

    def _intent(self, event: e.OrderIntended) -> None:
        instrument = INSTRUMENTS[event.instrument]
        assert event.client_order_id not in self._intents, "an id is intended once"
        assert event.quantity.is_finite()
        assert event.quantity > 0
        assert event.quantity % instrument.lot == 0, "whole lots"
        beside = [each for each in self._open.values() if each.instrument == event.instrument]
        if event.leg is Leg.STOP:
            assert [each for each in beside if each.is_exit] == [], "one order sells at a time"
            self._reduces(event)
        else:
            assert [each for each in beside if each.leg is not Leg.STOP] == [], (
                "one child at a time"
            )
            key = self._key(event.instrument)
            beside_it = sum(
                (
                    each.quantity - self._ledger.filled[each.client_order_id]
                    for each in self._open.values()
                    if each.leg is event.leg and self._key(each.instrument) == key
                ),
                Decimal(0),
            )
            assert event.quantity <= self._left_of(self._promised[key]) - beside_it
            self._children[key].append(event.client_order_id)
            if event.leg is Leg.ENTRY:
                assert self._halts == set(), "what was approved before a halt goes no further"
                assert event.instrument.exchange not in self._lost
                assert event.instrument not in self._stale
        if event.leg is Leg.EXIT:
            assert beside == [], "nothing is sold that a stop may sell"
            self._reduces(event)
        if event.leg is Leg.ENTRY:
            day, ordered = self._today
            today = max(day, event.ts_ns // DAY_NS)
            ordered = ordered if today == day else Decimal(0)
            value = event.quantity * event.decision_price
            self._today = today, ordered + self._ledger.value(value, instrument.quote)
        self._intents[event.client_order_id] = event
        self._open[event.client_order_id] = event

    def _reduces(self, event: e.OrderIntended) -> None:
        held = self._ledger.held[event.instrument]
        assert (held > 0) is (event.side is Side.SELL)
        assert event.quantity <= abs(held), "nobody sells more than is held"

    def _marks(self, event: e.EquityMarked) -> None:
        assert event.equity_quote == pytest.approx(self._ledger.equity, rel=Decimal("1e-20"))
        assert event.peak_quote * ROUNDING >= self._peak, "the peak never falls by itself"
        assert event.drawdown_ratio >= 0.0
        self._peak = event.peak_quote
        self._must_halt |= event.drawdown_ratio >= self._config.max_drawdown_ratio

    # --- the whole core -----------------------------------------------------------------------

    def _commands_follow_their_intents(self, step: Step) -> None:
        intended = [each for each in step.events if isinstance(each, e.OrderIntended)]
        submitted = [each for each in step.commands if isinstance(each, e.SubmitOrder)]
        for intent, command in zip(intended, submitted, strict=True):
            assert intent.client_order_id == command.client_order_id
            assert intent.quantity == command.quantity
            assert command.client_order_id not in self._sent, "no intent is sent twice"
            self._sent.add(command.client_order_id)

    def _books_close(self) -> None:
        book, ledger = self._core.book, self._ledger
        for there, balance in ledger.balances.items():
            assert self._owned(*there) == balance, "start, fills and fees are what is there"
        with localcontext(EXACT):
            full = {each: book.cash_on(*each) - sum(self._owed(*each)) for each in ledger.spendable}
        assert full == ledger.spendable
        for instrument in INSTRUMENTS:
            assert book.position(instrument).all_quantity == ledger.held[instrument]
        if not book.is_valued:
            return
        with localcontext(EXACT) as context:
            context.traps = dict.fromkeys(context.traps, False)
            profit = ledger.equity - book.allotted
            paper = sum(
                ledger.value(
                    each.worth(book.marks[instrument]) - each.cost_quote,
                    INSTRUMENTS[instrument].quote,
                )
                for instrument, each in book.positions.items()
            )
            gap = book.realized + paper + book.revaluation - profit
            assert abs(gap) < Decimal("1e-15")

    def _owned(self, exchange: str, currency: str) -> Decimal:
        """All that the book has of a currency there: cash, positions, dust, and what fees took."""
        book, there = self._core.book, (exchange, currency)
        with localcontext(EXACT):
            return sum(
                (
                    position.quantity + position.dust
                    for each, position in book.positions.items()
                    if (each.exchange, INSTRUMENTS[each].base) == there
                    and not INSTRUMENTS[each].is_swap
                ),
                book.cash.get(there, Decimal(0)) + book.others.get(there, Decimal(0)),
            ) - sum(self._owed(*there))

    def _orders_only_move_on(self) -> None:
        for client_order_id, order in self._core.blotter.orders.items():
            before = self._states.get(client_order_id, OrderState.INTENDED)
            if before in TERMINAL and order.state is not before:
                assert order.state is OrderState.ADOPTED, f"{before} came back to life"
            self._states[client_order_id] = order.state

    def _halts_are_latched(self) -> None:
        assert set(self._core.risk.halted) == self._halts
        assert e.HaltReason.DRAWDOWN in self._halts or not self._must_halt
        self._must_halt = False
        overfilled = {
            order
            for order, quantity in self._ledger.filled.items()
            if quantity > self._intents[order].quantity
        }
        assert e.HaltReason.OVERFILL in self._halts or overfilled == self._overfilled
        self._overfilled = overfilled
