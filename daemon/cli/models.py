"""`tradingd models`: the commands on registered models, importing what they need when called.

Belongs here: names and options of the group. What a command does belongs to `model_commands`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

group = typer.Typer(name="models", help="Registered models.", no_args_is_help=True)

Config = Annotated[Path | None, typer.Option("--config", help="config.toml to use", metavar="FILE")]
State = Annotated[Path | None, typer.Option("--state-dir", help="where it lives", metavar="DIR")]
Json = Annotated[bool, typer.Option("--json", help="exactly one JSON object on stdout")]
Reason = Annotated[str, typer.Option("--reason", help="why; kept beside the registry")]
Id = Annotated[str, typer.Argument(help="a model's id, as `models list` shows it")]


@group.command("list")
def list_(config: Config = None, state_dir: State = None, json: Json = False) -> None:
    """Every registered model: what it is for, how it was judged, and where it stands."""
    from daemon.cli.model_commands import list_models

    raise typer.Exit(list_models(config, state_dir, as_json=json))


@group.command("show")
def show(model: Id, config: Config = None, state_dir: State = None, json: Json = False) -> None:
    """Everything one model says about itself; with --json its whole manifest."""
    from daemon.cli.model_commands import show_model

    raise typer.Exit(show_model(model, config, state_dir, as_json=json))


@group.command("diff")
def diff(
    one: Id, other: Id, config: Config = None, state_dir: State = None, json: Json = False
) -> None:
    """In what two models differ: data, features, settings, what was found."""
    from daemon.cli.model_commands import diff_models

    raise typer.Exit(diff_models(one, other, config, state_dir, as_json=json))


@group.command("promote")
def promote(
    model: Id,
    reason: Reason = "",
    config: Config = None,
    state_dir: State = None,
    json: Json = False,
) -> None:
    """Make a model the active one of its market, symbols, timeframe and features."""
    from daemon.cli.model_commands import promote_model

    raise typer.Exit(promote_model(model, reason, config, state_dir, as_json=json))


@group.command("rollback")
def rollback(
    model: Annotated[
        str | None, typer.Argument(help="the active model to take back; needed where several are")
    ] = None,
    reason: Reason = "",
    config: Config = None,
    state_dir: State = None,
    json: Json = False,
) -> None:
    """Take back the active model: the one before it is active again."""
    from daemon.cli.model_commands import rollback_model

    raise typer.Exit(rollback_model(model, reason, config, state_dir, as_json=json))


@group.command("cancel")
def cancel(
    reason: Annotated[str, typer.Option("--reason", help="why; kept in the journal")] = "",
    config: Config = None,
    state_dir: State = None,
    json: Json = False,
) -> None:
    """End the training that runs beside the daemon; exit 4 when there is none."""
    from daemon.cli.control import cancel_training

    raise typer.Exit(cancel_training(reason, config, state_dir, as_json=json))
