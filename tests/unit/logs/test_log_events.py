"""The registry, its page, and the lines that the tap makes of every event."""

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.core import events as e
from daemon.core.bars import BarRejectReason
from daemon.logs import registry as log_events
from daemon.logs import writing as logs
from daemon.logs.fields import FIELDS
from daemon.logs.registry import COMMON, REGISTRY, ROWS
from daemon.logs.tap import LINES, SILENT
from daemon.logs.text import Redactor
from tests.builders import (
    CLOSE_NS,
    RUN,
    TRACE,
    a_bar,
    a_bar_rejected,
    a_bars_closed,
    a_clock_checked,
    a_denial,
    a_disk_checked,
    a_feature_difference,
    a_features_checked,
    a_halt,
    a_health_sample,
    a_health_tick,
    a_position_changed,
    a_prediction,
    a_reconciled,
    a_resolution,
    a_run_opened,
    a_shift,
    a_signal,
    a_suppression,
    an_approval,
    an_equity_mark,
    an_intent,
    an_order_completed,
    an_order_filled,
    an_order_reported,
    feature_rows,
    one_of_each,
    predictions,
)

DRIFTING = (
    a_shift(),
    a_shift(feature=None, instrument=None, is_drift=False, is_disputed=True),
    a_shift(is_drift=False),
)
RELIED_ON = {
    *("run.started", "bar.closed", "features.computed", "model.predicted", "signal.emitted"),
    *("signal.suppressed", "risk.sized", "order.denied", "order.submitted", "order.filled"),
    *("position.changed", "health.sampled", "daemon.halted", "feed.stale", "feed.gap"),
    "run.finished",
}
PER_BAR = {
    *("bar.closed", "features.computed", "features.refused", "model.predicted", "signal.emitted"),
    *("signal.suppressed", "risk.sized", "order.denied", "order.submitted", "order.filled"),
    *("position.changed", "outcome.resolved"),
}
MONEY = re.compile(r"-?[0-9]+(\.[0-9]*[1-9])?")
MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    yield io.StringIO()
    logs.release()


def tapped(out: io.StringIO, *events: e.Event, level: str = "debug") -> list[dict[str, Any]]:
    logs.configure(level=level, format="json", stream=out, run=RUN)
    logs.Tap()(events)
    return [json.loads(line) for line in out.getvalue().splitlines()]


# --- the registry -------------------------------------------------------------------------------


def test_the_page_is_what_the_registry_makes() -> None:
    page = Path(__file__).parents[3] / "docs" / "log-events.md"

    assert page.read_text() == log_events.page(), (
        "run: python -m daemon.logs.registry > docs/log-events.md"
    )


def test_names_are_unique_nouns_and_verbs() -> None:
    assert len(REGISTRY) == len(ROWS)
    assert all(re.fullmatch(r"[a-z]+\.[a-z_]+", name) for name in REGISTRY)


def test_every_meaning_is_used_and_no_common_field_is_redefined() -> None:
    used = {field for row in ROWS for field in row.fields}

    assert used == set(FIELDS)
    assert not used & set(COMMON)


def test_no_field_has_a_name_that_would_be_hidden() -> None:
    cleaned = Redactor().clean(dict.fromkeys([*FIELDS, *COMMON], "shown"))

    assert isinstance(cleaned, dict)
    assert set(cleaned.values()) == {"shown"}


def test_what_the_contract_relies_on_is_logged_at_info_or_above() -> None:
    levels = {name: REGISTRY[name].level for name in RELIED_ON}

    assert levels.pop("features.computed") == "debug"
    assert set(levels.values()) <= {"info", "warning", "error", "critical"}


# --- the tap ------------------------------------------------------------------------------------


def test_every_event_of_the_journal_has_a_line_or_is_silent_on_purpose() -> None:
    assert set(LINES) | set(SILENT) == set(e.JOURNALED)
    assert not set(LINES) & set(SILENT)


