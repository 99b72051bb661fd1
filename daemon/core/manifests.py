"""What a model says about itself: the manifest beside its arrays, and the key it is looked up by.

Only the vocabulary and its JSON form belong here; files and states belong in `store/models`.
"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from daemon.core.errors import ModelForeign, ModelRefused
from daemon.core.timeframes import NS_PER_S

MANIFEST_SCHEMA = "tradingd.model/3"


class ModelKey(msgspec.Struct, frozen=True):
    """What a model is for: at most one model per key is active. Make it with `model_key`."""

    market: str
    symbols: tuple[str, ...]
    timeframe: str
    feature_fingerprint: str


def model_key(
    market: str, symbols: Sequence[str], timeframe: str, feature_fingerprint: str
) -> ModelKey:
    """The key of a model for these symbols, in whatever order they are named."""
    return ModelKey(market, tuple(sorted(symbols)), timeframe, feature_fingerprint)


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class FeatureSetReference(_Part, frozen=True):
    """Which definition of the features the model was taught with, and in which column order."""

    name: str
    version: str
    fingerprint: str
    names: tuple[str, ...]
    lookback_bars: int


class DataRange(_Part, frozen=True):
    """The bars of one symbol that were offered to training."""

    symbol: str
    bars: int
    rows: int  # bars that gave a feature row and a label
    first_open_ns: int
    last_open_ns: int
    sha256: str


class FoldResult(_Part, frozen=True):
    """One walk-forward fold; an AUC is None where its test held a single outcome."""

    train_rows: int
    trained_through_ns: int
    test_start_ns: int
    test_end_ns: int
    n: int
    auc: float | None
    auc_low: float | None
    auc_high: float | None
    baseline_auc: float | None


class ReliabilityBin(_Part, frozen=True):
    """Rows of like probability: what was said of them on average, and how many of them rose."""

    n: int
    said: float
    rose: float


class OutOfSample(_Part, frozen=True):
    """All folds together; the interval is two-sided 95 % and allows for dependence within a bar.

    The baseline is minus the last return, scored on the same rows; `gap` is how much more AUC the
    model has, row by row compared. Brier scores and reliability are over the rows whose calibration
    was fitted on earlier folds only; `brier_base_rate` is that of a constant.
    """

    n: int
    auc: float
    auc_low: float
    auc_high: float
    baseline_auc: float
    gap: float
    gap_low: float
    gap_high: float
    brier: float
    brier_uncalibrated: float
    brier_base_rate: float
    reliability: tuple[ReliabilityBin, ...]


class CalibrationTable(_Part, frozen=True):
    """Raw probability -> calibrated probability, to be interpolated linearly; never decreasing."""

    knots: tuple[float, ...]
    probabilities: tuple[float, ...]
    standard_errors: tuple[float, ...]
    intercept: float
    slope: float
    n: int


class PayoffEstimate(_Part, frozen=True):
    """Mean gross outcome of one direction, out of sample, as a ratio of the entry price.

    Costs are NOT subtracted; whoever sizes a position subtracts his own. `basis` says which rows
    were counted: "threshold" (confident enough to trade), else "direction" (all that predicted
    this direction), else "all" (every row, whatever was predicted).
    """

    n: int
    wins: int
    losses: int
    win_ratio: float
    loss_ratio: float
    basis: str


class Payoffs(_Part, frozen=True):
    """Payoffs of being long after `up` and short after `down`, over the label's horizon."""

    confidence_min_ratio: float
    up: PayoffEstimate
    down: PayoffEstimate


class Costs(_Part, frozen=True):
    """What one side of a trade was assumed to cost."""

    fee_bps: float
    slippage_bps: float


class SurestCalls(_Part, frozen=True):
    """How far prices moved the way of the surest tenth of the calls, before costs, as ratios of the
    entry price, with a 95 % interval; how sure that tenth is comes from earlier folds.
    """

    n: int
    gross_ratio: float
    gross_low: float
    gross_high: float


class Control(_Part, frozen=True):
    """What the same forests find in shuffled outcomes: an AUC that belongs near one half."""

    n: int
    auc: float
    standard_error: float


