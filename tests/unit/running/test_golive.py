"""The gate of a state directory: which runs count, and what the command says of them."""

import json
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from daemon.cli.golive_commands import show_gate
from daemon.core.clock import WireClock
from daemon.running.golive.gate import gate_of
from tests.builders import HOUR_NS
from tests.unit.running.paper_story import a_stored_run, paper_month, settings_of, trades


def test_runs_of_another_configuration_or_exchange_do_not_count_and_it_says_which_key(
    tmp_path: Path,
) -> None:
    now_ns = WireClock().now_ns()
    settings = settings_of(tmp_path)
    other = settings_of(tmp_path, **{"risk.kelly_ratio": 0.1})
    kraken = settings_of(tmp_path, **{"data.exchange": "kraken"})
    a_stored_run(other, paper_month(now_ns - 40 * 24 * HOUR_NS), created_ns=now_ns - 3 * 10**9)
    mine = a_stored_run(settings, paper_month(now_ns), created_ns=now_ns)
    a_stored_run(settings, trades(60), created_ns=now_ns + 10**9, mode="backtest")

    gate = gate_of(settings)

    assert gate.evidence.runs == (mine.run,)
    assert gate.evidence.tested is not None
    assert len(gate.evidence.tested.returns) == 60
    assert [each.id for each in gate.unmet] == ["key_scope", "clock"]
    (days,) = [each for each in gate_of(kraken).items if each.id == "paper_days"]
    assert days.measured == "no day"
    changed = gate_of(settings_of(tmp_path, **{"risk.max_position_ratio": 0.2}))
    assert changed.evidence.tested is None
    (days,) = [each for each in changed.items if each.id == "paper_days"]
    assert "2 paper runs do not count, by another configuration" in days.measured
    assert "risk.max_position_ratio was 0.1 and is 0.2" in days.measured


def test_thresholds_of_the_gate_are_no_part_of_the_configuration_that_was_traded(
    tmp_path: Path,
) -> None:
    now_ns = WireClock().now_ns()
    a_stored_run(settings_of(tmp_path), paper_month(now_ns), created_ns=now_ns)

    gate = gate_of(settings_of(tmp_path, **{"golive.min_paper_days": 40, "run.mode": "live"}))

    assert len(gate.evidence.runs) == 1
    assert "paper_days" in [each.id for each in gate.unmet]


def test_a_journal_that_was_changed_is_no_evidence(tmp_path: Path) -> None:
    now_ns = WireClock().now_ns()
    settings = settings_of(tmp_path)
    paths = a_stored_run(settings, paper_month(now_ns), created_ns=now_ns)
    engine = create_engine(f"sqlite:///{paths.journal}")
    with engine.begin() as connection:
        change = "update event set body = replace(body, '0.03', '0.01') where kind = 'EquityMarked'"
        connection.execute(text(change))
    engine.dispose()

    (journal,) = [each for each in gate_of(settings).unmet if each.id == "journal"]

    assert "was changed after it was written" in journal.measured


def test_the_command_lists_every_item_and_ends_with_4_while_one_is_unmet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[data]\nexchange = "binance"\n')

    code = show_gate(None, config, tmp_path / "state", as_json=True)

    told = json.loads(capsys.readouterr().out)
    assert code == 4
    assert (told["ready"], told["armed"], told["exempt"]) == (False, False, False)
    assert told["unmet"] == [each["id"] for each in told["items"] if each["id"] != "stops"]
    assert not (tmp_path / "state").exists()  # whoever asks changes nothing
    assert show_gate("kraken", config, tmp_path / "state", as_json=False) == 4
    said = capsys.readouterr().out
    assert "on kraken" in said
    assert "not armed: live trading ends with exit 77" in said
