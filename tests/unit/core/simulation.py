"""A whole decision core between a random market and a random venue: one seed is one story.

Belongs here: what may happen to a core. What must hold whatever happens belongs to `invariants`.
"""

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from decimal import Decimal
from functools import cache
from itertools import pairwise
from random import Random
from typing import Any, Final

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from daemon.app import Core, build_core
from daemon.config import (
    AddedFeature,
    DataSection,
    ExecutionSection,
    FeaturesSection,
    HealthSection,
    ModelSection,
    PolicySection,
    PromotionSection,
    RetrainingSection,
    RiskSection,
    Settings,
    SignalSection,
)
from daemon.core import events as e
from daemon.core.bars import Bar, BarSource, MissCause
from daemon.core.instruments import (
    Instrument,
    InstrumentId,
    MarketType,
    base_of,
    is_swap_symbol,
    quote_of,
)
from daemon.core.orders import Fill, OrderState
from daemon.core.pipeline import Pipeline, Route, Step
from daemon.feature_config import feature_set_of
from daemon.layers.features.sets import FeatureSet
from daemon.layers.inference.forest import CompiledForest
from daemon.layers.inference.model import ActiveModel, Calibration
from daemon.routes import routes
from tests.builders import (
    HOUR_NS,
    OPEN_NS,
    a_bar_rejected,
    a_candidate_trained,
    a_clock_checked,
    a_disk_checked,
    a_features_checked,
    a_model_activated,
    a_payoff,
    a_run_opened,
    a_training_failed,
)

LOT: Final = Decimal("0.001")
TICK: Final = Decimal("0.01")
IDS: Final = (
    InstrumentId("embedded", "BTC/USDT"),
    InstrumentId("embedded", "ETH/USDT"),
    InstrumentId("embedded", "ETH/BTC"),
    InstrumentId("embedded", "BTC/USDT:USDT"),
    InstrumentId("embedded-b", "BTC/USDT"),
)
EXCHANGES: Final = ("embedded", "embedded-b")
MINIMUM_NOTIONALS: Final = {"USDT": Decimal(5), "BTC": Decimal("0.05")}
INSTRUMENTS: Final = {
    each: Instrument(
        id=each, base=base_of(each.symbol), quote=quote_of(each.symbol), tick=TICK, lot=LOT,
        minimum_quantity=LOT, minimum_notional=MINIMUM_NOTIONALS[quote_of(each.symbol)],
        market_type=MarketType.SWAP if is_swap_symbol(each.symbol) else MarketType.SPOT,
    )
    for each in IDS
}  # fmt: skip
SWAP: Final = InstrumentId("embedded", "BTC/USDT:USDT")
SHARES: Final = {"BTC/USDT": 0.2, "ETH/USDT": 0.1, "ETH/BTC": 0.02, SWAP.symbol: 0.1}
ALLOTTED: Final = Decimal(10_000)
ALLOTTED_BTC: Final = Decimal(25)
ACCOUNTS: Final = tuple(
    e.AccountOpened(
        exchange=exchange,
        market="synthetic",
        market_key=exchange,
        account=f"instance-{exchange}",
        allotted_quote=Decimal(share),
        balances=(e.Balance("USDT", Decimal(share)), *coins),
        allotted=(e.Balance("USDT", Decimal(share)), *coins),
    )
    for exchange, share, coins in (
        ("embedded", 6_000, (e.Balance("BTC", ALLOTTED_BTC),)),
        ("embedded-b", 4_000, ()),
    )
)
MODEL: Final = "hand-made"
CANDIDATE: Final = "made-anew"
CANDIDATES: Final = 8
SECOND_NS: Final = 1_000_000_000
QUIET_SLOTS: Final = 12
TRAINING_SLOTS: Final = 8
REJECTED_MAX: Final = 3


