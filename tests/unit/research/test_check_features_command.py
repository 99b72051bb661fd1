import json
from pathlib import Path

import pytest

from daemon.cli.features import check
from daemon.core.errors import UsageRefused
from daemon.research.series import Series
from tests.unit.research.markets import a_random_walk, without

CONFIG = """[data]
symbols = ["BTC/USDT", "ETH/USDT"]
history_bars = 500
"""
OWN = """import numpy as np
from daemon.layers.features import feature


@feature(lookback=3)
def honest(close):
    return close[-1] / close[0] - 1.0


@feature(lookback=1, arrays=True)
def cheating(close):
    return close[0] if isinstance(close[0], float) else np.roll(close[0], -1, axis=0)


@feature(lookback=4)
def beside(close, reference_close):
    return close[-1] / reference_close[-1]
"""


def a_recording(folder: Path, series: Series, name: str = "bars.csv") -> str:
    path = folder / name
    lines = [
        ",".join(map(repr, [int(open_ns) // 1_000_000, *bar]))
        for open_ns, bar in zip(series.open_ns, series.ohlcv.tolist(), strict=True)
    ]
    path.write_text("timestamp,open,high,low,close,volume\n" + "\n".join(lines) + "\n")
    return str(path)


def a_config(folder: Path, text: str = "") -> Path:
    path = folder / "config.toml"
    path.write_text(CONFIG + text)
    return path


def own(folder: Path) -> str:
    path = folder / "own.py"
    path.write_text(OWN)
    return str(path)


BARS = a_random_walk(150, seed=3)


def test_the_configured_set_is_checked_on_a_recording(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = check(None, [a_recording(tmp_path, BARS)], a_config(tmp_path), as_json=True)

    told = json.loads(capsys.readouterr().out)
    assert code == 0
    assert told["sound"] is True
    assert (told["set"], told["features"], told["lookback_bars"]) == ("reference", 10, 20)
    assert told["bars"] == {"BTC/USDT": 150}
    assert all(told["compared"].values())


def test_a_cheat_ends_with_exit_4_and_says_who_and_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = check(
        f"{own(tmp_path)}:cheating",
        [a_recording(tmp_path, BARS)],
        a_config(tmp_path),
        as_json=False,
    )

    lines = capsys.readouterr().out.splitlines()
    assert code == 4
    assert lines[0] == "cheating changes when later bars change: it sees the future"
    assert any(line.split()[:1] == ["expected"] for line in lines)
    assert any(line.split() == ["symbol", "BTC/USDT"] for line in lines)


def test_a_whole_file_is_checked_and_the_first_cheat_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = check(own(tmp_path), [a_recording(tmp_path, BARS)], a_config(tmp_path), as_json=True)

    told = json.loads(capsys.readouterr().out)
    assert code == 4
    assert told["features"] == 3
    assert told["first_finding"]["feature"] == "cheating"
    assert told["first_finding"]["check"] == "future"


def test_a_feature_that_reads_another_instrument_is_checked_beside_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = a_recording(tmp_path, without(a_random_walk(150, seed=4), [70]), "other.csv")

    code = check(
        f"{own(tmp_path)}:beside",
        [a_recording(tmp_path, BARS), f"ETH/USDT={other}"],
        a_config(tmp_path),
        as_json=True,
    )

    assert code == 0
    assert json.loads(capsys.readouterr().out)["bars"] == {"BTC/USDT": 150, "ETH/USDT": 149}


def test_files_of_one_symbol_are_joined(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    early = a_recording(tmp_path, without(BARS, list(range(80, 150))), "early.csv")
    late = a_recording(tmp_path, without(BARS, list(range(60))), "late.csv")

    assert check(None, [early, late], a_config(tmp_path), as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["bars"] == {"BTC/USDT": 150}


def test_what_cannot_be_checked_is_refused_in_one_line(tmp_path: Path) -> None:
    config, bars = a_config(tmp_path), a_recording(tmp_path, BARS)
    other = a_recording(tmp_path, a_random_walk(150, seed=9), "other.csv")
    short = a_recording(tmp_path, without(BARS, list(range(10, 150))), "short.csv")

    with pytest.raises(UsageRefused, match="needs bars: --data FILE"):
        check(None, [], config, as_json=False)
    with pytest.raises(UsageRefused, match="cannot be read"):
        check(None, ["nowhere.csv"], config, as_json=False)
    with pytest.raises(UsageRefused, match="contradict each other; keep one"):
        check(None, [bars, other], config, as_json=False)
    with pytest.raises(UsageRefused, match="no unbroken stretch holds the 20 bars"):
        check(None, [short], config, as_json=False)
    with pytest.raises(UsageRefused, match="there is no kernel 'hones'; did you mean 'honest'"):
        check(f"{own(tmp_path)}:hones", [bars], config, as_json=False)
