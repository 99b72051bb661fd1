from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.config import ExecutionSection
from daemon.core import events as e
from daemon.core.blotter import Blotter
from daemon.core.book import Book
from daemon.core.ids import client_order_id_for
from daemon.core.instruments import InstrumentId
from daemon.core.orders import Fill, OrderState, OrderType, Side
from daemon.core.pace import Pace
from daemon.core.pipeline import Pipeline, Step, apply, on
from daemon.core.repute import Repute, Tolerance
from daemon.layers.execution import Execution
from tests.builders import (
    BTC,
    CLOSE_NS,
    ETH,
    HOUR_NS,
    TRACE,
    a_fill,
    a_run_opened,
    an_account_opened,
    an_approval,
    an_instrument,
    an_order_filled,
    an_order_reported,
)

D = Decimal
S = OrderState


class Desk:
    """Layer 6 with its blotter, on the routes that it has in the daemon."""

    def __init__(self, **opened: Any) -> None:
        self.blotter = blotter = Blotter()
        self.book = book = Book()
        execution = Execution(
            ExecutionSection(),
            blotter,
            book,
            Repute(Tolerance(), blotter),
            pace=Pace(book, hourly=1_000, daily=0),
            price_collar_bps=1_000.0,
        )
        self.pipeline = Pipeline(
            [
                apply(e.RunOpened, book.apply_run_opened),
                apply(e.RunOpened, execution.apply_run_opened),
                apply(e.OrderApproved, blotter.apply_order_approved),
                on(e.OrderApproved, execution.on_order_approved),
                apply(e.OrderIntended, blotter.apply_order_intended),
                apply(e.OrderIntended, execution.apply_order_intended),
                apply(e.ParentEnded, blotter.apply_parent_ended),
                on(e.OrderNotSent, execution.on_order_not_sent),
                on(e.OrderReported, execution.on_order_reported),
                apply(e.OrderAccepted, blotter.apply_order_accepted),
                apply(e.OrderRefused, blotter.apply_order_refused),
                apply(e.OrderNotSent, blotter.apply_order_not_sent),
                apply(e.OrderOutcomeUnknown, blotter.apply_order_outcome_unknown),
                apply(e.OrderAbsent, blotter.apply_order_absent),
                apply(e.OrderFilled, blotter.apply_order_filled),
                apply(e.OrderCompleted, blotter.apply_order_completed),
            ]
        )
        self.journal: list[e.Event] = []
        self.takes(a_run_opened(**opened))

    def takes(self, event: e.Event) -> Step:
        step = self.pipeline.step(event)
        self.journal += step.events
        return step

    def intends(self, **changes: Any) -> str:
        """An approved order of two units, once nothing is open for its instrument; its id."""
        for order in list(self.blotter.all_open()):
            if order.instrument == changes.get("instrument", BTC):
                self.hears(order.client_order_id, outcome=e.Outcome.NOT_SENT)
        step = self.takes(an_approval(**{"quantity": D(2), "decision_price": D(100)} | changes))
        intent = step.events[1]
        assert isinstance(intent, e.OrderIntended)
        return intent.client_order_id

    def holds(self, quantity: str) -> None:
        self.book.apply_order_filled(an_order_filled(quantity=D(quantity), fee=D(0)))

    def hears(self, order: str, *fills: Fill, **changes: Any) -> Step:
        """An acknowledgement with these fills, unless the changes say otherwise."""
        defaults: dict[str, Any] = {"state": None, "filled_quantity": None, "fills": fills}
        return self.takes(an_order_reported(client_order_id=order, **defaults | changes))

    def state(self, order: str) -> OrderState:
        return self.blotter.orders[order].state

    def filled(self, order: str) -> Decimal:
        return self.blotter.orders[order].filled_quantity


def fill(trade_id: str, quantity: str = "1", price: str = "100") -> Fill:
    return a_fill(trade_id=trade_id, quantity=D(quantity), price=D(price))


def kinds(step: Step) -> list[str]:
    return [type(each).__name__ for each in (*step.events[1:], *step.commands)]


# --- intents ------------------------------------------------------------------------------------


