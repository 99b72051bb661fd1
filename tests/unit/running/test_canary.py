"""What an arming takes along from paper, and how the core is told of it: once."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from daemon.core import events as e
from daemon.core.timeframes import NS_PER_S
from daemon.running.golive.canary import canaries, tell_other
from daemon.running.golive.paper_costs import ORDERS_MIN, paper_costs
from daemon.store.golive import Canary, PaperCosts
from daemon.store.journal_reader import JournalReader
from tests.builders import CLOSE_NS, a_model_activated, a_parent_ended
from tests.unit.reports.test_slippage import D, an_order
from tests.unit.running.paper_story import a_stored_run, an_arming, settings_of

PAPER = PaperCosts(
    orders=100, slippage_mean_bps=2.0, slippage_sd_bps=3.0, parents=60, fill_ratio=0.98
)


def a_journal(folder: Path, events: list[e.Event], second: int) -> JournalReader:
    paths = a_stored_run(settings_of(folder), events, created_ns=CLOSE_NS + second * NS_PER_S)
    return JournalReader.open(paths.journal)


def test_paper_costs_are_told_per_order_over_all_runs_and_leave_out_what_we_ended(
    tmp_path: Path,
) -> None:
    ends = [
        a_parent_ended(wanted_quantity=D(2), filled_quantity=D(2)),
        a_parent_ended(wanted_quantity=D(2), filled_quantity=D(1), reason=e.ParentEnd.EXPIRED),
        a_parent_ended(wanted_quantity=D(2), filled_quantity=D(0), reason=e.ParentEnd.HALTED),
    ]
    half = ORDERS_MIN // 2
    one = [x for n in range(half) for x in an_order(f"tda{n}", "100.1")]
    two = [x for n in range(half) for x in an_order(f"tdb{n}", "100.3")]

    told = paper_costs([a_journal(tmp_path, [*one, *ends], 1), a_journal(tmp_path, two, 2)])

    assert told is not None
    assert (told.orders, told.slippage_mean_bps) == (ORDERS_MIN, 20.0)
    assert 10.0 < told.slippage_sd_bps < 10.5
    assert (told.parents, told.fill_ratio) == (2, 0.75)
    assert paper_costs([a_journal(tmp_path, [*one, *ends], 3)]) is None  # too few


def a_world(folder: Path, **arming: Any) -> Any:
    made = an_arming(settings_of(folder), at_ns=7, **arming)
    return SimpleNamespace(sites=[SimpleNamespace(exchange="binance", arming=made)])


def test_another_model_than_the_armed_one_is_told_at_a_start_and_the_armed_one_is_not(
    tmp_path: Path,
) -> None:
    world, told = a_world(tmp_path, model="armed"), list[tuple[str, str, str]]()

    class Log:
        def emit(self, event: str, **fields: object) -> None:
            told.append((event, str(fields["model"]), str(fields["armed"])))

    tell_other(world, None, Log())
    tell_other(world, a_model_activated(model="armed"), Log())
    tell_other(world, a_model_activated(model="promoted"), Log())

    assert told == [("model.unarmed", "promoted", "armed")]


def test_the_core_is_told_of_an_arming_once_with_what_paper_cost(tmp_path: Path) -> None:
    world = a_world(tmp_path, paper=PAPER)

    (begun,) = canaries(world, [], CLOSE_NS)

    assert (begun.exchange, begun.armed_ns, begun.ts_ns) == ("binance", 7, CLOSE_NS)
    assert (begun.days, begun.ratio, begun.steps, begun.min_orders) == (14.0, 0.25, 3, 10)
    assert (begun.paper_orders, begun.paper_slippage_mean_bps) == (100, 2.0)
    assert (begun.paper_parents, begun.paper_fill_ratio) == (60, 0.98)
    assert canaries(world, [(5, begun)], CLOSE_NS + 1) == []
    (bare,) = canaries(a_world(tmp_path), [], CLOSE_NS)
    assert bare.paper_slippage_mean_bps is None


def test_no_arming_or_no_days_is_no_canary(tmp_path: Path) -> None:
    off = Canary(days=0.0, ratio=0.25, steps=3, min_orders=10)
    bare: Any = SimpleNamespace(sites=[SimpleNamespace(exchange="embedded", arming=None)])

    assert canaries(a_world(tmp_path, canary=off), [], CLOSE_NS) == []
    assert canaries(bare, [], CLOSE_NS) == []
