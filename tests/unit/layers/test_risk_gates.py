"""Every gate, alone and beside any others: one no is enough, and what is no number is a no.

Held against the table itself, so that a gate without its row here fails.
"""

import math
from decimal import Decimal, localcontext
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from daemon.config import RiskSection
from daemon.core import events as e
from daemon.core.costs import Costs
from daemon.core.instruments import MarketType
from daemon.core.orders import Order, Parent, Side
from daemon.core.pace import Paced
from daemon.core.pipeline import ARITHMETIC
from daemon.core.streaks import Pause
from daemon.layers.risk import gates
from daemon.layers.risk.denials import Valuation
from daemon.layers.risk.gates import ENTRY_GATES, EXIT_GATES
from daemon.layers.risk.market_gates import (
    book_deep,
    quoted,
    spread_narrow,
    volatility_bearable,
)
from daemon.layers.risk.situations import Situation
from daemon.layers.risk.sizing import Room
from daemon.layers.risk.swaps import liquidation_far
from daemon.layers.risk.verdicts import enter, leave
from tests.builders import (
    BTC,
    CLOSE_NS,
    HOUR_NS,
    a_clock_checked,
    a_disk_checked,
    a_distrust,
    a_payoff,
    a_quote,
    a_signal,
    an_instrument,
)
from tests.unit.layers.test_risk_sizing import a_room

D = Decimal
COSTS: Final = Costs(fee_ratio=0.001, slippage_ratio=0.0005)
PAYOFF: Final = a_payoff(win_ratio=0.02, loss_ratio=0.015)
# Every limit is on, so that none is passed for want of being asked.
CONFIG: Final = RiskSection(
    max_net_exposure_ratio=0.3,
    max_correlated_exposure_ratio=0.3,
    volatility_max_ratio=1.0,
    volatility_target_ratio=0.5,
    max_leverage=5.0,
    min_liquidation_distance_ratio=0.25,
)
ENTRY: Final = a_signal(ts_ns=CLOSE_NS, win_probability=0.6)
EXIT: Final = replace(ENTRY, direction=e.Direction.FLAT)
PAUSE: Final = Pause(until_ns=CLOSE_NS + HOUR_NS, count=9)
ORDER: Final = Order(
    client_order_id="td1",
    instrument=BTC,
    side=Side.BUY,
    quantity=D(1),
    decision_price=D(100),
    trace="t",
    intended_ns=CLOSE_NS,
)
PARENT: Final = Parent(
    instrument=BTC,
    trace="t",
    close_ns=CLOSE_NS,
    side=Side.BUY,
    quantity=D(1),
    decision_price=D(100),
    arrival_price=None,
    is_exit=False,
    approved_ns=CLOSE_NS,
)


def a_situation(**changes: Any) -> Situation:
    """In which everything is as it should be."""
    fields: dict[str, Any] = {
        "signal": ENTRY,
        "instrument": an_instrument(),
        "quantity": D(0),
        "mark": D(100),
        "marked_ns": ENTRY.close_ns,
        "previous_mark": D(100),
        "room": a_room(volatility_ratio=0.4),
        "day_start_equity": D(10_000),
        "drawdown_ratio": 0.0,
        "halts": (),
        "is_reconciled": True,
        "has_foreign": False,
        "is_stale": False,
        "distrust": None,
        "clock": None,
        "disk": None,
        "health": e.HealthStatus.HEALTHY,
        "open_orders": (),
        "parent": None,
        "quote": a_quote(BTC, "100", "100"),
        "volatility_ratio": 0.4,
    }
    return Situation(**fields | changes)


# One trouble for each gate, which must be enough for it to say no.
TROUBLES: Final[dict[gates.Gate, dict[str, Any]]] = {
    gates.not_halted: {"halts": (e.HaltReason.DRAWDOWN,)},
    gates.reconciled: {"is_reconciled": False},
    gates.no_order_in_the_way: {"open_orders": (ORDER,)},
    gates.not_given_up: {"given_up": e.Trouble.DELISTED},
    gates.traded_there: {"not_tradable": "BREAK"},
    gates.exchange_reached: {"exchange_lost": "no route"},
    gates.exchange_takes_orders: {"refusal_pause": PAUSE},
    gates.few_unknown_orders: {"unknown_on_exchange": CONFIG.max_unresolved_orders},
    gates.fresh_data: {"is_stale": True},
    gates.trusted_data: {"distrust": a_distrust()},
    gates.clock_agrees: {"clock": a_clock_checked()},
    gates.disk_has_room: {"disk": a_disk_checked()},
    gates.model_healthy_enough: {"health": e.HealthStatus.CRITICAL},
    gates.has_price: {"mark": None},
    gates.currencies_valued: {"valuations": (Valuation("EUR", None, HOUR_NS, is_fed=True),)},
    gates.within_price_collar: {"previous_mark": D(80)},
    volatility_bearable: {"volatility_ratio": 1.5},
    gates.within_daily_loss: {"day_start_equity": D(11_000)},
    gates.no_loss_streak: {"loss_pause": PAUSE},
    gates.within_order_rate: {"paced": Paced(orders_last_hour=CONFIG.max_orders_per_hour)},
    gates.can_be_short: {"signal": replace(ENTRY, direction=e.Direction.SHORT)},
    liquidation_far: {"instrument": an_instrument(market_type=MarketType.SWAP)},
    gates.not_the_fee_asset: {"fees_in_base": D(1)},
    gates.not_positioned: {"quantity": D(1)},
    quoted: {"quote": e.Quote(instrument=BTC, taken_ns=CLOSE_NS, error="nobody answers")},
    spread_narrow: {"quote": a_quote(BTC, "90", "110")},
    book_deep: {"quote": replace(a_quote(BTC, "100", "100"), asks=((D(100), D("0.00001")),))},
}
FOR_EXITS: Final[dict[gates.Gate, dict[str, Any]]] = {
    gates.no_order_in_the_way: {"parent": PARENT},
    gates.held_for_sure: {"has_foreign": True},
}
# Of what an exit cannot go without: something that is held, at a price that is known.
NEEDED_BY_EXITS: Final = {"signal", "quantity", "mark", "open_orders"}