def test_an_approval_becomes_an_intent_first_and_a_command_second() -> None:
    step = Desk().takes(an_approval())

    intent, command = step.events[1], step.commands[0]
    assert isinstance(intent, e.OrderIntended)
    assert isinstance(command, e.SubmitOrder)
    assert intent.client_order_id == command.client_order_id
    assert (intent.leg, intent.ordinal, intent.is_exit) == ("entry", 0, False)
    shared = ("ts_ns", "instrument", "side", "order_type", "quantity", "decision_price")
    assert [getattr(intent, each) for each in shared] == [getattr(command, each) for each in shared]
    assert intent.order_type is OrderType.MARKET


def test_the_same_decision_on_two_exchanges_has_two_ids_each_of_its_own_account() -> None:
    there = InstrumentId("okx", BTC.symbol)
    accounts = tuple(an_account_opened(name, 5_000) for name in (BTC.exchange, "okx"))
    instruments = tuple(an_instrument(id=each) for each in (BTC, there))
    desk = Desk(bot="tradingd", accounts=accounts, instruments=instruments)

    ids = []
    for instrument in (BTC, there):
        (command,) = desk.takes(an_approval(instrument=instrument)).commands
        assert isinstance(command, e.SubmitOrder)
        ids.append(command.client_order_id)

    assert ids == [
        client_order_id_for(
            bot="tradingd",
            account=f"account-{each.exchange}",
            instrument=each,
            close_ns=CLOSE_NS,
            leg="entry",
            ordinal=0,
        )
        for each in (BTC, there)
    ]
    assert ids[0] != ids[1]


def test_the_id_is_derived_from_the_decision_alone() -> None:
    order = Desk(bot="mine", account="a7").intends()

    assert order == client_order_id_for(
        bot="mine", account="a7", instrument=BTC, close_ns=CLOSE_NS, leg="entry", ordinal=0
    )


def test_a_decision_made_again_by_a_process_that_forgot_it_has_the_same_id() -> None:
    assert Desk().intends() == Desk().intends()


def test_a_second_order_of_the_same_bar_and_leg_has_the_next_ordinal() -> None:
    desk = Desk()
    orders = [desk.intends(), desk.intends(), desk.intends()]

    intents = [each for each in desk.journal if isinstance(each, e.OrderIntended)]

    assert [each.ordinal for each in intents] == [0, 1, 2]
    assert len(set(orders)) == 3


def test_ordinals_begin_anew_with_each_bar_leg_and_instrument() -> None:
    desk = Desk()
    desk.intends()
    desk.intends(close_ns=CLOSE_NS + HOUR_NS)
    desk.holds("3")
    desk.intends(is_exit=True, side=Side.SELL, close_ns=CLOSE_NS + HOUR_NS)
    desk.intends(instrument=ETH, close_ns=CLOSE_NS + HOUR_NS)

    intents = [each for each in desk.journal if isinstance(each, e.OrderIntended)]

    assert [each.ordinal for each in intents] == [0, 0, 0, 0]
    assert len({each.client_order_id for each in intents}) == 4
    assert [each.leg for each in intents] == ["entry", "entry", "exit", "entry"]


def test_ordinals_are_rebuilt_from_the_journal() -> None:
    desk, again = Desk(), Desk()
    desk.intends()
    again.pipeline.recover(desk.journal)

    assert again.intends() == desk.intends()


# --- each outcome -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "fact", "state"),
    [
        (e.Outcome.ACKNOWLEDGED, "OrderAccepted", S.ACCEPTED),
        (e.Outcome.REFUSED, "OrderRefused", S.REFUSED),
        (e.Outcome.NOT_SENT, "OrderNotSent", S.NOT_SENT),
        (e.Outcome.UNKNOWN, "OrderOutcomeUnknown", S.UNKNOWN),
        (e.Outcome.ABSENT, "OrderAbsent", S.ABSENT),
    ],
)
def test_each_outcome_becomes_one_fact_and_a_repetition_none(
    outcome: e.Outcome, fact: str, state: OrderState
) -> None:
    desk = Desk()
    order = desk.intends()

    first = desk.hears(order, outcome=outcome, reason="because")
    again = desk.hears(order, outcome=outcome, reason="because")

    assert kinds(first)[:1] == [fact]
    assert kinds(again) == []
    assert desk.state(order) is state
    assert getattr(first.events[1], "reason", "because") == "because"
    assert first.events[1].trace == TRACE  # type: ignore[attr-defined]


