from daemon.reports.facts import gather
from tests.builders import a_position_changed, a_run_opened
from tests.unit.reports.stories import EXIT_TRACE, D, a_story, bought, closed, sold


def test_a_round_trip_holds_its_prices_costs_and_traces() -> None:
    (trade,) = gather(a_story()).trades

    assert (trade.entry_price, trade.exit_price) == (D(101), D(110))
    assert trade.direction == "long"
    assert trade.fees_quote == D(2)
    assert trade.slippage_quote == D(1) + D(2)  # paid 1 more than decided, got 2 less
    assert trade.return_ratio == 7 / 101
    assert (trade.entry_trace == trade.exit_trace, trade.exit_trace) == (False, EXIT_TRACE)


def test_fills_in_parts_are_one_round_trip_at_their_mean_prices() -> None:
    events = [
        a_run_opened(),
        closed(0, 100.0),
        bought("1", "100", trade_id="1"),
        bought("3", "104", trade_id="2"),
        sold("1", "110", trade_id="3"),
        sold("3", "106", trade_id="4"),
        a_position_changed(closed_return_ratio=0.01),
    ]

    (trade,) = gather(events).trades

    assert (trade.entry_quantity, trade.exit_quantity) == (D(4), D(4))
    assert (trade.entry_price, trade.exit_price) == (D(103), D(107))


def test_a_position_that_is_still_held_is_an_open_trade() -> None:
    facts = gather([a_run_opened(), closed(0, 100.0), bought()])

    assert [each.return_ratio for each in facts.trades] == [None]
    assert facts.closed_trades == []


def test_reasons_are_counted_by_the_rule_that_decided() -> None:
    facts = gather(a_story())

    assert sum(facts.suppressed.values()) == 1
    assert sum(facts.denied.values()) == 1
    assert sum(facts.bound.values()) == 1


def test_a_fee_in_base_is_valued_at_the_price_of_its_fill() -> None:
    facts = gather([a_run_opened(), closed(0, 100.0), bought("1", "200", fee_currency="BTC")])

    assert facts.fees_quote == [D(200)]
