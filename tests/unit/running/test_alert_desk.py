from typing import Any

import pytest

from daemon.config import AlertsSection
from daemon.running.alerts.desk import Desk
from daemon.running.alerts.rules import Alert, Severity

HALT: dict[str, Any] = {
    "at": "2026-01-01T00:00:00Z",
    "reason": "drawdown",
    "detail": "0.16 of equity",
}
ORDER: dict[str, Any] = {
    "exchange": "embedded",
    "symbol": "BTC/USDT",
    "order": "td1",
    "reason": "timed out",
}


class Office:
    """A desk with a clock that is set by hand."""

    def __init__(self, **config: Any) -> None:
        self.now_s = 0.0
        self.sent: list[Alert] = []
        self.desk = Desk(
            AlertsSection(**config),
            self.sent.append,
            bot="bot-a",
            origin="run: r1, paper, SYNTHETIC",
            clean=lambda text: text.replace("hunter2", "***"),
        )

    def hears(self, event: str, after_s: float = 0.0, **fields: object) -> None:
        self.passes(after_s)
        self.desk.hear(event, fields, self.now_s)

    def passes(self, seconds: float) -> None:
        """Ticks each second, as the thread does."""
        for _ in range(round(seconds)):
            self.now_s += 1.0
            self.desk.tick(self.now_s)

    @property
    def titles(self) -> list[str]:
        return [alert.title for alert in self.sent]


def test_an_alert_says_what_where_with_numbers_and_what_to_do() -> None:
    office = Office()

    office.hears("policy.acted", exchange="okx", symbol="BTC/USDT", trouble="outage", attempt=1)

    (alert,) = office.sent
    assert alert.severity is Severity.WARNING
    assert alert.title == (
        "warning bot-a: a position is in trouble and something is done about it (BTC/USDT okx)"
    )
    assert alert.body.splitlines() == [
        "exchange: okx",
        "symbol: BTC/USDT",
        "trouble: outage",
        "attempt: 1",
        "run: r1, paper, SYNTHETIC",
        "event: policy.acted",
        "What to do: see what is left of it: tradingd status; [policy] says what is done.",
    ]


@pytest.mark.parametrize(
    ("event", "fields", "is_told"),
    [
        ("health.sampled", {"status": "critical", "reasons": ["skill_lost"]}, True),
        ("health.sampled", {"status": "unknown", "reasons": ["no_answer"]}, True),
        ("health.sampled", {"status": "unknown", "reasons": ["skill_not_shown"]}, False),
        ("model.dropped", {"model": "rf-1", "reason": "silent"}, True),
        ("model.dropped", {"model": "rf-1", "reason": "worse"}, False),
    ],
)
def test_a_model_that_is_no_use_is_told_and_an_ordinary_verdict_is_not(
    event: str, fields: dict[str, Any], is_told: bool
) -> None:
    office = Office()

    office.hears(event, **fields)

    assert bool(office.sent) is is_told


def test_events_that_are_not_in_the_table_are_nobodys_business() -> None:
    office = Office()

    office.hears("bar.closed", symbol="BTC/USDT")
    office.hears("health.sampled", model="rf-1", status="healthy")
    office.hears("exchange.listing", symbol="BTC/USDT", is_tradable=True)

    assert office.sent == []


def test_the_same_again_is_counted_and_told_once_at_the_end_of_its_window() -> None:
    office = Office(repeat_after_s=600)
    for _ in range(500):
        office.hears("daemon.halted", after_s=1, **HALT)
    office.hears("daemon.halted", **HALT | {"reason": "operator"})
    office.passes(700)

    says = "trading is halted: nothing is opened, exits go on"
    assert office.titles == [
        f"critical bot-a: {says}",
        f"critical bot-a: {says}",
        f"critical bot-a: 499 times more within 10 min: {says}",
    ]
    assert "reason: operator" in office.sent[1].body


def test_what_goes_on_repeating_is_told_once_a_window_and_then_forgotten() -> None:
    office = Office(repeat_after_s=60)
    for _ in range(180):
        office.hears("daemon.halted", after_s=1, **HALT)
    office.passes(300)
    office.hears("daemon.halted", **HALT)

    counted = [title.split(":")[1].strip() for title in office.titles]
    assert counted[0] == counted[-1] == "trading is halted"
    assert [each.partition(" ")[0] for each in counted[1:-1]] == ["59", "60", "60"]