@pytest.mark.parametrize("later", list(e.Outcome))
def test_what_was_unknown_can_turn_out_every_way_but_unsent(later: e.Outcome) -> None:
    desk = Desk()
    order = desk.intends()
    desk.hears(order, outcome=e.Outcome.UNKNOWN)

    desk.hears(order, outcome=later)

    expected = {
        e.Outcome.ACKNOWLEDGED: S.ACCEPTED,
        e.Outcome.REFUSED: S.REFUSED,
        e.Outcome.ABSENT: S.ABSENT,
        e.Outcome.UNKNOWN: S.UNKNOWN,
        e.Outcome.NOT_SENT: S.UNKNOWN,
    }
    assert desk.state(order) is expected[later]


@pytest.mark.parametrize(
    "later", [e.Outcome.REFUSED, e.Outcome.NOT_SENT, e.Outcome.UNKNOWN, e.Outcome.ABSENT]
)
def test_what_was_accepted_is_not_talked_away(later: e.Outcome) -> None:
    desk = Desk()
    order = desk.intends()
    desk.hears(order, fill("1"))

    step = desk.hears(order, outcome=later, state=S.CANCELED)

    assert kinds(step) == []
    assert desk.state(order) is S.PARTLY_FILLED


def test_what_was_accepted_and_is_rejected_after_all_is_refused_once_it_was_asked_about() -> None:
    desk = Desk()
    order = desk.intends()
    desk.hears(order, state=S.ACCEPTED)
    rejected: dict[str, Any] = {"outcome": e.Outcome.REFUSED, "reason": "status rejected"}

    replied = desk.hears(order, source=e.ReportSource.REPLY, **rejected)
    pushed = desk.hears(order, source=e.ReportSource.STREAM, **rejected)
    asked = desk.hears(order, source=e.ReportSource.LOOKUP, **rejected)

    assert (kinds(replied), kinds(pushed)) == ([], ["LookUpOrder"])
    assert kinds(asked)[0] == "OrderRefused"
    assert desk.state(order) is S.REFUSED


def test_what_has_filled_in_part_and_is_said_to_be_rejected_whole_ends_with_an_alarm() -> None:
    desk = Desk()
    order = desk.intends()
    desk.hears(order, fill("1"))

    step = desk.hears(order, outcome=e.Outcome.REFUSED, source=e.ReportSource.LOOKUP)

    assert kinds(step)[:2] == ["TradingHalted", "OrderCompleted"]
    assert desk.state(order) is S.EXPIRED
    assert desk.filled(order) == 1


def test_what_has_filled_whole_is_over_though_the_venue_never_lists_all_of_it_at_once() -> None:
    desk = Desk()
    order = desk.intends()
    desk.hears(order, fill("1"), state=S.PARTLY_FILLED, filled_quantity=D(2))

    found = desk.hears(order, fill("2"))  # as reconciliation tells of it: by the fill alone

    assert kinds(found) == ["OrderFilled", "OrderCompleted"]
    assert desk.state(order) is S.FILLED


def test_an_order_nobody_intended_halts_and_books_nothing() -> None:
    desk = Desk()

    step = desk.hears("tdforeign", fill("1"))

    (halt,) = step.events[1:]
    assert isinstance(halt, e.TradingHalted)
    assert halt.reason is e.HaltReason.FOREIGN_ORDER
    assert "tdforeign" in halt.detail
    assert desk.blotter.fill_count == 0


# --- fills --------------------------------------------------------------------------------------


def test_a_fill_is_told_with_what_it_cost_against_the_decision() -> None:
    desk = Desk()
    order = desk.intends(decision_price=D(100))

    step = desk.hears(order, fill("7", "0.5", "100.05"))

    told = step.events[2]
    assert isinstance(told, e.OrderFilled)
    assert (told.trade_id, told.quantity, told.price) == ("7", D("0.5"), D("100.05"))
    assert (told.slippage_bps, told.leaves_quantity) == (5.0, D("1.5"))
    assert (told.fee, told.fee_currency) == (a_fill().fee, "USDT")
    assert not told.is_adopted


def test_a_sale_under_the_decision_price_is_worse_too() -> None:
    desk = Desk()
    order = desk.intends(side=Side.SELL, decision_price=D(100))

    step = desk.hears(order, fill("7", "0.5", "99.95"), fill("8", "0.5", "100.05"))

    slips = [each.slippage_bps for each in step.events if isinstance(each, e.OrderFilled)]
    assert slips == [5.0, -5.0]


