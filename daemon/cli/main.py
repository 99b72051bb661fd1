"""The command line: one thin function per command, each importing what it needs only when it is
called.

Belongs here: names and options. What a command does belongs to the module it calls.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from daemon.cli import alerts, data, golive, models, recomputing, simulating, trading
from daemon.core.errors import TradingdError, UsageRefused

INTERRUPTED = 130

app = typer.Typer(
    name="tradingd",
    help="An event-driven trading daemon: bars, features, model, signal, risk, execution, health.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(alerts.group)
app.add_typer(data.group)
app.add_typer(models.group)
app.add_typer(golive.group)
app.command("simulate-orders")(simulating.simulate_orders)
app.command()(trading.halt)
app.command()(trading.resume)
app.command()(trading.flatten)
app.command()(recomputing.parity)
app.command()(recomputing.replay)
app.command()(recomputing.explain)
app.command()(recomputing.health)

Config = Annotated[Path | None, typer.Option("--config", help="config.toml to use", metavar="FILE")]
State = Annotated[Path | None, typer.Option("--state-dir", help="where runs live", metavar="DIR")]
Json = Annotated[bool, typer.Option("--json", help="exactly one JSON object on stdout")]
Force = Annotated[bool, typer.Option("--force", help="overwrite what is there")]
Adopting = Annotated[
    bool,
    typer.Option("--adopt-books", help="take over this bot's orders that a lost journal had"),
]
RunId = Annotated[str, typer.Option("--run", help="last, or a run's id", metavar="last|ID")]


@app.command()
def run(  # noqa: PLR0917  # one parameter per option
    mode: Annotated[str | None, typer.Option(help="paper, shadow or live")] = None,
    market: Annotated[
        str | None, typer.Option(help="synthetic, a recording (CSV, Parquet) or a ccxt id")
    ] = None,
    config: Config = None,
    state_dir: State = None,
    start: Annotated[
        str | None, typer.Option("--from", help="first streamed bar, 2024-01-01T00:00Z")
    ] = None,
    symbol: Annotated[list[str] | None, typer.Option(help="BTC/USDT; may be repeated")] = None,
    bars: Annotated[int | None, typer.Option(min=1, help="grid slots to stream, then stop")] = None,
    speed: Annotated[str | None, typer.Option(help="bars per second, or max (lock-step)")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="of market and training")] = None,
    edge: Annotated[
        float | None, typer.Option(min=0, max=1, help="planted predictability, 0 to 1")
    ] = None,
    resume: Annotated[
        str | None, typer.Option(help="continue a killed run: last, or its id")
    ] = None,
    is_new: Annotated[
        bool, typer.Option("--new", help="begin a new run and leave an unfinished one")
    ] = False,
    exchange_url: Annotated[
        str | None, typer.Option(help="an embedded exchange that is already there")
    ] = None,
    also: Annotated[
        list[str] | None,
        typer.Option(help="a further exchange at once: okx=BTC/USDT,ETH/USDT; may be repeated"),
    ] = None,
    accept_unverified_key_scope: Annotated[
        bool,
        typer.Option(
            "--accept-unverified-key-scope", help="live: the exchange does not tell, you checked"
        ),
    ] = False,
    is_adopting: Adopting = False,
) -> None:
    """Run the daemon in the foreground."""
    from daemon.cli.running import RunRequest, start_run

    request = RunRequest(
        mode=mode,
        market=market,
        start=start,
        symbols=tuple(each for given in symbol or () for each in given.split(",")),
        bars=bars,
        speed=speed,
        seed=seed,
        edge=edge,
        resume=resume,
        exchange_url=exchange_url,
        also=tuple(also or ()),
        is_new=is_new,
        accepts_unverified_key_scope=accept_unverified_key_scope,
        is_adopting=is_adopting,
    )
    raise typer.Exit(start_run(request, config, state_dir))


@app.command()
def check(config: Config = None, state_dir: State = None) -> None:
    """Validate the configuration and exit: all errors at once, with file and line."""
    from daemon.cli.queries import check_config

    raise typer.Exit(check_config(config, state_dir))


@app.command()
def status(config: Config = None, state_dir: State = None, json: Json = False) -> None:
    """What the daemon of this state directory is doing."""
    from daemon.cli.queries import show_status

    raise typer.Exit(show_status(config, state_dir, as_json=json))


@app.command("check-features")
def check_features(
    features: Annotated[
        str | None,
        typer.Option(help="a file of one's own, or one kernel in it; default: the configured set"),
    ] = None,
    data: Annotated[
        list[str] | None, typer.Option(help="a recording, or ETH/USDT=RECORDING; repeatable")
    ] = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Prove on recorded bars that features are the same live and in training, and see no future."""
    from daemon.cli.features import check

    raise typer.Exit(check(features, tuple(data or ()), config, as_json=json))


