"""Bars out of trades: what is closed, what is not, and that no trade is counted twice."""

import random
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.bars import RawBar, RawTrade
from daemon.core.timeframes import NS_PER_MS
from daemon.layers.ingestion.trades import IDS_KEPT, LATENESS_MS, TradeBars, TradeCounts
from tests.unit.layers.candles import START_NS

MINUTE_MS = 60_000
START_MS = START_NS // NS_PER_MS


def a_trade(
    at_ms: int, price: object = 100.0, quantity: object = 1.0, trade_id: object = None
) -> RawTrade:
    """A trade so many ms after the start."""
    return RawTrade(trade_id, START_MS + at_ms, price, quantity)


class Built:
    """A builder of minutes that came half a minute before the start, and what it says."""

    def __init__(self, *trades: RawTrade, came_ms: int = -30_000) -> None:
        self.counts = TradeCounts()
        self.said: list[RawBar] = []
        self._bars = TradeBars(MINUTE_MS, self.counts)
        self.hear(a_trade(came_ms, trade_id="the first"))
        self.hear(*trades)

    def hear(self, *trades: RawTrade, now_ms: int | None = None) -> None:
        for trade in trades:
            if now_ms is None:
                at_ms = trade.ts_ms if isinstance(trade.ts_ms, int) else START_MS
            else:
                at_ms = START_MS + now_ms
            self.said += self._bars.take(trade, at_ms)

    def closed(self) -> list[RawBar]:
        return [raw for raw in self.said if raw.is_closed]

    def slots(self) -> list[int]:
        """Minutes after the start that were closed, in order."""
        return [(raw.open_ms - START_MS) // MINUTE_MS for raw in self.closed()]  # type: ignore[operator]

    def newest(self) -> tuple[int, bool | None]:
        """The minute of what was said last, and whether it was closed."""
        raw = self.said[-1]
        return (raw.open_ms - START_MS) // MINUTE_MS, raw.is_closed  # type: ignore[operator]


# --- a slot seen from its first trade to its last -------------------------------------------------


def test_a_slot_is_closed_by_a_trade_behind_its_end_and_says_what_its_trades_said() -> None:
    trades = (
        a_trade(0, 100.0, 0.1),
        a_trade(10_000, 103.0, 0.2),
        a_trade(20_000, 98.0, 0.3),
        a_trade(59_999, 101.0, 0.4),
    )
    built = Built(*trades)
    assert built.closed() == []

    built.hear(a_trade(MINUTE_MS + LATENESS_MS))

    assert built.closed() == [RawBar(START_MS, 100.0, 103.0, 98.0, 101.0, 1.0, is_closed=True)]
    assert built.newest() == (1, False)


def test_the_unfinished_candle_follows_every_trade() -> None:
    built = Built(a_trade(0, 100.0), a_trade(5, 101.0), a_trade(9, 99.0))

    partial = RawBar(START_MS, 100.0, 101.0, 99.0, 99.0, 3.0, is_closed=False)
    assert built.said[-1] == partial
    assert built.counts.taken == 4


def test_quantities_add_as_the_decimals_they_are_written_with() -> None:
    doubles = Built(*(a_trade(n, quantity=0.1) for n in range(3)), a_trade(61_000))
    texts = Built(*(a_trade(n, "100.0", "0.10") for n in range(3)), a_trade(61_000))

    assert [raw.volume for raw in doubles.closed()] == [0.3]
    assert [raw.volume for raw in texts.closed()] == [0.3]


def test_a_later_slot_is_not_told_of_while_a_trade_may_still_come() -> None:
    built = Built(a_trade(30_000), a_trade(MINUTE_MS + 10))

    assert built.newest() == (0, False)

    built.hear(a_trade(MINUTE_MS - 5, 107.0), a_trade(MINUTE_MS + LATENESS_MS))

    (closed,) = built.closed()
    assert (closed.high, closed.close, closed.volume) == (107.0, 107.0, 2.0)
    assert built.counts.late == 0


def test_trades_out_of_order_give_the_first_open_and_the_last_close() -> None:
    built = Built(
        a_trade(500, 102.0), a_trade(100, 101.0), a_trade(900, 103.0), a_trade(400, 104.0)
    )
    built.hear(a_trade(61_000))

    (closed,) = built.closed()
    assert (closed.open, closed.close, closed.high) == (101.0, 103.0, 104.0)


def test_within_one_millisecond_ids_that_count_say_the_order() -> None:
    built = Built(a_trade(7, 102.0, trade_id="12"), a_trade(7, 101.0, trade_id="9"))
    built.hear(a_trade(61_000, trade_id="13"))

    (closed,) = built.closed()
    assert (closed.open, closed.close) == (101.0, 102.0)


def test_a_slot_without_trades_is_not_mentioned() -> None:
    built = Built(a_trade(0), a_trade(3 * MINUTE_MS), a_trade(3 * MINUTE_MS + 1))

    assert built.slots() == [0]
    assert built.newest() == (3, False)


# --- what is not counted --------------------------------------------------------------------------


def test_a_trade_that_comes_twice_counts_once() -> None:
    built = Built(a_trade(1, trade_id=7), a_trade(1, trade_id=7), a_trade(1, trade_id=8))
    built.hear(a_trade(61_000))

    assert [raw.volume for raw in built.closed()] == [2.0]
    assert built.counts.repeated == 1


def test_trades_without_an_id_are_all_counted() -> None:
    built = Built(a_trade(1), a_trade(1), a_trade(61_000))

    assert [raw.volume for raw in built.closed()] == [2.0]


def test_remembered_ids_are_bounded() -> None:
    built = Built(*(a_trade(n, quantity=1, trade_id=n) for n in range(IDS_KEPT + 50)))

    assert len(built._bars._known) == len(built._bars._ids) == IDS_KEPT


def test_a_trade_for_a_closed_slot_is_late_and_changes_nothing() -> None:
    built = Built(a_trade(0), a_trade(61_000), a_trade(59_000, 500.0))

    assert len(built.closed()) == 1
    assert built.counts.late == 1
    assert built.newest() == (1, False)


def test_nothing_changes_hands_in_a_trade_of_nothing() -> None:
    built = Built(a_trade(0, 100.0), a_trade(1, 999.0, 0.0), a_trade(61_000))

    (closed,) = built.closed()
    assert (closed.high, closed.volume) == (100.0, 1.0)


# --- slots that were not seen whole ---------------------------------------------------------------


def test_the_slot_during_which_we_came_is_never_closed() -> None:
    built = Built(a_trade(1_000), a_trade(61_000), a_trade(122_000), came_ms=0)

    assert built.slots() == [1]


def test_its_end_is_told_by_the_first_trade_behind_it() -> None:
    built = Built(a_trade(1_000), came_ms=0)
    assert built.newest() == (0, False)

    built.hear(a_trade(MINUTE_MS))

    assert built.newest() == (1, False)


def test_a_greeting_of_old_trades_closes_nothing_before_the_present() -> None:
    """Some exchanges begin with the last trades, newest first or oldest first."""
    old = [a_trade(each, trade_id=each) for each in range(0, 150_000, 10_000)]
    for order in (old, old[::-1]):
        built = Built(came_ms=-90_000)
        built._bars = TradeBars(MINUTE_MS, built.counts)
        built.hear(*order, now_ms=151_000)
        built.hear(a_trade(170_000), a_trade(200_000), a_trade(241_000))

        assert built.slots() == [3]


@pytest.mark.parametrize(
    "spoiled",
    [
        a_trade(30_000, price=None),
        a_trade(30_000, price="nan"),
        a_trade(30_000, price=-1.0),
        a_trade(30_000, price=0),
        a_trade(30_000, quantity=-0.5),
        a_trade(30_000, quantity="much"),
        a_trade(30_000, quantity=True),
        RawTrade(1, None, 100.0, 1.0),
        RawTrade(1, START_MS // 1_000, 100.0, 1.0),
        RawTrade(1, START_MS * 1_000, 100.0, 1.0),
        RawTrade(1, START_MS + 3_600_000, 100.0, 1.0),
    ],
)
def test_an_unreadable_trade_leaves_its_slot_to_rest(spoiled: RawTrade) -> None:
    built = Built(a_trade(0))
    built.hear(spoiled, now_ms=30_000)
    built.hear(a_trade(59_000), a_trade(61_000), a_trade(122_000))

    assert built.slots() == [1]
    assert built.counts.unreadable == 1


# --- any order ------------------------------------------------------------------------------------


@given(
    st.lists(
        st.tuples(
            st.integers(0, 5 * MINUTE_MS),
            st.integers(1, 10**6).map(lambda cents: cents / 100),
            st.integers(1, 10**7).map(lambda lots: lots / 10**5),
        ),
        max_size=60,
    ),
    st.integers(0, 2**16),
)
def test_bars_are_those_of_the_sorted_trades_however_they_came(
    drawn: list[tuple[int, float, float]], seed: int
) -> None:
    rng = random.Random(seed)
    drawn = [*sorted(drawn), (7 * MINUTE_MS, 1.0, 1.0)]
    trades = [a_trade(*each, trade_id=number) for number, each in enumerate(drawn)]
    late = {id(each): rng.uniform(0, LATENESS_MS) for each in trades}
    came = sorted(trades * 2, key=lambda each: each.ts_ms + late[id(each)])  # type: ignore[operator]

    built = Built(*came)

    expected: list[RawBar] = []
    for minute in range(6):
        inside = [each for each in drawn if each[0] // MINUTE_MS == minute]
        if inside:
            prices = [price for _, price, _ in inside]
            volume = float(sum(Decimal(repr(quantity)) for _, _, quantity in inside))
            numbers = (prices[0], max(prices), min(prices), prices[-1], volume)
            expected.append(RawBar(START_MS + minute * MINUTE_MS, *numbers, is_closed=True))
    assert built.closed() == expected
    assert built.counts.repeated == len(trades)
    assert built.counts.late == 0
