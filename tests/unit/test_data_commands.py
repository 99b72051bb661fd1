"""The data commands on a store: what is listed, what is lacking, what a file brings back."""

import json
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.cli.data_export import export_bars
from daemon.cli.data_import import import_file
from daemon.cli.data_shown import show_gaps, show_series
from daemon.core.bars import MissCause
from daemon.core.errors import UsageRefused
from daemon.core.timeframes import NS_PER_MS
from daemon.store.bar_files import ENDINGS, bar_file
from daemon.store.bars import BarStore
from daemon.store.gaps import Gap
from daemon.store.recordings import read_recording
from tests.builders import BTC, HOUR_NS, OPEN_NS, a_bar

KEY = ("m", "BTC/USDT", HOUR_NS)
Said = pytest.CaptureFixture[str]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Slots 0 1 2 . . 5 6 . 8: a recorded outage at 3 and 4, and a hole nobody told of at 7."""
    store = BarStore.open(tmp_path / "bars.db")
    slots = (0, 1, 2, 5, 6, 8)
    store.append("m", HOUR_NS, [a_bar(open_ns=OPEN_NS + n * HOUR_NS) for n in slots])
    store.append("m", HOUR_NS, [a_bar(open_ns=OPEN_NS, close=42_000.1 + 0.2, received_ns=1)])
    gaps = [Gap(OPEN_NS + 3 * HOUR_NS, 2, MissCause.OUTAGE), Gap(OPEN_NS, 1, MissCause.OUTAGE)]
    store.add_gaps(*KEY, gaps)
    store.close()
    return tmp_path


def asked(said: Said) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(said.readouterr().out)
    return result


def exported(state: Path, name: str, **changes: Any) -> Path:
    options: dict[str, Any] = {
        "market": None,
        "symbol": "BTC/USDT",
        "timeframe": None,
        "start": None,
        "until": None,
        "config": None,
        "state_dir": state,
        "is_forced": False,
        "as_json": True,
    }
    assert export_bars(output=state / name, **(options | changes)) == 0
    return state / name


def test_a_series_is_listed_with_span_bars_gaps_and_revisions(state: Path, capsys: Said) -> None:
    show_series(None, state, as_json=True)

    (row,) = asked(capsys)["series"]
    assert (row["market"], row["symbol"], row["timeframe"]) == ("m", "BTC/USDT", "1h")
    assert (row["from"], row["until"]) == ("2024-01-01T00:00:00.000Z", "2024-01-01T09:00:00.000Z")
    assert (row["bars"], row["gaps"], row["missing"], row["revisions"]) == (6, 2, 3, 1)


def test_gaps_say_why_and_whether_they_were_filled(state: Path, capsys: Said) -> None:
    show_gaps(None, None, state, as_json=True)

    result = asked(capsys)
    told = [(gap["from"][11:16], gap["count"], gap["cause"]) for gap in result["gaps"]]
    assert told == [("00:00", 1, "outage"), ("03:00", 2, "outage"), ("07:00", 1, "unknown")]
    assert [gap["filled"] for gap in result["gaps"]] == [True, False, False]
    assert result["open"] == 2


def test_a_symbol_that_is_not_there_is_refused_naming_what_is(state: Path) -> None:
    with pytest.raises(UsageRefused, match="no series SOL/USDT in the store; it holds m BTC/USDT"):
        show_gaps("SOL/USDT", None, state, as_json=True)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_file_brings_the_newest_revisions_back_bit_for_bit(state: Path, ending: str) -> None:
    rows = read_recording(exported(state, f"bars{ending}"))

    store = BarStore.open(state / "bars.db", read_only=True)
    bars = store.read("m", BTC, HOUR_NS)
    store.close()
    assert rows == [
        (bar.open_ns // NS_PER_MS, bar.open, bar.high, bar.low, bar.close, bar.volume)
        for bar in bars
    ]
    assert rows[0][4] == 42_000.1 + 0.2


def test_an_export_that_is_imported_and_exported_again_is_the_same_file(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    store = BarStore.open(first / "bars.db")
    rng = Random(1)
    bars = [
        a_bar(
            open_ns=OPEN_NS + n * HOUR_NS,
            open=42_000 + rng.gauss(0, 50),
            close=42_000 + rng.gauss(0, 50),
            high=42_300 + rng.random() * 9,
            low=41_700 - rng.random() * 9,
            volume=rng.uniform(1, 1_000),
        )
        for n in range(300)
    ]
    store.append("binance", HOUR_NS, bars)
    store.close()
    file = exported(first, "bars.csv")

    imported = import_file(
        file, "BTC/USDT", None, "binance", (), None, second, revises=False, as_json=True
    )

    assert imported == 0
    assert exported(second, "bars.csv").read_bytes() == file.read_bytes()


def test_a_file_that_is_there_is_overwritten_only_by_force(state: Path) -> None:
    path = exported(state, "bars.csv")
    before = path.read_bytes()

    with pytest.raises(UsageRefused, match="is there already: --force"):
        exported(state, "bars.csv", start="2024-01-01T05:00Z")

    assert path.read_bytes() == before
    exported(state, "bars.csv", start="2024-01-01T05:00Z", is_forced=True)
    assert len(path.read_text().splitlines()) == 4
    assert [each.name for each in state.glob(".*.new")] == []


def test_an_export_of_what_is_ambiguous_or_absent_is_refused(state: Path) -> None:
    store = BarStore.open(state / "bars.db")
    store.append("other", HOUR_NS, [a_bar()])
    store.close()

    with pytest.raises(UsageRefused, match="choose by --market"):
        exported(state, "bars.csv")
    with pytest.raises(UsageRefused, match="has no bar in that time"):
        exported(state, "bars.csv", market="m", start="2030-01-01T00:00Z")
    with pytest.raises(UsageRefused, match="ends in"):
        exported(state, "bars.xlsx", market="m")
    assert list(state.glob("bars.[cx]*")) == []


finite = st.floats(
    allow_nan=False, allow_infinity=False, width=64, min_value=-1e300, max_value=1e300
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(finite, finite, finite, finite, finite), min_size=1, max_size=5))
def test_any_numbers_survive_a_file(
    tmp_path: Path, numbers: list[tuple[float, float, float, float, float]]
) -> None:
    opens = np.arange(len(numbers), dtype=np.int64) * HOUR_NS + OPEN_NS
    for ending in (".csv", ".parquet"):
        content = bar_file(f"x{ending}", opens, np.array(numbers))
        assert content is not None
        (tmp_path / f"x{ending}").write_bytes(content)

        rows = read_recording(tmp_path / f"x{ending}")

        assert [row[1:] for row in rows] == numbers
        assert [row[0] * NS_PER_MS for row in rows] == opens.tolist()
