"""A month of paper trading as events: hourly bars of one instrument, a trade every twelve hours.

Belongs here: a story in which every item of the go-live gate is met, to be spoiled by the tests.
"""

import random
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path

import msgspec
from msgspec.structs import replace

from daemon.config import Settings, config_hash, load, recorded
from daemon.core import events as e
from daemon.core.clock import WireClock
from daemon.core.instruments import InstrumentId
from daemon.running.golive.gate import canary_of, fingerprint
from daemon.store.golive import Arming
from daemon.store.journal import write_whole
from daemon.store.runs import RunPaths, RunSpec, new_run, run_id_for
from tests.builders import (
    HOUR_NS,
    MODEL,
    a_bar,
    a_flatten_requested,
    a_halt_requested,
    a_model_activated,
    a_position_changed,
    a_reconciled,
    a_resolution,
    a_resume_requested,
    a_run_opened,
    an_equity_mark,
    an_instrument,
)

DAYS = 31
HOURS = DAYS * 24
BTC = InstrumentId("binance", "BTC/USDT")
TRADE_RETURN = 0.002


def paper_month(end_ns: int, *, bars: int = HOURS, seen_every: int = 1) -> list[e.Event]:
    """The last bar closes at `end_ns`; of `seen_every` bars one comes in time."""
    return list(_told(end_ns - end_ns % HOUR_NS, bars, seen_every))


def _told(end_ns: int, bars: int, seen_every: int) -> Iterator[e.Event]:
    rng = random.Random(7)
    first_ns = end_ns - bars * HOUR_NS
    instrument = an_instrument(id=BTC)
    yield a_run_opened(ts_ns=first_ns, instruments=(instrument,), first_open_ns=first_ns)
    yield a_model_activated(ts_ns=first_ns)
    yield a_reconciled(ts_ns=first_ns, exchange="binance")
    for hour in range(bars):
        open_ns = first_ns + hour * HOUR_NS
        close_ns = open_ns + HOUR_NS
        late_ns = 10**9 if hour % seen_every == 0 else HOUR_NS
        bar = a_bar(instrument=BTC, open_ns=open_ns, received_ns=close_ns + late_ns)
        yield e.BarsClosed(ts_ns=close_ns, bars=(bar,))
        yield an_equity_mark(ts_ns=close_ns, drawdown_ratio=0.03)
        is_up = rng.random() < 0.5
        said = 0.5 + (0.2 if is_up else -0.2) * (1 if rng.random() < 0.8 else -1)
        yield a_resolution(
            ts_ns=close_ns,
            instrument=BTC,
            predicted_close_ns=open_ns,
            probability_up=said + rng.uniform(-0.05, 0.05),
            outcome=int(is_up),
        )
        if hour % 12 == 0:
            yield a_position_changed(ts_ns=close_ns, instrument=BTC)
        if hour == bars - 12:
            yield a_halt_requested(ts_ns=close_ns)
            yield a_flatten_requested(ts_ns=close_ns)
        if hour % 12 == 1:
            net = TRADE_RETURN + _spread(hour // 12)
            yield a_position_changed(
                ts_ns=close_ns, instrument=BTC, quantity=Decimal(0), closed_return_ratio=net
            )
        if hour == bars - 10:
            yield a_resume_requested(ts_ns=close_ns)


def _spread(number: int) -> float:
    """Seven trades around their mean, over and over."""
    return 0.002 * (number % 7 - 3)


def trades(count: int, mean: float = TRADE_RETURN) -> list[e.Event]:
    """The fills of a backtest, as far as the band looks at them."""
    return [
        a_position_changed(quantity=Decimal(0), closed_return_ratio=mean + _spread(number))
        for number in range(count)
    ]


def settings_of(state_dir: Path, **changes: object) -> Settings:
    """Binance, BTC/USDT, with a key."""
    told = {
        "run.state_dir": state_dir,
        "data.exchange": "binance",
        "data.symbols": ("BTC/USDT",),
        **changes,
    }
    environ = {
        "TRADINGD__EXCHANGE__API_KEY": "a-key-of-binance",
        "TRADINGD__EXCHANGE__API_SECRET": "a-secret-of-binance",
    }
    return load(None, told, environ)


def an_arming(settings: Settings, **changes: object) -> Arming:
    """As a person who typed the bot's name leaves it."""
    made = Arming(
        bot=settings.run.name,
        exchange=settings.data.exchange,
        account=fingerprint(settings) or "",
        config_hash=config_hash(settings),
        config=recorded(settings),
        model=MODEL,
        code="0.1.0+test",
        who="a test",
        at_ns=WireClock().now_ns(),
        limits=(),
        canary=canary_of(settings),
        paper=None,
    )
    return replace(made, **changes)


def a_stored_run(
    settings: Settings, events: Sequence[e.Event], *, created_ns: int, mode: str = "paper"
) -> RunPaths:
    """The run with its journal, as a daemon or a backtest leaves it."""
    spec = RunSpec(
        run=run_id_for(created_ns, mode),
        created_ns=created_ns,
        mode=mode,
        market="binance",
        symbols=settings.data.symbols,
        timeframe="1h",
        seed=settings.run.seed,
        config_hash=config_hash(settings),
        exchange_name="" if mode == "backtest" else settings.data.exchange,
        settings=msgspec.json.decode(msgspec.json.encode(recorded(settings))),
    )
    paths = new_run(settings.run.state_dir, spec)
    with write_whole(paths.journal) as journal:
        for event in events:
            journal.keep((event,))
    return paths
