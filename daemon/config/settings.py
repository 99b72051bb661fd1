"""Settings: the sections together, with the relations that cross a border between them.

Belongs here: what is true only of several sections. One section's own rules belong to `sections`.
"""

from decimal import Decimal
from typing import Self

from pydantic import model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from daemon.config.going_live import GoliveSection
from daemon.config.health import HealthSection
from daemon.config.money import FEE_ASSETS, unvalued
from daemon.config.operations import AlertsSection, ProcessSection
from daemon.config.promotion import PromotionSection
from daemon.config.retraining import RetrainingSection
from daemon.config.sections import (
    BacktestSection,
    DataSection,
    ExchangeSection,
    ExecutionSection,
    FeaturesSection,
    LogSection,
    ModelSection,
    PolicySection,
    RiskSection,
    RunSection,
    SignalSection,
    StoreSection,
)
from daemon.config.values import refuse
from daemon.core.instruments import exchange_behind, is_swap_symbol, liquidation_distance

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
    policy: PolicySection = PolicySection()
    execution: ExecutionSection = ExecutionSection()
    backtest: BacktestSection = BacktestSection()
    health: HealthSection = HealthSection()
    retraining: RetrainingSection = RetrainingSection()
    promotion: PromotionSection = PromotionSection()
    golive: GoliveSection = GoliveSection()
    store: StoreSection = StoreSection()
    log: LogSection = LogSection()
    process: ProcessSection = ProcessSection()
    alerts: AlertsSection = AlertsSection()
    exchange: ExchangeSection = ExchangeSection()

    @property
    def reporting_currency(self) -> str:
        """The currency in which equity, limits and results are told."""
        return self.risk.reporting_currency or self.data.quote

    @property
    def allotted(self) -> dict[str, Decimal]:
        """What the bot may use of every quote currency."""
        quotes, risk = self.data.quotes, self.risk
        usual = self.reporting_currency if self.reporting_currency in quotes else quotes[0]
        return {
            each: risk.allotted.get(each, risk.allotted_quote)
            for each in quotes
            if each in risk.allotted or each == usual
        }

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

    @model_validator(mode="after")
    def _capital_in_every_quote(self) -> Self:
        quotes, named = self.data.quotes, self.risk.allotted
        missing = [each for each in quotes if each not in self.allotted]
        if missing:
            text = (
                f"says nothing of {', '.join(missing)}, and symbols are priced in "
                f"{', '.join(quotes)}: how much may the bot use? allotted = {{{missing[0]} = 0.1}}"
            )
            refuse("risk.allotted", text)
        if unused := [each for each in named if each not in quotes]:
            refuse("risk.allotted", f"names {', '.join(unused)}, in which no symbol is priced")
        if astray := unvalued(self.data.all_symbols, self.reporting_currency, quotes):
            text = (
                f"cannot be told of {', '.join(astray)}: no symbol leads from there to "
                f"{self.reporting_currency}; add one that does, or report in another currency"
            )
            refuse("risk.reporting_currency", text)
        return self

    @model_validator(mode="after")
    def _weights_for_every_symbol(self) -> Self:
        if isinstance(self.risk.allocation, dict):
            total = sum(map(Decimal, map(repr, self.risk.allocation.values())))
            if total > 1:
                refuse("risk.allocation", f"gives away {total:f} of the capital, and there is 1")
            symbols = self.data.all_symbols
            missing = [each for each in symbols if each not in self.risk.allocation]
            if missing:
                refuse(
                    "risk.allocation",
                    f"gives nothing to {', '.join(missing)}: name it, or trade it no more",
                )
            if unused := [each for each in self.risk.allocation if each not in symbols]:
                refuse("risk.allocation", f"names {', '.join(unused)}, which is not traded")
        return self

    @model_validator(mode="after")
    def _swaps_live_long_enough(self) -> Self:
        """Nothing would be opened, or the exchange would be quicker than the stop."""
        risk = self.risk
        if not any(map(is_swap_symbol, self.data.all_symbols)):
            return self
        distance = min(
            liquidation_distance(risk.max_leverage, risk.maintenance_margin_ratio, is_long=is_long)
            for is_long in (True, False)
        )
        words = f"a swap is taken away after a move of {distance:.4f} against it"
        if distance < risk.min_liquidation_distance_ratio:
            text = f"is too much: {words}, and risk.min_liquidation_distance_ratio asks for more"
            refuse("risk.max_leverage", text)
        if distance <= self.execution.stop_loss_ratio:
            text = f"comes too late: with risk.max_leverage = {risk.max_leverage:g} {words}"
            refuse("execution.stop_loss_ratio", text)
        return self

    @model_validator(mode="after")
    def _fee_asset_is_left_alone(self) -> Self:
        """Fees would be taken out of the position, and the exchange's books differ from ours."""
        for exchange, symbols in self.data.by_exchange.items():
            asset = FEE_ASSETS.get(exchange_behind(exchange))
            for symbol in symbols:
                if asset and symbol.startswith(f"{asset}/") and not self.risk.trade_fee_asset:
                    text = (
                        f"has {symbol}, and {exchange} may take its fees in {asset}, out of the "
                        "position: leave it out, or set risk.trade_fee_asset = true when fees "
                        "are not paid in it"
                    )
                    refuse("data.symbols", text)
        return self
