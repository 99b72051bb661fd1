"""A symbol of whose data too much is not believed opens nothing for the rest of the day."""

from daemon.core import events as e
from daemon.core.bars import BarRejectReason
from tests.builders import BTC, CLOSE_NS, ETH, HOUR_NS, a_bar_rejected
from tests.unit.layers.test_risk import QUARANTINE_MAX, Desk


def rejections(desk: Desk, count: int, **changes: object) -> list[e.Event]:
    event = {"ts_ns": CLOSE_NS, "instrument": BTC, **changes}
    return [said for _ in range(count) for said in desk.takes(a_bar_rejected(**event))]


def test_entries_stop_at_the_limit_and_exits_do_not() -> None:
    desk = Desk()
    desk.buys("1", instrument=ETH)
    said = rejections(desk, QUARANTINE_MAX - 1)
    before = desk.denied()

    said += rejections(desk, 3)
    rejections(desk, QUARANTINE_MAX, instrument=ETH)

    (told,) = said
    assert isinstance(told, e.DataDistrusted)
    assert (told.instrument, told.count, told.limit) == (BTC, QUARANTINE_MAX, QUARANTINE_MAX)
    assert (before, desk.denied()) == ("approved", "data_distrusted")
    assert desk.denied(e.Direction.FLAT, instrument=ETH) == "approved"


def test_another_symbol_goes_on_and_so_does_the_next_day() -> None:
    desk = Desk()
    rejections(desk, QUARANTINE_MAX)
    tomorrow_ns = CLOSE_NS + 24 * HOUR_NS
    other = desk.denied(instrument=ETH)

    desk.closes(100.0, hour=23)
    desk.closes(100.0, hour=24)

    assert other == "approved"
    assert desk.denied(ts_ns=tomorrow_ns, close_ns=tomorrow_ns) == "approved"
    assert desk.risk.distrust.counts() == {BTC: QUARANTINE_MAX}


def test_late_candles_and_repeats_do_not_count() -> None:
    desk = Desk()

    for reason in (BarRejectReason.DUPLICATE, BarRejectReason.OUT_OF_ORDER):
        assert rejections(desk, 2 * QUARANTINE_MAX, reason=reason) == []

    assert desk.denied() == "approved"


def test_distrust_survives_a_restart_and_is_not_told_twice() -> None:
    desk = Desk()
    rejections(desk, QUARANTINE_MAX)

    again = Desk(journal=desk.journal)

    assert again.denied() == "data_distrusted"
    assert rejections(again, 1) == []


def test_a_limit_that_a_restart_brings_below_todays_count_holds_at_once() -> None:
    desk = Desk()
    rejections(desk, QUARANTINE_MAX - 1)

    again = Desk(journal=desk.journal, quarantine_max=QUARANTINE_MAX - 2)

    assert (desk.denied(), again.denied()) == ("approved", "data_distrusted")
    (told,) = rejections(again, 2)
    assert isinstance(told, e.DataDistrusted)
    assert (told.count, told.limit) == (QUARANTINE_MAX, QUARANTINE_MAX - 2)


def test_a_clock_that_is_put_back_over_midnight_does_not_begin_the_day_anew() -> None:
    desk = Desk()
    midnight_ns = (CLOSE_NS // (24 * HOUR_NS) + 1) * 24 * HOUR_NS
    rejections(desk, QUARANTINE_MAX - 2, ts_ns=midnight_ns)
    rejections(desk, 1, ts_ns=midnight_ns - 1)

    assert len(rejections(desk, 1, ts_ns=midnight_ns)) == 1
