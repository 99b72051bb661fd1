"""A core of the daemon between two planted models: a market with an echo, and who hears it.

Belongs here: a market in which one model is right and another is not, hour after hour. What must
come of it belongs to the tests.
"""

from dataclasses import replace
from random import Random
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from daemon.app import Core, build_core
from daemon.config import (
    DataSection,
    HealthSection,
    ModelSection,
    PromotionSection,
    RetrainingSection,
    Settings,
    SignalSection,
)
from daemon.core import events as e
from daemon.core.bars import Bar
from daemon.core.instruments import InstrumentId
from daemon.feature_config import feature_set_of
from daemon.layers.inference.forest import CompiledForest
from daemon.layers.inference.model import ActiveModel, Calibration
from tests.builders import (
    HOUR_NS,
    OPEN_NS,
    a_bar,
    a_candidate_trained,
    a_model_activated,
    a_payoff,
    a_run_opened,
    an_instrument,
)

BTC: Final = InstrumentId("embedded", "BTC/USDT")
CHAMPION: Final = "the-champion"
RIGHT: Final = "hears-it"
WRONG: Final = "hears-the-opposite"
ALIKE: Final = "hears-nothing-either"
STEP: Final = 0.02
# What each says after a bar that rose: the chance that the next one rises, too.
SAYS: Final = {CHAMPION: 0.5, RIGHT: 0.65, WRONG: 0.35, ALIKE: 0.51}


def a_duel(**promotion: Any) -> Settings:
    """Settings of a core that decides on one instrument, a bar ahead."""
    return Settings(
        data=DataSection(symbols=(BTC.symbol,)),
        model=ModelSection(horizon_bars=1, max_age_days=10_000.0),
        signal=SignalSection(confidence_min_ratio=0.0, allow_short=True, cost_margin_bps=0.0),
        health=HealthSection(window_outcomes=200, min_resolved=50),
        retraining=RetrainingSection(enabled=False),
        promotion=PromotionSection(**promotion),
    )


def a_core(settings: Settings) -> Core:
    """A core that knows all the planted models."""
    core = build_core(settings, feature_set_of(settings), None, [BTC])
    for name in SAYS:
        core.inference.use_model(_model(settings, name))
    return core


class Duel:
    """Feeds a core its market; `echo` is how likely a bar goes the way of the one before."""

    def __init__(self, settings: Settings, *, seed: int = 0, echo: float = 0.65) -> None:
        self.settings = settings
        self.core = a_core(settings)
        self.echo = echo
        self.events: list[list[e.Event]] = []
        self._rng = Random(seed)
        self._bars = 0
        self._close = 1_000.0
        self._rose = True
        self.take(a_run_opened(instruments=(an_instrument(id=BTC),), ts_ns=OPEN_NS))
        self.take(self.activation(CHAMPION))
        self.take(e.Started(ts_ns=OPEN_NS))
        self.take(e.Reconciled(ts_ns=OPEN_NS, is_clean=True))

    @property
    def now_ns(self) -> int:
        return OPEN_NS + self._bars * HOUR_NS

    def activation(self, model: str) -> e.ModelActivated:
        features = feature_set_of(self.settings)
        return a_model_activated(
            ts_ns=self.now_ns,
            model=model,
            feature_fingerprint=features.fingerprint,
            feature_names=features.names,
            horizon_bars=1,
            trained_through_ns=OPEN_NS,
            long_payoff=a_payoff(win_ratio=0.02, loss_ratio=0.001),
            short_payoff=a_payoff(win_ratio=0.02, loss_ratio=0.001),
        )

    def challenge(self, model: str, **changes: Any) -> list[e.Event]:
        """A training has made it."""
        made = a_candidate_trained(ts_ns=self.now_ns, activation=self.activation(model))
        return self.take(e.CandidateTrained(**{**_fields(made), **changes}))

    def run(self, bars: int) -> list[e.Event]:
        """So many hours; returns what was decided about models in them."""
        heard = []
        for _ in range(bars):
            heard += self.take(e.BarsClosed(ts_ns=self.now_ns + HOUR_NS, bars=(self._bar(),)))
        return [each for each in heard if isinstance(each, VERDICTS)]

    def silence(self, model: str) -> None:
        """It gives no probability any more, as one whose process has died for good."""
        sound = _model(self.settings, model)
        self.core.inference.use_model(replace(sound, predictor=Silent(sound.predictor.n_features)))

    def outage(self, bars: int) -> None:
        """So many hours of which nothing is known; after them every predictor is well again."""
        self._bars += bars
        for name in SAYS:
            self.core.inference.use_model(_model(self.settings, name))

    def until(self, kind: type[e.Event], bars: int = 2_000) -> int:
        """Hours until the first of that kind; -1 when there was none."""
        for gone in range(bars):
            if any(isinstance(each, kind) for each in self.run(1)):
                return gone + 1
        return -1

    def health(self, status: e.HealthStatus) -> None:
        """A verdict on the active model from elsewhere, applied as a journal would give it."""
        active = self.core.roles.active
        assert active is not None
        sample = e.HealthSampled(
            ts_ns=self.now_ns, model=active.model, status=status, reasons=(), auc=None,
            auc_low=None, auc_high=None, auc_n=0, brier=None, psi_worst=None,
            psi_worst_feature=None, psi_prediction=None, lost=0,
        )  # fmt: skip
        self.core.pipeline.recover([sample])

    def take(self, event: e.Input) -> list[e.Event]:
        events = list(self.core.pipeline.step(event).events)
        self.events.append(events)
        return events

    @property
    def active(self) -> str:
        active = self.core.roles.active
        return "" if active is None else active.model

    def _bar(self) -> Bar:
        rose = self._rose if self._rng.random() < self.echo else not self._rose
        before, self._rose = self._close, rose
        self._close = before * (1.0 + (STEP if rose else -STEP))
        bar = a_bar(
            instrument=BTC, open_ns=self.now_ns, open=before, close=self._close,
            high=max(before, self._close), low=min(before, self._close),
            received_ns=self.now_ns + HOUR_NS,
        )  # fmt: skip
        self._bars += 1
        return bar


VERDICTS: Final = (
    e.PromotionProposed, e.ModelPromoted, e.ModelRolledBack, e.ChallengerDropped, e.WatchEnded,
    e.ModelActivated,
)  # fmt: skip


def _fields(event: e.CandidateTrained) -> dict[str, Any]:
    return {name: getattr(event, name) for name in event.__struct_fields__}


class Silent:
    """A predictor without an answer."""

    def __init__(self, n_features: int) -> None:
        self.n_features = n_features

    def probability_up(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.full(len(rows), np.nan)


def _model(settings: Settings, name: str) -> ActiveModel:
    features, rises = feature_set_of(settings), SAYS[name]
    return ActiveModel(
        model_id=name,
        feature_fingerprint=features.fingerprint,
        feature_names=features.names,
        predictor=CompiledForest(
            feature=np.array([features.names.index("lag_0"), 0, 0], dtype=np.int32),
            threshold=np.zeros(3),
            children=np.array([1, 2, 1, 1, 2, 2], dtype=np.int32),
            probability=np.array([0.0, 1.0 - rises, rises]),
            roots=np.array([0], dtype=np.int32),
            n_features=len(features.names),
        ),
        calibration=Calibration((0.0, 1.0), (0.0, 1.0), (0.01, 0.01)),
    )
