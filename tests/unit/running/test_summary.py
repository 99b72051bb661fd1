from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from daemon.core import events as e
from daemon.core.bars import MissCause
from daemon.core.instruments import InstrumentId
from daemon.core.orders import Side
from daemon.layers.monitoring.skill import auc_with_interval
from daemon.running.summary import summarise
from tests.builders import (
    BTC,
    CLOSE_NS,
    ETH,
    HOUR_NS,
    OPEN_NS,
    a_bar,
    a_bars_missed,
    a_denial,
    a_halt,
    a_health_sample,
    a_model_activated,
    a_position_changed,
    a_prediction,
    a_resolution,
    a_resumption,
    a_run_opened,
    a_signal,
    a_suppression,
    an_account_opened,
    an_equity_mark,
    an_instrument,
    an_intent,
    an_order_filled,
    predictions,
)
from tests.unit.core.simulation import a_run

LOOKBACK = 3
D = Decimal


def closed(hour: int, instrument: InstrumentId = BTC, close: float = 100.0) -> e.BarsClosed:
    open_ns = OPEN_NS + hour * HOUR_NS
    bar = a_bar(instrument=instrument, open_ns=open_ns, close=close)
    return e.BarsClosed(ts_ns=bar.received_ns, bars=(bar,))


def predicted(hour: int, instrument: InstrumentId = BTC) -> e.Predictions:
    row = a_prediction(instrument=instrument, close_ns=OPEN_NS + (hour + 1) * HOUR_NS)
    return predictions(rows=(row,), refused=())


def resolved(hour: int, outcome: int | None, probability_up: float, **changes: Any) -> e.Event:
    return a_resolution(
        predicted_close_ns=CLOSE_NS + hour * HOUR_NS,
        outcome=outcome,
        probability_up=probability_up,
        **changes,
    )


def a_summary(*events: e.Event, opened: e.RunOpened | None = None) -> dict[str, Any]:
    beginning = (opened or a_run_opened(allotted_quote=D(10_000)), a_model_activated())
    return summarise([*beginning, *events], lookback=LOOKBACK)


def test_a_run_in_which_nothing_happened_says_so() -> None:
    summary = a_summary()

    assert summary["run"] == a_run_opened().run
    assert (summary["mode"], summary["market"]) == ("paper", "synthetic")
    assert summary["symbols"] == ["BTC/USDT", "ETH/USDT"]
    counts = ("bars", "decisions", "signals", "orders", "fills", "round_trips", "holes", "auc_n")
    assert [summary[each] for each in counts] == [0] * 8
    assert (summary["equity_quote"], summary["pnl_quote"], summary["fees_quote"]) == (
        "10000", "0", "0",
    )  # fmt: skip
    assert (summary["auc"], summary["health"], summary["halted"]) == (None, "unknown", {})
    assert summary["edge_shown"] is False


def test_everything_is_counted_once_and_reasons_by_their_name() -> None:
    summary = a_summary(
        *(closed(hour) for hour in range(4)),
        closed(3, ETH),
        predicted(3),
        a_signal(),
        a_suppression(reason=e.SuppressReason.BELOW_COST),
        a_suppression(),
        a_suppression(),
        a_denial(reason=e.DenyReason.HALTED),
        a_denial(reason=e.DenyReason.HALTED),
        an_intent(),
    )

    assert (summary["bars"], summary["decisions"], summary["signals"]) == (5, 1, 1)
    assert summary["suppressed"] == {"below_cost": 1, "low_confidence": 2}
    assert summary["denied"] == {"halted": 2}
    assert summary["orders"] == 1


def test_money_is_that_of_the_ledger_to_the_last_digit() -> None:
    buy = an_order_filled(quantity=D("0.5"), price=D("100.01"), fee=D("0.0500050000000000001"))

    summary = a_summary(closed(0), buy, closed(1, close=110.0))

    assert summary["fills"] == 1
    assert summary["fees_quote"] == "0.0500050000000000001"
    assert summary["equity_quote"] == "10004.9449949999999999999"
    assert summary["pnl_quote"] == "4.9449949999999999999"