def test_a_fill_before_the_acknowledgement_accepts_the_order_first() -> None:
    desk = Desk()
    order = desk.intends()

    early = desk.hears(order, fill("1"), source=e.ReportSource.STREAM)
    acknowledged = desk.hears(order)

    assert kinds(early) == ["OrderAccepted", "OrderFilled"]
    assert kinds(acknowledged) == []
    assert desk.state(order) is S.PARTLY_FILLED


def test_a_trade_counts_once_however_often_it_is_told() -> None:
    desk = Desk()
    order = desk.intends()

    desk.hears(order, fill("1"), fill("1"))
    desk.hears(order, fill("1"), source=e.ReportSource.STREAM)
    step = desk.hears(
        order, fill("1"), fill("2"), state=S.FILLED, filled_quantity=D(2),
        source=e.ReportSource.LOOKUP,
    )  # fmt: skip

    assert kinds(step) == ["OrderFilled", "OrderCompleted"]
    assert desk.filled(order) == 2
    assert desk.blotter.fill_count == 2


def test_partial_fills_add_up_to_the_completion() -> None:
    desk = Desk()
    order = desk.intends()

    heard = [
        kinds(desk.hears(order, state=S.ACCEPTED)),
        kinds(desk.hears(order, fill("1", "0.5"), state=S.PARTLY_FILLED)),
        kinds(desk.hears(order, fill("2", "1.5"), state=S.FILLED, filled_quantity=D(2))),
    ]

    assert heard == [["OrderAccepted"], ["OrderFilled"], ["OrderFilled", "OrderCompleted"]]
    assert desk.state(order) is S.FILLED


@pytest.mark.parametrize("state", [S.CANCELED, S.EXPIRED])
def test_an_order_can_end_before_it_is_whole(state: OrderState) -> None:
    desk = Desk()
    order = desk.intends()

    step = desk.hears(order, fill("1"), state=state, filled_quantity=D(1))

    completed = step.events[-1]
    assert isinstance(completed, e.OrderCompleted)
    assert (completed.state, completed.filled_quantity) == (state, D(1))
    assert list(desk.blotter.all_open()) == []


def test_a_fill_after_a_cancel_is_booked_and_completes_nothing_twice() -> None:
    desk = Desk()
    order = desk.intends()
    desk.hears(order, state=S.CANCELED, filled_quantity=D(0))

    late = desk.hears(order, fill("1", "2"), state=S.FILLED, filled_quantity=D(2))

    assert kinds(late) == ["OrderFilled"]
    assert desk.state(order) is S.CANCELED
    assert desk.filled(order) == 2


# --- endings that are not complete --------------------------------------------------------------


@pytest.mark.parametrize("state", [S.FILLED, S.CANCELED, S.EXPIRED])
def test_an_end_with_fills_missing_is_looked_up_and_completes_nothing(state: OrderState) -> None:
    desk = Desk()
    order = desk.intends()

    step = desk.hears(order, fill("1"), state=state, filled_quantity=D(2))
    found = desk.hears(order, fill("1"), fill("2"), state=state, filled_quantity=D(2))

    assert kinds(step) == ["OrderAccepted", "OrderFilled", "LookUpOrder"]
    (command,) = step.commands
    assert isinstance(command, e.LookUpOrder)
    assert (command.client_order_id, command.instrument) == (order, BTC)
    assert command.intended_ns == an_approval().ts_ns
    assert kinds(found) == ["OrderFilled", "OrderCompleted"]


def test_filled_without_a_number_means_filled_in_full() -> None:
    desk = Desk()
    order = desk.intends()

    assert kinds(desk.hears(order, state=S.FILLED)) == ["OrderAccepted", "LookUpOrder"]
    assert kinds(desk.hears(order, fill("1", "2"), state=S.FILLED))[-1] == "OrderCompleted"


def test_an_end_without_a_number_is_looked_up_and_then_believed() -> None:
    desk = Desk()
    order = desk.intends()

    hint = desk.hears(order, state=S.EXPIRED, source=e.ReportSource.STREAM)
    authority = desk.hears(order, state=S.EXPIRED, source=e.ReportSource.LOOKUP)

    assert kinds(hint) == ["OrderAccepted", "LookUpOrder"]
    assert kinds(authority) == ["OrderCompleted"]


# --- contradictions -----------------------------------------------------------------------------


