import pytest

from daemon.embedded.clock import LOCK_STEP, PACED, SlotClock
from daemon.embedded.refusals import RequestError
from daemon.embedded.tape import Tape
from tests.exchange.fake_market import FROM_MS, HOUR_MS, FakeMarket, StandingWireClock

BOTH = ["BTCUSDT", "ETHUSDT"]


def a_clock(market: FakeMarket | None = None, bars_per_s: float | None = None) -> SlotClock:
    market = market or FakeMarket()
    return SlotClock(Tape(market, market.from_ms), bars_per_s, StandingWireClock())


def play(clock: SlotClock) -> None:
    open_ms = clock.next_open_ms()
    assert open_ms is not None
    clock.tape.open_slot(open_ms)
    while clock.tape.next_step() is not None:
        clock.tape.play()
    clock.tape.close_slot()
    clock.acked.clear()


def test_lock_step_waits_for_every_symbol_at_the_end_of_history() -> None:
    clock = a_clock()

    assert (clock.mode, clock.awaiting(), clock.is_due()) == (LOCK_STEP, BOTH, False)
    assert clock.acknowledge("BTCUSDT", FROM_MS)
    assert (clock.awaiting(), clock.is_due()) == (["ETHUSDT"], False)
    assert clock.acknowledge("ETHUSDT", FROM_MS)
    assert (clock.awaiting(), clock.is_due()) == ([], True)


def test_a_second_acknowledgement_and_one_for_an_older_bar_are_no_news() -> None:
    clock = a_clock()
    clock.acknowledge("BTCUSDT", FROM_MS)
    clock.acknowledge("ETHUSDT", FROM_MS)
    play(clock)

    assert not clock.acknowledge("BTCUSDT", FROM_MS)
    assert clock.acknowledge("BTCUSDT", FROM_MS + HOUR_MS)
    assert not clock.acknowledge("BTCUSDT", FROM_MS + HOUR_MS)
    assert clock.awaiting() == ["ETHUSDT"]


def test_a_bar_that_has_not_closed_cannot_be_acknowledged() -> None:
    with pytest.raises(RequestError):
        a_clock().acknowledge("BTCUSDT", FROM_MS + 1)


def test_a_symbol_in_an_outage_is_not_waited_for_and_its_acknowledgement_does_no_harm() -> None:
    clock = a_clock(FakeMarket(holes=frozenset({("ETHUSDT", 0)})))
    clock.acknowledge("BTCUSDT", FROM_MS)
    clock.acknowledge("ETHUSDT", FROM_MS)
    play(clock)

    assert clock.awaiting() == ["BTCUSDT"]
    assert not clock.acknowledge("ETHUSDT", FROM_MS + HOUR_MS)
    assert clock.acknowledge("BTCUSDT", FROM_MS + HOUR_MS)
    assert clock.is_due()


def test_when_history_ends_in_an_outage_the_newest_bar_there_is_starts_the_market() -> None:
    holes = frozenset({("ETHUSDT", -1), ("ETHUSDT", -2)})
    clock = a_clock(FakeMarket(holes=holes))
    clock.acknowledge("BTCUSDT", FROM_MS)

    assert not clock.acknowledge("ETHUSDT", FROM_MS - 3 * HOUR_MS)
    assert clock.acknowledge("ETHUSDT", FROM_MS - 2 * HOUR_MS)
    assert clock.is_due()


def test_slots_in_which_nobody_trades_are_passed_over_at_once() -> None:
    holes = frozenset((symbol, slot) for symbol in BOTH for slot in range(5))
    clock = a_clock(FakeMarket(holes=holes))

    assert clock.next_open_ms() == FROM_MS + 5 * HOUR_MS


def test_a_recording_ends() -> None:
    clock = a_clock(FakeMarket(ends_after=1))
    play(clock)

    for symbol in BOTH:
        clock.acknowledge(symbol, FROM_MS + HOUR_MS)

    assert clock.next_open_ms() is None
    assert not clock.is_due()


def test_lock_step_stands_and_shows_the_close_while_a_slot_is_played() -> None:
    clock = a_clock()

    before = clock.market_ms(), clock.rate()
    clock.tape.open_slot(FROM_MS)
    during = clock.market_ms(), clock.rate()

    assert before == (FROM_MS, 0.0)
    assert during == (FROM_MS + HOUR_MS, 0.0)


def test_a_paced_market_runs_with_wire_time_inside_the_slot_and_never_past_it() -> None:
    clock = a_clock(bars_per_s=2.0)
    wire = clock.wire
    assert isinstance(wire, StandingWireClock)
    before = clock.mode, clock.market_ms(), clock.rate()

    clock.tape.open_slot(FROM_MS)
    clock.start_slot()
    wire.pass_s(0.25)
    half = clock.market_ms(), clock.rate(), clock.wait_s(FROM_MS + HOUR_MS)
    wire.pass_s(10)

    assert before == (PACED, FROM_MS, 0.0)
    assert half[:2] == (FROM_MS + HOUR_MS // 2, 7_200.0)
    assert half[2] == pytest.approx(0.25)
    assert clock.market_ms() == FROM_MS + HOUR_MS


def test_a_paced_slot_starts_when_the_one_before_it_was_over_not_when_it_was_noticed() -> None:
    clock = a_clock(bars_per_s=1.0)
    wire = clock.wire
    assert isinstance(wire, StandingWireClock)
    clock.tape.open_slot(FROM_MS)
    clock.start_slot()

    wire.pass_s(1.1)
    play_rest(clock)
    clock.tape.open_slot(FROM_MS + HOUR_MS)
    clock.start_slot()

    assert clock.market_ms() == FROM_MS + HOUR_MS + HOUR_MS // 10
    assert clock.awaiting() == []


def play_rest(clock: SlotClock) -> None:
    while clock.tape.next_step() is not None:
        clock.tape.play()
    clock.tape.close_slot()
