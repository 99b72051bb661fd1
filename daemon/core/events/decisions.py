"""A bar on its way through layers 2 to 5: rows, predictions, signals, approvals and denials.

Belongs here: what is decided before an order is. What becomes of it belongs to `orders`.
"""

from decimal import Decimal

from msgspec import Struct

from daemon.core.events.base import Command, Fact, Input
from daemon.core.instruments import InstrumentId
from daemon.core.orders import Side
from daemon.core.reasons import (
    BoundBy,
    DenyReason,
    Direction,
    FeaturesRefusedReason,
    SignalReason,
    SuppressReason,
)


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


class AskQuotes(Command, frozen=True, kw_only=True, gc=False, tag=True):
    """Read the books of these instruments for one decision, and answer even when none can be read.

    `notional_quote` is what is wanted: levels far beyond it need not be told.
    """

    instrument: InstrumentId
    trace: str
    direction: Direction
    instruments: tuple[InstrumentId, ...]
    notional_quote: Decimal
