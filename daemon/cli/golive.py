"""`tradingd golive`: from paper to real money, importing what each command needs when called.

Belongs here: names and options of the group. What a command does belongs to `golive_commands`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

group = typer.Typer(
    name="golive", help="From paper to real money: what it takes.", no_args_is_help=True
)

Config = Annotated[Path | None, typer.Option("--config", help="config.toml to use", metavar="FILE")]
State = Annotated[Path | None, typer.Option("--state-dir", help="where it lives", metavar="DIR")]
Market = Annotated[str | None, typer.Option("--market", help="a ccxt id, as `run` was told")]
Json = Annotated[bool, typer.Option("--json", help="exactly one JSON object on stdout")]
Reason = Annotated[str, typer.Option("--reason", help="why; kept in the audit")]


@group.command("status")
def status(
    market: Market = None, config: Config = None, state_dir: State = None, json: Json = False
) -> None:
    """Every item that real money asks for, measured: exit 4 while one is unmet."""
    from daemon.cli.golive_commands import show_gate

    raise typer.Exit(show_gate(market, config, state_dir, as_json=json))