def test_round_trips_are_those_the_ledger_closed() -> None:
    summary = a_summary(
        an_order_filled(quantity=D(1), price=D(100), fee=D(0)),
        a_position_changed(),
        an_order_filled(side=Side.SELL, quantity=D(1), price=D(101), fee=D(0)),
        a_position_changed(quantity=D(0), closed_return_ratio=0.01),
    )

    assert (summary["round_trips"], summary["pnl_quote"]) == (1, "1")


@pytest.mark.parametrize(("in_one_bar", "is_known"), [(1, True), (10, False)])
def test_round_trips_that_closed_in_one_bar_count_as_one_observation(
    in_one_bar: int, *, is_known: bool
) -> None:
    trips = [
        a_position_changed(
            ts_ns=CLOSE_NS + number // in_one_bar * HOUR_NS + number,
            quantity=D(0),
            closed_return_ratio=0.01 + 0.001 * (number % 7),
        )
        for number in range(40)
    ]

    verdict = a_summary(*trips)["verdict"]

    assert "n 40" in verdict
    assert ("interval unknown" not in verdict) is is_known


def test_outages_are_holes_and_hours_without_trades_are_none() -> None:
    summary = a_summary(
        a_bars_missed(count=3, cause=MissCause.OUTAGE),
        a_bars_missed(count=2, cause=MissCause.OUTAGE, instrument=ETH),
        a_bars_missed(count=9, cause=MissCause.NO_TRADES),
    )

    assert (summary["holes"], summary["outage_slots"]) == (2, 5)


def test_the_deepest_drawdown_is_kept_and_the_latest_health() -> None:
    summary = a_summary(
        an_equity_mark(drawdown_ratio=0.02),
        an_equity_mark(drawdown_ratio=0.1234567),
        an_equity_mark(drawdown_ratio=0.0),
        a_health_sample(status=e.HealthStatus.CRITICAL),
        a_health_sample(status=e.HealthStatus.WARNING),
    )

    assert (summary["drawdown_ratio"], summary["health"]) == (0.123457, "warning")


def test_halts_stand_until_they_are_resumed() -> None:
    halt, other = a_halt(), a_halt(reason=e.HaltReason.OPERATOR, detail="lunch")

    assert a_summary(halt, other)["halted"] == {"drawdown": halt.detail, "operator": "lunch"}
    assert a_summary(halt, a_resumption(), other)["halted"] == {"operator": "lunch"}


# --- windows with holes -------------------------------------------------------------------------


def test_a_decision_on_a_whole_window_is_no_gap() -> None:
    bars = [closed(hour) for hour in range(LOOKBACK)]

    assert a_summary(*bars, predicted(LOOKBACK - 1))["gaps_traded"] == 0


@pytest.mark.parametrize("missing", range(LOOKBACK))
def test_a_decision_on_a_window_with_a_planted_hole_is_found(missing: int) -> None:
    bars = [closed(hour) for hour in range(LOOKBACK) if hour != missing]

    assert a_summary(*bars, predicted(LOOKBACK - 1))["gaps_traded"] == 1


def test_a_hole_before_the_window_is_none_of_its_business() -> None:
    bars = [closed(hour) for hour in (0, 2, 3, 4)]

    assert a_summary(*bars, predicted(4))["gaps_traded"] == 0


def test_the_bars_of_another_instrument_fill_no_hole() -> None:
    bars = [closed(0), closed(1, ETH), closed(2)]

    assert a_summary(*bars, predicted(2))["gaps_traded"] == 1


def test_history_fills_the_first_windows() -> None:
    bars = tuple(a_bar(open_ns=OPEN_NS + hour * HOUR_NS) for hour in range(2))
    history = e.HistoryLoaded(ts_ns=OPEN_NS + 2 * HOUR_NS, bars=bars)

    assert a_summary(history, closed(2), predicted(2))["gaps_traded"] == 0


# --- skill --------------------------------------------------------------------------------------


