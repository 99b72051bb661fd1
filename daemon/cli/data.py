"""`tradingd data`: the commands on stored bars, each importing what it needs only when it is called.

Belongs here: names and options of the group. What a command does belongs to the module it calls.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

group = typer.Typer(name="data", help="Bars in the store.", no_args_is_help=True)

Config = Annotated[Path | None, typer.Option("--config", help="config.toml to use", metavar="FILE")]
State = Annotated[Path | None, typer.Option("--state-dir", help="where it lives", metavar="DIR")]
Json = Annotated[bool, typer.Option("--json", help="exactly one JSON object on stdout")]
Symbol = Annotated[str | None, typer.Option("--symbol", help="BTC/USDT; default: every one")]


@group.command("list")
def list_series(config: Config = None, state_dir: State = None, json: Json = False) -> None:
    """Every series in the store: span, bars, gaps, revisions."""
    from daemon.cli.data_shown import show_series

    raise typer.Exit(show_series(config, state_dir, as_json=json))


@group.command("gaps")
def list_gaps(
    symbol: Symbol = None, config: Config = None, state_dir: State = None, json: Json = False
) -> None:
    """Slots without a bar: since when, how many, why, and how many were found later."""
    from daemon.cli.data_shown import show_gaps

    raise typer.Exit(show_gaps(symbol, config, state_dir, as_json=json))