def settings_of(rng: Random) -> Settings:
    """Limits that are met often, in changing combinations."""
    horizon_bars = rng.choice([1, 1, 2, 4])
    leader = AddedFeature(kernel="reference_return", reference=IDS[0].symbol)
    position = rng.choice([0.05, 0.3])
    return Settings(
        data=DataSection(
            symbols=tuple(SHARES),
            also={"embedded-b": ("BTC/USDT",)},
            quarantine_max_per_day=REJECTED_MAX,
        ),
        features=FeaturesSection(
            rsi_period=2,
            bb_period=2,
            volatility_window=2,
            volume_window=2,
            lags=(0, 1),
            add=(leader,) if horizon_bars == 4 else (),
        ),
        model=ModelSection(horizon_bars=horizon_bars),
        signal=SignalSection(
            confidence_min_ratio=rng.choice([0.0, 0.3]),
            allow_short=rng.random() < 0.3,
            min_interval_bars=rng.choice([1, 1, 3]),
        ),
        risk=RiskSection(
            allotted={"USDT": ALLOTTED, "BTC": ALLOTTED_BTC},
            reporting_currency=rng.choice(["USDT", "USDT", "BTC"]),
            allocation=rng.choice(["shared", "equal", SHARES]),
            kelly_ratio=rng.choice([0.1, 0.5, 1.0]),
            max_leverage=rng.choice([1.0, 3.0]),
            max_position_ratio=position,
            max_gross_exposure_ratio=rng.choice([max(position, 0.08), 0.3, 1.0]),
            max_order_notional_quote=Decimal(rng.choice([400, 2_500, 10_000])),
            max_drawdown_ratio=rng.choice([0.01, 0.05, 0.5]),
            max_daily_loss_ratio=rng.choice([0.0, 0.01, 0.2]),
            max_orders_per_hour=rng.choice([1, 3, 60]),
            **limits_of(Random(rng.random())),
        ),
        execution=ExecutionSection(
            stop_loss_ratio=rng.choice([0.0, 0.02, 0.2]),
            entry_order=rng.choice(["market", "market", "limit"]),
            exit_order=rng.choice(["market", "market", "limit"]),
            order_timeout_s=rng.choice([60.0, 7_200.0]),
            slice_depth_ratio=rng.choice([0.0, 0.3, 1.0]),
            routing=rng.choice(["own", "own", "best"]),
        ),
        policy=policy_of(Random(rng.random())),
        # Stories are short: the rule that halts sooner, if seldom rightly.
        health=HealthSection(
            policy="auc_window", window_outcomes=40, min_resolved=20, drift_rows_min=40
        ),
        retraining=RetrainingSection(
            after_days=0.5,
            new_bars_min=4,
            min_gap_hours=3.0,
            max_gap_hours=3.0,
            shadow_hours=3.0,
        ),
        promotion=promotion_of(copy(rng)),
    )


def plain_settings() -> Settings:
    """Orders go at the market in one piece, as many as one likes, and nothing rests behind a
    position.
    """
    settings = settings_of(Random(0))
    risk = settings.risk.model_copy(update={"max_orders_per_hour": 60, "max_orders_per_day": 0})
    execution = ExecutionSection(stop_loss_ratio=0.0)
    return settings.model_copy(update={"execution": execution, "risk": risk})


def limits_of(rng: Random) -> dict[str, Any]:
    """Limits of which each is off in some of the stories."""
    return {
        "max_net_exposure_ratio": rng.choice([0.0, 0.1]),
        "max_correlated_exposure_ratio": rng.choice([0.0, 0.04]),
        "volatility_target_ratio": rng.choice([0.0, 0.05, 0.2]),
        "volatility_max_ratio": rng.choice([0.0, 0.0, 2.0]),
        "volatility_bars": 10,
        "max_day_notional_quote": Decimal(rng.choice([0, 2_000, 100_000])),
        "max_losses_in_a_row": rng.choice([0, 2]),
        "loss_pause_bars": 3,
        "max_orders_per_day": rng.choice([0, 6]),
        "max_unresolved_orders": rng.choice([0, 1]),
        "max_refusals_in_a_row": rng.choice([0, 1]),
        "max_spread_bps": rng.choice([0.0, 20.0]),
        "probation_ratio": 0.5,
        "probation_trades": rng.choice([0, 2]),
        "max_depth_ratio": rng.choice([0.0, 1.0]),
    }


def policy_of(rng: Random) -> PolicySection:
    """Some positions are given up, and some only protected."""
    rows = {
        each.value: rng.choice(["hold", "hold", "protect", "reduce", "close"]) for each in e.Trouble
    }
    return PolicySection(**rows, outage_bars=1)


def promotion_of(rng: Random) -> PromotionSection:
    """So little is asked for that something is decided soon."""
    return PromotionSection(
        by=rng.choice(["rule", "rule", "operator"]),
        error_rate=rng.choice([0.98, 0.9, 0.5]),
        min_outcomes=4,
        shadow_max_bars=rng.choice([4, 40, 40]),
        rollback_bars=rng.choice([0, 6, 30, 30]),
        rollback_error_rate=rng.choice([0.9, 0.98]),
    )


