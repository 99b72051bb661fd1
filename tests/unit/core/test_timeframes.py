import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.timeframes import (
    NS_PER_MS,
    NS_PER_S,
    bars_per_year,
    floor_to_grid,
    parse_time,
    rfc3339,
    timeframe_ns,
)
from tests.builders import HOUR_NS

YEAR_2200_MS = 7_258_118_400_000


@pytest.mark.parametrize(
    ("text", "seconds"), [("1s", 1), ("15m", 900), ("1h", 3_600), ("1d", 86_400), ("2w", 1_209_600)]
)
def test_a_timeframe_is_an_exact_length(text: str, seconds: int) -> None:
    assert timeframe_ns(text) == seconds * NS_PER_S


@pytest.mark.parametrize(
    "text", ["", "h", "1", "0h", "-1h", "1M", "1.5h", "1 h", "²h", "\u0661h", "1y"]
)
def test_what_has_no_fixed_length_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a fixed length"):
        timeframe_ns(text)


def test_a_market_that_never_closes_has_8760_hours_a_year() -> None:
    assert bars_per_year(HOUR_NS) == 8_760
    assert bars_per_year(24 * HOUR_NS) == 365


@given(st.integers(0, YEAR_2200_MS * NS_PER_MS), st.sampled_from(["1s", "5m", "1h", "1d"]))
def test_the_grid_puts_every_moment_into_exactly_one_bar(ts_ns: int, timeframe: str) -> None:
    length_ns = timeframe_ns(timeframe)

    open_ns = floor_to_grid(ts_ns, length_ns)

    assert open_ns <= ts_ns < open_ns + length_ns
    assert open_ns % length_ns == 0


def test_a_close_opens_the_next_bar() -> None:
    assert floor_to_grid(7 * HOUR_NS, HOUR_NS) == 7 * HOUR_NS


def test_times_are_written_in_utc_with_milliseconds() -> None:
    assert rfc3339(1_704_067_200_123_999_999) == "2024-01-01T00:00:00.123Z"


@given(st.integers(0, YEAR_2200_MS))
def test_a_time_that_was_written_reads_back_to_the_millisecond(ms: int) -> None:
    assert parse_time(rfc3339(ms * NS_PER_MS)) == ms * NS_PER_MS


def test_a_time_of_another_zone_is_the_same_moment() -> None:
    assert parse_time("2024-01-01T02:00+02:00") == parse_time("2024-01-01T00:00Z")


@pytest.mark.parametrize("text", ["2024-01-01T00:00", "2024-01-01"])
def test_a_time_without_a_zone_is_refused_with_one_that_would_be_taken(text: str) -> None:
    with pytest.raises(ValueError, match="write 2024-01-01T00:00Z for UTC"):
        parse_time(text)

    assert parse_time("2024-01-01T00:00Z") > 0


def test_a_time_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="not RFC 3339"):
        parse_time("yesterday")
