"""Sections: one frozen type per section of config.toml, with the limits each value must keep.

Belongs here: keys, types, defaults, and relations between keys of one section. Relations between
sections belong to `settings`.
"""

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from daemon.config.exchanges import (
    is_embedded,
    symbols_by_exchange,
)
from daemon.config.money import amounts_by_name, word_or_table
from daemon.config.values import (
    SAME,
    Bps,
    Classifier,
    Count,
    Currency,
    ExchangeName,
    FeeTiers,
    LimitRatio,
    Money,
    MoneyOrNone,
    Natural,
    Real,
    Seconds,
    Secret,
    Share,
    SourceTimeframe,
    Symbol,
    Timeframe,
    Window,
    listed,
    not_bool,
    refuse,
)
from daemon.core.instruments import EMBEDDED, quote_of
from daemon.core.timeframes import timeframe_ns

SOURCE_BARS_MAX = 10_000_000  # of one symbol's history, before anything is decided


class Section(BaseModel):
    """What every section is: frozen, with unknown keys refused and values kept out of errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class RunSection(Section):
    mode: Literal["paper", "shadow", "live"] = "paper"
    name: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,16}$")] = "tradingd"
    state_dir: Path = Path("state")
    seed: Natural = 42


class DataSection(Section):
    exchange: ExchangeName = EMBEDDED
    symbols: Annotated[tuple[Symbol, ...], BeforeValidator(listed), Field(min_length=1)] = (
        "BTC/USDT",
        "ETH/USDT",
    )
    also: Annotated[
        dict[ExchangeName, tuple[Symbol, ...]], BeforeValidator(symbols_by_exchange)
    ] = {}
    timeframe: Timeframe = "1h"
    source_timeframe: SourceTimeframe = SAME
    history_bars: Annotated[Count, Field(le=1_000_000)] = 8_760
    transport: Literal["auto", "websocket", "trades", "rest"] = "auto"
    max_decision_age_ratio: Share = 0.5
    stale_after_s: Seconds = 90.0
    zero_volume: Literal["accept", "flag", "reject"] = "flag"
    spike_scale: Annotated[Real, Field(ge=5, le=1_000)] = 30.0
    quarantine_max_per_day: Natural = 10

    @property
    def quote(self) -> str:
        """The currency in which the first symbol is priced."""
        return quote_of(self.symbols[0])

    @property
    def quotes(self) -> tuple[str, ...]:
        """Every currency in which something is priced, that of the first symbol first."""
        return tuple(dict.fromkeys(map(quote_of, self.all_symbols)))

    @property
    def all_symbols(self) -> tuple[str, ...]:
        """The symbols of all exchanges, each once."""
        return tuple(dict.fromkeys(each for named in self.by_exchange.values() for each in named))

    @property
    def by_exchange(self) -> dict[str, tuple[str, ...]]:
        """Every exchange with its symbols, the first one first."""
        further = {name: symbols or self.symbols for name, symbols in self.also.items()}
        return {self.exchange: self.symbols, **further}

    @property
    def is_embedded(self) -> bool:
        """True on the exchange in the box, and then all further ones are of its kind."""
        return is_embedded(self.exchange)

    @property
    def fetched_timeframe(self) -> str:
        """The timeframe that is asked of the exchange; those decided on are made of it."""
        return self.timeframe if self.source_timeframe == SAME else self.source_timeframe

    @property
    def parts_per_bar(self) -> int:
        """How many fetched bars make one that is decided on."""
        return timeframe_ns(self.timeframe) // timeframe_ns(self.fetched_timeframe)

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        whole, part = timeframe_ns(self.timeframe), timeframe_ns(self.fetched_timeframe)
        if whole % part:
            text = f'should divide {self.timeframe} into whole parts, or be "{SAME}"'
            refuse("source_timeframe", text)
        if self.history_bars * self.parts_per_bar > SOURCE_BARS_MAX:
            text = (
                f"makes {self.history_bars} bars of history {self.history_bars * whole // part} "
                f"to fetch; at most {SOURCE_BARS_MAX} can be: shorten data.history_bars"
            )
            refuse("source_timeframe", text)
        return self

    @model_validator(mode="after")
    def _symbols_named_once(self) -> Self:
        places = {"symbols": self.symbols, **{f"also.{k}": v for k, v in self.also.items()}}
        for key, symbols in places.items():
            if len(set(symbols)) != len(symbols):
                refuse(key, "names a symbol twice")
        return self

    @model_validator(mode="after")
    def _exchanges_go_together(self) -> Self:
        for name in self.also:
            if name == self.exchange:
                text = f"is data.exchange already; a second one of its kind is '{name}-b'"
                refuse(f"also.{name}", text)
            if is_embedded(name) != self.is_embedded:
                text = f"cannot run beside {self.exchange}: a market in the box has its own time"
                refuse(f"also.{name}", text)
        return self


class AddedFeature(Section):
    """One entry of features.add; what is not named here is a parameter of the kernel."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Real]

    kernel: str
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")] | None = None
    reference: Symbol | None = None
    every_bars: Count = 1

    @property
    def parameters(self) -> dict[str, float]:
        return dict(self.__pydantic_extra__)


