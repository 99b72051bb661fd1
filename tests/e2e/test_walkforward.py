"""`tradingd walkforward` as a user types it: its fields, its words, the same bytes each time."""

import json
import math
from pathlib import Path
from typing import Any

from daemon.research.series import Series
from tests.e2e.command import Tradingd
from tests.unit.research.markets import a_market_with_edge, a_random_walk

CONTRACT = {
    *("bars", "folds", "mean_auc", "shuffled_auc", "net_return_ratio", "net_low", "net_high"),
    *("sharpe", "deflated_sharpe", "brier", "edge_shown", "verdict", "fit_cpu_s", "other_cpu_s"),
}
FOLD = {"auc", "auc_low", "auc_high", "baseline_auc", "n"}
TINY = "[model]\ntrees = 20\n[execution]\nslippage_bps = 0.0\n"
BARS = 2_400


def recorded(folder: Path, name: str, series: Series, first: int, stop: int) -> str:
    lines = ["timestamp,open,high,low,close,volume"]
    for row in range(first, stop):
        numbers = ",".join(map(repr, series.ohlcv[row].tolist()))
        lines.append(f"{series.open_ns[row] // 1_000_000},{numbers}")
    path = folder / name
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def walked(folder: Path, *arguments: str, hash_seed: str = "0") -> dict[str, Any]:
    tradingd = Tradingd(folder, TINY)
    tradingd.environment["PYTHONHASHSEED"] = hash_seed
    said = tradingd.command("walkforward", *arguments, "--json").stdout
    assert said.count("\n") == 1
    result: dict[str, Any] = json.loads(said)
    return result


def test_two_files_of_a_market_with_an_edge_give_the_same_result_in_any_process(
    tmp_path: Path,
) -> None:
    series = a_market_with_edge(BARS, seed=1)
    early = recorded(tmp_path, "early.csv", series, 0, 1_500)
    later = recorded(tmp_path, "later.csv", series, 1_400, BARS)
    options = ("--folds", "3", "--fee-bps", "1", "--seed", "5", "--symbol", "A/USDT",
               "--depth", "6", "--depth", "2")  # fmt: skip

    first = walked(tmp_path, "--data", early, "--data", later, *options, hash_seed="1")
    second = walked(tmp_path, "--data", later, "--data", early, *options, hash_seed="2")

    assert first.keys() >= CONTRACT
    assert first["bars"] == BARS
    assert len(first["folds"]) == 3
    assert all(fold.keys() >= FOLD for fold in first["folds"])
    assert first["edge_shown"] is True
    assert first["net_low"] > 0
    assert first["deflated_sharpe"] >= 0.95
    assert first["auc_low"] > first["baseline_auc"]
    assert first["verdict"].startswith("Edge shown")
    assert ([one["depth"] for one in first["candidates"]], first["trials"]) == ([6, 2], 2)
    assert 0.0 <= first["overfitting_probability"] <= 0.5
    assert abs(first["shuffled_auc"] - 0.5) < 4 * first["shuffled_standard_error"]
    assert math.isclose(first["mean_auc"], sum(f["auc"] for f in first["folds"]) / 3, abs_tol=1e-5)
    for result in (first, second):
        assert result.pop("fit_cpu_s") > 0
        assert result.pop("other_cpu_s") > 0
    assert json.dumps(first) == json.dumps(second)


def test_that_no_edge_is_shown_is_a_result_for_people_too(tmp_path: Path) -> None:
    data = recorded(tmp_path, "walk.csv", a_random_walk(1_500, seed=1), 0, 1_500)

    said = Tradingd(tmp_path, TINY).command("walkforward", "--data", data, "--folds", "2")

    lines = said.stdout.splitlines()
    assert lines[0].startswith("BTC/USDT  1500 bars of 1h")
    assert lines[-1].startswith("No edge shown: ")
    assert "10 bps fee" in lines[-1]
    assert {line.partition(" ")[0] for line in said.stderr.splitlines()} == {"fitting"}


def test_what_cannot_be_walked_is_refused_in_one_line(tmp_path: Path) -> None:
    series = a_random_walk(300, seed=1)
    good = recorded(tmp_path, "good.csv", series, 0, 200)
    bad = recorded(tmp_path, "bad.csv", a_random_walk(300, seed=2), 150, 300)
    short = recorded(tmp_path, "short.csv", series, 0, 100)
    tradingd = Tradingd(tmp_path, TINY)

    for arguments, code, said in (
        (("--data", good, "--data", bad), 2, f"tradingd: {bad}: 2024-01-07T06:00:00.000Z differs"),
        (("--data", str(tmp_path / "none.csv")), 2, "none.csv: cannot be read"),
        ((), 2, "walkforward needs at least one recording: --data FILE"),
        (("--data", short), 78, "are too few to learn from"),
    ):
        done = tradingd.command("walkforward", *arguments, code=code)
        assert done.stdout == ""
        assert said in done.stderr
        assert done.stderr.count("\n") == 1