@cache
def a_forest(n_features: int, column: int) -> CompiledForest:
    """One tree on the newest log return: far down, down, up, far up."""
    return CompiledForest(
        feature=np.array([column] * 3 + [0] * 4, dtype=np.int32),
        threshold=np.array([0.0, -0.005, 0.005, 0.0, 0.0, 0.0, 0.0]),
        children=np.array([1, 2, 3, 4, 5, 6, 3, 3, 4, 4, 5, 5, 6, 6], dtype=np.int32),
        probability=np.array([0.0, 0.0, 0.0, 0.15, 0.42, 0.66, 0.85]),
        roots=np.array([0], dtype=np.int32),
        n_features=n_features,
    )


def a_model(features: FeatureSet, model_id: str = MODEL, column: str = "lag_0") -> ActiveModel:
    return ActiveModel(
        model_id=model_id,
        feature_fingerprint=features.fingerprint,
        feature_names=features.names,
        predictor=a_forest(len(features.names), features.names.index(column)),
        calibration=Calibration((0.0, 1.0), (0.0, 1.0), (0.01, 0.01)),
    )


def a_core(
    settings: Settings, wrap: Callable[[Sequence[Route]], Sequence[Route]] | None = None
) -> Core:
    """The daemon's own core; `wrap` may watch its routes."""
    features = feature_set_of(settings)
    core = build_core(settings, features, a_model(features), IDS)
    for number in range(CANDIDATES):
        column = ("lag_1", "lag_0")[number % 2]
        core.inference.use_model(a_model(features, f"{CANDIDATE}-{number}", column))
    if wrap is not None:
        core.pipeline = Pipeline(wrap(routes(core)))
    return core


class Told(Struct, frozen=True):
    """A report on its way to the daemon; it is heard in the slot `due` or later."""

    due: int
    report: e.OrderReported