@app.command()
def version(json: Json = False) -> None:
    """Version of the daemon, of Python and of the libraries that matter."""
    from daemon.cli.queries import show_version

    raise typer.Exit(show_version(as_json=json))


@app.command()
def reconcile(
    run: RunId = "last", config: Config = None, state_dir: State = None, json: Json = False
) -> None:
    """Compare the books of a run with its venue: exit 0 when equal, 4 with the differences."""
    from daemon.cli.books import reconcile_run

    raise typer.Exit(reconcile_run(run, config, state_dir, as_json=json))


@app.command()
def slippage(
    run: RunId = "last", config: Config = None, state_dir: State = None, json: Json = False
) -> None:
    """What a run's orders paid beyond decision, quote and book, and paper settings to match."""
    from daemon.cli.slippage import slippage_run

    raise typer.Exit(slippage_run(run, config, state_dir, as_json=json))


@app.command()
def export(  # noqa: PLR0917  # one parameter per option
    what: Annotated[str, typer.Argument(help="fills, orders, equity; with -o any table, or all")],
    run: RunId = "last",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="write files here", metavar="DIR")
    ] = None,
    form: Annotated[str, typer.Option("--format", help="csv, json or parquet")] = "csv",
    is_forced: Force = False,
    config: Config = None,
    state_dir: State = None,
    json: Json = False,
) -> None:
    """Fills, orders or the equity curve of a run; with -o every table of its report, as files."""
    if output is not None:
        from daemon.cli.reports import write_exports

        code = write_exports(
            what,
            run,
            config,
            state_dir,
            output=output,
            form=form,
            is_forced=is_forced,
            as_json=json,
        )
        raise typer.Exit(code)
    from daemon.cli.exports import export_run

    raise typer.Exit(export_run(what, run, config, state_dir, as_json=json))


@app.command()
def report(  # noqa: PLR0917  # one parameter per option
    output: Annotated[Path, typer.Option("-o", "--output", help="the page", metavar="FILE.html")],
    run: RunId = "last",
    is_forced: Force = False,
    config: Config = None,
    state_dir: State = None,
    json: Json = False,
) -> None:
    """A run of any mode as one page that needs no network: figures, charts, trades, verdict."""
    from daemon.cli.reports import write_report

    raise typer.Exit(
        write_report(run, output, config, state_dir, is_forced=is_forced, as_json=json)
    )