class FeaturesSection(Section):
    set: Literal["reference", "wide", "none"] = "reference"
    rsi_period: Window = 14
    bb_period: Window = 20
    volatility_window: Window = 10
    volume_window: Window = 20
    lags: Annotated[
        tuple[Annotated[Natural, Field(le=5_000)], ...],
        BeforeValidator(listed),
        Field(min_length=1),
    ] = (0, 1, 2, 3, 5, 10)
    file: str = ""
    add: tuple[AddedFeature, ...] = ()

    @property
    def longest_bars(self) -> int:
        """An upper bound of the bars the reference set looks back on, the newest one included."""
        windows = (self.rsi_period, self.bb_period, self.volatility_window, self.volume_window)
        return max(*windows, *self.lags) + 2

    @model_validator(mode="after")
    def _lags_ascend(self) -> Self:
        if list(self.lags) != sorted(set(self.lags)):
            refuse("lags", "should ascend, each lag once")
        return self

    @model_validator(mode="after")
    def _has_features(self) -> Self:
        if self.set == "none" and not self.add:
            refuse("set", "leaves no feature at all: features.add is empty")
        return self


class ModelSection(Section):
    classifier: Classifier = "random_forest"
    parameters: dict[str, float | int | bool | str] = {}
    trees: Annotated[Count, Field(le=5_000)] = 300
    depth: Annotated[Count, Field(le=16)] = 6
    min_leaf: Count = 20
    folds: Annotated[int, BeforeValidator(not_bool), Field(ge=2, le=100)] = 6
    horizon_bars: Annotated[Count, Field(le=1_000)] = 1
    label: Literal["direction", "triple_barrier"] = "direction"
    dead_zone_bps: Bps = 0.0
    barrier_unit: Literal["volatility", "bps"] = "volatility"
    profit_barrier: Annotated[Real, Field(gt=0, le=10_000)] = 2.0
    stop_barrier: Annotated[Real, Field(gt=0, le=10_000)] = 2.0
    barrier_bars: Annotated[Window, Field(le=1_000)] = 20
    max_age_days: Annotated[Real, Field(gt=0)] = 45.0


class SignalSection(Section):
    confidence_min_ratio: Annotated[Real, Field(ge=0, lt=1)] = 0.30
    cost_margin_bps: Bps = 2.0
    min_interval_bars: Natural = 1
    allow_short: bool = False


class RiskSection(Section):
    allotted_quote: Money = Decimal(10_000)
    allotted: Annotated[dict[Currency, Money], BeforeValidator(amounts_by_name)] = {}
    reporting_currency: Currency | Literal[""] = ""
    allocation: Annotated[
        Annotated[Literal["shared", "equal"], Tag("[word]")]
        | Annotated[dict[Symbol, Share], Tag("[table]")],
        Discriminator(word_or_table),
        BeforeValidator(amounts_by_name),
    ] = "shared"
    kelly_ratio: Share = 0.25
    max_position_ratio: Annotated[Real, Field(gt=0, le=5)] = 0.10
    max_gross_exposure_ratio: Annotated[Real, Field(gt=0, le=5)] = 0.30
    max_net_exposure_ratio: LimitRatio = 0.0
    max_correlated_exposure_ratio: LimitRatio = 0.0
    correlation_min_ratio: Share = 0.7
    volatility_target_ratio: Annotated[Real, Field(ge=0, le=100)] = 0.0
    volatility_max_ratio: Annotated[Real, Field(ge=0, le=100)] = 0.0
    volatility_bars: Annotated[Window, Field(ge=10, le=1_000)] = 100
    max_order_notional_quote: Money = Decimal(2_500)
    max_day_notional_quote: MoneyOrNone = Decimal(250_000)
    max_drawdown_ratio: Annotated[Real, Field(gt=0, lt=1)] = 0.15
    max_daily_loss_ratio: Annotated[Real, Field(ge=0, lt=1)] = 0.03
    max_losses_in_a_row: Natural = 8
    loss_pause_bars: Annotated[Count, Field(le=100_000)] = 24
    max_orders_per_hour: Annotated[Count, Field(le=10_000)] = 60
    max_orders_per_day: Annotated[Natural, Field(le=100_000)] = 500
    max_unresolved_orders: Natural = 3
    max_refusals_in_a_row: Natural = 5
    refusal_pause_bars: Annotated[Count, Field(le=100_000)] = 4
    price_collar_bps: Annotated[Bps, Field(gt=0)] = 1_000.0
    trade_fee_asset: bool = False
    max_leverage: Annotated[Real, Field(ge=1, le=5)] = 1.0
    maintenance_margin_ratio: Annotated[Real, Field(ge=0, le=0.2)] = 0.01
    min_liquidation_distance_ratio: Annotated[Real, Field(gt=0, lt=1)] = 0.10
    max_spread_bps: Bps = 50.0
    max_depth_ratio: Annotated[Real, Field(ge=0, le=1_000)] = 3.0
    probation_ratio: Share = 0.5
    probation_trades: Annotated[Natural, Field(le=10_000)] = 10
    trade_unknown_model: Literal["never", "paper", "always"] = "paper"
    successor_ends_model_halt: bool = False
    halt_on_features_differ: bool = True

    @model_validator(mode="after")
    def _caps_agree(self) -> Self:
        position, gross = self.max_position_ratio, self.max_gross_exposure_ratio
        if position > gross:
            text = f"is above risk.max_gross_exposure_ratio ({gross:g}): one position breaks both"
            refuse("max_position_ratio", text)
        if gross > self.max_leverage:
            text = f"is above risk.max_leverage ({self.max_leverage:g}): nobody lends the rest"
            refuse("max_gross_exposure_ratio", text)
        return self


