"""A start goes on with the newest run, begins anew, or refuses naming what has changed."""

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from daemon.cli.choosing import require_same, unfinished
from daemon.config import Settings, config_hash, load, recorded
from daemon.core.errors import UsageRefused
from daemon.core.events import Event
from daemon.core.instruments import InstrumentId
from daemon.running.books.holdings import held_by
from daemon.store.journal import SqliteJournal
from daemon.store.runs import RunPaths, RunSpec, new_run, write_result
from tests.builders import (
    BTC,
    ETH,
    a_liquidation,
    a_run_opened,
    an_intent,
    an_order_completed,
    an_order_filled,
)

RUN = "20240101T000000-3fa2"


def bought(instrument: InstrumentId, quantity: str) -> tuple[Event, ...]:
    order = {"client_order_id": "ours1", "instrument": instrument}
    size = Decimal(quantity)
    return (
        an_intent(**order, quantity=size),
        an_order_filled(**order, quantity=size),
        an_order_completed(**order, filled_quantity=size),
    )


HOLDING = (a_run_opened(), *bought(ETH, "0.5"))


def settings_with(state: Path, **keys: Any) -> Settings:
    given = {key.replace("__", "."): value for key, value in keys.items()}
    return load(None, {"run.state_dir": state, **given}, {})


def a_run(settings: Settings, *events: Event, **changes: Any) -> RunPaths:
    fields: dict[str, Any] = {
        "run": RUN,
        "created_ns": 1,
        "mode": "paper",
        "market": settings.data.exchange,
        "symbols": settings.data.symbols,
        "timeframe": settings.data.timeframe,
        "seed": 42,
        "config_hash": config_hash(settings),
        "settings": recorded(settings),
    }
    paths = new_run(settings.run.state_dir, RunSpec(**(fields | changes)))
    asyncio.run(_written(paths.journal, events))
    return paths


async def _written(path: Path, events: tuple[Event, ...]) -> None:
    journal = SqliteJournal.open(path)
    for event in events:
        await journal.append((event,), is_durable=False)
    await journal.close()


def started(settings: Settings, market: str | None = None, *, is_new: bool = False) -> str | None:
    """The run a start goes on with; None when it begins another."""
    found = asyncio.run(
        unfinished(
            settings,
            market=market or settings.data.exchange,
            edge=None,
            exchange_url=None,
            is_new=is_new,
        )
    )
    return None if found is None else found.run


def refusal(settings: Settings, market: str | None = None) -> str:
    with pytest.raises(UsageRefused) as refused:
        started(settings, market)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_with_nothing_changed_the_newest_run_goes_on(tmp_path: Path) -> None:
    settings = settings_with(tmp_path, data__exchange="binance")
    a_run(settings, *HOLDING)

    assert started(settings) == RUN
    assert started(settings_with(tmp_path, data__exchange="binance", log__level="debug")) == RUN


@pytest.mark.parametrize("name", ["run.json", "result.json"])
def test_a_run_that_cannot_be_understood_is_not_taken_for_none(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings_with(tmp_path, data__exchange="binance")
    (a_run(settings, *HOLDING).folder / name).write_bytes(b'{"run": "2024')

    text = refusal(settings)

    assert name in text
    assert "--new" in text
    assert started(settings, is_new=True) is None
    assert "left behind" in capsys.readouterr().err


def test_a_dropped_symbol_is_refused_with_the_position_that_is_held_in_it(tmp_path: Path) -> None:
    a_run(settings_with(tmp_path, data__exchange="binance"), *HOLDING)

    text = refusal(settings_with(tmp_path, data__exchange="binance", data__symbols="BTC/USDT"))

    assert "data.symbols was BTC/USDT, ETH/USDT and is BTC/USDT" in text
    assert "holds 0.5 ETH/USDT" in text
    assert "--new" in text


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("data__timeframe", "4h", "data.timeframe was 1h and is 4h"),
        ("data__symbols", "BTC/USDT,ETH/USDT,SOL/USDT", "is BTC/USDT, ETH/USDT, SOL/USDT"),
        ("risk__kelly_ratio", 0.5, "risk.kelly_ratio was 0.25 and is 0.5"),
        ("run__name", "other", "run.name was tradingd and is other"),
        ("execution__validity_ms", 1_000, "execution.validity_ms was 5000 and is 1000"),
    ],
)
def test_whatever_changes_what_is_traded_is_refused_by_name(
    tmp_path: Path, key: str, value: object, words: str
) -> None:
    a_run(settings_with(tmp_path, data__exchange="binance"))

    assert words in refusal(settings_with(tmp_path, data__exchange="binance", **{key: value}))


def test_another_exchange_is_refused_while_the_run_on_the_old_one_holds_something(
    tmp_path: Path,
) -> None:
    a_run(settings_with(tmp_path, data__exchange="binance"), *HOLDING, an_intent())

    text = refusal(settings_with(tmp_path, data__exchange="kraken"))

    assert f"run {RUN} on binance holds 0.5 ETH/USDT and has 1 order without an answer" in text
    assert f"--resume {RUN}" in text


def test_another_exchange_begins_another_run_when_nothing_is_held(tmp_path: Path) -> None:
    a_run(settings_with(tmp_path, data__exchange="binance"), a_run_opened())

    assert started(settings_with(tmp_path, data__exchange="kraken")) is None


def test_a_run_on_an_account_of_somebody_else_is_not_left_silently(tmp_path: Path) -> None:
    settings = settings_with(tmp_path)
    url = {"exchange_url": "http://127.0.0.1:9"}
    a_run(settings, *HOLDING, market="synthetic", options=url)

    assert "holds 0.5 ETH/USDT" in refusal(settings, "synthetic")


def test_what_is_left_behind_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = settings_with(tmp_path, data__exchange="binance")
    a_run(settings, *HOLDING)

    assert started(settings, is_new=True) is None
    assert "is left behind and holds 0.5 ETH/USDT" in capsys.readouterr().err


def test_a_run_that_has_ended_binds_nobody(tmp_path: Path) -> None:
    paths = a_run(settings_with(tmp_path, data__exchange="binance"), *HOLDING)
    write_result(paths, {"is_closed": True})

    other = settings_with(tmp_path, data__exchange="binance", data__timeframe="4h")

    assert started(other) is None


def test_dust_under_a_lot_is_not_called_a_position(tmp_path: Path) -> None:
    paths = a_run(settings_with(tmp_path), a_run_opened(), *bought(BTC, "0.000009"))

    assert held_by(paths.journal) == ""


def test_what_the_exchange_took_away_is_not_held(tmp_path: Path) -> None:
    gone = a_liquidation(instrument=ETH)

    paths = a_run(settings_with(tmp_path), *HOLDING, gone)

    assert held_by(paths.journal) == ""


def test_a_resume_is_refused_like_a_start(tmp_path: Path) -> None:
    paths = a_run(spec_settings := settings_with(tmp_path, data__exchange="binance"))
    spec = RunSpec(
        run=RUN,
        created_ns=1,
        mode="paper",
        market="binance",
        symbols=(),
        timeframe="1h",
        seed=42,
        config_hash="",
        settings=recorded(spec_settings),
    )

    require_same(spec, spec_settings, paths)
    with pytest.raises(UsageRefused, match=r"signal.allow_short was false and is true"):
        require_same(
            spec, settings_with(tmp_path, data__exchange="binance", signal__allow_short=True), paths
        )
