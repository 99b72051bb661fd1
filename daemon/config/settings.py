"""Settings: the sections together, with the relations that cross a border between them.

Belongs here: what is true only of several sections. One section's own rules belong to `sections`.
"""

from typing import Self

from pydantic import model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from daemon.config.sections import (
    BacktestSection,
    DataSection,
    ExchangeSection,
    ExecutionSection,
    FeaturesSection,
    HealthSection,
    LogSection,
    ModelSection,
    RiskSection,
    RunSection,
    SignalSection,
    StoreSection,
)
from daemon.config.values import refuse

ENV_PREFIX = "TRADINGD__"
DELIMITER = "__"


class Settings(BaseSettings):
    """Everything tunable, frozen; a layer receives its own section, never this."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        env_prefix=ENV_PREFIX,
        env_nested_delimiter=DELIMITER,
    )

    run: RunSection = RunSection()
    data: DataSection = DataSection()
    features: FeaturesSection = FeaturesSection()
    model: ModelSection = ModelSection()
    signal: SignalSection = SignalSection()
    risk: RiskSection = RiskSection()
    execution: ExecutionSection = ExecutionSection()
    backtest: BacktestSection = BacktestSection()
    health: HealthSection = HealthSection()
    store: StoreSection = StoreSection()
    log: LogSection = LogSection()
    exchange: ExchangeSection = ExchangeSection()

    @property
    def history_needed_bars(self) -> int:
        """What the reference set needs; features that are added are known to layer 2 alone."""
        return self.history_needed_for(self.features.longest_bars)

    def history_needed_for(self, lookback_bars: int) -> int:
        """Fewer bars cannot fill every walk-forward fold with two leaves' worth of rows."""
        folds = (self.model.folds + 1) * 2 * self.model.min_leaf
        return lookback_bars + self.model.horizon_bars + folds

    @model_validator(mode="after")
    def _history_suffices(self) -> Self:
        if self.data.history_bars < self.history_needed_bars:
            text = f"is too short: these features, folds and leaves need {self.history_needed_bars}"
            refuse("data.history_bars", text)
        return self
