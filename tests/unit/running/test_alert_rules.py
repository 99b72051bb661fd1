"""The table of alerts, held to the log's registry and to the command line."""

import re
from typing import Any

import typer

from daemon.cli.main import app
from daemon.logs.registry import REGISTRY
from daemon.running.alerts.rules import ENDED_BY, RULES, SHOWN, table


def test_every_alert_is_a_log_event_with_the_fields_that_tell_one_from_another() -> None:
    strange = [
        f"{rule.event}: {each}"
        for rule in RULES
        for each in rule.where
        if each not in REGISTRY[rule.event].fields and each not in {"exchange", "symbol"}
    ]

    assert strange == []
    assert len({rule.event for rule in RULES}) == len(RULES)


def test_what_ends_an_alert_bears_the_same_name_of_where() -> None:
    for ending, rules in ENDED_BY.items():
        for rule in rules:
            assert {*rule.where} <= {*REGISTRY[ending].fields}, f"{ending} ends {rule.event}"


def test_shown_fields_are_fields_of_their_event() -> None:
    for event, names in SHOWN.items():
        assert {*names} <= {*REGISTRY[event].fields}


def test_everything_that_the_log_calls_critical_is_an_alert() -> None:
    critical = {row.name for row in REGISTRY.values() if row.level == "critical"}

    assert critical <= {rule.event for rule in RULES}


def test_every_alert_says_what_to_do_with_commands_that_exist() -> None:
    group: Any = typer.main.get_command(app)
    known = {
        *group.commands,
        *(f"{name} {each}" for name, inner in group.commands.items()
          for each in getattr(inner, "commands", {})),
    }  # fmt: skip

    for event, _, _, do in table():
        assert do, event
        for words in re.findall(r"tradingd ((?:[a-z-]+ ?){1,2})", do):
            first, _, second = words.strip().partition(" ")
            name = f"{first} {second}" if hasattr(group.commands.get(first), "commands") else first
            assert name in known, f"{event}: tradingd {words}"