class RandomVenue:
    """Says anything a venue may say, in any order it may come; a look-up tells the truth."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._trades = 0
        self._ends: dict[str, e.OrderReported] = {}
        self._resting: dict[str, e.SubmitOrder] = {}
        self.on_its_way: list[Told] = []

    def rest(self, order: e.SubmitOrder, slot: int) -> None:
        """An order that waits for the market, unless it is refused, lost or never sent."""
        story = self._rng.choices(
            (self._refused, self._not_sent, self._lost_and_absent, self._rests), [1, 1, 1, 12]
        )[0]
        for report in story(order, Decimal(0)):
            self.on_its_way.append(Told(slot + self._rng.choice([0, 0, 1]), report))

    def cancel(self, order: e.CancelOrder, mark: Decimal, slot: int) -> None:
        """Sometimes the market was there first, sometimes in part; sometimes nobody answers."""
        if self._rng.random() < 0.1:
            return
        resting = self._resting.pop(order.client_order_id, None)
        if resting is not None:
            share = self._rng.choice([Decimal(0), Decimal(0), Decimal("0.4"), Decimal(1)])
            self._meet(resting, mark, share, OrderState.CANCELED)
        if order.client_order_id in self._ends:
            self._tells(order.client_order_id, slot)

    def trades(self, prices: dict[InstrumentId, float], slot: int) -> None:
        """The market goes on: some of what rests is met."""
        for ours, order in list(self._resting.items()):
            if self._rng.random() < 0.15:
                del self._resting[ours]
                mark = Decimal(repr(prices[order.instrument]))
                share = self._rng.choice([Decimal("0.4"), Decimal(1), Decimal(1)])
                self._meet(order, mark, share, OrderState.EXPIRED)
                if self._rng.random() < 0.7:  # else it is heard of when somebody asks
                    self._tells(ours, slot)

    def resting(self) -> set[str]:
        return set(self._resting)

    def told_of(self, ours: str) -> e.OrderReported | None:
        """What a follower of a resting order hears; of others a look-up is asked for."""
        end = self._ends.get(ours)
        return None if end is None else replace(end, source=e.ReportSource.LOOKUP)

    def _rests(self, order: e.SubmitOrder, _mark: Decimal) -> list[e.OrderReported]:
        self._resting[order.client_order_id] = order
        return [self._end(order, OrderState.ACCEPTED, ())]

    def _meet(
        self, order: e.SubmitOrder, mark: Decimal, share: Decimal, otherwise: OrderState
    ) -> None:
        quantity = order.quantity * share // LOT * LOT
        state = OrderState.FILLED if quantity == order.quantity else otherwise
        self._end(order, state, self._fills(order, mark, quantity))

    def _tells(self, ours: str, slot: int) -> None:
        self.on_its_way.append(Told(slot + self._rng.choice([0, 0, 1, 3]), self._ends[ours]))

    def submit(self, order: e.SubmitOrder, mark: Decimal, slot: int) -> None:
        stories = (
            self._whole, self._in_pieces, self._partly, self._refused, self._not_sent,
            self._lost_and_found, self._lost_and_absent, self._hidden, self._late, self._adopted,
            self._overfilled,
        )  # fmt: skip
        weights = [12, 6, 6, 2, 2, 4, 2, 4, 2, 2, 1]
        story = self._rng.choices(stories, weights=weights)[0]
        told = story(order, mark)
        is_ordered = story in (self._late, self._adopted)
        delays = [self._rng.choice([0, 0, 0, 1, 2, 5]) for _ in told]
        for report, delay in zip(told, sorted(delays) if is_ordered else delays, strict=True):
            for _ in range(self._rng.choice([1, 1, 1, 2])):
                self.on_its_way.append(Told(slot + delay, report))

    def look_up(self, order: e.LookUpOrder, slot: int) -> None:
        end = self._ends[order.client_order_id]
        delay = self._rng.choice([0, 1])
        self.on_its_way.append(Told(slot + delay, replace(end, source=e.ReportSource.LOOKUP)))

    def heard_by(self, slot: int) -> list[e.OrderReported]:
        """What arrives now; of one order in the order it was told, else in any."""
        arriving = [each for each in self.on_its_way if each.due <= slot]
        self.on_its_way = [each for each in self.on_its_way if each.due > slot]
        arriving.sort(key=lambda each: (each.due, self._rng.random()))
        return [each.report for each in arriving]

    def executed(self) -> dict[str, Decimal]:
        """What was executed of each order, told or not."""
        return {
            order: sum((fill.quantity for fill in end.fills), Decimal(0))
            for order, end in self._ends.items()
        }

    # --- stories ------------------------------------------------------------------------------

    def _whole(self, order: e.SubmitOrder, mark: Decimal) -> list[e.OrderReported]:
        return [self._end(order, OrderState.FILLED, self._fills(order, mark, order.quantity))]

    def _in_pieces(self, order: e.SubmitOrder, mark: Decimal) -> list[e.OrderReported]:
        fills = self._fills(order, mark, order.quantity)
        end = self._end(order, OrderState.FILLED, fills)
        pieces = [
            replace(end, state=OrderState.PARTLY_FILLED, filled_quantity=None, fills=(each,))
            for each in fills[:-1]
        ]
        reply = replace(end, state=OrderState.ACCEPTED, filled_quantity=None, fills=())
        return [reply, *pieces, replace(end, fills=fills[-1:])]

    def _partly(self, order: e.SubmitOrder, mark: Decimal) -> list[e.OrderReported]:
        most = max(Decimal(0), order.quantity - LOT)  # what is left then is too little to be sold
        part = self._rng.choice([Decimal(0), order.quantity * Decimal("0.4"), most]) // LOT * LOT
        return [self._end(order, OrderState.EXPIRED, self._fills(order, mark, part))]

    def _refused(self, order: e.SubmitOrder, _mark: Decimal) -> list[e.OrderReported]:
        return [self._says(order, e.Outcome.REFUSED)]

    def _not_sent(self, order: e.SubmitOrder, _mark: Decimal) -> list[e.OrderReported]:
        return [self._says(order, e.Outcome.NOT_SENT)]

    def _lost_and_found(self, order: e.SubmitOrder, mark: Decimal) -> list[e.OrderReported]:
        return [self._says(order, e.Outcome.UNKNOWN), *self._partly(order, mark)]

    def _lost_and_absent(self, order: e.SubmitOrder, _mark: Decimal) -> list[e.OrderReported]:
        return [self._says(order, e.Outcome.UNKNOWN), self._says(order, e.Outcome.ABSENT)]

    def _hidden(self, order: e.SubmitOrder, mark: Decimal) -> list[e.OrderReported]:
        (end,) = self._whole(order, mark)
        return [replace(end, fills=(), source=e.ReportSource.STREAM)]

    def _late(self, order: e.SubmitOrder, mark: Decimal) -> list[e.OrderReported]:
        fills = self._fills(order, mark, order.quantity)
        end = self._end(order, OrderState.FILLED, fills)
        canceled = replace(end, state=OrderState.CANCELED, filled_quantity=Decimal(0), fills=())
        return [canceled, replace(end, state=None, filled_quantity=None)]

    def _adopted(self, order: e.SubmitOrder, mark: Decimal) -> list[e.OrderReported]:
        gone = self._rng.choice([e.Outcome.ABSENT, e.Outcome.REFUSED])
        return [self._says(order, gone), *self._whole(order, mark)]

    def _overfilled(self, order: e.SubmitOrder, mark: Decimal) -> list[e.OrderReported]:
        return [self._end(order, OrderState.FILLED, self._fills(order, mark, order.quantity + LOT))]

    # --- parts --------------------------------------------------------------------------------

    def _says(self, order: e.SubmitOrder, outcome: e.Outcome) -> e.OrderReported:
        return e.OrderReported(
            ts_ns=order.ts_ns,
            client_order_id=order.client_order_id,
            outcome=outcome,
            source=e.ReportSource.REPLY,
            reason=outcome.value,
        )

    def _end(
        self, order: e.SubmitOrder, state: OrderState, fills: tuple[Fill, ...]
    ) -> e.OrderReported:
        end = replace(
            self._says(order, e.Outcome.ACKNOWLEDGED),
            state=state,
            venue_order_id=f"v-{order.client_order_id}",
            filled_quantity=sum((each.quantity for each in fills), Decimal(0)),
            fills=fills,
        )
        self._ends[order.client_order_id] = end
        return end

    def _fills(self, order: e.SubmitOrder, mark: Decimal, quantity: Decimal) -> tuple[Fill, ...]:
        """Up to three executions of whole lots near the mark, with fees as exchanges take them."""
        cuts = sorted(self._rng.randint(0, int(quantity / LOT)) for _ in range(2))
        edges = [Decimal(0), *(cut * LOT for cut in cuts), quantity]
        parts = [after - before for before, after in pairwise(edges)]
        return tuple(self._fill(order, mark, part) for part in parts if part > 0)

    def _fill(self, order: e.SubmitOrder, mark: Decimal, quantity: Decimal) -> Fill:
        self._trades += 1
        slip = 1 + Decimal(self._rng.randint(-20, 20)) / 10_000
        price = max(TICK, INSTRUMENTS[order.instrument].price_down(mark * slip))
        base, quote = (getattr(INSTRUMENTS[order.instrument], each) for each in ("base", "quote"))
        is_in_base = order.side == "buy" and not INSTRUMENTS[order.instrument].is_swap
        received = base if is_in_base else quote
        currency = self._rng.choice([received, received, quote, "BNB", "USDT"])
        rate = self._rng.choice(
            [Decimal("0.001"), Decimal("0.001"), Decimal("-0.0001")]
        )  # a rebate
        fee = quantity * rate * (1 if currency == base else price)
        return Fill(
            trade_id=str(self._trades),
            price=price,
            quantity=quantity,
            fee=fee,
            fee_currency=currency,
            ts_ns=order.ts_ns,
        )


class Simulation:
    """Feeds a core for `slots` hours, then lets every answer arrive."""

    def __init__(
        self,
        seed: int,
        *,
        slots: int = 50,
        wrap: Callable[[Sequence[Route]], Sequence[Route]] | None = None,
    ) -> None:
        self._rng = Random(seed)
        self.settings = settings_of(self._rng)
        self.core = a_core(self.settings, wrap)
        self.venue = RandomVenue(self._rng)
        self.steps: list[Step] = []
        self._asked: list[e.AskQuotes] = []
        self._training: e.StartTraining | None = None
        self._trainings = 0
        self._mood = copy(self._rng).randrange(100)
        self.slots = slots
        self._prices = dict.fromkeys(IDS, 100.0)
        self._changes = dict.fromkeys(IDS, 0.0)
        # The model bets on moves that go on: here they do, or do not, or turn back.
        self._echo = self._rng.choice([0.0, 0.7, -0.7])
        self._missing: dict[InstrumentId, int] = {}

    def run(self) -> Iterator[Step]:
        """Step by step; what the core has become can be looked at in between."""
        for event in self._opening():
            yield self._take(event, 0)
        for slot in range(self.slots):
            self.venue.trades(self._prices, slot)
            for event in [*self._slot(slot), *self._follow_up(slot)]:
                yield self._take(event, slot)
                for answer in self._answers():
                    yield self._take(answer, slot)
        last = self.slots
        while self.venue.on_its_way or last < self.slots + QUIET_SLOTS:
            for report in self.venue.heard_by(last):
                yield self._take(replace(report, ts_ns=self._now_ns(last)), last)
            for event in self._follow_up(last):
                yield self._take(event, last)
                for answer in self._answers():
                    yield self._take(answer, last)
            last += 1

    def _follow_up(self, slot: int) -> Iterator[e.Input]:
        """What the edge does of its own: it asks about what is open, and lets time pass."""
        now_ns = self._now_ns(slot) + 3 * SECOND_NS
        for order in list(self.core.blotter.all_open()):
            report = self.venue.told_of(order.client_order_id)
            if report is not None and self._rng.random() < 0.8:
                yield replace(report, ts_ns=now_ns)
        yield e.OrdersTicked(ts_ns=now_ns)

    def _take(self, event: e.Input, slot: int) -> Step:
        step = self.core.pipeline.step(event)
        self.steps.append(step)
        for command in step.commands:
            if isinstance(command, e.SubmitOrder):
                mark = Decimal(repr(self._prices[command.instrument]))
                if command.is_resting:
                    self.venue.rest(command, slot)
                else:
                    self.venue.submit(command, mark, slot)
            elif isinstance(command, e.CancelOrder):
                mark = Decimal(repr(self._prices[command.instrument]))
                self.venue.cancel(command, mark, slot)
            elif isinstance(command, e.LookUpOrder):
                self.venue.look_up(command, slot)
            elif isinstance(command, e.StartTraining):
                self._training = command
            elif isinstance(command, e.AskQuotes):
                self._asked.append(command)
        return step

    def _answers(self) -> Iterator[e.Input]:
        """Books for what was asked; now and then one that cannot be read, and one never comes."""
        asked, self._asked = self._asked, []
        for question in asked:
            if self._rng.random() < 0.03:
                continue
            yield e.QuotesTaken(
                ts_ns=question.ts_ns,
                instrument=question.instrument,
                trace=question.trace,
                direction=question.direction,
                quotes=tuple(self._quote(each, question.ts_ns) for each in question.instruments),
            )

    def _quote(self, instrument: InstrumentId, ts_ns: int) -> e.Quote:
        """A book around the price of now, thin or deep; sometimes nobody answers."""
        rng, mark = self._rng, Decimal(repr(self._prices[instrument]))
        if rng.random() < 0.05:
            return e.Quote(instrument=instrument, taken_ns=ts_ns, error="nobody answers")
        price = max(TICK, INSTRUMENTS[instrument].price_down(mark))
        asks = ((price, Decimal(rng.choice(["0.01", "2", "20", "10000", "10000", "10000"]))),)
        wide = Decimal("0.99") if rng.random() < 0.1 else 1
        bids = tuple((price * wide, quantity) for price, quantity in asks)
        return e.Quote(instrument=instrument, taken_ns=ts_ns, bids=bids, asks=asks)

    def _opening(self) -> list[e.Input]:
        start_ns = self._now_ns(-1)
        return [
            a_run_opened(
                ts_ns=start_ns,
                instruments=tuple(INSTRUMENTS.values()),
                allotted_quote=ALLOTTED,
                accounts=ACCOUNTS,
                is_routed=self.settings.execution.routing == "best",
                reporting_currency=self.settings.risk.reporting_currency,
                leverage=Decimal(repr(self.settings.risk.max_leverage)),
            ),
            self._activation(MODEL, start_ns, OPEN_NS),
            e.HistoryLoaded(
                ts_ns=start_ns,
                bars=tuple(self._bar(each, slot) for slot in (-3, -2, -1) for each in IDS),
            ),
            e.Started(ts_ns=start_ns),
            e.Reconciled(ts_ns=start_ns, is_clean=True),
        ]

    def _activation(self, model: str, ts_ns: int, through_ns: int) -> e.ModelActivated:
        features = feature_set_of(self.settings)
        return a_model_activated(
            ts_ns=ts_ns,
            model=model,
            feature_fingerprint=features.fingerprint,
            feature_names=features.names,
            horizon_bars=self.settings.model.horizon_bars,
            trained_through_ns=through_ns,
            long_payoff=a_payoff(win_ratio=0.02, loss_ratio=0.012),
            short_payoff=a_payoff(win_ratio=0.02, loss_ratio=0.012),
        )

    def _slot(self, slot: int) -> Iterator[e.Input]:
        now_ns, rng = self._now_ns(slot), self._rng
        yield from self._operator(now_ns)
        for report in self.venue.heard_by(slot):
            yield replace(report, ts_ns=now_ns)
        bars = [self._bar(each, slot) for each in IDS if rng.random() > 0.06]
        for each in IDS:
            if each not in {bar.instrument for bar in bars}:
                self._missing[each] = self._missing.get(each, 0) + 1
        for bar in bars:
            if count := self._missing.pop(bar.instrument, 0):
                yield e.BarsMissed(
                    ts_ns=now_ns,
                    instrument=bar.instrument,
                    first_open_ns=bar.open_ns - count * HOUR_NS,
                    count=count,
                    cause=rng.choice(list(MissCause)),
                )
        for section in [tuple(bars)] if rng.random() < 0.7 else [(bar,) for bar in bars]:
            if section:
                yield e.BarsClosed(ts_ns=max(bar.received_ns for bar in section), bars=section)
        for report in self.venue.heard_by(slot):
            yield replace(report, ts_ns=now_ns + SECOND_NS)
        if rng.random() < 0.1:
            yield e.HealthTick(ts_ns=now_ns + 2 * SECOND_NS)
        yield from self._trained(now_ns)

    def _trained(self, now_ns: int) -> Iterator[e.Input]:
        """A training takes a while, and every third one gives no model."""
        asked = self._training
        if asked is None or now_ns - asked.ts_ns < TRAINING_SLOTS * HOUR_NS:
            return
        self._training = None
        if self._trainings % 3 == 0:
            failed = a_training_failed(ts_ns=now_ns, opened_ns=asked.opened_ns)
            yield replace(failed, fault=list(e.TrainingFault)[asked.attempt % 5])
        else:
            name = f"{CANDIDATE}-{self._trainings % CANDIDATES}"
            model = self._activation(name, now_ns, asked.until_ns)
            yield a_candidate_trained(ts_ns=now_ns, opened_ns=asked.opened_ns, activation=model)
        self._trainings += 1

    def _operator(self, now_ns: int) -> Iterator[e.Input]:
        """Things that happen now and then, whoever or whatever makes them."""
        rng = self._rng
        if rng.random() < 0.02:
            yield e.HaltRequested(ts_ns=now_ns, reason="lunch", who="uid 7")
        if self.core.risk.halted and rng.random() < 0.15:
            yield e.ResumeRequested(ts_ns=now_ns, reason="seen", who="uid 7")
        if rng.random() < 0.01:
            yield e.Reconciled(ts_ns=now_ns, is_clean=False, differences=("USDT: 1 and 2",))
        elif rng.random() < 0.05:
            yield e.Reconciled(ts_ns=now_ns, is_clean=True)
        yield from self._swaps_of_models(now_ns)
        if now_ns // HOUR_NS % 67 == 41:
            yield e.FlattenRequested(ts_ns=now_ns, reason="get out", who="uid 7")
        if now_ns // HOUR_NS % 31 == 11:
            yield e.StopRequested(ts_ns=now_ns)
            yield e.Started(ts_ns=now_ns)
            yield e.Reconciled(ts_ns=now_ns, is_clean=True)
        if now_ns // HOUR_NS % 29 == 7:
            yield e.BooksAdopted(ts_ns=now_ns, exchange="embedded", orders=())
            yield e.FundsMoved(
                ts_ns=now_ns, exchange="embedded", currency="USDT", amount=Decimal(5), reason=""
            )
        if rng.random() < 0.004:
            yield e.OrderReported(
                ts_ns=now_ns,
                client_order_id="tdforeign",
                outcome=e.Outcome.ACKNOWLEDGED,
                source=e.ReportSource.STREAM,
            )
        yield from self._swaps(now_ns)
        yield from self._connections(now_ns)
        yield from self._surroundings(now_ns)

    def _surroundings(self, now_ns: int) -> Iterator[e.Input]:
        """Clocks that go wrong and are set again, a disk that fills up, data beyond belief."""
        hour = now_ns // HOUR_NS + self._mood
        exchange, instrument = EXCHANGES[hour // 19 % 2], IDS[hour // 43 % len(IDS)]
        if hour % 19 in {4, 6}:
            is_trusted = hour % 19 == 6
            yield a_clock_checked(ts_ns=now_ns, exchange=exchange, is_trusted=is_trusted)
        if hour % 37 in {6, 7}:
            yield a_disk_checked(ts_ns=now_ns, is_enough=hour % 37 == 7)
        if hour % 29 == 11:
            yield a_features_checked(ts_ns=now_ns)
        if hour % 43 == 8:
            for _ in range(REJECTED_MAX):
                yield a_bar_rejected(ts_ns=now_ns, instrument=instrument)

    def _swaps_of_models(self, now_ns: int) -> Iterator[e.Input]:
        """Somebody wants another model, or the one before."""
        roles, hour = self.core.roles, now_ns // HOUR_NS + self._mood
        if roles.challenger is not None and hour % 31 == 5:
            yield e.PromotionRequested(
                ts_ns=now_ns, activation=roles.challenger.activation, reason="try", who="uid 7"
            )
        elif roles.previous is not None and hour % 13 == 3:
            yield e.RollbackRequested(
                ts_ns=now_ns, activation=roles.previous.activation, reason="odd", who="uid 7"
            )

    def _swaps(self, now_ns: int) -> Iterator[e.Input]:
        """Funding, and a position that is taken away while no order is about it."""
        rng, price = self._rng, Decimal(repr(self._prices[SWAP]))
        if rng.random() < 0.1:
            rate = Decimal(rng.randint(-20, 20)) / 10_000
            yield e.FundingCharged(ts_ns=now_ns, instrument=SWAP, rate=rate, price=price)
        blotter, held = self.core.blotter, self.core.book.position(SWAP).quantity
        is_busy = blotter.open_orders(SWAP) or blotter.parent_of(SWAP)
        if rng.random() < 0.05 and held and not is_busy:
            yield e.PositionLiquidated(
                ts_ns=now_ns, instrument=SWAP, price=price * Decimal("0.9"), fee=Decimal("0.25")
            )

    def _connections(self, now_ns: int) -> Iterator[e.Input]:
        rng = self._rng
        exchange = rng.choice(EXCHANGES)
        if rng.random() < 0.03:
            yield e.ExchangeLost(ts_ns=now_ns, exchange=exchange, error="no route")
        elif rng.random() < 0.4:
            yield e.ExchangeBack(ts_ns=now_ns, exchange=exchange)
        instrument = rng.choice(IDS)
        if rng.random() < 0.02:
            is_tradable = rng.random() < 0.7
            yield e.ListingChanged(
                ts_ns=now_ns, instrument=instrument, is_tradable=is_tradable, detail="BREAK"
            )
        if rng.random() < 0.04:
            yield e.FeedStale(ts_ns=now_ns, instrument=instrument, silent_s=91.0, action="poll")
        elif rng.random() < 0.3:
            yield e.FeedRecovered(ts_ns=now_ns, instrument=instrument)

    def _bar(self, instrument: InstrumentId, slot: int) -> Bar:
        rng, before = self._rng, self._prices[instrument]
        change = rng.gauss(0.0, 0.01) + self._echo * self._changes[instrument]
        self._changes[instrument] = change
        if rng.random() < 0.03:
            change += rng.choice([-0.3, -0.12, 0.12, 0.3])
        close = max(0.05, round(before * (1.0 + change), 2))
        self._prices[instrument] = close
        late_ns = HOUR_NS if rng.random() < 0.03 else rng.randint(0, SECOND_NS)
        return Bar(
            instrument=instrument,
            open_ns=OPEN_NS + slot * HOUR_NS,
            close_ns=self._now_ns(slot),
            open=before,
            high=max(before, close),
            low=min(before, close),
            close=close,
            volume=0.0 if rng.random() < 0.02 else rng.uniform(1.0, 100.0),
            received_ns=self._now_ns(slot) + late_ns,
            source=BarSource.STREAM,
        )

    @staticmethod
    def _now_ns(slot: int) -> int:
        return OPEN_NS + (slot + 1) * HOUR_NS


def a_run(seed: int, **changes: Any) -> Simulation:
    """A whole story, told to its end."""
    simulation = Simulation(seed, **changes)
    for _ in simulation.run():
        pass
    return simulation
