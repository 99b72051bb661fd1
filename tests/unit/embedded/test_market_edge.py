import numpy as np
import pytest

from tests.unit.embedded.samples import auc, auc_standard_error, sample


@pytest.mark.parametrize("edge", [0.2, 0.4, 0.7])
def test_the_best_forecast_is_right_as_often_as_the_edge_says(edge: float) -> None:
    drawn = sample(edge)
    count = len(drawn.returns)
    sureness = np.abs(2.0 * drawn.probability_up - 1.0)

    best_mean = float(0.5 + sureness.mean() / 2.0)
    hits = np.where(drawn.probability_up > 0.5, drawn.ups, ~drawn.ups)

    assert abs(best_mean - (0.5 + edge / 2.0)) < 3.0 * sureness.std() / 2.0 / np.sqrt(count)
    assert abs(hits.mean() - (0.5 + edge / 2.0)) < 3.0 * np.sqrt(0.25 / count)


def test_bars_rise_as_often_as_their_probability_says_over_many_seeds() -> None:
    drawn = [sample(0.4, bars=8_000, seed=seed) for seed in range(8)]
    chances = np.concatenate([each.probability_up for each in drawn])
    ups = np.concatenate([each.ups for each in drawn])
    order = np.argsort(chances)

    surplus = [
        float((ups[part] - chances[part]).sum() / np.sqrt((chances * (1.0 - chances))[part].sum()))
        for part in np.array_split(order, 10)
    ]

    assert max(map(abs, surplus)) < 3.5
    assert abs(sum(surplus)) / np.sqrt(len(surplus)) < 3.0


def test_the_true_probability_has_the_auc_that_its_own_distribution_implies() -> None:
    drawn = sample(0.4)
    chances = np.sort(drawn.probability_up)
    falls_below = np.cumsum(1.0 - chances) - (1.0 - chances) / 2.0
    implied = float((chances * falls_below).sum() / (chances.sum() * (1.0 - chances).sum()))

    found = auc(drawn.probability_up, drawn.ups)

    assert abs(found - implied) < 3.0 * auc_standard_error(implied, drawn.ups)
    assert 0.75 < found < 0.82


def test_without_an_edge_nothing_of_the_last_bar_tells_the_next_direction() -> None:
    drawn = sample(0.0)
    before, ups = slice(None, -1), drawn.ups[1:]
    guesses = {
        "last return": drawn.returns[before],
        "size": np.abs(drawn.returns[before]),
        "volume": drawn.volumes[before],
        "range": np.log(drawn.highs / drawn.lows)[before],
    }

    areas = {name: auc(guess, ups) for name, guess in guesses.items()}

    assert set(drawn.probability_up.tolist()) == {0.5}
    error = auc_standard_error(0.5, ups)
    assert {name for name, area in areas.items() if abs(area - 0.5) > 3.0 * error} == set()


def test_with_an_edge_of_one_every_direction_is_known() -> None:
    drawn = sample(1.0, bars=5_000)

    assert set(drawn.probability_up.tolist()) == {0.0, 1.0}
    assert np.array_equal(drawn.ups, drawn.probability_up == 1.0)


def test_the_last_return_against_its_volatility_sees_the_edge_and_alone_sees_less_of_it() -> None:
    drawn = sample(0.4)
    windows = np.lib.stride_tricks.sliding_window_view(drawn.returns, 10)[:-1]
    last, deviation, ups = windows[:, -1], windows.std(axis=1), drawn.ups[10:]
    size = np.abs(last) / deviation
    violent, quiet = size > 1.2, size < 0.2

    assert ups[violent & (last > 0)].mean() < 0.25
    assert ups[violent & (last < 0)].mean() > 0.75
    assert ups[quiet & (last > 0)].mean() > 0.6
    assert ups[quiet & (last < 0)].mean() < 0.4
    # A table of the size learned on the first half beats the plain reversal on the second.
    half = len(ups) // 2
    edges = np.quantile(size, np.linspace(0.05, 0.95, 19))
    cells = np.searchsorted(edges, size)
    runs_on = ups == (last > 0)
    table = np.array([runs_on[:half][cells[:half] == cell].mean() for cell in range(20)])
    learned = auc(np.sign(last[half:]) * (table[cells[half:]] - 0.5), ups[half:])
    reversal = auc(-last[half:], ups[half:])
    assert 0.6 < reversal < learned - 0.05
    assert learned < auc(drawn.probability_up[10:][half:], ups[half:])


def test_no_bar_closes_where_it_opened_even_on_a_short_timeframe() -> None:
    drawn = sample(0.4, bars=3_000, symbol="SOL/USDT", timeframe_ms=1_000)

    assert np.count_nonzero(drawn.returns) == 3_000
