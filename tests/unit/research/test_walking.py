from pathlib import Path

import numpy as np
import pytest

from daemon.core.errors import UsageRefused
from daemon.layers.features.catalog import reference_features
from daemon.research.settings import TrainingSettings
from daemon.research.walking import series_of_rows, walk_recorded
from daemon.store.joining import joined
from tests.unit.research.markets import HOUR_NS

DATA = Path(__file__).parents[4] / "shared" / "data"
PARTS = ("nic", "bumpycroc", "darwinia")


def test_joined_hourly_bitcoin_is_foretold_a_little_and_does_not_pay() -> None:
    paths = [DATA / f"BTCUSDT-1h-{part}.csv.gz" for part in PARTS]
    if not all(path.exists() for path in paths):
        pytest.skip("no recordings of hourly bitcoin: they are not part of this repository")
    timeframe, rows = joined(paths)
    # A smaller forest than the reference one: the bounds are the same, the time is a twentieth.
    settings = TrainingSettings(n_estimators=12, folds=6, confidence_min_ratio=0.30)

    found, fit_cpu_s = walk_recorded(
        series_of_rows("BTC/USDT", rows, HOUR_NS),
        reference_features(timeframe),
        [settings],
        seed=42,
        progress=lambda *_: None,
    )

    numbers = {name: value for name, value in found.items() if isinstance(value, float)}
    assert found["bars"] == 66_685
    assert 0.55 <= numbers["mean_auc"] <= 0.58
    assert numbers["baseline_auc"] == pytest.approx(0.550, abs=0.002)
    assert numbers["auc_low"] > numbers["baseline_auc"]
    assert abs(numbers["shuffled_auc"] - 0.5) < 3.0 * numbers["shuffled_standard_error"]
    assert found["edge_shown"] is False
    assert numbers["net_low"] <= 0.0
    assert numbers["net_return_ratio"] < 0.05
    assert str(found["verdict"]).startswith("No edge shown: it does not pay")
    surest = found["surest_calls"]
    assert isinstance(surest, dict)
    assert 0.0 < surest["gross_bps"] < 10.0
    assert fit_cpu_s > 0.0


def test_rows_that_make_no_series_are_refused() -> None:
    row = (0, 1.0, 1.0, 1.0, 1.0, 1.0)

    with pytest.raises(UsageRefused, match="go forward in time"):
        series_of_rows("BTC/USDT", [row, row], HOUR_NS)


def test_a_series_has_the_numbers_of_its_rows() -> None:
    rows = [(3_600_000 * hour, 1.0, 4.0, 0.5, 2.0, 7.0 + hour) for hour in range(3)]

    series = series_of_rows("BTC/USDT", rows, HOUR_NS)

    assert series.open_ns.tolist() == [0, HOUR_NS, 2 * HOUR_NS]
    assert np.array_equal(series.ohlcv[1], [1.0, 4.0, 0.5, 2.0, 8.0])