class NetReturn(_Part, frozen=True):
    """Mean net return per bar of trading the out-of-sample predictions, and its Sharpe ratio.

    Intervals are 95 %, Sharpe ratios those of a year. `deflated_sharpe` is the probability that the
    true one is above what the best of `trials` without an edge shows. All are 0 where nothing was
    traded.
    """

    per_bar_ratio: float
    per_bar_low: float
    per_bar_high: float
    total_ratio: float
    bars: int
    entries: int
    sharpe: float
    sharpe_low: float
    sharpe_high: float
    deflated_sharpe: float
    trials: int


class Placebo(_Part, frozen=True):
    """What so many rows in a row reach by chance, measured on training's own pieces of that length:
    three columns, `rows` rising. Empty where training had too few rows to tell.
    """

    rows: tuple[int, ...] = ()
    psi: tuple[float, ...] = ()
    ks: tuple[float, ...] = ()


class SymbolShares(_Part, frozen=True):
    """What was usual in one symbol, over the bins of all."""

    shares: tuple[float, ...]
    n: int


class Histogram(_Part, frozen=True):
    """Reference distribution for drift; placebos are of all symbols together, and of one alone."""

    edges: tuple[float, ...]
    shares: tuple[float, ...]
    n: int
    symbols: dict[str, SymbolShares] = {}
    placebo: Placebo = Placebo()
    symbol_placebo: Placebo = Placebo()


class Probes(_Part, frozen=True):
    """Feature rows with the exact raw probabilities of the fitted forest, to compare at load."""

    rows: tuple[tuple[float, ...], ...]
    probabilities: tuple[float, ...]


class ModelFile(_Part, frozen=True):
    """A file beside the manifest."""

    sha256: str
    size_bytes: int


class Manifest(_Part, frozen=True):
    """Everything about a model but its numbers. Times are nanoseconds since the epoch, UTC.

    A model may be used only for bars that close after `trained_through_ns`, the latest moment any
    of its labels ended.
    """

    schema: str
    model_id: str
    kind: str
    market: str
    symbols: tuple[str, ...]
    timeframe: str
    timeframe_ns: int
    feature_set: FeatureSetReference
    label: str
    horizon_bars: int
    data: tuple[DataRange, ...]
    trained_through_ns: int
    train_rows: int
    folds: tuple[FoldResult, ...]
    out_of_sample: OutOfSample
    calibration: CalibrationTable
    payoffs: Payoffs
    costs: Costs
    net_return: NetReturn
    surest: SurestCalls | None
    control: Control | None
    reference: dict[str, Histogram]
    reference_probability: Histogram
    probes: Probes
    settings: dict[str, int | float | str | bool]
    seed: int
    libraries: dict[str, str]
    arrays_sha256: str
    edge_shown: bool
    failed: tuple[str, ...]  # names of the declared tests that did not hold
    verdict: str
    created_ns: int
    code_version: str
    files: dict[str, ModelFile]

    @property
    def key(self) -> ModelKey:
        """What this model may be used for."""
        return model_key(self.market, self.symbols, self.timeframe, self.feature_set.fingerprint)


def with_content_id(manifest: Manifest) -> Manifest:
    """The manifest under an id made of its kind, the day its labels end and a hash of its content.

    When and by which code it was made does not enter: the same training has the same id.
    """
    content = msgspec.structs.replace(
        manifest, model_id="", created_ns=0, code_version="", files={}
    )
    digest = hashlib.sha256(msgspec.json.encode(content, order="deterministic")).hexdigest()
    day = datetime.fromtimestamp(manifest.trained_through_ns // NS_PER_S, UTC)
    return msgspec.structs.replace(manifest, model_id=f"{manifest.kind}-{day:%Y%m%d}-{digest[:8]}")


def encode_manifest(manifest: Manifest) -> bytes:
    """Indented JSON; numbers read back to the same bits, and equal manifests give equal bytes."""
    return msgspec.json.format(msgspec.json.encode(manifest, order="deterministic"), indent=1)


def decode_manifest(data: bytes) -> Manifest:
    """Read a manifest; raises `ModelForeign` on another schema and `ModelRefused` on anything
    unexpected in it.
    """
    try:
        schema = msgspec.json.decode(data, type=_Schema).schema
        if schema != MANIFEST_SCHEMA:
            raise ModelForeign(
                f"the manifest has schema {schema!r}; this version reads {MANIFEST_SCHEMA!r}: "
                "train anew"
            )
        return msgspec.json.decode(data, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ModelRefused(f"the manifest is not readable: {error}") from error


class _Schema(msgspec.Struct):
    schema: str