def outcomes(count: int = 60) -> list[tuple[int, int, float]]:
    """(hour, outcome, probability): right more often than not, in runs of four hours."""
    return [
        (hour, (hour // 4) % 2, 0.7 if (hour // 4 + hour // 20) % 2 else 0.3)
        for hour in range(count)
    ]


def judged(horizon_bars: int, count: int = 60) -> dict[str, Any]:
    activated = a_model_activated(horizon_bars=horizon_bars)
    return a_summary(activated, *(resolved(*each) for each in outcomes(count)))


def test_outcomes_that_can_never_be_known_are_not_counted() -> None:
    summary = a_summary(resolved(0, None, 0.7), resolved(1, 1, 0.7), resolved(2, 0, 0.4))

    assert (summary["auc_n"], summary["auc"]) == (2, 1.0)


def test_with_a_horizon_of_one_bar_every_bar_stands_for_itself() -> None:
    hours, ups, probabilities = zip(*outcomes(), strict=True)
    skill = auc_with_interval(probabilities, ups, hours)

    summary = judged(horizon_bars=1)

    assert (summary["auc"], summary["auc_low"], summary["auc_high"]) == (
        round(skill.auc or 0.0, 4), round(skill.low, 4), round(skill.high, 4),
    )  # fmt: skip


def test_outcomes_of_overlapping_horizons_count_as_blocks_not_one_by_one() -> None:
    """Four bars ahead, neighbours share three bars: blocks are three horizons long."""
    hours, ups, probabilities = zip(*outcomes(240), strict=True)
    block_ns = 3 * 4 * HOUR_NS
    blocks = [(CLOSE_NS + hour * HOUR_NS) // block_ns for hour in hours]
    skill = auc_with_interval(probabilities, ups, blocks)

    one, four = judged(1, 240), judged(4, 240)

    assert (four["auc_low"], four["auc_high"]) == (round(skill.low, 4), round(skill.high, 4))
    assert four["auc"] == one["auc"]
    assert four["auc_high"] - four["auc_low"] > one["auc_high"] - one["auc_low"]


def test_every_model_of_a_run_is_clustered_by_its_own_horizon() -> None:
    slow = a_model_activated(model="slow", horizon_bars=4)
    story = [resolved(*each) for each in outcomes(240)]
    of_slow = [replace(each, model="slow") for each in story]

    summary = a_summary(slow, *of_slow)

    assert summary["auc_low"] == judged(4, 240)["auc_low"]


def test_the_summary_of_a_whole_story_agrees_with_its_core() -> None:
    simulation = a_run(5)
    events = [event for step in simulation.steps for event in step.events]

    summary = summarise(events, lookback=simulation.core.features._features.lookback)

    book, blotter = simulation.core.book, simulation.core.blotter
    assert D(str(summary["equity_quote"])) == round(book.equity, 8)
    assert D(str(summary["fees_quote"])) == round(book.fees, 8)
    assert (summary["orders"], summary["fills"]) == (blotter.intended_count, blotter.fill_count)
    assert summary["round_trips"] == book.round_trips
    assert summary["halted"] == {
        reason.value: detail for reason, detail in simulation.core.risk.halted.items()
    }
    assert summary["gaps_traded"] == 0
    assert summary["holes"] != 0


def test_what_happened_on_each_of_several_exchanges_is_told_apart() -> None:
    there = InstrumentId("okx", BTC.symbol)
    accounts = tuple(an_account_opened(name, 5_000) for name in (BTC.exchange, "okx"))
    opened = a_run_opened(instruments=(an_instrument(), an_instrument(id=there)), accounts=accounts)
    bought = an_order_filled(instrument=there, quantity=D(2), price=D(100), fee=D(1))
    story = (closed(0), closed(0, there), an_intent(instrument=there), bought)

    summary = summarise((opened, *story, closed(1, there, close=110.0)), lookback=LOOKBACK)

    assert summary["symbols"] == ["binance:BTC/USDT", "okx:BTC/USDT"]
    nothing = {"orders": 0, "fills": 0, "round_trips": 0, "pnl_quote": "0"}
    assert summary["exchanges"] == {
        "binance": {"bars": 1, **nothing, "equity_quote": "5000"},
        "okx": {
            "bars": 2,
            "orders": 1,
            "fills": 1,
            "round_trips": 0,
            "pnl_quote": "19",
            "equity_quote": "5019",
        },
    }
    assert summary["equity_quote"] == "10019"
