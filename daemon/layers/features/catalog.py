"""Ready-made feature sets: the reference set, the wide one, and what a user adds to them.

Belongs here: which features stand in which set. What can be declared at all belongs to `sets`.
"""

from collections.abc import Sequence

from daemon.core.timeframes import bars_per_year, timeframe_ns
from daemon.layers.features.kernels import BUILT_IN
from daemon.layers.features.sets import Feature, FeatureSet, declare

REFERENCE = "reference"
WIDE = "wide"
NONE = "none"
LAGS = (0, 1, 2, 3, 5, 10)


def reference_columns(
    *,
    rsi_period: int = 14,
    bb_period: int = 20,
    volatility_window: int = 10,
    volume_window: int = 20,
    lags: Sequence[int] = LAGS,
) -> tuple[Feature, ...]:
    """RSI, band width, volatility, volume z-score, and log returns so many bars back."""
    return (
        declare("rsi", name="rsi", period=rsi_period),
        declare("bollinger_width", name="bb_width", period=bb_period),
        declare("volatility", name="volatility", window=volatility_window),
        declare("volume_zscore", name="vol_zscore", window=volume_window),
        *(declare("log_return", name=f"lag_{lag}", lag=lag) for lag in lags),
    )


def wide_columns() -> tuple[Feature, ...]:
    """Every other built-in kernel that needs no second instrument, with its defaults."""
    known = {each.kernel for each in reference_columns()}
    return tuple(
        declare(name, name=name)
        for name, kernel in BUILT_IN.items()
        if name not in known and not kernel.needs_reference
    )


def reference_features(timeframe: str) -> FeatureSet:
    """The reference set for bars of this length ("1h"), on a market that never closes."""
    return FeatureSet(
        name=REFERENCE,
        version="1",
        bars_per_year=bars_per_year(timeframe_ns(timeframe)),
        features=reference_columns(),
    )


def combined(base: Sequence[Feature], added: Sequence[Feature]) -> tuple[Feature, ...]:
    """The base with what is added; an added feature takes the place of one of the same name."""
    replacing = {each.name: each for each in added}
    kept = [replacing.pop(each.name, each) for each in base]
    return (*kept, *(each for each in added if each.name in replacing))