Action = Literal["hold", "protect", "reduce", "close"]


class PolicySection(Section):
    """What becomes of a position in trouble; docs/risk.md says what each trouble is."""

    model_critical: Action = "protect"
    model_unknown: Action = "hold"
    model_expired: Action = "hold"
    outage: Action = "protect"
    delisted: Action = "close"
    exchange_lost: Action = "protect"
    version_changed: Action = "hold"
    halt_drawdown: Action = "hold"
    halt_model_critical: Action = "hold"
    halt_operator: Action = "hold"
    halt_reconcile: Action = "hold"
    halt_foreign_order: Action = "hold"
    halt_overfill: Action = "hold"
    halt_liquidated: Action = "hold"
    halt_late_fill: Action = "hold"
    halt_features_differ: Action = "hold"
    outage_bars: Annotated[Count, Field(le=10_000)] = 5
    reduce_ratio: Annotated[Real, Field(gt=0, lt=1)] = 0.5
    stop_ratio: Annotated[Real, Field(gt=0, lt=1)] = 0.10


class ExecutionSection(Section):
    fee_bps: Bps = 10.0
    maker_fee_bps: Annotated[Real, Field(ge=-10_000, le=10_000)] = 10.0
    fee_tiers: FeeTiers = ()
    slippage_bps: Bps = 5.0
    cost_prior_fills: Annotated[Count, Field(le=100_000)] = 50
    validity_ms: Annotated[Count, Field(le=60_000)] = 5_000
    grace_s: Seconds = 5.0
    clock_offset_max_ms: Annotated[Count, Field(le=60_000)] = 2_500
    paper_latency_ms: Annotated[Natural, Field(le=60_000)] = 250
    paper_latency_jitter_ms: Annotated[Natural, Field(le=60_000)] = 50
    paper_recovery_s: Annotated[Real, Field(ge=0, le=86_400)] = 30.0
    paper_extra_slippage_bps: Bps = 0.0
    stop_loss_ratio: Annotated[Real, Field(ge=0, lt=1)] = 0.05
    entry_order: Literal["market", "limit"] = "market"
    exit_order: Literal["market", "limit"] = "market"
    limit_offset_bps: Bps = 0.0
    requote_s: Seconds = 15.0
    order_timeout_s: Seconds = 120.0
    slice_depth_ratio: Annotated[Real, Field(ge=0, le=1)] = 0.25
    slice_interval_s: Seconds = 10.0
    quote_within_s: Seconds = 2.0
    routing: Literal["own", "best"] = "own"
    fee_bps_on: Annotated[dict[ExchangeName, Bps], BeforeValidator(amounts_by_name)] = {}
    reconcile_every_s: Annotated[Seconds, Field(ge=1, le=3_600)] = 60.0
    reconcile_patience_s: Annotated[Seconds, Field(le=600)] = 30.0
    foreign: Literal["ignore", "halt"] = "ignore"


class BacktestSection(Section):
    """Only `tradingd backtest` reads these; fees, slippage and latency are those of execution."""

    spread_bps: Bps = 1.0
    depth_ratio: Share = 0.01
    participation_max_ratio: Share = 0.05
    funding_bps: Annotated[Real, Field(ge=-100, le=100)] = 0.0


Days = Annotated[Real, Field(ge=0, le=36_500)]


class StoreSection(Section):
    keep_bars_days: Days = 0.0
    keep_predictions_days: Days = 0.0
    keep_runs_days: Days = 0.0
    cache_megabytes: Annotated[Natural, Field(le=1_000_000)] = 256


class LogSection(Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "console"] = "auto"


class ExchangeSection(Section):
    """Secrets: from credentials or the environment, never from config.toml."""

    api_key: Secret | None = None
    api_secret: Secret | None = None
    api_password: Secret | None = None

    @model_validator(mode="after")
    def _pair(self) -> Self:
        if (self.api_key is None) != (self.api_secret is None):
            missing = "api_secret" if self.api_secret is None else "api_key"
            refuse(missing, "is missing: key and secret come together")
        if self.api_key and self.api_key == self.api_secret:
            refuse("api_secret", "is the same as the key")
        if self.api_password is not None:
            if self.api_key is None:
                refuse("api_key", "is missing: a password belongs to a key and a secret")
            if self.api_password in {self.api_key, self.api_secret}:
                refuse("api_password", "is the same as the key or the secret")
        return self
