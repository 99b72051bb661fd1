"""Every event and command of the daemon, and their one text form for the journal.

Inputs enter through the queue, facts are decided inside a step, commands leave after the commit.
Belongs here: what may be said between parts. Meaning and handling belong to the layers.
All `ts_ns` are market time in ns UTC; all `*_quote` and quantities are Decimal; ratios are 0 to 1.
Amounts of the account (`equity_quote`, `fees_quote` ...) are in the reporting currency.
"""

from decimal import Decimal
from functools import reduce
from operator import or_
from typing import Any

import msgspec
from msgspec import Struct

from daemon.core.bars import Bar, BarRejectReason, BarSource, MissCause
from daemon.core.instruments import Instrument, InstrumentId, plain
from daemon.core.labels import LabelRule
from daemon.core.orders import Fill, Leg, OrderState, OrderType, Side
from daemon.core.reasons import (
    BoundBy as BoundBy,
)
from daemon.core.reasons import (
    CanaryReason as CanaryReason,
)
from daemon.core.reasons import (
    DenyReason as DenyReason,
)
from daemon.core.reasons import (
    Direction as Direction,
)
from daemon.core.reasons import (
    DropReason as DropReason,
)
from daemon.core.reasons import (
    FeaturesRefusedReason as FeaturesRefusedReason,
)
from daemon.core.reasons import (
    HaltReason as HaltReason,
)
from daemon.core.reasons import (
    HealthStatus as HealthStatus,
)
from daemon.core.reasons import (
    Outcome as Outcome,
)
from daemon.core.reasons import (
    ParentEnd as ParentEnd,
)
from daemon.core.reasons import (
    PolicyAction as PolicyAction,
)
from daemon.core.reasons import (
    PromotionReason as PromotionReason,
)
from daemon.core.reasons import (
    ReportSource as ReportSource,
)
from daemon.core.reasons import (
    RetrainReason as RetrainReason,
)
from daemon.core.reasons import (
    SignalReason as SignalReason,
)
from daemon.core.reasons import (
    SuppressReason as SuppressReason,
)
from daemon.core.reasons import (
    TradingState as TradingState,
)
from daemon.core.reasons import (
    TrainingFault as TrainingFault,
)
from daemon.core.reasons import (
    Trouble as Trouble,
)
from daemon.core.scores import SkillWindow, SymbolSkill, TradeFigures


class Event(Struct, frozen=True, kw_only=True, gc=False, tag=True):
    """Something that happened at `ts_ns`, market time."""

    ts_ns: int


class Input(Event, frozen=True, kw_only=True, gc=False, tag=True):
    """An event that enters from outside, through the queue."""


class Fact(Event, frozen=True, kw_only=True, gc=False, tag=True):
    """An event that a handler decided inside a step."""


class Command(Event, frozen=True, kw_only=True, gc=False, tag=True):
    """Something the edge shall do once the step is committed; commands are not journaled."""


# --- inputs -------------------------------------------------------------------------------------


class Balance(Struct, frozen=True, gc=False):
    currency: str
    total: Decimal


class AccountOpened(Struct, frozen=True, kw_only=True, gc=False):
    """One exchange of a run: whose bars and models, which account, and what it held at the start.

    `allotted` is its share of what the bot may use, by currency: entries on this exchange never
    spend more than that and what they have earned there. Where it is empty, `allotted_quote` is
    that of the one quote currency; else it is the part in the reporting currency.
    """

    exchange: str
    market: str
    market_key: str
    account: str
    allotted_quote: Decimal
    balances: tuple[Balance, ...]
    allotted: tuple[Balance, ...] = ()