@app.command()
def train(  # noqa: PLR0917  # one parameter per option
    data: Annotated[
        list[str] | None,
        typer.Option(
            help="a recording, or BTC/USDT=recording; may be repeated; default: the bars in the "
            "store of the newest run's market"
        ),
    ] = None,
    symbol: Annotated[str | None, typer.Option(help="symbol of the recording")] = None,
    since: Annotated[str | None, typer.Option("--from", help="first bar to learn from")] = None,
    until: Annotated[str | None, typer.Option("--until", help="no bar that closes later")] = None,
    trials: Annotated[
        int, typer.Option("--search", min=1, help="try so many parameters and keep the best")
    ] = 1,
    promote: Annotated[
        str | None, typer.Option("--promote", help="make it the active one; the reason why")
    ] = None,
    config: Config = None,
    state_dir: State = None,
    json: Json = False,
) -> None:
    """Train, judge and register a model; a candidate, unless it is promoted."""
    from daemon.cli.training import train_model

    code = train_model(
        data or (), symbol, since, until, trials, promote, config, state_dir, as_json=json
    )
    raise typer.Exit(code)


@app.command()
def backtest(  # noqa: PLR0917  # one parameter per option
    data: Annotated[
        list[str] | None,
        typer.Option(
            help="a recording, or BTC/USDT=recording; may be repeated; default: the bars in the "
            "store of the newest run's market"
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="a registered model's id; default: retrain on the way")
    ] = None,
    symbol: Annotated[str | None, typer.Option(help="symbol of the recording")] = None,
    start: Annotated[str | None, typer.Option("--from", help="first bar to decide on")] = None,
    funding: Annotated[
        list[str] | None,
        typer.Option(help="rates of a swap, lines of time,rate; or BTC/USDT:USDT=file"),
    ] = None,
    config: Config = None,
    state_dir: State = None,
    json: Json = False,
) -> None:
    """Recorded bars through the same route table as live; kept as a run, for report and parity."""
    from daemon.cli.backtests import run_backtest

    raise typer.Exit(
        run_backtest(
            tuple(data or ()),
            model,
            symbol,
            start,
            config,
            state_dir,
            as_json=json,
            funding=tuple(funding or ()),
        )
    )


@app.command()
def walkforward(  # noqa: PLR0917  # one parameter per option
    data: Annotated[
        list[Path] | None, typer.Option(help="a recording; several are joined on time")
    ] = None,
    symbol: Annotated[str | None, typer.Option(help="symbol of the recording")] = None,
    folds: Annotated[int | None, typer.Option(min=2, help="tested parts, default 6")] = None,
    horizon: Annotated[int | None, typer.Option(min=1, help="bars ahead, default 1")] = None,
    fee_bps: Annotated[
        float | None, typer.Option(min=0, help="fee of one side, default 10")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="of the forests")] = None,
    trials: Annotated[
        int, typer.Option(min=1, help="configurations you have looked at, this one included")
    ] = 1,
    depth: Annotated[
        list[int] | None,
        typer.Option(min=1, max=16, help="of the trees; several are compared, the best judged"),
    ] = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Train on the past, test on what follows, and say whether there was an edge to trade on."""
    from daemon.cli.walkforward import WalkRequest, run_walkforward

    request = WalkRequest(
        data=tuple(data or ()),
        symbol=symbol,
        folds=folds,
        horizon=horizon,
        fee_bps=fee_bps,
        seed=seed,
        trials=trials,
        depths=tuple(depth or ()),
    )
    raise typer.Exit(run_walkforward(request, config, as_json=json))


def main() -> None:
    """Entry point: every refusal is one line on stderr and its exit code."""
    from daemon.cli import exchange

    app.command("exchange")(exchange.exchange)
    try:
        app()
    except TradingdError as error:
        _say(error)
        sys.exit(_exit_code(error))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # The reader has gone (| head): nothing is wrong, and nothing more can be said.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(0)


def _exit_code(error: TradingdError) -> int:
    """A setting refused only for what was typed is an error of the command line."""
    lines: list[str] = getattr(error, "lines", [])
    is_typed = bool(lines) and all(line.startswith("command line:") for line in lines)
    return UsageRefused.exit_code if is_typed else error.exit_code


def _say(error: TradingdError) -> None:
    lines = getattr(error, "lines", None) or ([f"tradingd: {error}"] if str(error) else [])
    sys.stderr.write("".join(f"{line}\n" for line in lines))
