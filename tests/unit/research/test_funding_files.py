from decimal import Decimal
from pathlib import Path

import pytest

from daemon.backtests.funding import funding_rates
from daemon.core.errors import UsageRefused
from daemon.core.timeframes import parse_time

SWAP = "BTC/USDT:USDT"


def a_file(tmp_path: Path, text: str) -> str:
    path = tmp_path / "rates.csv"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_times_may_be_words_or_milliseconds_and_a_header_is_passed_over(tmp_path: Path) -> None:
    path = a_file(tmp_path, "time,rate\n2024-01-01T08:00:00Z,0.0001\n1704124800000,-0.00005\n")

    rates = funding_rates([path], [SWAP, "ETH/USDT"])

    assert rates == {
        SWAP: {
            parse_time("2024-01-01T08:00:00Z"): Decimal("0.0001"),
            parse_time("2024-01-01T16:00:00Z"): Decimal("-0.00005"),
        }
    }
    assert funding_rates([f"{SWAP}={path}"], [SWAP, "ETH/USDT:USDT"]) == rates


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("2024-01-01T08:00:00Z,0.5\n", ":1: a rate of 0.5 is a ratio of the notional"),
        ("2024-01-01T08:00:00Z,nan\n", ":1: a rate of nan"),
        ("2024-01-01T08:00:00Z,0\n1704096000000,0\n", ":2: tells of 1704096000000 twice"),
        ("2024-01-01T08:00:00Z\n", ":1: 2024-01-01T08:00:00Z: is no time and rate"),
        ("time,rate\n", "holds no rate"),
    ],
)
def test_a_file_that_tells_nothing_sound_is_refused_at_its_line(
    tmp_path: Path, text: str, words: str
) -> None:
    with pytest.raises(UsageRefused) as refused:
        funding_rates([a_file(tmp_path, text)], [SWAP])

    assert words in str(refused.value)


def test_rates_of_nobody_knows_what_are_refused(tmp_path: Path) -> None:
    path = a_file(tmp_path, "2024-01-01T08:00:00Z,0.0001\n")

    with pytest.raises(UsageRefused, match="whose rates are these"):
        funding_rates([path], [SWAP, "ETH/USDT:USDT"])
    with pytest.raises(UsageRefused, match="no swap is tested"):
        funding_rates([path], ["BTC/USDT"])
    with pytest.raises(UsageRefused, match="cannot be read"):
        funding_rates([f"{path}-gone"], [SWAP])