def entered(now: Situation) -> e.OrderApproved | e.OrderDenied:
    with localcontext(ARITHMETIC):
        return enter(now, PAYOFF, CONFIG, COSTS)


def left(now: Situation) -> e.OrderApproved | e.OrderDenied:
    with localcontext(ARITHMETIC):
        return leave(now, CONFIG)


def reason_of(gate: gates.Gate, changes: dict[str, Any]) -> e.DenyReason:
    denial = gate(a_situation(**changes), CONFIG)
    assert denial is not None, f"{gate} passes what it is there for"
    return denial.reason


def test_every_gate_has_its_trouble_here() -> None:
    assert tuple(TROUBLES) == ENTRY_GATES
    assert tuple(FOR_EXITS) == EXIT_GATES
    assert isinstance(entered(a_situation()), e.OrderApproved)


@given(st.sets(st.sampled_from(ENTRY_GATES)))
def test_an_entry_is_approved_where_nothing_at_all_is_wrong_and_nowhere_else(
    troubled: set[gates.Gate],
) -> None:
    changes = {gate: TROUBLES[gate] for gate in ENTRY_GATES if gate in troubled}
    now = a_situation(
        **{name: each for trouble in changes.values() for name, each in trouble.items()}
    )

    verdict = entered(now)

    assert isinstance(verdict, e.OrderDenied) is bool(troubled)
    if isinstance(verdict, e.OrderDenied):
        assert verdict.reason in {reason_of(*each) for each in changes.items()}


@pytest.mark.parametrize("gate", ENTRY_GATES)
def test_each_gate_alone_denies_in_its_own_words(gate: gates.Gate) -> None:
    verdict = entered(a_situation(**TROUBLES[gate]))

    assert isinstance(verdict, e.OrderDenied)
    assert verdict.reason is reason_of(gate, TROUBLES[gate])


@given(st.sets(st.sampled_from(ENTRY_GATES)), st.sets(st.sampled_from(EXIT_GATES)))
def test_an_exit_is_held_back_by_its_own_gates_and_by_no_others(
    troubled: set[gates.Gate], own: set[gates.Gate]
) -> None:
    changes: dict[str, Any] = {}
    for gate in ENTRY_GATES:
        if gate in troubled:
            changes |= {k: v for k, v in TROUBLES[gate].items() if k not in NEEDED_BY_EXITS}
    for gate in own:
        changes |= FOR_EXITS[gate]

    verdict = left(a_situation(**changes | {"signal": EXIT, "quantity": D(1)}))

    assert isinstance(verdict, e.OrderDenied) is bool(own)
    if isinstance(verdict, e.OrderApproved):
        assert (verdict.side, verdict.quantity) == (Side.SELL, D(1))


NAN, INFINITE = D("NaN"), D("Infinity")
NO_NUMBERS: Final[list[tuple[str, Any]]] = [
    *(("mark", each) for each in (None, NAN, INFINITE, -INFINITE, D(0), D(-1))),
    *(("previous_mark", each) for each in (None, NAN, INFINITE, D(0))),
    *(("marked_ns", each) for each in (None, ENTRY.close_ns - 1)),
    *(("day_start_equity", each) for each in (NAN, INFINITE, -INFINITE, D(0))),
    *(("volatility_ratio", each) for each in (None, math.nan, math.inf)),
    *(("fees_in_base", each) for each in (NAN, INFINITE)),
    *(("quantity", each) for each in (NAN, INFINITE)),
]
ROOM: Final = [name for name in Room.__struct_fields__ if name not in {"cut_by", "shown"}]


@pytest.mark.parametrize(("field", "bad"), NO_NUMBERS)
def test_what_is_missing_or_no_number_opens_nothing(field: str, bad: Any) -> None:
    assert isinstance(entered(a_situation(**{field: bad})), e.OrderDenied)


@pytest.mark.parametrize("field", ROOM)
def test_a_sum_that_is_no_number_opens_nothing(field: str) -> None:
    bad = math.nan if field == "volatility_ratio" else NAN
    room = replace(a_room(volatility_ratio=0.4, share_ratio=D("0.5")), **{field: bad})

    assert isinstance(entered(a_situation(room=room)), e.OrderDenied)


@pytest.mark.parametrize("bad", ["NaN", "Infinity", "-1"])
@pytest.mark.parametrize("side", ["bids", "asks"])
def test_a_book_of_no_numbers_opens_nothing(side: str, bad: str) -> None:
    quote = replace(a_quote(BTC, "100", "100"), **{side: ((D(bad), D(1_000)),)})

    assert isinstance(entered(a_situation(quote=quote)), e.OrderDenied)
