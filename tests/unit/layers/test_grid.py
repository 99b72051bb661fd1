from hypothesis import given
from hypothesis import strategies as st

from daemon.layers.ingestion.grid import closed_rows, missing_slots, slots_between
from tests.unit.layers.candles import HOUR_NS, a_raw, open_of


def test_nothing_is_missing_between_neighbours() -> None:
    assert list(missing_slots(open_of(3), open_of(3), HOUR_NS)) == []


def test_every_slot_between_two_bars_is_missing() -> None:
    assert list(missing_slots(open_of(3), open_of(6), HOUR_NS)) == [
        open_of(3),
        open_of(4),
        open_of(5),
    ]


def test_slots_between_counts_whole_slots_only() -> None:
    assert slots_between(open_of(0), open_of(3), HOUR_NS) == 3
    assert slots_between(open_of(0), open_of(3) - 1, HOUR_NS) == 2
    assert slots_between(open_of(3), open_of(0), HOUR_NS) == 0


def test_a_row_is_over_when_a_later_one_exists() -> None:
    rows = [a_raw(0), a_raw(1), a_raw(2)]

    assert closed_rows(rows, HOUR_NS, by_ns=0) == rows[:2]


def test_the_last_row_is_over_when_its_close_has_come() -> None:
    rows = [a_raw(0), a_raw(1)]

    assert closed_rows(rows, HOUR_NS, by_ns=open_of(2) - 1) == rows[:1]
    assert closed_rows(rows, HOUR_NS, by_ns=open_of(2)) == rows


def test_a_row_without_a_time_passes_for_the_gate_to_refuse() -> None:
    row = a_raw(0, open_ms="soon")

    assert closed_rows([row, a_raw(1)], HOUR_NS, by_ns=0) == [row]


@given(st.lists(st.integers(0, 40), unique=True, max_size=20), st.integers(-2, 44))
def test_no_unfinished_candle_ever_passes(slots: list[int], now_slot: int) -> None:
    rows = [a_raw(slot) for slot in slots]
    by_ns = open_of(now_slot)

    passed = closed_rows(rows, HOUR_NS, by_ns)

    newest = max(slots, default=0)
    assert passed == [a_raw(slot) for slot in slots if slot + 1 <= max(newest, now_slot)]
