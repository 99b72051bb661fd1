"""Where models stand, per symbol: figures that belong together, and how much the outcomes tell."""

import pytest

from daemon.layers.monitoring.skill import auc_with_interval, brier
from daemon.layers.monitoring.standing import standings
from tests.unit.layers.test_monitoring import BTC, ETH, a_market, a_monitor, an_activation, run


def test_a_model_is_told_with_its_figures_in_each_symbol_and_in_all() -> None:
    monitoring, pipeline = a_monitor()
    run(pipeline, [an_activation(), *a_market(300, pull=2.0, instruments=(BTC, ETH))])

    (active,) = standings(monitoring)

    btc, eth = active.symbols
    window = list(monitoring.outcomes.scores("rf-a").recent)[-500:]
    scores = [each for each in window if each.instrument == BTC]
    assert (btc.instrument, eth.instrument) == (BTC, ETH)
    assert btc.figures.brier == brier(
        [each.probability_up for each in scores], [each.outcome for each in scores]
    )
    assert (btc.figures.n, active.figures.n) == (250, 500), "the window is of all together"
    assert btc.figures.calibration_slope is not None
    assert btc.pending == eth.pending == 1


def test_two_symbols_that_say_the_same_tell_no_more_than_one() -> None:
    monitoring, pipeline = a_monitor()
    run(pipeline, [an_activation(), *a_market(240, pull=2.0, instruments=(BTC, ETH))])

    (active,) = standings(monitoring)

    together, alone = active.figures, active.symbols[0].figures
    assert (together.n, alone.n) == (480, 240)
    assert alone.effective_n == pytest.approx(240)
    assert together.effective_n == pytest.approx(240, rel=0.02)


def test_outcomes_of_a_block_that_depend_on_each_other_count_for_fewer() -> None:
    ups = [n % 4 < 2 for n in range(400)]
    said = [0.4 + 0.2 * up * (n % 3) + 0.03 * (n % 7) for n, up in enumerate(ups)]
    twice = [each for each in said for _ in range(2)], [int(up) for up in ups for _ in range(2)]

    blocks = auc_with_interval(*twice, [n // 2 for n in range(800)])
    taken_for_independent = auc_with_interval(*twice)

    assert taken_for_independent.effective_n == pytest.approx(800)
    assert blocks.effective_n == pytest.approx(400, rel=0.02)
