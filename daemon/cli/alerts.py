"""`tradingd alerts`: which alerts there are, and whether they arrive.

Belongs here: names and options, and what is printed. Sending belongs to `running.alerts.addresses`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from daemon.cli.output import pairs, show

group = typer.Typer(name="alerts", help="Messages to people.", no_args_is_help=True)

Config = Annotated[Path | None, typer.Option("--config", help="config.toml to use", metavar="FILE")]
Json = Annotated[bool, typer.Option("--json", help="exactly one JSON object on stdout")]


@group.command("list")
def list_(json: Json = False) -> None:
    """Which events are told, how urgently, and what to do about each."""
    from daemon.running.alerts.rules import table

    names = ("event", "severity", "says", "do")
    rows = [dict(zip(names, row, strict=True)) for row in table()]
    lines = [f"{row['severity']:<8} {row['event']:<26} {row['says']}" for row in rows]
    show({"alerts": rows}, lines, as_json=json)


@group.command("test")
def send_test(config: Config = None, json: Json = False) -> None:
    """Send one message to every address now, and say which took it: exit 4 when one did not."""
    from daemon.cli.running import config_path
    from daemon.config import load
    from daemon.running.alerts.addresses import tried

    settings = load(config_path(config), {})
    answers = tried(settings.alerts, settings.run.name)
    told = {name: "taken" if not error else f"not taken: {error}" for name, error in answers}
    is_taken = not any(error for _, error in answers)
    result = {"addresses": dict(answers), "ok": is_taken}
    show(result, pairs(told), as_json=json)
    raise typer.Exit(0 if is_taken else 4)
