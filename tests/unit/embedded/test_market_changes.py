import numpy as np
import pytest

from daemon.embedded.changes import changes_of
from daemon.embedded.synthetic import SyntheticMarket

HOUR_MS = 3_600_000
DAYS = 24


def market(*changes: str, edge: float = 0.6) -> SyntheticMarket:
    return SyntheticMarket(["BTC/USDT"], HOUR_MS, seed=5, edge=edge, changes=changes_of(changes))


def chances(changed: SyntheticMarket, first: int, count: int) -> list[float]:
    open_ms = [changed.from_ms + (first + bar) * HOUR_MS for bar in range(count)]
    return [changed.probability_up("BTCUSDT", each) for each in open_ms]


def test_a_change_holds_from_its_bar_on_and_not_before() -> None:
    plain, changed = market(), market("30d edge=0")

    before = chances(changed, 0, 30 * DAYS)
    after = chances(changed, 30 * DAYS, 400)

    assert before == chances(plain, 0, 30 * DAYS)
    assert set(after) == {0.5}


def test_an_edge_below_zero_is_the_opposite_pattern() -> None:
    plain = SyntheticMarket(["BTC/USDT"], HOUR_MS, seed=5, edge=0.6)
    turned = market("10d edge=-0.6")
    opens = [plain.from_ms + bar * HOUR_MS for bar in range(10 * DAYS, 60 * DAYS)]
    ups = np.array([
        (bar := turned.bar("BTCUSDT", each)) is not None and bar.close > bar.open
        for each in opens
    ])  # fmt: skip
    told = np.array([turned.probability_up("BTCUSDT", each) for each in opens])

    hits = np.where(told > 0.5, ups, ~ups)

    # The first bar after the change sees the same bar before it in both.
    first = opens[0]
    assert turned.probability_up("BTCUSDT", first) == pytest.approx(
        1.0 - plain.probability_up("BTCUSDT", first)
    )
    assert abs(hits.mean() - 0.8) < 3.0 * np.sqrt(0.25 / len(hits))


def test_volume_and_volatility_change_by_their_factors_with_the_same_draws() -> None:
    plain, changed = market(), market("5d volume=3 volatility=2")
    opens = [plain.from_ms + bar * HOUR_MS for bar in range(5 * DAYS, 40 * DAYS)]

    def sizes(of: SyntheticMarket) -> tuple[float, float]:
        bars = [of.bar("BTCUSDT", each) for each in opens]
        moves = [abs(float(bar.close / bar.open) - 1.0) for bar in bars if bar is not None]
        return float(np.mean(moves)), float(sum(bar.volume for bar in bars if bar is not None))

    moved, traded = sizes(plain)
    moved_later, traded_later = sizes(changed)

    assert moved_later / moved == pytest.approx(2.0, rel=0.05)
    assert traded_later / traded == pytest.approx(3.0, rel=0.01)


def test_markets_with_other_changes_are_other_markets_and_say_so() -> None:
    assert market("30d edge=0").fingerprint != market().fingerprint
    assert market("30d edge=0").fingerprint != market("31d edge=0").fingerprint
    assert market("30d edge=0").label.endswith("changes=1")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "expected for example"),
        ("soon edge=0", "expected for example"),
        ("30d", "expected for example"),
        ("30d colour=2", "edge, volume, volume_noise, volatility"),
        ("30d edge=0 edge=1", "expected for example"),
        ("30d edge=1.5", "from -1 to 1"),
        ("30d edge=nan", "from -1 to 1"),
        ("30d volume=0", "factor above 0"),
        ("30d volatility=inf", "factor above 0"),
    ],
)
def test_a_change_that_cannot_be_read_is_refused_in_one_line(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told) as refused:
        changes_of([text])

    assert "\n" not in str(refused.value)


def test_two_changes_at_one_moment_are_refused() -> None:
    with pytest.raises(ValueError, match="one moment"):
        changes_of(["24h edge=0", "1d volume=2"])
