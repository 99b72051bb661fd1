"""The feature set that the configuration declares, with a user's own kernels where it names a file.

Belongs here: reading [features] as a set. What a set is belongs to layer 2, keys and limits to
config.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.config import ConfigRefused
from daemon.core.labels import rule_of
from daemon.core.timeframes import bars_per_year, timeframe_ns
from daemon.layers.features.catalog import REFERENCE, combined, reference_columns, wide_columns
from daemon.layers.features.golden import formula_problem
from daemon.layers.features.registry import FeatureRefused
from daemon.layers.features.sets import FeatureSet, declare
from daemon.research.feature_files import kernels_with

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daemon.config import FeaturesSection, Settings
    from daemon.layers.features.registry import Kernel
    from daemon.layers.features.sets import Feature

VERSION = "1"


def feature_set_of(settings: Settings) -> FeatureSet:
    """The feature set the configuration declares; ConfigRefused with every reason at once."""
    section = settings.features
    kernels = kernels_with(section.file)
    base = _base(section)
    added = _added(settings, kernels)
    try:
        made = FeatureSet(
            name=f"{section.set}+own" if section.set != "none" and added else section.set,
            version=VERSION,
            bars_per_year=bars_per_year(timeframe_ns(settings.data.timeframe)),
            features=combined(base, added),
            kernels=kernels,
        )
    except FeatureRefused as error:
        raise ConfigRefused([f"features: error: {error}"]) from error
    if made.source_sha256 and (problem := formula_problem(made)):
        raise ConfigRefused([f"{section.file}: error: {problem}"])
    needed = settings.history_needed_for(bars_needed(settings, made))
    if settings.data.history_bars < needed:
        text = (
            f"data.history_bars: error: {settings.data.history_bars} is too short: windows of "
            f"{bars_needed(settings, made)} bars, these folds and leaves need {needed}"
        )
        raise ConfigRefused([text])
    return made


def bars_needed(settings: Settings, features: FeatureSet) -> int:
    """How many bars the layers need before a decision: windows, and those of barriers and risk."""
    model, risk = settings.model, settings.risk
    rule = rule_of(
        {
            "label": model.label,
            "barrier_unit": model.barrier_unit,
            "barrier_bars": model.barrier_bars,
        }
    )
    measures = (
        risk.volatility_target_ratio,
        risk.volatility_max_ratio,
        risk.max_correlated_exposure_ratio,
    )
    returns = risk.volatility_bars + 1 if any(measures) else 0
    return max(features.lookback, rule.past_closes, returns)


def _base(section: FeaturesSection) -> tuple[Feature, ...]:
    if section.set == "none":
        return ()
    reference = reference_columns(
        rsi_period=section.rsi_period,
        bb_period=section.bb_period,
        volatility_window=section.volatility_window,
        volume_window=section.volume_window,
        lags=section.lags,
    )
    return reference if section.set == REFERENCE else (*reference, *wide_columns())


def _added(settings: Settings, kernels: Mapping[str, Kernel]) -> list[Feature]:
    made: list[Feature] = []
    refused: list[str] = []
    for number, each in enumerate(settings.features.add, 1):
        try:
            _require_traded(each.reference, settings)
            made.append(
                declare(
                    each.kernel,
                    name=each.name,
                    reference=each.reference,
                    every_bars=each.every_bars,
                    kernels=kernels,
                    **each.parameters,
                )
            )
        except FeatureRefused as error:
            refused.append(f"features.add, entry {number}: error: {error}")
    if refused:
        raise ConfigRefused(refused)
    return made


def _require_traded(reference: str | None, settings: Settings) -> None:
    if reference is not None and reference not in settings.data.symbols:
        known = ", ".join(settings.data.symbols)
        raise FeatureRefused(
            f"reference {reference} is not among data.symbols ({known}): its bars would never come"
        )
