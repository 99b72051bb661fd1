"""Each row of the policy: what is done about a held position, once the trouble is on."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from daemon.config import PolicySection
from daemon.core import events as e
from daemon.core.instruments import InstrumentId
from daemon.core.orders import Side
from tests.builders import (
    BTC,
    CLOSE_NS,
    ETH,
    HOUR_NS,
    OPEN_NS,
    a_feed_stale,
    a_halt,
    a_health_sample,
    a_listing_change,
    a_model_activated,
    a_reconciled,
    a_refusal,
    a_resume_requested,
    a_run_opened,
    an_account_opened,
    an_approval,
    an_exchange_back,
    an_exchange_lost,
    an_instrument,
)
from tests.unit.layers.test_risk import GOOD, MODEL_AGE_MAX_NS, Desk

D = Decimal
MINUTE_NS = 60 * 1_000_000_000


def halted(reason: e.HaltReason) -> Callable[[Desk], object]:
    return lambda desk: desk.takes(a_halt(ts_ns=CLOSE_NS, reason=reason))


def critical(desk: Desk) -> None:
    desk.takes(a_health_sample(ts_ns=CLOSE_NS, status=e.HealthStatus.CRITICAL))
    desk.takes(a_resume_requested(ts_ns=CLOSE_NS))


def expired(desk: Desk) -> None:
    old_ns = OPEN_NS - MODEL_AGE_MAX_NS
    desk.takes(
        a_model_activated(
            model="old", trained_through_ns=old_ns, long_payoff=GOOD, short_payoff=GOOD
        )
    )
    desk.closes(100.0, hour=1)


def upgraded(desk: Desk) -> None:
    desk.takes(e.Started(ts_ns=CLOSE_NS, version="1"))
    desk.takes(e.Started(ts_ns=CLOSE_NS, version="2"))
    desk.takes(a_reconciled(ts_ns=CLOSE_NS))


BEGINS: dict[e.Trouble, Callable[[Desk], object]] = {
    e.Trouble.MODEL_CRITICAL: critical,
    e.Trouble.MODEL_UNKNOWN: lambda desk: desk.takes(a_health_sample(ts_ns=CLOSE_NS)),
    e.Trouble.MODEL_EXPIRED: expired,
    e.Trouble.OUTAGE: lambda desk: desk.takes(a_feed_stale(ts_ns=CLOSE_NS - 6 * HOUR_NS)),
    e.Trouble.DELISTED: lambda desk: desk.takes(a_listing_change(ts_ns=CLOSE_NS)),
    e.Trouble.EXCHANGE_LOST: lambda desk: desk.takes(an_exchange_lost(ts_ns=CLOSE_NS)),
    e.Trouble.VERSION_CHANGED: upgraded,
    **{e.Trouble(f"halt_{each}"): halted(each) for each in e.HaltReason},
}
HOLDS = dict.fromkeys((each.value for each in e.Trouble), "hold")


def in_trouble(trouble: e.Trouble, action: str, **config: Any) -> Desk:
    desk = Desk(policy=HOLDS | {trouble.value: action} | config)
    desk.buys("4")
    BEGINS[trouble](desk)
    return desk


def ticked(desk: Desk, after_ns: int = HOUR_NS) -> list[e.Event]:
    return desk.takes(e.OrdersTicked(ts_ns=CLOSE_NS + after_ns))


def acts(events: list[e.Event]) -> list[tuple[str, str, int]]:
    return [
        (each.trouble.value, each.action.value, each.attempt)
        for each in events
        if isinstance(each, e.PolicyActed)
    ]


def sold(events: list[e.Event]) -> list[Decimal]:
    return [each.quantity for each in events if isinstance(each, e.OrderApproved)]


def test_every_trouble_has_its_row_and_every_halt_its_trouble() -> None:
    assert set(BEGINS) == set(e.Trouble)
    assert {each.value for each in e.Trouble} <= set(PolicySection.model_fields)


@pytest.mark.parametrize("trouble", list(e.Trouble))
@pytest.mark.parametrize(
    ("action", "sells"), [("hold", []), ("protect", []), ("reduce", [D(2)]), ("close", [D(4)])]
)
def test_each_trouble_does_what_its_row_says_and_only_where_something_is_held(
    trouble: e.Trouble, action: str, sells: list[Decimal]
) -> None:
    desk = in_trouble(trouble, action)

    events = ticked(desk)

    assert acts(events) == ([] if action == "hold" else [(trouble.value, action, 1)])
    assert sold(events) == sells
    assert all(each.instrument == BTC for each in events if isinstance(each, e.PolicyActed))


@pytest.mark.parametrize("trouble", list(e.Trouble))
def test_what_is_given_up_is_not_opened_again_while_the_trouble_is_on(trouble: e.Trouble) -> None:
    desk = in_trouble(trouble, "close")
    desk.sells("4")
    desk.closes(100.0, hour=1)
    later: dict[str, Any] = {"ts_ns": CLOSE_NS + HOUR_NS, "close_ns": CLOSE_NS + HOUR_NS}

    first = desk.denied(**later)

    assert first in {"policy", "halted"}
    desk.takes(a_resume_requested(ts_ns=CLOSE_NS + HOUR_NS))
    is_halt = trouble.value.startswith("halt_")
    assert desk.denied(**later) == ("approved" if is_halt else "policy")


def test_the_defaults_liquidate_nothing_but_what_the_exchange_will_not_trade() -> None:
    config = PolicySection()

    closing = [each for each in e.Trouble if getattr(config, each.value) in {"close", "reduce"}]

    assert closing == [e.Trouble.DELISTED]


def test_closing_is_asked_for_again_ever_more_seldom_and_not_beside_itself() -> None:
    desk = in_trouble(e.Trouble.DELISTED, "close")

    told = [len(acts(ticked(desk, minute * MINUTE_NS))) for minute in range(20)]

    # At once, and after one, two, four and eight minutes more.
    assert [minute for minute, count in enumerate(told) if count] == [0, 1, 3, 7, 15]
    assert sum(told) == 5


def test_reducing_and_protecting_happen_once_for_each_beginning_of_a_trouble() -> None:
    desk = in_trouble(e.Trouble.EXCHANGE_LOST, "reduce", reduce_ratio=0.25)

    assert sold(ticked(desk)) == [1]
    desk.sells("1")
    assert acts(ticked(desk, 9 * HOUR_NS)) == []
    desk.takes(an_exchange_back(ts_ns=CLOSE_NS + 10 * HOUR_NS))
    assert acts(ticked(desk, 11 * HOUR_NS)) == []
    desk.takes(an_exchange_lost(ts_ns=CLOSE_NS + 12 * HOUR_NS))
    assert acts(ticked(desk, 13 * HOUR_NS)) == [("exchange_lost", "reduce", 1)]


def test_reducing_is_asked_for_again_until_so_much_is_closed() -> None:
    desk = in_trouble(e.Trouble.EXCHANGE_LOST, "reduce", reduce_ratio=0.25)
    desk.intends("in the way", is_exit=True, side=Side.SELL)

    first = ticked(desk, 0)
    assert [each.reason for each in first if isinstance(each, e.OrderDenied)] == [
        e.DenyReason.UNRESOLVED_ORDER
    ]
    desk.takes(a_refusal(client_order_id="in the way"))
    assert acts(ticked(desk, MINUTE_NS - 1)) == []
    assert sold(ticked(desk, MINUTE_NS)) == [1]
    desk.sells("0.6")
    assert sold(ticked(desk, 4 * MINUTE_NS)) == [D("0.399")]  # of a lot more the rest is no share
    desk.sells("0.399")
    assert acts(ticked(desk, 9 * HOUR_NS)) == []


def test_a_position_that_is_opened_in_a_trouble_is_protected_like_the_one_before_it() -> None:
    desk = in_trouble(e.Trouble.MODEL_UNKNOWN, "protect")
    assert len(acts(ticked(desk))) == 1

    desk.sells("4")
    assert acts(ticked(desk, 2 * HOUR_NS)) == []
    desk.buys("2")

    assert acts(ticked(desk, 3 * HOUR_NS)) == [("model_unknown", "protect", 1)]
    assert acts(ticked(desk, 4 * HOUR_NS)) == []


def test_what_is_held_on_several_exchanges_is_protected_on_each_and_reduced_once() -> None:
    there = InstrumentId("okx", BTC.symbol)
    places = {}
    for action in ("protect", "reduce"):
        desk = Desk(policy=HOLDS | {"model_unknown": action})
        pair = tuple(an_instrument(id=each, lot=D("0.001")) for each in (BTC, there))
        accounts = tuple(an_account_opened(each.exchange, 10_000) for each in (BTC, there))
        opened = a_run_opened(instruments=pair, is_routed=True, accounts=accounts)
        desk.blotter.listings.apply_run_opened(opened)
        desk.takes(opened)
        desk.buys("2")
        desk.buys("2", instrument=there)
        BEGINS[e.Trouble.MODEL_UNKNOWN](desk)
        events = [*ticked(desk), *ticked(desk, HOUR_NS + 1)]
        places[action] = [each.instrument for each in events if isinstance(each, e.PolicyActed)]

    assert places == {"protect": [BTC, there], "reduce": [BTC]}


@pytest.mark.parametrize(("action", "told"), [("close", 1), ("reduce", 1), ("protect", 0)])
def test_what_is_only_being_opened_yet_is_given_up_once_and_sells_nothing(
    action: str, told: int
) -> None:
    desk = Desk(policy=HOLDS | {"delisted": action})
    desk.blotter.apply_order_approved(an_approval(ts_ns=CLOSE_NS))
    desk.takes(a_listing_change(ts_ns=CLOSE_NS))

    events = [*ticked(desk), *ticked(desk, HOUR_NS)]

    assert acts(events) == [("delisted", action, 1)] * told
    assert sold(events) == []


def test_of_several_troubles_the_strongest_action_is_taken() -> None:
    desk = in_trouble(e.Trouble.MODEL_UNKNOWN, "protect", delisted="close")
    desk.takes(a_listing_change(ts_ns=CLOSE_NS))

    assert acts(ticked(desk)) == [("delisted", "close", 1)]


def test_an_outage_is_none_until_it_is_long_and_is_of_its_instrument_alone() -> None:
    desk = Desk(policy=HOLDS | {"outage": "close", "outage_bars": 3})
    desk.buys("2")
    desk.buys("2", instrument=ETH)
    desk.takes(a_feed_stale(ts_ns=CLOSE_NS))

    assert acts(ticked(desk, 3 * HOUR_NS - 1)) == []
    assert sold(ticked(desk, 3 * HOUR_NS)) == [2]
    desk.takes(e.FeedRecovered(ts_ns=CLOSE_NS + 4 * HOUR_NS, instrument=BTC))
    assert acts(ticked(desk, 9 * HOUR_NS)) == []


def test_what_was_done_is_known_after_a_restart() -> None:
    desk = in_trouble(e.Trouble.HALT_OPERATOR, "reduce")
    ticked(desk)
    desk.sells("2")
    again = Desk(policy=HOLDS | {"halt_operator": "reduce"}, journal=desk.journal)

    assert acts(ticked(again, 5 * HOUR_NS)) == []
    assert again.risk.halts.state is e.TradingState.REDUCING


def test_a_halt_that_closes_makes_the_state_reducing_and_others_do_not() -> None:
    assert in_trouble(e.Trouble.HALT_DRAWDOWN, "close").risk.halts.state is (
        e.TradingState.REDUCING
    )
    assert in_trouble(e.Trouble.HALT_DRAWDOWN, "protect").risk.halts.state is (
        e.TradingState.HALTED
    )


def test_what_the_exchange_does_not_trade_is_not_opened_until_it_does() -> None:
    desk = Desk(policy={"delisted": "hold"})
    desk.takes(a_listing_change())

    assert (desk.denied(), desk.denied(instrument=ETH)) == ("not_tradable", "approved")
    desk.takes(a_listing_change(is_tradable=True))
    assert desk.denied() == "approved"
