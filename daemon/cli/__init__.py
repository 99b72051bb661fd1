"""The commands of tradingd, one file per family; `main` is what the installed command calls."""


def main() -> None:
    """Run the command line; imports it only now, so that importing a command costs nothing else."""
    from daemon.cli.main import main as run_cli

    run_cli()
