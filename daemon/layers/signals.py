"""Layer 4: turns probabilities into desired positions, and every non-signal into a reason.

Belongs here: whether the model's word is worth acting on. How much to risk on it belongs to risk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from daemon.core.edges import edge_of
from daemon.core.events import (
    Direction,
    FeaturesRefused,
    ModelActivated,
    Payoff,
    PositionChanged,
    Prediction,
    Predictions,
    SignalEmitted,
    SignalReason,
    SignalSuppressed,
    SuppressReason,
)
from daemon.core.listings import Listings
from daemon.core.timeframes import DAY_NS, NS_PER_S, rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from daemon.config import SignalSection
    from daemon.core.costs import Costs
    from daemon.core.events import Event, FeedRecovered, FeedStale, Started
    from daemon.core.instruments import InstrumentId


class Desired(Struct, frozen=True, gc=False):
    """The position the last signal asked for, and until when."""

    direction: Direction
    close_ns: int
    expires_ns: int | None


class Weighing(Struct, frozen=True, kw_only=True, gc=False):
    """What a trade in one direction is expected to bring, as fractions of the notional."""

    win_probability: float  # of the wanted direction, one standard error nearer to one half
    payoff: Payoff
    gross_ratio: float
    cost_ratio: float  # of a round trip, the margin of safety included
    is_held: bool  # already: then it costs nothing to go on

    @property
    def edge_ratio(self) -> float:
        return self.gross_ratio if self.is_held else self.gross_ratio - self.cost_ratio


class Asked(Struct, frozen=True, kw_only=True, gc=False):
    """One question that a prediction was asked, for whoever wants to know why."""

    rule: SuppressReason | SignalReason
    is_met: bool
    value: float | str
    limit: float | str


class Signals:
    """Threshold, cost hurdle, de-duplication and expiry, per instrument.

    Instruments that orders are routed between are one: decided on by the bars of the first whose
    feed lives.
    """

    def __init__(
        self,
        config: SignalSection,
        listings: Listings | None = None,
        *,
        timeframe_ns: int,
        costs: Callable[[InstrumentId], Costs],
        bar_age_max_ns: int,
        model_age_max_ns: int,
    ) -> None:
        self._config = config
        self._listings = listings or Listings()
        self._stale: set[InstrumentId] = set()
        self._timeframe_ns = timeframe_ns
        self._costs = costs
        self._margin_ratio = config.cost_margin_bps / 10_000
        self._bar_age_max_ns = bar_age_max_ns
        self._model_age_max_ns = model_age_max_ns
        self._desired: dict[InstrumentId, Desired] = {}
        self._held: dict[InstrumentId, Direction] = {}
        self._model: ModelActivated | None = None

    def desired(self, instrument: InstrumentId) -> Direction:
        known = self._last(instrument)
        return known.direction if known else Direction.FLAT

    def apply_started(self, _event: Started) -> None:
        self._stale.clear()

    def apply_feed_stale(self, event: FeedStale) -> None:
        self._stale.add(event.instrument)

    def apply_feed_recovered(self, event: FeedRecovered) -> None:
        self._stale.discard(event.instrument)

    def apply_model_activated(self, event: ModelActivated) -> None:
        self._model = event

    def apply_signal_emitted(self, event: SignalEmitted) -> None:
        if event.close_ratio < 1.0:
            return  # less of it is held, and the desire is the same
        key = self._listings.key(event.instrument)
        self._desired[key] = Desired(event.direction, event.close_ns, event.expires_ns)

    def apply_position_changed(self, event: PositionChanged) -> None:
        if event.closed_return_ratio is None and event.quantity:
            is_long = event.quantity > 0
            self._held[event.instrument] = Direction.LONG if is_long else Direction.SHORT
        else:
            self._held.pop(event.instrument, None)

    def on_predictions(self, event: Predictions) -> Iterator[Event]:
        """One signal or one reason per bar; a position past its horizon goes FLAT besides."""
        for row in event.rows:
            if self._decider(row.instrument) != row.instrument:
                yield self._suppress(row, event, SuppressReason.ROUTED)
                continue
            verdict = self._judge(row, event)
            yield verdict
            if isinstance(verdict, SignalSuppressed):
                yield from self._close_expired(row, event, row.close, row.probability_up)
        for refused in event.refused:
            yield SignalSuppressed(
                ts_ns=event.ts_ns,
                instrument=refused.instrument,
                trace=refused.trace,
                close_ns=refused.close_ns,
                reason=SuppressReason(refused.reason.value),
            )
            if self._decider(refused.instrument) == refused.instrument:
                yield from self._close_expired(refused, event, 0.0, None)

    def _last(self, instrument: InstrumentId) -> Desired | None:
        return self._desired.get(self._listings.key(instrument))

    def _holding(self, instrument: InstrumentId) -> Direction | None:
        """Which way it is held, wherever that is."""
        members = self._listings.members(instrument)
        return next((self._held[each] for each in members if each in self._held), None)

    def _decider(self, instrument: InstrumentId) -> InstrumentId:
        """Whose bars are decided on: the first exchange's while its feed lives."""
        members = self._listings.members(instrument)
        return next((each for each in members if each not in self._stale), members[0])

    def _judge(self, row: Prediction, event: Predictions) -> SignalEmitted | SignalSuppressed:
        wanted = Direction.LONG if row.probability_up > 0.5 else Direction.SHORT
        known = self._last(row.instrument)
        held = self._holding(row.instrument) or Direction.FLAT
        if reason := self._unfit(row, event, known):
            return self._suppress(row, event, reason)
        minimum = self._config.confidence_min_ratio
        if not row.confidence >= minimum:
            return self._suppress(row, event, SuppressReason.LOW_CONFIDENCE, limit=minimum)
        if held not in {Direction.FLAT, wanted}:
            # Out first, whatever may be opened afterwards: one order never turns a position round.
            return self._flat(row, event, SignalReason.OPPOSITE, row.close, row.probability_up)
        if wanted is Direction.SHORT and not self._config.allow_short:
            return self._suppress(row, event, SuppressReason.SHORT_NOT_ALLOWED)
        if known is not None and held is not wanted and self._is_too_soon(known, row.close_ns):
            return self._suppress(row, event, SuppressReason.TOO_SOON)
        return self._weigh(row, event, wanted, is_held=self._is_kept(row, wanted))

    def _is_kept(self, row: Prediction, wanted: Direction) -> bool:
        """What should be gone has to earn its costs again before it is kept after all."""
        known = self._last(row.instrument)
        is_asked = known is not None and known.direction is wanted
        return is_asked and self._holding(row.instrument) is wanted

    def _unfit(
        self, row: Prediction, event: Predictions, known: Desired | None
    ) -> SuppressReason | None:
        """Why nothing may be decided on this prediction, whatever it says."""
        if not (0.0 <= row.probability_up <= 1.0 and row.standard_error >= 0.0):
            return SuppressReason.NOT_FINITE
        if known is not None and row.close_ns <= known.close_ns:
            return SuppressReason.DUPLICATE_BAR
        if max(row.received_ns, event.ts_ns) - row.close_ns > self._bar_age_max_ns:
            return SuppressReason.STALE_BAR
        if self._model is None:
            return SuppressReason.NO_MODEL
        if row.close_ns - self._model.trained_through_ns > self._model_age_max_ns:
            return SuppressReason.MODEL_TOO_OLD
        return None

    def _weigh(
        self, row: Prediction, event: Predictions, wanted: Direction, *, is_held: bool
    ) -> SignalEmitted | SignalSuppressed:
        model = self._model
        assert model is not None, "without a model nothing is fit"
        weighing = self.weighed(row, model, is_held=is_held)
        edge_ratio = weighing.edge_ratio
        if not edge_ratio > 0.0:
            return self._suppress(
                row, event, SuppressReason.BELOW_COST, edge_ratio=edge_ratio, limit=0.0
            )
        return SignalEmitted(
            ts_ns=event.ts_ns,
            instrument=row.instrument,
            trace=row.trace,
            close_ns=row.close_ns,
            direction=wanted,
            reason=SignalReason.EXTENDED if is_held else SignalReason.MODEL,
            model=event.model,
            price=row.close,
            probability_up=row.probability_up,
            win_probability=weighing.win_probability,
            confidence=row.confidence,
            edge_ratio=edge_ratio,
            expires_ns=row.close_ns + model.horizon_bars * self._timeframe_ns,
        )

    def asked(self, row: Prediction, event: Predictions) -> Iterator[Asked]:
        """Every question of `on_predictions` to this row, in order, up to the one that ended it."""
        for question in self._questions(row, event):
            yield question
            if not question.is_met:
                return

    def _questions(self, row: Prediction, event: Predictions) -> Iterator[Asked]:
        def told(rule: SuppressReason | SignalReason, is_met: bool, *numbers: float | str) -> Asked:
            value, limit = numbers
            return Asked(rule=rule, is_met=is_met, value=value, limit=limit)

        decider, known = self._decider(row.instrument), self._last(row.instrument)
        yield told(
            SuppressReason.ROUTED, decider == row.instrument, str(decider), str(row.instrument)
        )
        unfit = self._unfit(row, event, known)
        age_ns = max(row.received_ns, event.ts_ns) - row.close_ns
        trained_ns = row.close_ns if self._model is None else self._model.trained_through_ns
        for rule, value, limit in (
            (SuppressReason.NOT_FINITE, row.probability_up, "0 to 1"),
            (SuppressReason.DUPLICATE_BAR, "none" if known is None else rfc3339(known.close_ns),
             f"before {rfc3339(row.close_ns)}"),
            (SuppressReason.STALE_BAR, age_ns / NS_PER_S, self._bar_age_max_ns / NS_PER_S),
            (SuppressReason.NO_MODEL, event.model, ""),
            (SuppressReason.MODEL_TOO_OLD, (row.close_ns - trained_ns) / DAY_NS,
             self._model_age_max_ns / DAY_NS),
        ):  # fmt: skip
            yield told(rule, unfit is not rule, value, limit)
        minimum = self._config.confidence_min_ratio
        yield told(
            SuppressReason.LOW_CONFIDENCE, row.confidence >= minimum, row.confidence, minimum
        )
        wanted = Direction.LONG if row.probability_up > 0.5 else Direction.SHORT
        held = self._holding(row.instrument) or Direction.FLAT
        yield told(SignalReason.OPPOSITE, held in {Direction.FLAT, wanted}, held, wanted)
        may_be_short = wanted is not Direction.SHORT or self._config.allow_short
        shorts = "shorts allowed" if self._config.allow_short else "no shorts"
        yield told(SuppressReason.SHORT_NOT_ALLOWED, may_be_short, wanted, shorts)
        if known is not None and held is not wanted:
            bars = (row.close_ns - known.close_ns) / self._timeframe_ns
            is_late = not self._is_too_soon(known, row.close_ns)
            yield told(SuppressReason.TOO_SOON, is_late, bars, self._config.min_interval_bars)
        if (weighing := self.weighing(row)) is not None:
            edge_ratio = weighing.edge_ratio
            yield told(SuppressReason.BELOW_COST, edge_ratio > 0.0, edge_ratio, 0.0)

    def weighing(self, row: Prediction) -> Weighing | None:
        """Of the direction that the prediction speaks for; None without a model."""
        wanted = Direction.LONG if row.probability_up > 0.5 else Direction.SHORT
        if self._model is None:
            return None
        return self.weighed(row, self._model, is_held=self._is_kept(row, wanted))

    def standing(self, instrument: InstrumentId) -> tuple[Desired | None, Direction]:
        """What the last signal asked for, and which way it is held."""
        return self._last(instrument), self._holding(instrument) or Direction.FLAT

    def weighed(self, row: Prediction, model: ModelActivated, *, is_held: bool) -> Weighing:
        """What going, or staying, in its direction is expected to bring."""
        edge = edge_of(row, model)
        return Weighing(
            win_probability=edge.win_probability,
            payoff=edge.payoff,
            gross_ratio=edge.gross_ratio,
            # Holding on costs nothing now; a new round trip costs fees and slippage both ways.
            cost_ratio=self._costs(row.instrument).round_trip_ratio + self._margin_ratio,
            is_held=is_held,
        )

    def _close_expired(
        self,
        row: Prediction | FeaturesRefused,
        event: Predictions,
        price: float,
        probability_up: float | None,
    ) -> Iterator[SignalEmitted]:
        known = self._last(row.instrument)
        held = self._holding(row.instrument)
        if held is None:
            return
        # What was adopted no signal ever asked for.
        if known is None or (known.direction is not held and row.close_ns > known.close_ns):
            yield self._flat(row, event, SignalReason.OVERDUE, price, probability_up)
        elif known.expires_ns is not None and row.close_ns >= known.expires_ns:
            yield self._flat(row, event, SignalReason.HORIZON, price, probability_up)

    def _is_too_soon(self, known: Desired, close_ns: int) -> bool:
        return close_ns - known.close_ns < self._config.min_interval_bars * self._timeframe_ns

    @staticmethod
    def _flat(
        row: Prediction | FeaturesRefused,
        event: Predictions,
        reason: SignalReason,
        price: float,
        probability_up: float | None,
    ) -> SignalEmitted:
        return SignalEmitted(
            ts_ns=event.ts_ns,
            instrument=row.instrument,
            trace=row.trace,
            close_ns=row.close_ns,
            direction=Direction.FLAT,
            reason=reason,
            model=event.model,
            price=price,
            probability_up=probability_up,
            win_probability=None,
            confidence=None if probability_up is None else 2.0 * abs(probability_up - 0.5),
            edge_ratio=None,
            expires_ns=None,
        )

    @staticmethod
    def _suppress(
        row: Prediction,
        event: Predictions,
        reason: SuppressReason,
        *,
        edge_ratio: float | None = None,
        limit: float | None = None,
    ) -> SignalSuppressed:
        return SignalSuppressed(
            ts_ns=event.ts_ns,
            instrument=row.instrument,
            trace=row.trace,
            close_ns=row.close_ns,
            reason=reason,
            probability_up=row.probability_up,
            confidence=row.confidence,
            edge_ratio=edge_ratio,
            limit=limit,
        )
