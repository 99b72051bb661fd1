"""What trading really costs: turns fills into the expected cost of the next one.

Belongs here: slippage and fees as fills have told them, shrunk toward what was expected. Layers 4
and 5 ask for them; single fills are judged by nobody else.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import asdict

from daemon.core.events import FeesDrifted
from daemon.core.orders import Leg

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from daemon.core.blotter import Blotter
    from daemon.core.events import Event, OrderFilled, RunOpened
    from daemon.core.instruments import Instrument, InstrumentId

BPS = 10_000.0
SLIP_MAX_BPS = 100.0  # one fill in a market that ran away says no more than this
FILLS_KEPT = 1_000
FEE_PRIOR_FILLS = 10  # fees do not scatter: few fills tell them
AUDITED_FILLS = 10
FEE_DRIFT_BPS = 0.5
FEE_GRAIN = Decimal("0.00000001")


class Costs(Struct, frozen=True, kw_only=True):
    """Expected cost of one fill, as fractions of its notional."""

    fee_ratio: float
    slippage_ratio: float

    @property
    def round_trip_ratio(self) -> float:
        return 2.0 * (self.fee_ratio + self.slippage_ratio)


class Schedule(Struct, frozen=True, kw_only=True):
    """What fills should cost before there is any, in bps; `taker_on` differs by exchange."""

    taker_bps: float
    maker_bps: float
    slippage_bps: float
    slippage_prior_fills: int = 50
    taker_on: dict[str, float] = {}

    def fee_bps(self, exchange: str, *, is_maker: bool) -> float:
        return self.maker_bps if is_maker else self.taker_on.get(exchange, self.taker_bps)


class Distribution(Struct, frozen=True, kw_only=True):
    """Mean and high end of slippages, in bps, positive is worse for us."""

    n: int
    mean_bps: float
    p95_bps: float


class _Slips(Struct):
    """Of one instrument; an order weighs one, however many fills it came in."""

    weight: float = 0.0
    weighted_bps: float = 0.0
    decision_bps: deque[float] = field(default_factory=lambda: deque(maxlen=FILLS_KEPT))
    arrival_bps: deque[float] = field(default_factory=lambda: deque(maxlen=FILLS_KEPT))


class _Fees(Struct):
    """Of one exchange: what was charged beyond the schedule, in bps of the notional."""

    n: int = 0
    over_bps: float = 0.0
    recent_bps: deque[float] = field(default_factory=lambda: deque(maxlen=AUDITED_FILLS))
    is_told: bool = False


class CostEstimate:
    """Costs per instrument: the schedule, moved toward what fills have cost.

    A protective stop is left out: that it fills far from the last decision is its purpose.
    """

    def __init__(self, schedule: Schedule, blotter: Blotter) -> None:
        self._schedule = schedule
        self._blotter = blotter
        self._instruments: dict[InstrumentId, Instrument] = {}
        self._slips: dict[InstrumentId, _Slips] = {}
        self._fees: dict[str, _Fees] = {}

    def of(self, instrument: InstrumentId) -> Costs:
        """What the next fill there is expected to cost; never less than nothing."""
        schedule, slips = self._schedule, self._slips.get(instrument)
        slippage_bps = schedule.slippage_bps
        if slips is not None and slips.weight:
            prior = schedule.slippage_prior_fills
            told = slippage_bps * prior + slips.weighted_bps
            slippage_bps = max(0.0, told / (prior + slips.weight))
        fee_bps = schedule.fee_bps(instrument.exchange, is_maker=False)
        fees = self._fees.get(instrument.exchange)
        if fees is not None and fees.n:
            fee_bps = max(0.0, fee_bps + fees.over_bps / (FEE_PRIOR_FILLS + fees.n))
        return Costs(fee_ratio=fee_bps / BPS, slippage_ratio=slippage_bps / BPS)

    def slippage(self) -> Mapping[InstrumentId, tuple[Distribution | None, Distribution | None]]:
        """By instrument, newest fills: against decision price and arrival quote."""
        return {
            each: (distribution(slips.decision_bps), distribution(slips.arrival_bps))
            for each, slips in sorted(self._slips.items())
        }

    # --- applying -----------------------------------------------------------------------------

    def apply_run_opened(self, event: RunOpened) -> None:
        self._instruments = {each.id: each for each in event.instruments}

    def apply_order_filled(self, event: OrderFilled) -> None:
        order = self._blotter.orders[event.client_order_id]
        if order.leg is not Leg.STOP:
            slips = self._slips.setdefault(event.instrument, _Slips())
            weight = min(1.0, float(event.quantity / order.quantity))
            slip_bps = max(-SLIP_MAX_BPS, min(SLIP_MAX_BPS, event.slippage_bps))
            slips.weight += weight
            slips.weighted_bps += weight * slip_bps
            slips.decision_bps.append(event.slippage_bps)
            if event.arrival_slippage_bps is not None:
                slips.arrival_bps.append(event.arrival_slippage_bps)
        over_bps = self._over_bps(event)
        if over_bps is not None:
            fees = self._fees.setdefault(event.instrument.exchange, _Fees())
            fees.n += 1
            fees.over_bps += over_bps
            fees.recent_bps.append(over_bps)

    def apply_fees_drifted(self, event: FeesDrifted) -> None:
        self._fees.setdefault(event.exchange, _Fees()).is_told = True

    # --- deciding -----------------------------------------------------------------------------

    def on_order_filled(self, event: OrderFilled) -> Iterator[Event]:
        """Say once when an exchange, or a library, charges more than was agreed."""
        fees = self._fees.get(event.instrument.exchange)
        if fees is None or fees.is_told or len(fees.recent_bps) < AUDITED_FILLS:
            return
        over_bps = sum(fees.recent_bps) / len(fees.recent_bps)
        if over_bps > FEE_DRIFT_BPS:
            expected = self._schedule.fee_bps(event.instrument.exchange, is_maker=event.is_maker)
            yield FeesDrifted(
                ts_ns=event.ts_ns,
                exchange=event.instrument.exchange,
                expected_bps=expected,
                charged_bps=round(expected + over_bps, 4),
                fills=len(fees.recent_bps),
            )

    def _over_bps(self, event: OrderFilled) -> float | None:
        """What a fill was charged beyond the schedule; None for a fee in a third asset."""
        instrument = self._instruments[event.instrument]
        received = {
            instrument.base: event.quantity,
            instrument.quote: event.quantity * event.price,
        }.get(event.fee_currency)
        if received is None:
            return None
        expected = self._schedule.fee_bps(event.instrument.exchange, is_maker=event.is_maker)
        over_bps = float(event.fee / received) * BPS - expected
        # A fee is rounded up to its grain, which of a tiny fill is a large share.
        return max(min(over_bps, 0.0), over_bps - float(FEE_GRAIN / received) * BPS)


def distribution(values: Sequence[float] | deque[float]) -> Distribution | None:
    """None of nothing; the 95th percentile is a value that was there."""
    if not values:
        return None
    ordered = sorted(values)
    place = max(0, -(-len(ordered) * 95 // 100) - 1)
    return Distribution(
        n=len(ordered),
        mean_bps=round(sum(ordered) / len(ordered), 4),
        p95_bps=round(ordered[place], 4),
    )


def slippage_told(costs: CostEstimate) -> dict[InstrumentId, dict[str, object]]:
    """For people: mean and 95th percentile by instrument, and what the next fill should cost."""
    told: dict[InstrumentId, dict[str, object]] = {}
    for instrument, (decision, arrival) in costs.slippage().items():
        expected = costs.of(instrument)
        told[instrument] = {
            "decision": None if decision is None else asdict(decision),
            "arrival": None if arrival is None else asdict(arrival),
            "expected_slippage_bps": round(expected.slippage_ratio * BPS, 3),
            "expected_fee_bps": round(expected.fee_ratio * BPS, 3),
        }
    return told
