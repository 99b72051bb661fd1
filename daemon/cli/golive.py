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
Unverified = Annotated[
    bool,
    typer.Option(
        "--accept-unverified-key-scope", help="the exchange does not tell, you checked yourself"
    ),
]
Reason = Annotated[str, typer.Option("--reason", help="why; kept in the audit")]


@group.command("status")
def status(
    market: Market = None, config: Config = None, state_dir: State = None, json: Json = False
) -> None:
    """Every item that real money asks for, measured: exit 4 while one is unmet."""
    from daemon.cli.golive_commands import show_gate

    raise typer.Exit(show_gate(market, config, state_dir, as_json=json))


@group.command("check")
def check(  # one parameter per option
    market: Market = None,
    accept_unverified_key_scope: Unverified = False,
    config: Config = None,
    state_dir: State = None,
    json: Json = False,
) -> None:
    """Ask the exchange what the key may do and what time it is, and keep the answers for a day."""
    from daemon.cli.golive_commands import check_exchange

    raise typer.Exit(
        check_exchange(market, accept_unverified_key_scope, config, state_dir, as_json=json)
    )


@group.command("override")
def override(
    reason: Reason = "",
    market: Market = None,
    config: Config = None,
    state_dir: State = None,
    json: Json = False,
) -> None:
    """Take the model in use without proof of its skill; for this model alone, and it is noted."""
    from daemon.cli.golive_commands import override_skill

    raise typer.Exit(override_skill(reason, market, config, state_dir, as_json=json))


@group.command("drill")
def drill(
    confirm: Annotated[bool, typer.Option("--confirm", help="needed")] = False,
    wait_s: Annotated[
        float, typer.Option("--wait-s", min=0, help="for a position to be held, so long")
    ] = 0.0,
    config: Config = None,
    state_dir: State = None,
    json: Json = False,
) -> None:
    """Try the kill switch on the paper daemon that runs: halt, flatten, resume."""
    from daemon.cli.golive_drill import run_drill

    raise typer.Exit(run_drill(confirm, wait_s, config, state_dir, as_json=json))


@group.command("arm")
def arm(  # noqa: PLR0917  # one parameter per option
    confirm: Annotated[
        str | None, typer.Option("--confirm", help="the bot's name, where nobody can be asked")
    ] = None,
    market: Market = None,
    accept_unverified_key_scope: Unverified = False,
    config: Config = None,
    state_dir: State = None,
    json: Json = False,
) -> None:
    """Let `run --mode live` send real orders: refused, exit 4, while an item is unmet."""
    from daemon.cli.golive_arming import arm_bot

    raise typer.Exit(
        arm_bot(confirm, market, accept_unverified_key_scope, config, state_dir, as_json=json)
    )


@group.command("disarm")
def disarm(
    reason: Reason = "", config: Config = None, state_dir: State = None, json: Json = False
) -> None:
    """Take the arming back; a live daemon that runs is halted."""
    from daemon.cli.golive_arming import disarm_bot

    raise typer.Exit(disarm_bot(reason, config, state_dir, as_json=json))
