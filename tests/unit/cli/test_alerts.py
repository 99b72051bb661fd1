import json
from pathlib import Path

from typer.testing import CliRunner

from daemon.cli.alerts import group
from daemon.config import ConfigRefused
from daemon.running.alerts.rules import RULES


def test_the_list_has_every_alert_with_what_to_do() -> None:
    answer = CliRunner().invoke(group, ["list", "--json"])

    told = json.loads(answer.stdout)["alerts"]
    assert [each["event"] for each in told] == [rule.event for rule in RULES]
    assert all(each["do"] and each["says"] and each["severity"] for each in told)


def test_a_test_without_an_address_is_refused_with_what_to_set(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("[run]\nname = 'bot-a'\n")

    answer = CliRunner().invoke(group, ["test", "--config", str(config)])

    assert isinstance(answer.exception, ConfigRefused)
    assert "alerts__urls" in str(answer.exception)
