"""`tradingd data`: the commands on stored bars, each importing what it needs when it is called.

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
Timeframe = Annotated[
    str | None, typer.Option("--timeframe", help="1h; needed where there are several")
]
Market = Annotated[str | None, typer.Option("--market", help="as `data list` names it; likewise")]
Accept = Annotated[
    list[str] | None,
    typer.Option("--accept", help="believe spike, imputed or volume_unit all the same"),
]
Symbol = Annotated[str | None, typer.Option("--symbol", help="BTC/USDT; default: every one")]


@group.command("verify")
def verify(  # noqa: PLR0917  # one parameter per option
    file: Annotated[Path | None, typer.Argument(help="CSV (also gzipped) or Parquet")] = None,
    symbol: Annotated[
        str | None, typer.Option("--symbol", help="of the store, instead of a file")
    ] = None,
    market: Market = None,
    timeframe: Annotated[
        str | None, typer.Option(help="default: the commonest spacing of the file")
    ] = None,
    accept: Accept = None,
    config: Config = None,
    state_dir: State = None,
    json: Json = False,
) -> None:
    """Judge every bar as the live feed would: exit 0 when all are believed, else 4."""
    from daemon.cli.data_quality import verify as judge

    raise typer.Exit(
        judge(file, symbol, market, timeframe, accept or (), config, state_dir, as_json=json)
    )


@group.command("import")
def import_(  # noqa: PLR0917  # one parameter per option
    file: Annotated[Path, typer.Argument(help="CSV (also gzipped) or Parquet")],
    symbol: Annotated[str, typer.Option("--symbol", help="BTC/USDT")],
    timeframe: Annotated[
        str | None, typer.Option(help="default: the commonest spacing of the file")
    ] = None,
    exchange: Annotated[
        str | None, typer.Option(help="whose bars they are; default: data.exchange")
    ] = None,
    revise: Annotated[
        bool, typer.Option("--revise", help="where the store has other numbers, take the file's")
    ] = False,
    accept: Accept = None,
    config: Config = None,
    state_dir: State = None,
    json: Json = False,
) -> None:
    """Bring a file into the store through the gate of the live feed, all of it or nothing."""
    from daemon.cli.data_import import import_file

    raise typer.Exit(
        import_file(
            file,
            symbol,
            timeframe,
            exchange,
            accept or (),
            config,
            state_dir,
            revises=revise,
            as_json=json,
        )
    )


@group.command("quarantine")
def quarantine(
    symbol: Symbol = None, config: Config = None, state_dir: State = None, json: Json = False
) -> None:
    """What was told and is not believed, with the candle as it came."""
    from daemon.cli.data_import import list_quarantine

    raise typer.Exit(list_quarantine(symbol, config, state_dir, as_json=json))


@group.command("accept")
def accept(  # noqa: PLR0917  # one parameter per option
    symbol: Annotated[str, typer.Option("--symbol", help="BTC/USDT")],
    row: Annotated[list[int] | None, typer.Option("--id", help="of data quarantine")] = None,
    reason: Annotated[
        str | None,
        typer.Option("--reason", help="all of spike, imputed, volume_unit or conflicting"),
    ] = None,
    config: Config = None,
    state_dir: State = None,
    json: Json = False,
) -> None:
    """Believe quarantined candles: they become bars of the store, marked as suspicious."""
    from daemon.cli.data_import import accept_quarantined

    raise typer.Exit(accept_quarantined(symbol, row or (), reason, config, state_dir, as_json=json))


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


@group.command("fetch")
def fetch(  # noqa: PLR0917  # one parameter per option
    exchange: Annotated[str, typer.Option(help="a ccxt id, or embedded")],
    symbol: Annotated[str, typer.Option(help="BTC/USDT")],
    timeframe: Annotated[str, typer.Option(help="1m, 1h, 1d")] = "1h",
    start: Annotated[
        str | None,
        typer.Option("--from", help="2024-01-01T00:00Z; default: data.history_bars before the end"),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", help="default: the newest closed bar")
    ] = None,
    exchange_url: Annotated[
        str | None, typer.Option(help="where an embedded exchange answers")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="ask for stored bars too; changes become revisions")
    ] = False,
    config: Config = None,
    state_dir: State = None,
    json: Json = False,
) -> None:
    """Bring bars of an exchange into the store; cut off, the same command goes on."""
    from daemon.cli.data_fetch import fetch_bars

    raise typer.Exit(
        fetch_bars(
            exchange,
            symbol,
            timeframe,
            start,
            until,
            exchange_url,
            config,
            state_dir,
            again=again,
            as_json=json,
        )
    )


@group.command("export")
def export(  # noqa: PLR0917  # one parameter per option
    symbol: Annotated[str, typer.Option(help="BTC/USDT")],
    output: Annotated[Path, typer.Option("-o", "--output", help="F.csv, F.csv.gz or F.parquet")],
    timeframe: Timeframe = None,
    market: Market = None,
    start: Annotated[str | None, typer.Option("--from", help="first open time")] = None,
    until: Annotated[str | None, typer.Option("--until", help="open times before this")] = None,
    force: Annotated[bool, typer.Option("--force", help="overwrite the file")] = False,
    config: Config = None,
    state_dir: State = None,
    json: Json = False,
) -> None:
    """One series as a file that `tradingd run --market` and a backtest take."""
    from daemon.cli.data_export import export_bars

    raise typer.Exit(
        export_bars(
            output,
            market,
            symbol,
            timeframe,
            start,
            until,
            config,
            state_dir,
            is_forced=force,
            as_json=json,
        )
    )


@group.command("prune")
def prune(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what would go")] = False,
    config: Config = None,
    state_dir: State = None,
    json: Json = False,
) -> None:
    """Take away what [store] keeps no longer: old bars, runs that ended, old predictions."""
    from daemon.cli import data_prune

    raise typer.Exit(data_prune.prune(config, state_dir, is_dry=dry_run, as_json=json))