def test_a_storm_of_different_things_becomes_a_burst_and_one_that_counts_the_rest() -> None:
    office = Office(per_hour_max=30)
    for number in range(200):
        office.hears("order.absent", **ORDER | {"symbol": f"S{number}/USDT"})
    office.passes(3_600)

    assert [title.startswith("warning bot-a: the exchange never had") for title in office.titles][
        :7
    ] == [True] * 7
    assert office.titles[7:] == ["warning bot-a: 193 more, not told one by one"]
    assert "193 times the exchange never had an order that was sent" in office.sent[-1].body


def test_a_storm_leaves_room_for_what_is_critical() -> None:
    office = Office(per_hour_max=30)
    for number in range(200):
        office.hears("order.absent", **ORDER | {"symbol": f"S{number}/USDT"})
    office.hears("daemon.halted", **HALT)

    assert office.sent[-1].severity is Severity.CRITICAL


def test_over_an_hour_no_more_are_sent_than_the_rate_allows() -> None:
    office = Office(per_hour_max=30)
    for number in range(3_600):
        office.hears("protection.failed", after_s=1, symbol=f"S{number}/USDT", exchange="okx")

    assert len(office.sent) <= 10 + 30


def test_what_ends_in_time_is_never_told() -> None:
    office = Office()
    office.hears("feed.stale", exchange="okx", symbol="BTC/USDT", silent_s=92)
    office.hears("feed.recovered", after_s=200, exchange="okx", symbol="BTC/USDT")
    office.hears("order.unknown", **ORDER)
    office.hears("order.filled", after_s=5, **ORDER)
    office.passes(1_000)

    assert office.sent == []


def test_what_lasts_is_told_and_its_end_is_told_too() -> None:
    office = Office()
    office.hears("exchange.lost", exchange="okx", error="timed out")
    office.hears("exchange.lost", after_s=30, exchange="okx", error="timed out")
    office.hears("exchange.lost", exchange="kraken", error="timed out")
    office.hears("exchange.back", after_s=100, exchange="okx")
    office.passes(100)

    says = "an exchange does not answer: nothing is opened there"
    assert office.titles == [
        f"critical bot-a: {says} (okx)",
        f"critical bot-a: {says} (kraken)",
        f"info bot-a: over: {says} (okx)",
    ]


def test_what_comes_back_after_its_end_is_news() -> None:
    office = Office()
    for event in ("disk.low", "disk.enough", "disk.low"):
        office.hears(event, after_s=1, free_megabytes=90, limit="256 MB")

    assert [title.partition(" ")[0] for title in office.titles] == ["critical", "info", "critical"]


def test_less_than_asked_for_is_not_sent() -> None:
    office = Office(severity_min="critical")
    office.hears("run.started", pid=1, mode="paper")
    office.hears("policy.acted", symbol="BTC/USDT")
    office.hears("disk.low", free_megabytes=90)
    office.hears("disk.enough", free_megabytes=900)

    assert office.titles == ["critical bot-a: the disk is nearly full: nothing is opened"]


def test_a_secret_in_an_error_does_not_leave() -> None:
    office = Office()

    office.hears("daemon.ended", error="GET https://host/?signature=hunter2 failed\nbadly " * 20)

    (alert,) = office.sent
    assert "hunter2" not in alert.body + alert.title
    assert "error: GET https://host/?signature=*** failed badly" in alert.body
    assert len(alert.body) < 800


def test_at_the_end_what_was_only_counted_is_told() -> None:
    office = Office()
    for _ in range(4):
        office.hears("daemon.halted", **HALT)
    office.desk.close(office.now_s)

    assert office.titles[1:] == ["critical bot-a: 3 more, not told one by one"]


def test_what_a_process_tells_of_a_full_disk_is_told_once_by_the_event_of_its_own() -> None:
    office = Office()

    office.hears("process.sampled", unwell=["disk critical (90 MB free, nothing is opened)"])
    office.hears("process.sampled", unwell=[])
    before = len(office.sent)
    office.hears("process.sampled", unwell=["memory warning (900 MB, limit 700)"])

    assert (before, len(office.sent)) == (0, 1)


def test_a_start_shows_what_runs_and_no_endpoint() -> None:
    office = Office()

    office.hears("run.started", pid=7, mode="paper", exchange={"rest": "http://h", "key": "k"})

    (alert,) = office.sent
    assert alert.title == "info bot-a: the daemon has started"
    assert "http" not in alert.body
