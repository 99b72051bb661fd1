"""The command `tradingd simulate-orders`: its name and options.

Belongs here: what can be asked for. Running it belongs to `simulation`.
"""

from __future__ import annotations

from typing import Annotated

import typer


def simulate_orders(
    pattern: Annotated[
        str, typer.Option(help="article, retry-same-id, resend, or ours: what ships")
    ] = "ours",
    seeds: Annotated[
        int, typer.Option(min=1, help="how many runs, each drawn from its seed")
    ] = 300,
    first: Annotated[int, typer.Option("--first", min=0, help="the first seed")] = 0,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="processes at once")] = 2,
    json: Annotated[bool, typer.Option("--json", help="exactly one JSON object on stdout")] = False,
) -> None:
    """Send orders to a faulty exchange in process, and count the runs that end wrong."""
    from daemon.cli.simulation import simulate

    raise typer.Exit(simulate(pattern, seeds, first, jobs, as_json=json))
