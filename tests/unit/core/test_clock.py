import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.clock import ManualClock, MarketClock, WireClock
from daemon.core.timeframes import NS_PER_S

MINUTE_NS = 60 * NS_PER_S


class SteeredWire(WireClock):
    """A monotonic clock that goes as far as it is told."""

    def __init__(self) -> None:
        self.at_s = 0.0

    def monotonic_s(self) -> float:
        return self.at_s


def test_market_time_runs_from_its_anchor_at_its_rate() -> None:
    wire = SteeredWire()
    clock = MarketClock(wire, market_ns=MINUTE_NS, rate=60.0)

    wire.at_s = 2.0

    assert clock.now_ns() == 3 * MINUTE_NS
    assert clock.rate == 60.0


def test_a_market_that_stands_moves_by_its_anchors_alone() -> None:
    wire = SteeredWire()
    clock = MarketClock(wire, market_ns=MINUTE_NS, rate=0.0)

    wire.at_s = 1_000.0
    before = clock.now_ns()
    clock.anchor(5 * MINUTE_NS)

    assert (before, clock.now_ns()) == (MINUTE_NS, 5 * MINUTE_NS)


def test_an_anchor_can_change_the_rate() -> None:
    wire = SteeredWire()
    clock = MarketClock(wire, market_ns=0, rate=1.0)

    clock.anchor(MINUTE_NS, rate=10.0)
    wire.at_s = 6.0

    assert clock.now_ns() == 2 * MINUTE_NS


anchors = st.tuples(
    st.floats(0.0, 1e6), st.integers(0, 10**18), st.sampled_from([0.0, 0.5, 1.0, 3_600.0])
)


@given(st.lists(anchors, max_size=20))
def test_market_time_never_goes_back_whatever_it_is_told(
    said: list[tuple[float, int, float]],
) -> None:
    wire = SteeredWire()
    clock = MarketClock(wire, market_ns=1_000)
    seen = [clock.now_ns()]

    for elapsed_s, market_ns, rate in said:
        wire.at_s += elapsed_s
        seen.append(clock.now_ns())
        clock.anchor(market_ns, rate)
        seen.append(clock.now_ns())

    assert seen == sorted(seen)


def test_a_clock_that_is_ahead_stands_until_the_market_has_caught_up() -> None:
    wire = SteeredWire()
    clock = MarketClock(wire, market_ns=MINUTE_NS)

    clock.anchor(MINUTE_NS - 10 * NS_PER_S)
    seen = []
    for wire.at_s in (0.0, 9.0, 11.0):
        seen.append(clock.now_ns() - MINUTE_NS)

    assert seen == [0, 0, NS_PER_S]


def test_a_lower_bound_moves_a_clock_forward_only() -> None:
    clock = MarketClock(SteeredWire(), market_ns=MINUTE_NS)

    clock.at_least(0)
    before = clock.now_ns()
    clock.at_least(2 * MINUTE_NS)

    assert (before, clock.now_ns()) == (MINUTE_NS, 2 * MINUTE_NS)


def test_the_wire_clocks_agree_with_the_machine() -> None:
    wire = WireClock()

    first, second = wire.monotonic_s(), wire.monotonic_s()

    assert first <= second
    assert wire.now_ns() > 1_700_000_000 * NS_PER_S


@given(st.lists(st.integers(0, 10**18), max_size=20))
def test_a_clock_moved_by_hand_never_goes_back(moments: list[int]) -> None:
    clock = ManualClock(500)
    highest = 500

    for moment in moments:
        clock.advance_to(moment)
        highest = max(highest, moment)

        assert clock.now_ns() == highest


@pytest.mark.parametrize("start_ns", [0, 7])
def test_a_clock_moved_by_hand_starts_where_it_is_put(start_ns: int) -> None:
    assert ManualClock(start_ns).now_ns() == start_ns
