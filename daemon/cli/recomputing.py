"""`tradingd parity`, `replay`, `explain` and `health`: a journal, gone through once more.

Belongs here: names and options. What they do belongs to `replays`, and the modules `explain` and
`health`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[Path | None, typer.Option("--config", help="config.toml to use", metavar="FILE")]
State = Annotated[Path | None, typer.Option("--state-dir", help="where runs live", metavar="DIR")]
Json = Annotated[bool, typer.Option("--json", help="exactly one JSON object on stdout")]
RunId = Annotated[str, typer.Option("--run", help="last, or a run's id", metavar="last|ID")]


def parity(
    run: RunId = "last",
    config: Config = None,
    state_dir: State = None,
    allow_no_orders: Annotated[
        bool, typer.Option("--allow-no-orders", help="a run that never traded passes too")
    ] = False,
    json: Json = False,
) -> None:
    """Recompute every decision of a run from its recorded inputs: exit 0 when every bit is the
    same.
    """
    from daemon.cli.replays import check_parity

    raise typer.Exit(
        check_parity(run, config, state_dir, allow_no_orders=allow_no_orders, as_json=json)
    )


def explain(  # one parameter per option
    asked: Annotated[
        str,
        typer.Argument(
            help="last, a trace of the log (6 digits or more), an order's id, ours or the "
            "exchange's, the last halt or swap of models; or the story of all models of the run",
            metavar="last|TRACE|ORDER|halt|swap|story",
        ),
    ] = "last",
    run: RunId = "last",
    config: Config = None,
    state_dir: State = None,
    json: Json = False,
) -> None:
    """The life of one decision in words and numbers: why it was made, and what came of it; or the
    story of the run's models: trusted, doubted, halted, replaced.
    """
    from daemon.cli.explain import explain as explain_decision

    raise typer.Exit(explain_decision(asked, run, config, state_dir, as_json=json))


def replay(
    run: Annotated[
        str, typer.Argument(help="last, a run's id, or a journal's file", metavar="last|RUN|FILE")
    ] = "last",
    config: Config = None,
    state_dir: State = None,
    json: Json = False,
) -> None:
    """Feed a journal through today's code: exit 0 when it decides the same, 4 where it first does
    not.
    """
    from daemon.cli.replays import replay as replay_run

    raise typer.Exit(replay_run(run, config, state_dir, as_json=json))


def health(
    run: RunId = "last",
    is_explained: Annotated[
        bool, typer.Option("--explain", help="the rule in words, and how often it errs")
    ] = False,
    config: Config = None,
    state_dir: State = None,
    json: Json = False,
) -> None:
    """How far the model can be believed, by symbol and horizon: exit 4 while it is critical."""
    from daemon.cli.health import show_health

    raise typer.Exit(show_health(run, config, state_dir, is_explained=is_explained, as_json=json))