class RunOpened(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """The first event of a journal: who trades what, with how much, on which account.

    With several exchanges `accounts` has one for each, and market, key, account and balances above
    are those of the first; with one exchange it is empty. Equity is told in the reporting currency,
    which is the one quote currency where it is empty; `allotted` is as in AccountOpened.
    """

    run: str
    bot: str
    mode: str
    market: str
    market_key: str = ""  # whose bars and models these are
    account: str
    timeframe: str
    timeframe_ns: int
    instruments: tuple[Instrument, ...]
    allotted_quote: Decimal
    balances: tuple[Balance, ...]
    config_hash: str
    first_open_ns: int  # open of the first slot that is streamed
    end_ns: int | None  # close of the last slot of the run, None when endless
    accounts: tuple[AccountOpened, ...] = ()
    is_routed: bool = False  # whether orders go wherever the instrument is listed
    reporting_currency: str = ""
    allotted: tuple[Balance, ...] = ()
    leverage: Decimal = Decimal(1)  # that swaps are held with, each with a margin of its own

    @property
    def currency(self) -> str:
        """The one in which equity is told."""
        return self.reporting_currency or self.instruments[0].quote

    def shown(self, amount: Decimal) -> str:
        """A sum of the account as text: exact, but for digits that a rate made, without meaning."""
        are_several = {each.quote for each in self.instruments} != {self.currency}
        return plain(round(amount, 8) if are_several else amount)

    def each_account(self) -> tuple[AccountOpened, ...]:
        """One for every exchange, whether there are several or one."""
        if self.accounts:
            return self.accounts
        only = AccountOpened(
            exchange=self.instruments[0].id.exchange,
            market=self.market,
            market_key=self.market_key,
            account=self.account,
            allotted_quote=self.allotted_quote,
            balances=self.balances,
            allotted=self.allotted,
        )
        return (only,)

    def allotted_by_account(self) -> dict[tuple[str, str], Decimal]:
        """What the bot may use, by exchange and currency."""
        quote = self.instruments[0].quote
        return {
            (account.exchange, each.currency): each.total
            for account in self.each_account()
            for each in account.allotted or (Balance(quote, account.allotted_quote),)
        }

    def account_on(self, exchange: str) -> AccountOpened:
        """What this run has on that exchange; KeyError when it has nothing there."""
        return {each.exchange: each for each in self.each_account()}[exchange]


class Payoff(Struct, frozen=True, kw_only=True, gc=False):
    """Average gross win and loss of trades in one direction, as fractions of the notional, out of
    sample.
    """

    win_ratio: float
    loss_ratio: float
    n: int


class ModelActivated(Input, frozen=True, kw_only=True, gc=False, tag=True):
    model: str
    feature_fingerprint: str
    feature_names: tuple[str, ...]
    horizon_bars: int
    trained_through_ns: int
    long_payoff: Payoff
    short_payoff: Payoff
    auc: float
    auc_low: float
    auc_high: float
    label: LabelRule = LabelRule()


class HistoryLoaded(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """Closed bars that fill the windows before the first decision; nothing is decided on them."""

    bars: tuple[Bar, ...]


class BarsClosed(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """A cross-section: at most one bar per instrument, ordered by instrument."""

    bars: tuple[Bar, ...]


class BarsMissed(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """Slots of the grid that will never have a bar, and why."""

    instrument: InstrumentId
    first_open_ns: int
    count: int
    cause: MissCause


class BarRejected(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """A candle that is not believed: what came, what is wrong with it, and of which slot it spoke.

    `open_ns` is None where the candle has no readable time.
    """

    instrument: InstrumentId
    reason: BarRejectReason
    raw: str
    detail: str = ""
    open_ns: int | None = None
    source: BarSource | None = None


class BarRevised(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """The venue changed a bar after we had believed it; decisions made on it stand."""

    bar: Bar
    was: Bar


class FeedStale(Input, frozen=True, kw_only=True, gc=False, tag=True):
    instrument: InstrumentId
    silent_s: float
    action: str


class FeedRecovered(Input, frozen=True, kw_only=True, gc=False, tag=True):
    instrument: InstrumentId


class ClockChecked(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """An exchange's wire clock was measured against ours, and the trust in ours changed by it."""

    exchange: str
    is_trusted: bool
    offset_ms: float | None  # exchange minus this machine; None: it could not be measured
    error_ms: float | None  # how wrong that may be
    limit_ms: float


class DiskChecked(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """The room on the disk of the state was measured, and whether it is enough changed by it.

    What is decided must be written: entries stop before that fails.
    """

    is_enough: bool
    free_megabytes: int
    limit_megabytes: int


class KeyChecked(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """An exchange was asked what the key of a live account may do, and it may be used.

    `remarks` are for a person; that its rights could not be verified and were accepted is one.
    """

    exchange: str
    remarks: tuple[str, ...] = ()


class ExchangeLost(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """An exchange is not reached any more; nothing is opened there until it is."""

    exchange: str
    error: str


class ExchangeBack(Input, frozen=True, kw_only=True, gc=False, tag=True):
    exchange: str


class ListingChanged(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """The exchange stopped or began to trade an instrument."""

    instrument: InstrumentId
    is_tradable: bool
    detail: str


class RulesChanged(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """The exchange changed the steps or limits of an instrument; `detail` says which."""

    instrument: Instrument
    detail: str


class OrderReported(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """What a venue said about one of our orders, in reply, on its stream or when asked."""

    client_order_id: str
    outcome: Outcome
    source: ReportSource
    state: OrderState | None = None  # ACCEPTED, PARTLY_FILLED, FILLED, CANCELED or EXPIRED
    venue_order_id: str | None = None
    filled_quantity: Decimal | None = None
    fills: tuple[Fill, ...] = ()
    reason: str = ""


class Quote(Struct, frozen=True, kw_only=True, gc=False):
    """An order book as it was read for a decision: levels (price, base quantity), best first.

    Both sides are empty when it could not be read, and `error` says why.
    """

    instrument: InstrumentId
    taken_ns: int
    bids: tuple[tuple[Decimal, Decimal], ...] = ()
    asks: tuple[tuple[Decimal, Decimal], ...] = ()
    error: str = ""

    @property
    def is_complete(self) -> bool:
        return bool(self.bids and self.asks)

    def side(self, side: Side) -> tuple[tuple[Decimal, Decimal], ...]:
        """The levels that an order of this side would take."""
        return self.asks if side is Side.BUY else self.bids

    def best(self, side: Side) -> Decimal | None:
        """The first price that an order of this side would take."""
        levels = self.side(side)
        return levels[0][0] if levels else None


class QuotesTaken(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """The answer to AskQuotes: the books as they stood, for the decision named by its trace."""

    instrument: InstrumentId
    trace: str
    direction: Direction
    quotes: tuple[Quote, ...]

    def best(self, side: Side) -> Quote:
        """The book with the best first price for an order of this side, of those that could be
        read; one that could not where none could.
        """
        read = [each for each in self.quotes if each.is_complete]
        if not read:
            silent = Quote(instrument=self.instrument, taken_ns=self.ts_ns, error="not told")
            return next(
                (each for each in self.quotes if each.instrument == self.instrument), silent
            )
        if side is Side.BUY:
            return min(read, key=lambda each: each.asks[0][0])
        return max(read, key=lambda each: each.bids[0][0])


class OrdersTicked(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """Time went by while orders were being worked; bars do the same."""


class Started(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """A process begins on this journal: no books are compared yet, no stream has been silent."""

    version: str = ""  # of the code; empty in journals of earlier versions


class Reconciled(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """Books and venue were compared; entries are allowed only while the newest one is clean.

    `exchange` is "" for all at once. `foreign` are orders there that bear this bot's mark and that
    this journal never intended.
    """

    is_clean: bool
    differences: tuple[str, ...] = ()
    exchange: str = ""
    foreign: tuple[str, ...] = ()


class FundsMoved(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """Money came or went on an account by no order of ours: a deposit, a withdrawal, another hand.

    It is not the bot's, so its own books stay as they are.
    """

    exchange: str
    currency: str
    amount: Decimal  # positive came in
    reason: str


class FundingCharged(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """Holders of a swap pay each other: longs pay shorts for a positive rate of the notional.

    `amount` is what the exchange booked, positive came in; without it, it follows from the rate.
    """

    instrument: InstrumentId
    rate: Decimal
    price: Decimal  # the mark price it is reckoned with
    amount: Decimal | None = None


class PositionLiquidated(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """The exchange closed a swap whose margin was used up."""

    instrument: InstrumentId
    price: Decimal
    fee: Decimal  # in the quote currency


class HealthTick(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """The health task asks for a sample."""


class HeldOut(Struct, frozen=True, kw_only=True, gc=False):
    """What a candidate has shown on bars that it was not made of: the figures of its verdict.

    `trials` were judged on the same bars; intervals are 95 %, before what that asks for.
    """

    from_ns: int
    until_ns: int
    n: int
    auc: float
    auc_low: float
    auc_high: float
    baseline_auc: float
    net_per_bar_ratio: float
    net_per_bar_low: float
    entries: int
    trials: int
    window_days: float  # of the bars it was made of


class CandidateTrained(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """A training has made a model that passed its verdict; it is in the registry, and verified.

    `activation` is what would make it the active one, as it stands but for its time.
    """

    opened_ns: int  # of the RetrainingOpened it answers
    activation: ModelActivated
    held_out: HeldOut
    verdict: str

    @property
    def model(self) -> str:
        return self.activation.model


class TrainingFailed(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """A training ended without a model that may be used, by whose fault and why.

    `model` is the one that was refused; it stays in the registry.
    """

    opened_ns: int  # of the RetrainingOpened it answers
    fault: TrainingFault
    reason: str
    model: str = ""


class PromotionRequested(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """Somebody wants this model to be the active one; it is in the registry, and verified."""

    activation: ModelActivated
    reason: str
    who: str

    @property
    def model(self) -> str:
        return self.activation.model


class RollbackRequested(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """Somebody wants the active model taken back, and this one in its place, which was before."""

    activation: ModelActivated
    reason: str
    who: str

    @property
    def model(self) -> str:
        return self.activation.model


class HaltRequested(Input, frozen=True, kw_only=True, gc=False, tag=True):
    reason: str
    who: str


class ResumeRequested(Input, frozen=True, kw_only=True, gc=False, tag=True):
    reason: str
    who: str


class FlattenRequested(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """Open nothing, cancel what is open, close what is held: until a resume."""

    reason: str
    who: str


class StopRequested(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """The daemon is about to end: what rests on an exchange and protects nothing is taken away."""


class RunClosed(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """The run reached its end; a resume of it only shows the result again."""


class CanaryBegun(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """Real orders were armed, and begin small: on which terms, and what orders cost on paper, which
    they are held against. None is what paper has not told.
    """

    exchange: str
    armed_ns: int  # wire time; names the arming
    days: float
    ratio: float
    steps: int
    min_orders: int
    paper_orders: int = 0
    paper_slippage_mean_bps: float | None = None
    paper_slippage_sd_bps: float | None = None
    paper_parents: int = 0
    paper_fill_ratio: float | None = None


class JournalThinned(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """What was decided long ago was taken out of this journal; orders, fills and outcomes stand.

    The journal before ended its part up to here in `chain`. All steps to `through_step` only serve
    to recover: what follows can be recomputed, they cannot.
    """

    events: int  # that were taken out
    chain: str
    through_step: int
    bars: dict[str, int]  # taken out, by exchange
    decisions: int
    suppressed: dict[str, int]  # by reason


class AdoptedOrder(Struct, frozen=True, kw_only=True, gc=False):
    """An order of ours that the venue has and that this journal never intended.

    `settled` are trades of it that the account's balances at the run's opening hold already.
    """

    client_order_id: str
    instrument: InstrumentId
    side: Side
    order_type: OrderType
    quantity: Decimal
    price: Decimal  # of its first fill, else what it asks for
    stop_price: Decimal | None = None
    is_open: bool = False
    settled: tuple[str, ...] = ()


class BooksAdopted(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """Somebody said that these orders are ours all the same: the journal was lost, or too old."""

    exchange: str
    orders: tuple[AdoptedOrder, ...]


# --- facts --------------------------------------------------------------------------------------


class FeatureRow(Struct, frozen=True, kw_only=True, gc=False):
    instrument: InstrumentId
    trace: str
    close_ns: int
    received_ns: int
    close: float
    values: tuple[float, ...]


class FeaturesRefused(Struct, frozen=True, kw_only=True, gc=False):
    instrument: InstrumentId
    trace: str
    close_ns: int
    reason: FeaturesRefusedReason


class FeatureRows(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """Layer 2's answer to one cross-section: a row or a reason for each bar that need not wait."""

    fingerprint: str
    rows: tuple[FeatureRow, ...]
    refused: tuple[FeaturesRefused, ...]


class Prediction(Struct, frozen=True, kw_only=True, gc=False):
    instrument: InstrumentId
    trace: str
    close_ns: int
    received_ns: int
    close: float
    probability_up: float  # calibrated
    standard_error: float  # of the calibrated probability
    raw_probability_up: float  # as the forest says it

    @property
    def confidence(self) -> float:
        return 2.0 * abs(self.probability_up - 0.5)


class Predictions(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """Layer 3's answer: a probability or a reason for every bar of the cross-section."""

    model: str
    rows: tuple[Prediction, ...]
    refused: tuple[FeaturesRefused, ...]


class ChallengerPredictions(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """What a model in shadow says of the same rows: it is scored, and nothing is traded on it."""

    model: str
    rows: tuple[Prediction, ...]
    refused: tuple[FeaturesRefused, ...]


class SignalEmitted(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """A desired position, not an order."""

    instrument: InstrumentId
    trace: str
    close_ns: int
    direction: Direction
    reason: SignalReason
    model: str
    price: float
    probability_up: float | None
    win_probability: (
        float | None
    )  # of the desired direction, calibrated and shrunk by its uncertainty
    confidence: float | None
    edge_ratio: float | None  # expected net return of the round trip, as a fraction of the notional
    expires_ns: int | None
    close_ratio: float = 1.0  # of FLAT: how much of the position shall go


class SignalSuppressed(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    instrument: InstrumentId
    trace: str
    close_ns: int
    reason: SuppressReason
    probability_up: float | None = None
    confidence: float | None = None
    edge_ratio: float | None = None
    limit: float | None = None


class OrderApproved(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """Risk's yes, with the numbers that made the size."""

    instrument: InstrumentId
    trace: str
    close_ns: int
    side: Side
    quantity: Decimal
    decision_price: Decimal
    is_exit: bool
    bound_by: BoundBy
    kelly_full_ratio: float
    kelly_used_ratio: float
    wanted_ratio: float
    allowed_ratio: float
    notional_quote: Decimal
    equity_quote: Decimal
    drawdown_ratio: float
    arrival_price: Decimal | None = None  # what the order would have met first, when it was decided


class OrderDenied(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    instrument: InstrumentId
    trace: str
    close_ns: int
    reason: DenyReason
    direction: Direction
    value: str = ""
    limit: str = ""


class OrderIntended(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """The write-ahead intent: durable before anything is sent, and sent at most once."""

    client_order_id: str
    instrument: InstrumentId
    trace: str
    close_ns: int
    leg: Leg
    ordinal: int
    side: Side
    order_type: OrderType
    quantity: Decimal
    decision_price: Decimal
    is_exit: bool
    price: Decimal | None = None  # of a limit order
    stop_price: Decimal | None = None  # of a stop order
    arrival_price: Decimal | None = None


class OrderCancelRequested(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """We want it gone; only the venue's word about the order itself says that it is."""

    client_order_id: str
    instrument: InstrumentId
    trace: str
    reason: str


class OrderAccepted(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    client_order_id: str
    instrument: InstrumentId
    trace: str
    venue_order_id: str | None


class OrderRefused(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """A definite no by the venue."""

    client_order_id: str
    instrument: InstrumentId
    trace: str
    reason: str


class OrderNotSent(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    client_order_id: str
    instrument: InstrumentId
    trace: str
    reason: str


class OrderOutcomeUnknown(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    client_order_id: str
    instrument: InstrumentId
    trace: str
    reason: str


class OrderAbsent(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """Looked for until it could no longer be accepted: the venue never had it."""

    client_order_id: str
    instrument: InstrumentId
    trace: str
    reason: str


class OrderFilled(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """One execution, seen for the first time."""

    client_order_id: str
    instrument: InstrumentId
    trace: str
    side: Side
    trade_id: str
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_currency: str
    is_maker: bool
    decision_price: Decimal
    slippage_bps: float  # against the decision price, positive is worse for us
    leaves_quantity: Decimal
    is_adopted: bool  # the order was believed absent
    arrival_price: Decimal | None = None
    arrival_slippage_bps: float | None = None  # against the arrival price, positive is worse for us


class OrderCompleted(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """The order reached FILLED, CANCELED or EXPIRED with all its fills known."""

    client_order_id: str
    instrument: InstrumentId
    trace: str
    state: OrderState
    filled_quantity: Decimal


class ParentEnded(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """No more orders will be made for what was approved."""

    instrument: InstrumentId
    trace: str
    is_exit: bool
    reason: ParentEnd
    wanted_quantity: Decimal
    filled_quantity: Decimal


class ProtectionFailed(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """The exchange will not hold a stop for this position."""

    instrument: InstrumentId
    trace: str
    close_ns: int
    reason: str
    attempts: int


class PositionChanged(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    instrument: InstrumentId
    trace: str
    quantity: Decimal
    average_price: Decimal
    realized_quote: Decimal  # of the whole account so far, net of fees
    equity_quote: Decimal
    exposure_ratio: float
    closed_return_ratio: float | None  # net return of the round trip that ended, else None
    dust: Decimal = Decimal(0)  # what is too little to be ordered, and no part of the quantity


class DustSetAside(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """What is left of a position is less than the exchange takes an order for: none any more."""

    instrument: InstrumentId
    trace: str
    quantity: Decimal
    price: Decimal


class EquityMarked(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """The account valued at the newest closes."""

    equity_quote: Decimal
    peak_quote: Decimal
    drawdown_ratio: float
    exposure_ratio: float
    fees_quote: Decimal


class PredictionResolved(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """A prediction met its outcome: 1 up, 0 down, None when it can never be known or was a tie.

    Nothing was decided on one that was made in shadow: it says nothing of the run.
    """

    instrument: InstrumentId
    trace: str
    model: str
    predicted_close_ns: int
    probability_up: float
    outcome: int | None
    return_ratio: float | None
    reason: str = ""
    is_shadow: bool = False


class HealthSampled(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """How far the active model can be believed, and by which numbers.

    `evidence` is what those own who bet against its promise, `shown` what he owns who bets for it;
    at the limit beside it the skill is lost, or shown. `since_ns` is since when the skill is lost,
    doubtful or shown. A retraining is due when the skill is lost, or the drift asks for it.
    """

    model: str
    status: HealthStatus
    reasons: tuple[str, ...]
    auc: float | None
    auc_low: float | None
    auc_high: float | None
    auc_n: int
    brier: float | None
    psi_worst: float | None
    psi_worst_feature: str | None
    psi_prediction: float | None
    lost: int
    policy: str = "auc_window"  # the rule by which it was judged
    skill_lost: bool = False
    drift_retrain: bool = False
    evidence: float | None = None
    evidence_limit: float | None = None
    shown: float | None = None
    shown_limit: float | None = None
    since_ns: int | None = None
    log_loss: float | None = None
    calibration_slope: float | None = None
    windows: tuple[SkillWindow, ...] = ()
    symbols: tuple[SymbolSkill, ...] = ()  # those with the most evidence against them
    trades: TradeFigures = TradeFigures()


class RetrainingOpened(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """A new model is asked for, until CandidateTrained or TrainingFailed; one at a time."""

    reason: RetrainReason
    model: str  # the one that may be replaced
    attempt: int  # 1, and one more for each that failed since the last model
    until_ns: int  # the newest bar it may know closed here
    detail: str = ""
    value: float | None = None
    limit: float | None = None


class ChallengerOpened(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """A candidate begins to predict in shadow, beside the active model `champion`."""

    activation: ModelActivated
    champion: str

    @property
    def model(self) -> str:
        return self.activation.model


class ModelsCompared(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """One more block of bars in which a model in shadow was scored, alone and beside the active
    one.

    Log scores are in nats and means over the outcomes; a net return is that of trading on the
    prediction until its outcome, after costs, and 0 where it would not be traded on.
    """

    model: str
    other: str
    until_ns: int  # bars of the block close before
    outcomes: int
    ups: int
    log_score: float
    net_ratio: float
    trades: int
    pairs: int  # outcomes that both predicted
    score_gain: float  # over the other's, positive is better
    net_gain_ratio: float
    other_trades: int


class Comparison(Struct, frozen=True, kw_only=True, gc=False):
    """What was known of a model in shadow when something was decided about it.

    Evidence is 1 where nothing is known; 1 / x is the chance to see x or more without cause.
    """

    other: str
    bars: int  # in shadow
    pairs: int
    score_gain: float  # mean log score over the other's, nats
    evidence: float  # that it is better
    evidence_worse: float
    net_gain_ratio: float  # mean net return over the other's
    trades: int
    other_trades: int
    outcomes: int
    chance_gain: float  # mean log score over that of a constant
    evidence_skill: float
    net_ratio: float


class PromotionProposed(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """The rule would promote this challenger, and an operator has to say so."""

    model: str
    champion: str
    reason: PromotionReason
    comparison: Comparison


class ModelPromoted(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """Another model takes over, from the next decision on; its ModelActivated follows.

    `replaced` goes on in shadow when it `is_watched`, so that there is a way back.
    """

    activation: ModelActivated
    replaced: str
    reason: PromotionReason
    is_watched: bool
    who: str = ""
    detail: str = ""
    comparison: Comparison | None = None

    @property
    def model(self) -> str:
        return self.activation.model


class ModelRolledBack(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """The model before `replaced` takes over again; its ModelActivated follows."""

    activation: ModelActivated
    replaced: str
    reason: PromotionReason
    who: str = ""
    detail: str = ""
    comparison: Comparison | None = None

    @property
    def model(self) -> str:
        return self.activation.model


class ChallengerDropped(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """This candidate will not take over."""

    model: str
    champion: str
    reason: DropReason
    comparison: Comparison | None = None


class WatchEnded(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """A model that was replaced stops predicting in shadow: the new one stays."""

    model: str
    active: str
    comparison: Comparison | None = None


class FeesDrifted(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """The newest fills on an exchange were charged more than the schedule says."""

    exchange: str
    expected_bps: float  # of a fill like the last one
    charged_bps: float
    fills: int


class DataDistrusted(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """So much of what was told of one instrument today is not believed that nothing is opened in it
    until the day is over.
    """

    instrument: InstrumentId
    until_ns: int
    count: int
    limit: int


class TradingHalted(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """Entries stop until an operator resumes; exits go on, nothing is liquidated."""

    reason: HaltReason
    detail: str
    value: float | None = None
    limit: float | None = None


class TradingResumed(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    reason: str
    who: str


class CanaryStepped(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """The size of a canary grows by a step, or falls back to the first; at the last it is full."""

    exchange: str
    step: int
    steps: int
    was_ratio: float
    ratio: float
    reason: CanaryReason
    orders: int
    slippage_bps: float | None
    slippage_limit_bps: float | None
    fill_ratio: float | None
    fill_limit_ratio: float | None


class PolicyActed(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """Something is done about a position in trouble."""

    trouble: Trouble
    instrument: InstrumentId
    action: PolicyAction
    since_ns: int
    attempt: int
    stop_ratio: float  # how far the stop of PROTECT is away, where none is configured


class TradingStateChanged(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """What follows from the halts in force, told when it is another than before."""

    state: TradingState
    reasons: tuple[HaltReason, ...]
    probation_trades: int  # to be closed before entries have their full size again


# --- commands -----------------------------------------------------------------------------------


class AskQuotes(Command, frozen=True, kw_only=True, gc=False, tag=True):
    """Read the books of these instruments for one decision, and answer even when none can be read.

    `notional_quote` is what is wanted: levels far beyond it need not be told.
    """

    instrument: InstrumentId
    trace: str
    direction: Direction
    instruments: tuple[InstrumentId, ...]
    notional_quote: Decimal


class SubmitOrder(Command, frozen=True, kw_only=True, gc=False, tag=True):
    """Send this intent, once; the journal has it already."""

    client_order_id: str
    instrument: InstrumentId
    side: Side
    order_type: OrderType
    quantity: Decimal
    decision_price: Decimal
    price: Decimal | None = None
    stop_price: Decimal | None = None
    is_exit: bool = False

    @property
    def is_resting(self) -> bool:
        return self.order_type is not OrderType.MARKET


class CancelOrder(Command, frozen=True, kw_only=True, gc=False, tag=True):
    """Ask the venue to end this order, then look what became of it; may be repeated."""

    client_order_id: str
    instrument: InstrumentId
    order_type: OrderType
    venue_order_id: str | None
    intended_ns: int
    reason: str


class LookUpOrder(Command, frozen=True, kw_only=True, gc=False, tag=True):
    """Find out what became of an order, without sending it again."""

    client_order_id: str
    instrument: InstrumentId
    intended_ns: int
    reason: str
    order_type: OrderType = OrderType.MARKET

    @property
    def is_resting(self) -> bool:
        return self.order_type is not OrderType.MARKET


class StartTraining(Command, frozen=True, kw_only=True, gc=False, tag=True):
    """Train and judge a candidate beside the daemon; the answer is CandidateTrained or
    TrainingFailed.
    """

    opened_ns: int
    reason: RetrainReason
    model: str
    attempt: int
    until_ns: int
    start: int  # 1, and one more for each time that the daemon ended over it


JOURNALED: tuple[type[Event], ...] = (
    RunOpened, ModelActivated, HistoryLoaded, BarsClosed, BarsMissed, BarRejected, BarRevised,
    FeedStale, FeedRecovered, ClockChecked, DiskChecked, KeyChecked,
    ExchangeLost, ExchangeBack, OrderReported, QuotesTaken,
    OrdersTicked, Started, Reconciled, FundsMoved, BooksAdopted,
    HealthTick, CandidateTrained, TrainingFailed, PromotionRequested, RollbackRequested,
    HaltRequested, ResumeRequested, FlattenRequested, StopRequested, RunClosed,
    FeatureRows, Predictions, SignalEmitted, SignalSuppressed,
    DataDistrusted, FeesDrifted, OrderApproved, OrderDenied, OrderIntended,
    OrderAccepted, OrderRefused, OrderNotSent, OrderCancelRequested,
    OrderOutcomeUnknown, OrderAbsent, OrderFilled, OrderCompleted, ParentEnded, ProtectionFailed,
    PositionChanged, EquityMarked,
    PredictionResolved, HealthSampled, RetrainingOpened,
    ChallengerOpened, ChallengerPredictions, ModelsCompared, PromotionProposed,
    ModelPromoted, ModelRolledBack, ChallengerDropped, WatchEnded,
    TradingHalted, TradingResumed, JournalThinned,
    DustSetAside, TradingStateChanged, ListingChanged, RulesChanged, PolicyActed,
    FundingCharged, PositionLiquidated,
    CanaryBegun, CanaryStepped,
)  # fmt: skip

# Steps that contain one of these are flushed to the disk before anything else happens.
DURABLE: frozenset[type[Event]] = frozenset(
    {
        RunOpened, ModelActivated, OrderIntended, OrderCancelRequested, OrderFilled,
        OrderCompleted, OrderRefused, OrderNotSent, OrderAbsent, OrderOutcomeUnknown,
        TradingHalted, TradingResumed, Started, Reconciled, FundsMoved, BooksAdopted,
        RetrainingOpened, CandidateTrained, TrainingFailed, ChallengerOpened, PromotionProposed,
        ModelPromoted, ModelRolledBack, ChallengerDropped, WatchEnded,
        PromotionRequested, RollbackRequested, HaltRequested,
        ResumeRequested, FlattenRequested, RunClosed, FundingCharged, PositionLiquidated,
        CanaryBegun, CanaryStepped,
    }
)  # fmt: skip

ANY_EVENT: Any = reduce(or_, JOURNALED)
_ENCODER = msgspec.json.Encoder(decimal_format="string")
_DECODER: msgspec.json.Decoder[Event] = msgspec.json.Decoder(ANY_EVENT)


def encode(event: Event) -> bytes:
    """The event as a line of JSON, tagged with its type; finite floats survive bit for bit."""
    return _ENCODER.encode(event)


def decode(text: bytes) -> Event:
    """The event of a journal line; msgspec.ValidationError when it is not one of ours."""
    return _DECODER.decode(text)