def test_every_line_of_the_tap_is_registered_and_has_its_fields(out: io.StringIO) -> None:
    extra = (
        an_order_filled(is_adopted=True),
        a_reconciled(is_clean=False, differences=("BTC: books 1, venue 2",)),
        a_bar_rejected(reason=BarRejectReason.DUPLICATE),
        a_clock_checked(is_trusted=True, offset_ms=0.5),
        a_health_sample(shifts=DRIFTING),
        a_feature_difference(),
        a_features_checked(error="the bar store is locked"),
        a_disk_checked(is_enough=True, free_megabytes=900),
    )

    lines = tapped(out, *one_of_each(), *extra)

    seen = {line["event"] for line in lines}
    assert seen == {name for rows in LINES.values() for name, _ in rows}
    for line in lines:
        row = REGISTRY[line["event"]]
        assert line["level"] == row.level
        assert row.required <= line.keys() <= row.required | row.optional | COMMON.keys()


def test_what_drifts_is_told_with_its_symbol_and_what_it_rests_on(out: io.StringIO) -> None:
    found, disputed = [
        line for line in tapped(out, a_health_sample(shifts=DRIFTING)) if "drift." in line["event"]
    ]

    assert (found["event"], found["level"]) == ("drift.found", "warning")
    assert (found["feature"], found["symbol"], found["rows"]) == ("bb_width_20", "BTC/USDT", 480)
    assert (found["psi"], found["psi_limit"]) == (0.412, 0.25)
    assert (found["ks"], found["ks_limit"]) == (0.31, 0.22)
    assert (disputed["event"], disputed["level"]) == ("drift.disputed", "info")
    assert (disputed["feature"], disputed["symbol"]) == ("prediction", "all")


def test_per_bar_lines_carry_trace_symbol_and_the_close_of_the_bar(out: io.StringIO) -> None:
    lines = [line for line in tapped(out, *one_of_each()) if line["event"] in PER_BAR]

    assert {line["event"] for line in lines} == PER_BAR
    assert all(MOMENT.fullmatch(line["bar"]) for line in lines)
    own = [line for line in lines if line["symbol"] == "BTC/USDT"]
    assert {line["trace"] for line in own} == {TRACE}
    assert {line["bar"] for line in own} == {"2024-01-01T01:00:00.000Z"}


def test_the_trace_of_a_bar_is_that_of_its_decision(out: io.StringIO) -> None:
    closed, *_ = tapped(out, a_bars_closed(), feature_rows())

    assert closed["event"] == "bar.closed"
    assert closed["trace"] == TRACE


def test_every_time_has_milliseconds_and_every_money_is_plain_text(out: io.StringIO) -> None:
    lines = tapped(out, *one_of_each())

    for line in lines:
        for name, value in line.items():
            if name in {"ts", "at", "bar", "first_bar", "first_open", "expires", "trained_through"}:
                assert MOMENT.fullmatch(value), (line["event"], name, value)
            if name.endswith("_quote") or name in {"quantity", "price", "fee", "close", "volume"}:
                assert MONEY.fullmatch(value), (line["event"], name, value)
            if name.endswith("_ratio"):
                assert isinstance(value, float), (line["event"], name, value)


def test_a_bar_says_how_late_it_came_in_market_time(out: io.StringIO) -> None:
    bar = a_bar(received_ns=CLOSE_NS + 1_499_999_999, close=1e-07, volume=2.5e9)

    (line,) = tapped(out, a_bars_closed(bars=(bar,)))

    assert line["late_ms"] == 1_499
    assert (line["close"], line["volume"]) == ("0.0000001", "2500000000")
    assert (line["source"], line["quality"]) == ("stream", "ok")


def test_each_row_of_a_cross_section_is_a_line(out: io.StringIO) -> None:
    rows = predictions(rows=(a_prediction(), a_prediction(probability_up=0.5)), refused=())

    first, second = tapped(out, rows)

    assert (first["probability_up"], first["confidence"]) == (0.7123, 0.4247)
    assert (second["probability_up"], second["confidence"]) == (0.5, 0.0)


