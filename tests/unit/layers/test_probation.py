from decimal import Decimal

from daemon.core import events as e
from tests.builders import CLOSE_NS, a_halt, a_halt_requested, a_resume_requested
from tests.unit.layers.test_risk import Desk, approved

D = Decimal


def resumed(**config: object) -> Desk:
    desk = Desk(max_losses_in_a_row=0, **config)  # type: ignore[arg-type]
    desk.takes(a_halt_requested(ts_ns=CLOSE_NS))
    desk.takes(a_resume_requested(ts_ns=CLOSE_NS))
    return desk


def states(events: list[e.Event]) -> list[tuple[str, tuple[str, ...], int]]:
    return [
        (each.state.value, each.reasons, each.probation_trades)
        for each in events
        if isinstance(each, e.TradingStateChanged)
    ]


def test_after_a_resume_entries_are_smaller_until_enough_trades_have_closed() -> None:
    desk = resumed(probation_ratio=0.25, probation_trades=2)
    usual = approved(Desk().asked())

    small = approved(desk.asked())
    for _ in range(2):
        assert approved(desk.asked()).bound_by is e.BoundBy.PROBATION
        desk.buys("1")
        desk.sells("1", price="101")

    assert abs(small.notional_quote - usual.notional_quote / 4) < D("0.2")
    assert small.wanted_ratio == usual.wanted_ratio
    assert approved(desk.asked()).bound_by is e.BoundBy.KELLY


def test_probation_survives_a_restart_and_a_halt_begins_it_anew() -> None:
    desk = resumed(probation_ratio=0.5, probation_trades=2)
    desk.buys("1")
    desk.sells("1", price="101")
    again = Desk(journal=desk.journal, probation_ratio=0.5, probation_trades=2)

    assert again.risk.halts.probation.trades_left == 1
    again.takes(a_halt_requested())
    again.takes(a_resume_requested())
    assert again.risk.halts.probation.trades_left == 2


def test_probation_of_no_trades_is_off_and_it_cuts_what_the_caps_leave() -> None:
    assert approved(resumed(probation_trades=0).asked()).bound_by is e.BoundBy.KELLY
    capped = resumed(probation_ratio=0.5, max_position_ratio=0.02)
    assert abs(approved(capped.asked()).notional_quote - 100) < D("0.2")


def test_a_size_that_probation_leaves_too_small_is_denied_by_its_name() -> None:
    assert resumed(probation_ratio=0.001).denied() == "probation"


def test_what_follows_from_halts_is_told_when_it_changes_and_only_then() -> None:
    desk = Desk(probation_trades=1, max_losses_in_a_row=0)

    assert states(desk.takes(a_halt(reason=e.HaltReason.OPERATOR))) == [
        ("halted", ("operator",), 0)
    ]
    assert states(desk.takes(a_halt(reason=e.HaltReason.OVERFILL))) == []
    assert desk.risk.halts.state is e.TradingState.HALTED
    assert states(desk.takes(a_resume_requested())) == [("active", (), 1)]
    desk.buys("1")
    desk.sells("1", price="101")
    assert states(desk.journal[-6:]) == [("active", (), 0)]


def test_a_halt_keeps_the_moment_it_began() -> None:
    desk = Desk()
    for at_ns in (CLOSE_NS, CLOSE_NS + 5):
        desk.takes(a_halt(ts_ns=at_ns, reason=e.HaltReason.OPERATOR))

    assert desk.risk.halts.since_ns == {e.HaltReason.OPERATOR: CLOSE_NS}
