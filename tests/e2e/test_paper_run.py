"""A paper run on the embedded exchange, from an empty state directory to its last line."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from daemon.logs.registry import REGISTRY
from tests.e2e.command import ROOT, Tradingd, finished

if TYPE_CHECKING:
    from pathlib import Path

RECORDING = ROOT.parent / "shared" / "data" / "BTCUSDT-1h-nic.csv.gz"


def test_a_run_trades_and_every_decision_of_it_can_be_recomputed(tmp_path: Path) -> None:
    tradingd = Tradingd(tmp_path)

    lines = tradingd.run("--market", "synthetic", "--bars", "150")

    result = finished(lines)
    assert lines[0]["event"] == "run.started"
    assert result["round_trips"] >= 1
    assert result["bars"] == 300  # 150 slots of two symbols
    assert result["gaps_traded"] == 0
    assert all(line["event"] in REGISTRY for line in lines)
    assert tradingd.query("parity", "--run", "last")["identical"]
    nights = [line for line in lines if line["event"].startswith("features.")]
    assert [line["event"] for line in nights if line["level"] != "debug"] == [
        "features.checked"
    ] * 6
    assert sum(line.get("rows", 0) for line in nights) == 2 * (6 * 24 + 1)  # to the sixth midnight
    books = tradingd.query("reconcile")
    assert books["equal"]
    assert books["fills"] == books["venue_fills"] == result["fills"]
    assert_explained(tradingd, lines)
    assert_health_is_told(tradingd, result)
    assert_replayed(tradingd, tmp_path)


def assert_health_is_told(tradingd: Tradingd, result: dict[str, Any]) -> None:
    """The ledger is whole, each symbol has its row, and the rule is told with its errors."""
    told = tradingd.query("health", "--explain")
    text = tradingd.command("health", "--explain").stdout

    assert told["status"] == told["acted_on"]["status"] == result["health"]
    (model,) = told["models"]
    assert model["is_active"]
    assert model["scored"] + model["ties"] + model["lost"] + model["pending"] == result["decisions"]
    assert [each["instrument"] for each in model["symbols"]] == [
        "embedded:BTC/USDT",
        "embedded:ETH/USDT",
    ]
    assert sum(each["n"] for each in model["symbols"]) == told["auc_n"] == result["auc_n"]
    assert told["auc"] == pytest.approx(result["auc"], abs=1e-4)
    assert told["trades"]["round_trips"] == result["round_trips"]
    assert 0.0 < told["evidence"] < told["evidence_limit"] == 1080.0
    assert told["explained"]["measured"]["alarms_ratio"] <= 0.05
    assert "delay when the edge dies" in text
    assert max(map(len, text.splitlines())) <= 100


def assert_explained(tradingd: Tradingd, lines: list[dict[str, Any]]) -> None:
    """The last order, a bar that was not acted on, and an order by the exchange's own name."""
    last = tradingd.query("explain", "last")
    reasons = {line["trace"]: line["reason"] for line in lines if "suppressed" in line["event"]}
    trace = next(iter(reasons))
    quiet = tradingd.query("explain", trace)
    filled = next(line for line in lines if line["event"] == "order.filled")
    text = tradingd.command("explain", filled["order"]).stdout
    stranger = tradingd.command("explain", "tdnobody", code=2)

    assert all(each["recomputed"]["identical"] for each in (last, quiet))
    assert last["because"] == "the last decision that became an order"
    assert last["orders"][0]["events"]
    assert last["judgements"][-1]["gates"]
    assert last["bar"]["stored"] == "same"
    assert all(each["training"] for each in last["features"])
    assert quiet["signals"][0]["reason"] == reasons[trace]
    assert [rule["is_met"] for rule in quiet["signal_rules"]][-1] is False
    assert filled["order"] in text
    assert "<- binds" in text
    assert max(map(len, text.splitlines())) <= 100
    assert "name a trace" in stranger.stderr
    assert len(stranger.stderr.splitlines()) == 1


def assert_replayed(tradingd: Tradingd, tmp_path: Path) -> None:
    """By name, and as a file somewhere else; with another threshold it differs at a bar."""
    run = tradingd.query("replay")
    folder = tradingd.state / "runs" / run["run"]
    away = tmp_path / "away"
    away.mkdir()
    copy = shutil.copy(folder / "journal.db", away)
    copied = tradingd.query("replay", str(copy))
    spec = json.loads((folder / "run.json").read_text())
    spec["settings"]["signal"]["confidence_min_ratio"] = 0.9
    (away / "run.json").write_text(json.dumps(spec))
    changed = tradingd.query("replay", str(copy), code=4)

    assert run["identical"]
    assert copied == run
    difference = changed["first_difference"]
    assert difference["recomputed"] in {"low_confidence", "SignalSuppressed"}
    told = tradingd.query("explain", difference["trace"])
    assert told["bar"]["close_time"] == difference["bar"]


def test_a_second_start_on_the_same_state_is_a_new_account_that_trades_again(
    tmp_path: Path,
) -> None:
    tradingd = Tradingd(tmp_path)
    first = tradingd.run("--market", "synthetic", "--bars", "60")

    second = tradingd.run("--market", "synthetic", "--bars", "60")

    assert first[0]["run"] != second[0]["run"]
    assert finished(second)["fills"] >= 1
    assert not [line for line in second if line["event"] == "model.trained"]


def test_the_same_seed_gives_the_same_run(tmp_path: Path) -> None:
    results = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        results.append(finished(Tradingd(folder).run("--market", "synthetic", "--bars", "60")))

    different = {"run", "ts"}
    one, two = ({k: v for k, v in each.items() if k not in different} for each in results)
    assert one == two


def test_without_an_edge_none_is_claimed(tmp_path: Path) -> None:
    result = finished(
        Tradingd(tmp_path).run("--market", "synthetic", "--edge", "0", "--bars", "120")
    )

    assert result["edge_shown"] is False
    assert "No edge shown" in result["verdict"]


def test_a_recording_with_outages_is_replayed_without_trading_over_them(tmp_path: Path) -> None:
    if not RECORDING.is_file():
        pytest.skip("../shared/data is not there: no recording to replay")
    tradingd = Tradingd(tmp_path)

    lines = tradingd.run("--market", str(RECORDING), "--from", "2018-06-24T00:00Z", "--bars", "500")

    result = finished(lines)
    assert (result["holes"], result["outage_slots"], result["gaps_traded"]) == (3, 18, 0)
    assert tradingd.query("parity", "--allow-no-orders")["identical"]
    assert "REPLAY" in lines[0]["label"]