def test_a_suppression_says_why(out: io.StringIO) -> None:
    (line,) = tapped(out, a_suppression(edge_ratio=None))

    assert line["reason"] == "low_confidence"
    assert line["limit"] == 0.3
    assert "edge_ratio" not in line


def test_a_fill_names_the_bar_of_its_decision(out: io.StringIO) -> None:
    *_, fill, position = tapped(out, an_intent(), an_order_filled(), a_position_changed())

    assert fill["bar"] == position["bar"] == "2024-01-01T01:00:00.000Z"
    assert fill["bar_to_fill_ms"] == 645
    assert fill["slippage_bps"] == 5.0


def test_a_fill_after_a_restart_names_its_bar_once_the_tap_was_told(out: io.StringIO) -> None:
    logs.configure(level="debug", format="json", stream=out, run=RUN)
    tap = logs.Tap()

    tap((an_order_filled(),))
    tap.recall([an_intent()])
    tap((an_order_filled(),))

    without, with_bar = (json.loads(line) for line in out.getvalue().splitlines())
    assert "bar" not in without
    assert with_bar["bar"] == "2024-01-01T01:00:00.000Z"


def test_an_order_believed_dead_that_fills_is_an_alarm(out: io.StringIO) -> None:
    lines = tapped(out, an_order_filled(is_adopted=True), level="error")

    assert [line["event"] for line in lines] == ["order.adopted"]


def test_books_that_differ_are_an_error_and_books_that_agree_are_not(out: io.StringIO) -> None:
    clean, broken = tapped(out, a_reconciled(), a_reconciled(is_clean=False, differences=("x",)))

    assert (clean["event"], clean["level"]) == ("books.reconciled", "info")
    assert (broken["event"], broken["level"]) == ("books.differed", "error")


def test_a_halt_says_how_it_ends(out: io.StringIO) -> None:
    (line,) = tapped(out, a_halt())

    assert line["level"] == "critical"
    assert line["resume"].startswith("tradingd resume")


def test_a_bar_without_an_order_costs_three_lines_and_one_with_an_order_at_most_eight(
    out: io.StringIO,
) -> None:
    bar = a_bars_closed(bars=(a_bar(),))
    thought = (bar, an_equity_mark(), a_resolution(), feature_rows(refused=()))
    quiet = (*thought, predictions(refused=()), a_suppression())
    ordered = (*thought, predictions(refused=()), a_signal(), an_approval(), an_intent())
    answered = (an_order_reported(), an_order_filled(), an_order_completed(), a_position_changed())

    silent = len(tapped(out, *quiet, level="info"))
    loud = len(tapped(out, *ordered, *answered, level="info")) - silent

    assert silent == 3
    assert loud <= 8


def test_lines_below_the_level_are_not_even_built(out: io.StringIO) -> None:
    logs.configure(level="error", format="json", stream=out, run=RUN)
    broken = a_bars_closed(bars=None)  # whoever builds a line of this fails

    logs.Tap()((broken, a_health_tick(), a_run_opened()))

    assert out.getvalue() == ""


def test_the_tap_counts_why_it_did_not_trade(out: io.StringIO) -> None:
    logs.configure(level="error", format="json", stream=out, run=RUN)
    tap = logs.Tap()
    tap.recall([a_suppression()])

    tap((a_denial(), a_suppression(), a_suppression(reason=e.SuppressReason.BELOW_COST)))

    assert tap.reasons() == {"low_confidence": 2, "below_minimum": 1, "below_cost": 1}


def test_the_tap_forgets_old_decisions(out: io.StringIO) -> None:
    logs.configure(level="error", format="json", stream=out, run=RUN)
    tap = logs.Tap()

    tap.recall(an_intent(trace=str(n)) for n in range(10_005))

    assert len(tap._closes) == 10_000
    assert "4" not in tap._closes
    assert "10004" in tap._closes
