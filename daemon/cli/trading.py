"""`tradingd halt`, `resume` and `flatten`: what a person says to a bot that trades.

Belongs here: names and options. What they do belongs to `control` and `flatten`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[Path | None, typer.Option("--config", help="config.toml to use", metavar="FILE")]
State = Annotated[Path | None, typer.Option("--state-dir", help="where runs live", metavar="DIR")]
Json = Annotated[bool, typer.Option("--json", help="exactly one JSON object on stdout")]
RunId = Annotated[str, typer.Option("--run", help="last, or a run's id", metavar="last|ID")]
Reason = Annotated[str, typer.Option("--reason", help="why; kept in the journal")]
Confirm = Annotated[bool, typer.Option("--confirm", help="needed")]


def halt(
    reason: Reason = "",
    config: Config = None,
    state_dir: State = None,
    json: Json = False,
) -> None:
    """Open no new position until a resume; what is held is still closed. Survives a restart."""
    from daemon.cli import control

    raise typer.Exit(control.halt(reason, config, state_dir, as_json=json))


def flatten(  # noqa: PLR0917  # one parameter per option
    reason: Reason = "",
    confirm: Confirm = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="say what would be done, and do nothing")
    ] = False,
    run: RunId = "last",
    config: Config = None,
    state_dir: State = None,
    json: Json = False,
) -> None:
    """Halt, cancel our orders, close our positions, say what is left; also with no daemon."""
    from daemon.cli import flatten as flattening

    code = flattening.flatten(reason, confirm, dry_run, run, config, state_dir, as_json=json)
    raise typer.Exit(code)


def resume(
    reason: Reason = "",
    confirm: Confirm = False,
    config: Config = None,
    state_dir: State = None,
    json: Json = False,
) -> None:
    """End every halt; after one for a drawdown it is measured anew from here."""
    from daemon.cli import control

    raise typer.Exit(control.resume(reason, confirm, config, state_dir, as_json=json))
