"""Every built-in kernel against its textbook formula, written slowly and in another way."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.layers.features.catalog import reference_features
from daemon.layers.features.golden import golden_bars, golden_check, golden_rows
from daemon.layers.features.kernels import BUILT_IN
from daemon.layers.features.matrix import feature_matrix
from daemon.layers.features.sets import FeatureSet, declare
from tests.unit.layers.walks import Array, rough_walks

HOURLY = reference_features("1h")
OTHER = "ETH/USDT"
YEAR = math.sqrt(8_760.0)
FIRST_CLOSE_S = 1_704_070_800.0


class Bars:
    """One window, its columns by their letters, and its reference."""

    def __init__(self, window: Array, times: Array, other: Array) -> None:
        self.o, self.h, self.low, self.c, self.v = window.T
        self.t, self.oc = times, other[:, 3]
        self.r, self.orr = np.diff(np.log(self.c)), np.diff(np.log(self.oc))
        self.tp = (self.h + self.low + self.c) / 3


def ema(values: Array, span: float) -> float:
    alpha = 2 / (span + 1)
    weights = (1 - alpha) ** np.arange(len(values))[::-1]
    return float((weights * values).sum() / weights.sum())


def over(a: float, b: float, otherwise: float) -> float:
    return otherwise if b == 0 else a / b


def is_flat(values: Array) -> bool:
    return bool((values == values[0]).all())


def correlated(a: Array, b: Array) -> float:
    return 0.0 if is_flat(a) or is_flat(b) else float(np.corrcoef(a, b)[0, 1])


def fit(values: Array) -> float:
    x = np.arange(len(values)) - (len(values) - 1) / 2
    return float((x * values).sum() / (x * x).sum())


def wilder(b: Bars) -> float:
    d = np.diff(b.c)
    w = (1 - 1 / 14) ** np.arange(len(d))[::-1]
    up, down = (w * np.maximum(d, 0)).sum(), (w * np.maximum(-d, 0)).sum()
    return 100.0 * over(up, up + down, 0.5)


def histogram(b: Bars) -> float:
    lines = []
    for back in range(27):
        c = b.c[: len(b.c) - back]
        lines.append(ema(c[-36:], 12) - ema(c[-78:], 26))
    return float((lines[0] - ema(np.array(lines[::-1]), 9)) / b.c[-1])


def aroon(b: Bars) -> float:
    high = next(k for k in range(26) if b.h[-1 - k] == b.h.max())
    low = next(k for k in range(26) if b.low[-1 - k] == b.low.min())
    return 100 * (low - high) / 25


def streak(b: Bars) -> float:
    signs = np.sign(np.diff(b.c))[::-1]
    count = next((k for k, sign in enumerate(signs) if sign != signs[0]), len(signs))
    return float(signs[0] * count)


def true_ranges(b: Bars) -> Array:
    return np.array(
        [
            max(h - low, abs(h - c), abs(low - c))
            for h, low, c in zip(b.h[1:], b.low[1:], b.c[:-1], strict=True)
        ]
    )


def rogers(b: Bars) -> Array:
    log = np.log
    terms: Array = log(b.h / b.o) * log(b.h / b.c) + log(b.low / b.o) * log(b.low / b.c)
    return terms


def yang_zhang(b: Bars) -> float:
    k = 0.34 / (1.34 + 21 / 19)
    gap = np.log(b.o[1:] / b.c[:-1]).var(ddof=1)
    body = np.log(b.c / b.o)[1:].var(ddof=1)
    return YEAR * math.sqrt(max(0.0, gap + k * body + (1 - k) * rogers(b)[1:].mean()))


def moment(b: Bars, power: int) -> float:
    r = b.r
    return 0.0 if is_flat(r) else float(((r - r.mean()) ** power).mean() / r.std() ** power)


def variance_ratio(b: Bars) -> float:
    if is_flat(b.r):
        return 1.0
    r = b.r - b.r.mean()
    sums = np.array([r[k : k + 4].sum() for k in range(50)])
    return float((sums**2).mean() / (4 * (r**2).mean()))


def mfi(b: Bars) -> float:
    flow, d = (b.tp * b.v)[1:], np.diff(b.tp)
    return 100 * over(flow[d > 0].sum(), flow[d != 0].sum(), 0.5)


def chaikin(b: Bars) -> float:
    flows = [
        over((c - low) - (h - c), h - low, 0.0) * v
        for h, low, c, v in zip(b.h, b.low, b.c, b.v, strict=True)
    ]
    return over(sum(flows), b.v.sum(), 0.0)


def obv(b: Bars) -> float:
    balance = np.concatenate([[0.0], np.cumsum(np.sign(np.diff(b.c)) * b.v[1:])])
    return over(fit(balance), b.v[1:].mean(), 0.0)


def vwap(b: Bars) -> float:
    return 0.0 if b.v.sum() == 0 else float(b.c[-1] / ((b.tp * b.v).sum() / b.v.sum()) - 1)


def amihud(b: Bars) -> float:
    traded = b.v[1:] > 0
    if not traded.any():
        return 0.0
    return float((np.abs(b.r[traded]) * 1e6 / (b.c[1:] * b.v[1:])[traded]).mean())


def corwin(b: Bars) -> float:
    spreads = []
    for k in range(1, len(b.h)):
        beta = sum(math.log(b.h[j] / b.low[j]) ** 2 for j in (k - 1, k))
        gamma = math.log(b.h[k - 1 : k + 1].max() / b.low[k - 1 : k + 1].min()) ** 2
        scale = 3 - 2 * math.sqrt(2)
        alpha = (math.sqrt(2 * beta) - math.sqrt(beta)) / scale - math.sqrt(gamma / scale)
        spreads.append(max(0.0, 2 * math.tanh(alpha / 2)))
    return float(np.mean(spreads))


def angle(b: Bars, period_days: int, shift_days: int) -> float:
    return 2 * math.pi * ((float(b.t[-1]) / 86_400 + shift_days) % period_days) / period_days


def wick(b: Bars, height: float) -> float:
    return over(height, b.h[-1] - b.low[-1], 0.0)


SLOW: dict[str, Callable[[Bars], float]] = {
    "log_return": lambda b: b.r[-1],
    "rsi": lambda b: 100 * over(np.maximum(np.diff(b.c), 0).sum(), abs(np.diff(b.c)).sum(), 0.5),
    "wilder_rsi": wilder,
    "roc": lambda b: b.c[-1] / b.c[0] - 1,
    "sma_distance": lambda b: b.c[-1] / b.c.mean() - 1,
    "ema_distance": lambda b: b.c[-1] / ema(b.c, 20) - 1,
    "macd": lambda b: (ema(b.c[-36:], 12) - ema(b.c, 26)) / b.c[-1],
    "macd_histogram": histogram,
    "trend_slope": lambda b: fit(b.c) / b.c[-1],
    "return_zscore": lambda b: 0.0 if is_flat(b.r) else (b.r[-1] - b.r.mean()) / b.r.std(ddof=1),
    "stochastic_k": lambda b: 100 * over(b.c[-1] - b.low.min(), b.h.max() - b.low.min(), 0.5),
    "williams_r": lambda b: -100 * over(b.h.max() - b.c[-1], b.h.max() - b.low.min(), 0.5),
    "cci": lambda b: (
        0.0
        if is_flat(b.tp)
        else (b.tp[-1] - b.tp.mean()) / (0.015 * abs(b.tp - b.tp.mean()).mean())
    ),
    "efficiency_ratio": lambda b: over(abs(b.c[-1] - b.c[0]), abs(np.diff(b.c)).sum(), 0.0),
    "donchian_position": lambda b: over(
        b.c[-1] - b.low[:-1].min(), b.h[:-1].max() - b.low[:-1].min(), 0.5
    ),
    "aroon": aroon,
    "streak": streak,
    "relative_strength": lambda b: math.log(b.c[-1] / b.c[0]) - math.log(b.oc[-1] / b.oc[0]),
    "bollinger_width": lambda b: 4 * b.c.std(ddof=1) / b.c.mean(),
    "volatility": lambda b: b.r.std(ddof=1) * YEAR,
    "volatility_ratio": lambda b: 1.0 if is_flat(b.r) else b.r[-10:].std(ddof=1) / b.r.std(ddof=1),
    "true_range_ratio": lambda b: true_ranges(b)[-1] / b.c[0],
    "atr_ratio": lambda b: true_ranges(b).mean() / b.c[-1],
    "parkinson": lambda b: YEAR * math.sqrt((np.log(b.h / b.low) ** 2).mean() / (4 * math.log(2))),
    "garman_klass": lambda b: (
        YEAR
        * math.sqrt(
            max(
                0.0,
                (
                    0.5 * np.log(b.h / b.low) ** 2 - (2 * math.log(2) - 1) * np.log(b.c / b.o) ** 2
                ).mean(),
            )
        )
    ),
    "rogers_satchell": lambda b: YEAR * math.sqrt(max(0.0, rogers(b).mean())),
    "yang_zhang": yang_zhang,
    "realised_skew": lambda b: moment(b, 3),
    "realised_kurtosis": lambda b: 0.0 if is_flat(b.r) else moment(b, 4) - 3,
    "downside_share": lambda b: over((np.minimum(b.r, 0) ** 2).sum(), (b.r**2).sum(), 0.5),
    "autocorrelation": lambda b: correlated(b.r[1:], b.r[:-1]),
    "variance_ratio": variance_ratio,
    "volume_zscore": lambda b: 0.0 if is_flat(b.v) else (b.v[-1] - b.v.mean()) / b.v.std(ddof=1),
    "volume_ratio": lambda b: over(b.v[-5:].mean(), b.v.mean(), 1.0),
    "mfi": mfi,
    "chaikin_flow": chaikin,
    "obv_slope": obv,
    "vwap_distance": vwap,
    "return_volume_correlation": lambda b: correlated(b.r, b.v[1:]),
    "amihud": amihud,
    "corwin_schultz": corwin,
    "body_ratio": lambda b: wick(b, b.c[-1] - b.o[-1]),
    "upper_wick_ratio": lambda b: wick(b, b.h[-1] - max(b.o[-1], b.c[-1])),
    "lower_wick_ratio": lambda b: wick(b, min(b.o[-1], b.c[-1]) - b.low[-1]),
    "range_ratio": lambda b: (b.h[-1] - b.low[-1]) / b.c[-1],
    "gap": lambda b: math.log(b.o[-1] / b.c[-2]),
    "hour_sin": lambda b: math.sin(angle(b, 1, 0)),
    "hour_cos": lambda b: math.cos(angle(b, 1, 0)),
    "weekday_sin": lambda b: math.sin(angle(b, 7, 3)),
    "weekday_cos": lambda b: math.cos(angle(b, 7, 3)),
    "reference_return": lambda b: b.orr[-1],
    "reference_correlation": lambda b: correlated(b.r, b.orr),
    "lead_lag": lambda b: correlated(b.r[1:], b.orr[:-1]),
}
PINNED = {
    "log_return": "7f9fec286d47",
    "rsi": "dff03874f661",
    "wilder_rsi": "89d687742026",
    "roc": "7b56ad734c69",
    "sma_distance": "7039f2151ad3",
    "ema_distance": "2dfadb9eba53",
    "macd": "271262321d19",
    "macd_histogram": "bf70a31b7f1c",
    "trend_slope": "1869e81f44b5",
    "return_zscore": "24204676d46e",
    "stochastic_k": "91de3c442533",
    "williams_r": "e60978a42b52",
    "cci": "e531e7c7fd4d",
    "efficiency_ratio": "a5f523c9003d",
    "donchian_position": "8f775c8cf922",
    "aroon": "ea8820410f66",
    "streak": "4048b5cb8577",
    "relative_strength": "efb21ef7f080",
    "bollinger_width": "30949be1cb85",
    "volatility": "6a0640a458df",
    "volatility_ratio": "4737ac7a7a07",
    "true_range_ratio": "dc4f7096d6df",
    "atr_ratio": "65c77802da35",
    "parkinson": "e0a418a76aa9",
    "garman_klass": "fa80b951037d",
    "rogers_satchell": "b1e3236980ee",
    "yang_zhang": "303cb61d10f9",
    "realised_skew": "f5f85fe58bbc",
    "realised_kurtosis": "bc8c6bcfa340",
    "downside_share": "64d139d99301",
    "autocorrelation": "97fd1f17db55",
    "variance_ratio": "fa9ce771dacb",
    "volume_zscore": "d7b01e6274f2",
    "volume_ratio": "47f8a41a94db",
    "mfi": "57ac4537e705",
    "chaikin_flow": "95265f11686d",
    "obv_slope": "bcbba4b1e5b2",
    "vwap_distance": "35e176ecb38d",
    "return_volume_correlation": "af712c930396",
    "amihud": "8e8d14e613b3",
    "corwin_schultz": "b346791bfff8",
    "body_ratio": "08ba20ed5800",
    "upper_wick_ratio": "3c6af359c319",
    "lower_wick_ratio": "f363019460ea",
    "range_ratio": "a4bdf9f2a648",
    "gap": "c46965e907df",
    "hour_sin": "893bd28a8d48",
    "hour_cos": "098b4c48b5ed",
    "weekday_sin": "161af56f3561",
    "weekday_cos": "f788755f276b",
    "reference_return": "0a0ff3120766",
    "reference_correlation": "8b1209ff07d8",
    "lead_lag": "3c841f13ecf1",
}
# Of kernels that state one: the least and the greatest value.
RANGES = {
    **dict.fromkeys(("rsi", "wilder_rsi", "stochastic_k", "mfi"), (0.0, 100.0)),
    **dict.fromkeys(("efficiency_ratio", "downside_share"), (0.0, 1.0)),
    **dict.fromkeys(("upper_wick_ratio", "lower_wick_ratio"), (0.0, 1.0)),
    **dict.fromkeys(("autocorrelation", "reference_correlation", "lead_lag"), (-1.0, 1.0)),
    **dict.fromkeys(("return_volume_correlation", "body_ratio", "chaikin_flow"), (-1.0, 1.0)),
    **dict.fromkeys(("hour_sin", "hour_cos", "weekday_sin", "weekday_cos"), (-1.0, 1.0)),
    **dict.fromkeys(
        (
            *("bollinger_width", "volatility", "volatility_ratio", "true_range_ratio"),
            *("atr_ratio", "parkinson", "garman_klass", "rogers_satchell", "yang_zhang"),
            *("variance_ratio", "volume_ratio", "amihud", "range_ratio"),
        ),
        (0.0, math.inf),
    ),
    "williams_r": (-100.0, 0.0),
    "aroon": (-100.0, 100.0),
    "streak": (-10.0, 10.0),
    "corwin_schultz": (0.0, 2.0),
    "roc": (-1.0, math.inf),
}
FLAT = {
    **dict.fromkeys(("rsi", "wilder_rsi", "stochastic_k", "mfi"), 50.0),
    **dict.fromkeys(("downside_share", "donchian_position"), 0.5),
    **dict.fromkeys(("volatility_ratio", "variance_ratio", "volume_ratio"), 1.0),
    "williams_r": -50.0,
}


def a_set_of(*names: str, every_bars: int = 1) -> FeatureSet:
    return replace(
        HOURLY,
        features=tuple(
            declare(
                name,
                name=name,
                every_bars=every_bars,
                reference=OTHER if BUILT_IN[name].needs_reference else None,
            )
            for name in names
        ),
    )


ALL = a_set_of(*BUILT_IN)


def times_of(count: int) -> Array:
    return FIRST_CLOSE_S + 3_600.0 * np.arange(count, dtype=np.float64)


def rows_of(features: FeatureSet, ohlcv: Array, other: Array) -> Array:
    return feature_matrix(features, ohlcv, times_of(len(ohlcv)), {OTHER: other})


@st.composite
def two_markets(draw: st.DrawFn) -> tuple[Array, Array]:
    """Two instruments of equal length whose bars open, range and close anywhere."""
    first = draw(rough_walks(bars_min=106, bars_max=140))
    other = draw(rough_walks(bars_min=106, bars_max=140))
    length = min(len(first), len(other))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return shaped(first[:length], random), shaped(other[:length], random)


def shaped(ohlcv: Array, random: np.random.Generator) -> Array:
    """The same closes with opens and wicks of their own, but none where the bar was flat."""
    out = ohlcv.copy()
    moves = ohlcv[:, 1] != ohlcv[:, 2]
    tilt = np.where(moves, random.normal(0.0, 0.004, len(ohlcv)), 0.0)
    reach = np.where(moves[:, None], random.exponential(0.003, (len(ohlcv), 2)), 0.0)
    out[:, 0] = ohlcv[:, 3] * np.exp(tilt)
    out[:, 1] = np.maximum(out[:, 0], out[:, 3]) * (1.0 + reach[:, 0])
    out[:, 2] = np.minimum(out[:, 0], out[:, 3]) / (1.0 + reach[:, 1])
    return out


def test_every_kernel_has_a_slow_formula() -> None:
    assert SLOW.keys() == BUILT_IN.keys()
    assert len(SLOW) >= 10 + 25


@settings(max_examples=25)
@given(two_markets())
def test_every_kernel_is_what_its_formula_gives(markets: tuple[Array, Array]) -> None:
    ohlcv, other = markets
    rows, times = rows_of(ALL, ohlcv, other), times_of(len(ohlcv))

    assert np.isfinite(rows).all()
    for row in (0, len(rows) // 2, len(rows) - 1):
        end = row + ALL.lookback
        for column, feature in enumerate(ALL.features):
            part = slice(end - ALL.lookback_of(feature), end)
            slow = SLOW[feature.name](Bars(ohlcv[part], times[part], other[part]))
            fast = float(rows[row, column])
            scale = 1e-6 if feature.name in {"realised_skew", "realised_kurtosis"} else 1e-8
            assert math.isclose(fast, slow, rel_tol=scale, abs_tol=scale), (feature.name, row)
            low, high = RANGES.get(feature.name, (-math.inf, math.inf))
            assert low - 1e-12 * abs(low) <= fast <= high + 1e-12 * abs(high), feature.name


@settings(max_examples=15)
@given(two_markets(), st.sampled_from([1, 2]))
def test_every_kernel_has_the_same_bits_alone_in_batch_and_over_time(
    markets: tuple[Array, Array], every_bars: int
) -> None:
    ohlcv, other = markets
    room = len(ohlcv) - 10
    short = [each.name for each in ALL.features if every_bars * ALL.lookback_of(each) <= room]
    features = a_set_of(*short, every_bars=every_bars)
    span, times = features.lookback, times_of(len(ohlcv))

    rows = rows_of(features, ohlcv, other)

    starts = range(len(rows))
    batch = feature_matrix(
        features,
        np.stack([ohlcv[start : start + span] for start in starts]),
        np.stack([times[start : start + span] for start in starts]),
        {OTHER: np.stack([other[start : start + span] for start in starts])},
    )
    assert batch[:, 0].tobytes() == rows.tobytes()
    for start in (0, len(rows) - 1):
        part = slice(start, start + span)
        alone = feature_matrix(features, ohlcv[part], times[part], {OTHER: other[part]})
        assert alone[0].tobytes() == rows[start].tobytes()


def test_every_kernel_has_the_value_it_states_for_a_market_that_stands_still() -> None:
    still = np.tile(np.array([0.1, 0.1, 0.1, 0.1, 0.0]), (ALL.lookback, 1))

    (row,) = rows_of(ALL, still, still).tolist()

    found = {name: value for name, value in zip(ALL.names, row, strict=True) if "_sin" not in name}
    assert {name: value for name, value in found.items() if "_cos" not in name} == {
        name: FLAT.get(name, 0.0) for name in found if "_cos" not in name
    }


def test_every_kernel_is_finite_at_the_edges_of_what_is_accepted() -> None:
    count = ALL.lookback + 12
    ohlcv, other = golden_bars(count), golden_bars(count, 1)
    for array, first in ((ohlcv, 0), (other, 1)):
        array[first::2, :4] = 1e100
        array[1 - first :: 2, :4] = 1e-100
        array[::3, 4] = 1e100
        array[1::3, 4] = 5e-324

    with np.errstate(over="raise", divide="raise", invalid="raise"):
        rows = rows_of(ALL, ohlcv, other)
        alone = rows_of(ALL, ohlcv[: ALL.lookback], other[: ALL.lookback])

    assert np.isfinite(rows).all()
    assert alone[0].tobytes() == rows[0].tobytes()


def test_the_golden_check_passes_for_every_kernel_on_this_machine() -> None:
    golden_check(ALL)
    golden_check(replace(a_set_of("rsi", "atr_ratio", "yang_zhang", "lead_lag", every_bars=3)))


@pytest.mark.parametrize(
    ("close_s", "values"),
    [
        (0.0, (0.0, 1.0)),  # midnight
        (6 * 3_600.0, (1.0, 0.0)),
        (12 * 3_600.0, (0.0, -1.0)),
        (18 * 3_600.0, (-1.0, 0.0)),
    ],
)
def test_the_hour_turns_once_a_day(close_s: float, values: tuple[float, float]) -> None:
    features = a_set_of("hour_sin", "hour_cos")
    days = 19_723 * 86_400.0

    rows = feature_matrix(features, golden_bars(1), np.array([days + close_s]))

    assert rows[0].tolist() == pytest.approx(values, abs=1e-15)


def test_the_week_begins_as_monday_does() -> None:
    features = a_set_of("weekday_sin", "weekday_cos")
    monday = 1_704_067_200.0  # 2024-01-01T00:00Z

    rows = feature_matrix(features, golden_bars(1), np.array([monday]))

    assert rows[0].tolist() == [0.0, 1.0]


def pinned(name: str) -> str:
    return hashlib.sha256(golden_rows(a_set_of(name)).astype("<f8").tobytes()).hexdigest()[:12]


def test_no_kernel_has_changed_its_golden_numbers() -> None:
    """Who changes a formula on purpose pins it anew, and says so in the changelog."""
    assert {name: pinned(name) for name in BUILT_IN} == PINNED
