"""A rule of promotion between two models whose skill is known, without anything around it.

Belongs here: what the models say and what becomes of it. What is asked of the rule belongs to
`promotion`.
"""

from __future__ import annotations

import math
from random import Random
from statistics import NormalDist
from typing import TYPE_CHECKING, Final

from daemon.core import events as e
from daemon.core.costs import Costs
from daemon.core.edges import TradeRule
from daemon.core.instruments import InstrumentId
from daemon.core.pipeline import Pipeline, Route, apply, on
from daemon.core.roles import Roles
from daemon.layers.monitoring.challenger import Challenger
from tests.builders import (
    HOUR_NS,
    OPEN_NS,
    a_bar,
    a_challenger_opened,
    a_health_sample,
    a_model_activated,
    a_payoff,
    a_prediction,
    a_promotion,
    a_resolution,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.config import PromotionSection

IDS: Final = tuple(InstrumentId("x", f"{name}/USDT") for name in "ABCD")
MOVE: Final = 0.006
OLD, NEW = "the-old-one", "the-new-one"
CONSTANT: Final = -1.0  # instead of a share of the signal: one half, always
BOLD: Final = 0.0  # instead of a share of the signal: as sure as the best, and knows nothing


class Trial:
    """One life of two models; each knows its share of a signal by which the best has `auc`."""

    def __init__(
        self, seed: int, shares: tuple[float, float], *, auc: float, symbols: int,
        is_dead: bool = False, is_back: bool = False, config: PromotionSection,
    ) -> None:  # fmt: skip
        self._rng = Random(seed)
        self._shares = shares
        self._slope = math.sqrt(2) * NormalDist().inv_cdf(auc)
        self._ids = IDS[:symbols]
        self._roles = Roles()
        self._pipeline = Pipeline(_routes(self._roles, _challenger(config, self._roles)))
        self._bars = 0
        self._take(_activated(OLD))
        opened = a_challenger_opened(ts_ns=OPEN_NS, activation=_activated(NEW), champion=OLD)
        self._take(opened)
        if is_back:  # the new one has taken over, and the old one may come back
            made = a_promotion(ts_ns=OPEN_NS, activation=_activated(NEW), replaced=OLD)
            self._take(made)
            self._take(_activated(NEW))
        if is_dead:
            self._take(a_health_sample(model=OLD, status=e.HealthStatus.CRITICAL))

    def verdict(self, bars_max: int) -> tuple[str, int]:
        """The first thing that is decided, and after how many bars; "" when nothing was."""
        told: list[tuple[InstrumentId, tuple[tuple[str, float], ...], int]] = []
        for bar in range(1, bars_max + 1):
            self._bars = bar
            bars = tuple(a_bar(instrument=each, open_ns=self._now_ns - HOUR_NS) for each in IDS[:1])
            for event in self._take(e.BarsClosed(ts_ns=self._now_ns, bars=bars)):
                if isinstance(event, VERDICTS):
                    return _word(event), bar
            self._resolve(told)
            told = [(each, *self._said()) for each in self._ids]
            self._predict(told)
        return "", bars_max

    @property
    def _now_ns(self) -> int:
        return OPEN_NS + self._bars * HOUR_NS

    def _said(self) -> tuple[tuple[tuple[str, float], ...], int]:
        """What both say of one bar, and what comes."""
        signal = self._rng.gauss(0.0, 1.0)
        outcome = int(self._rng.random() < _logistic(self._slope * signal))
        said = tuple(self._says(share, signal) for share in self._shares)
        return ((OLD, said[0]), (NEW, said[1])), outcome

    def _says(self, share: float, signal: float) -> float:
        """Calibrated to what it knows, but for the bold one."""
        if share == CONSTANT:
            return 0.5
        noise = self._rng.gauss(0.0, 1.0)
        if share == BOLD:
            return _logistic(self._slope * noise)
        known = share * signal + math.sqrt(max(0.0, 1.0 - share * share)) * noise
        return _logistic(self._slope * share * known)

    def _predict(self, told: list[tuple[InstrumentId, tuple[tuple[str, float], ...], int]]) -> None:
        active = self._roles.active
        assert active is not None
        for place, model in enumerate((OLD, NEW)):
            rows = tuple(
                a_prediction(
                    instrument=each, close_ns=self._now_ns, probability_up=said[place][1],
                    standard_error=0.0,
                )
                for each, said, _ in told
            )  # fmt: skip
            kind = e.Predictions if model == active.model else e.ChallengerPredictions
            self._take(kind(ts_ns=self._now_ns, model=model, rows=rows, refused=()))

    def _resolve(self, told: list[tuple[InstrumentId, tuple[tuple[str, float], ...], int]]) -> None:
        for each, said, outcome in told:
            for model, probability in said:
                self._take(
                    a_resolution(
                        ts_ns=self._now_ns, instrument=each, model=model, outcome=outcome,
                        predicted_close_ns=self._now_ns - HOUR_NS, probability_up=probability,
                        return_ratio=MOVE if outcome else -MOVE,
                    )
                )  # fmt: skip

    def _take(self, event: e.Event) -> Iterator[e.Event]:
        return iter(self._pipeline.step(event).events)


VERDICTS = (
    e.PromotionProposed, e.ModelPromoted, e.ModelRolledBack, e.ChallengerDropped, e.WatchEnded,
)  # fmt: skip


def _word(event: e.Event) -> str:
    reason = getattr(event, "reason", "")
    return f"{type(event).__name__} {reason}".strip()


def _logistic(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))


def _activated(model: str) -> e.ModelActivated:
    payoff = a_payoff(win_ratio=MOVE, loss_ratio=MOVE)
    return a_model_activated(
        ts_ns=OPEN_NS, model=model, horizon_bars=1, trained_through_ns=OPEN_NS,
        long_payoff=payoff, short_payoff=payoff,
    )  # fmt: skip


def _challenger(config: PromotionSection, roles: Roles) -> Challenger:
    return Challenger(
        config,
        roles,
        TradeRule(confidence_min_ratio=0.1, margin_ratio=0.0, allow_short=True),
        costs=lambda _id: Costs(fee_ratio=0.0002, slippage_ratio=0.0001),
        timeframe_ns=HOUR_NS,
        model_age_max_ns=10**18,
    )


def _routes(roles: Roles, rule: Challenger) -> list[Route]:
    verdicts = VERDICTS
    return [
        apply(e.ModelActivated, roles.apply_model_activated),
        apply(e.ModelActivated, rule.apply_model_activated),
        apply(e.ChallengerOpened, roles.apply_challenger_opened),
        apply(e.ChallengerOpened, rule.apply_challenger_opened),
        apply(e.ModelPromoted, roles.apply_model_promoted),
        apply(e.ModelPromoted, rule.apply_model_promoted),
        apply(e.HealthSampled, rule.apply_health_sampled),
        apply(e.Predictions, rule.apply_predictions),
        apply(e.ChallengerPredictions, rule.apply_challenger_predictions),
        apply(e.PredictionResolved, rule.apply_prediction_resolved),
        apply(e.BarsClosed, rule.apply_bars_closed),
        on(e.BarsClosed, rule.on_bars_closed, e.ModelsCompared, *verdicts),
        apply(e.ModelsCompared, rule.apply_models_compared),
        on(e.ModelsCompared, rule.on_models_compared, *verdicts),
    ]
