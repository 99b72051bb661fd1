"""The life of a model: activated, scored, asked for anew, compared in shadow, promoted, taken back.

Belongs here: models. What one says of a bar belongs to `decisions`.
"""

from msgspec import Struct

from daemon.core.events.base import Command, Fact, Input
from daemon.core.instruments import InstrumentId
from daemon.core.labels import LabelRule
from daemon.core.reasons import (
    DropReason,
    HealthStatus,
    PromotionReason,
    RetrainReason,
    TrainingFault,
)
from daemon.core.scores import Shift, SkillWindow, SymbolSkill, TradeFigures


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


class FeaturesChecked(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """Every feature row since the last check was recomputed from the stored bars and compared, bit
    for bit; a bar of the first that differs is named. With an `error` nothing was compared.

    Rows that differ because a bar of theirs was revised later are `revised`, not differing.
    """

    rows: int = 0
    differing: int = 0
    revised: int = 0
    through_step: int = 0  # of the journal: rows up to there are checked
    thinnings: int = 0  # of the journal before; each one numbers the steps anew
    from_ns: int = 0
    until_ns: int = 0
    instrument: InstrumentId | None = None
    close_ns: int | None = None
    feature: str = ""
    live: float | None = None
    stored: float | None = None  # None: the stored bars give no row, or no number
    error: str = ""


class HealthTick(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """The health task asks for a sample."""


class HealthSampled(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """How far the active model can be believed, and by which numbers.

    `evidence` is what those own who bet against its promise, `shown` what he owns who bets for it;
    at the limit beside it the skill is lost, or shown. `since_ns` is since when the skill is lost,
    doubtful or shown. What drifts is in `shifts`; whether that asks for a model is for retraining.
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
    judged: float | None = None  # the number that the rule looks at
    judged_limit: float | None = None
    skill_lost: bool = False
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
    psi_worst_instrument: InstrumentId | None = None  # None: all together
    shifts: tuple[Shift, ...] = ()  # what drifts or is disputed, and the worst in any case


class RetrainingOpened(Fact, frozen=True, kw_only=True, gc=False, tag=True):
    """A new model is asked for, until CandidateTrained or TrainingFailed; one at a time."""

    reason: RetrainReason
    model: str  # the one that may be replaced
    attempt: int  # 1, and one more for each that failed since the last model
    until_ns: int  # the newest bar it may know closed here
    detail: str = ""
    value: float | None = None
    limit: float | None = None


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


class ModelUnfit(Input, frozen=True, kw_only=True, gc=False, tag=True):
    """A model cannot be loaded any more at a start: one in shadow whose files are gone, or an
    active one that another version wrote, which is replaced at once.
    """

    model: str
    error: str


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