@pytest.mark.parametrize("gone", [e.Outcome.REFUSED, e.Outcome.NOT_SENT, e.Outcome.ABSENT])
def test_a_fill_of_an_order_believed_gone_is_adopted_halts_and_is_asked_about_no_more(
    gone: e.Outcome,
) -> None:
    desk = Desk()
    order = desk.intends()
    desk.hears(order, outcome=gone)

    adopted = desk.hears(order, fill("1"), state=S.PARTLY_FILLED)
    more = desk.hears(order, fill("1"), fill("2"), state=S.FILLED, filled_quantity=D(2))
    again = desk.hears(order, state=S.FILLED, filled_quantity=D(2))

    fills = [each for each in (*adopted.events, *more.events) if isinstance(each, e.OrderFilled)]
    assert [each.is_adopted for each in fills] == [True, True]
    assert kinds(adopted) == ["OrderFilled", "TradingHalted"]
    assert (kinds(more), kinds(again)) == (["OrderFilled"], [])
    assert desk.state(order) is S.ADOPTED
    assert desk.filled(order) == 2


def test_more_filled_than_ordered_is_booked_and_halts() -> None:
    desk = Desk()
    order = desk.intends()

    step = desk.hears(order, fill("1", "2"), fill("2", "0.5"), state=S.FILLED)

    assert kinds(step) == [
        "OrderAccepted", "OrderFilled", "OrderFilled", "TradingHalted", "OrderCompleted",
    ]  # fmt: skip
    halt = step.events[4]
    assert isinstance(halt, e.TradingHalted)
    assert halt.reason is e.HaltReason.OVERFILL
    assert desk.filled(order) == D("2.5")
    assert kinds(desk.hears(order, fill("1", "2"), fill("2", "0.5"), state=S.FILLED)) == []


@pytest.mark.parametrize(
    ("quantity", "price"), [("NaN", "1"), ("0", "1"), ("-1", "1"), ("1", "NaN"), ("1", "Infinity")]
)
def test_a_fill_that_cannot_be_is_not_booked_and_halts(quantity: str, price: str) -> None:
    desk = Desk()
    order = desk.intends()

    step = desk.hears(order, fill("1"), fill("2", quantity, price), state=S.FILLED)

    assert kinds(step) == ["OrderAccepted", "OrderFilled", "TradingHalted"]
    assert desk.filled(order) == 1
    assert desk.state(order) is S.PARTLY_FILLED


def test_a_refusal_that_says_the_order_ended_is_a_refusal() -> None:
    desk = Desk()
    order = desk.intends()

    step = desk.hears(order, outcome=e.Outcome.REFUSED, state=S.EXPIRED)

    assert kinds(step) == ["OrderRefused"]


# --- any order of news --------------------------------------------------------------------------

news = st.fixed_dictionaries(
    {
        "outcome": st.sampled_from(e.Outcome),
        "source": st.sampled_from(e.ReportSource),
        "state": st.sampled_from(
            [None, S.ACCEPTED, S.PARTLY_FILLED, S.FILLED, S.CANCELED, S.EXPIRED]
        ),
        "filled_quantity": st.sampled_from([None, D(0), D(1), D(2), D(3)]),
        "fills": st.lists(
            st.sampled_from([fill("1"), fill("2"), fill("3", "0.5"), fill("4", "NaN")]), max_size=3
        ).map(tuple),
    }
)


@given(st.lists(news, max_size=12))
def test_no_news_in_any_order_breaks_the_table_or_counts_a_trade_twice(
    story: list[dict[str, Any]],
) -> None:
    """IllegalTransition or an assertion of the blotter would end the test."""
    desk = Desk()
    order = desk.intends()
    told: set[str] = set()

    for each in story:
        was = desk.state(order)
        desk.hears(order, **each)
        told |= {one.trade_id for one in each["fills"] if one.trade_id != "4"}
        now = desk.state(order)

        sizes = {"1": D(1), "2": D(1), "3": D("0.5")}
        assert desk.filled(order) == sum((sizes[one] for one in told), D(0))
        if not was_open(was):
            assert now in {was, S.ADOPTED}

    completions = [each for each in desk.journal if isinstance(each, e.OrderCompleted)]
    submissions = [each for each in desk.journal if isinstance(each, e.OrderIntended)]
    assert len(completions) <= 1
    assert len(submissions) == 1


def was_open(state: OrderState) -> bool:
    return state in {S.INTENDED, S.UNKNOWN, S.ACCEPTED, S.PARTLY_FILLED}
