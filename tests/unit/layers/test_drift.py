"""Drift: bins that hold for any values, the size of chance, and shifts that must be seen."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from daemon.core.manifests import Placebo
from daemon.layers.monitoring.drift import Reference, ks_of, limits_of, psi, reference_histogram

any_values = arrays(
    np.float64,
    st.integers(1, 300),
    elements=st.one_of(
        st.floats(-1e9, 1e9, allow_nan=False), st.sampled_from([0.0, 1.0, -1.0, 50.0])
    ),
)


@given(any_values, st.integers(1, 20))
def test_any_values_make_rising_edges_and_shares_that_sum_to_one(
    values: np.ndarray, bins: int
) -> None:
    reference = reference_histogram(values, bins)

    assert list(reference.edges) == sorted(set(reference.edges))
    assert len(reference.shares) == len(reference.edges) + 1
    assert sum(reference.shares) == pytest.approx(1.0)
    assert min(reference.shares) >= 0.0
    assert reference.n == len(values)


@given(any_values)
def test_the_values_themselves_show_no_drift(values: np.ndarray) -> None:
    level = psi(reference_histogram(values), values, values_min=1)

    assert level is not None
    assert level == pytest.approx(0.0, abs=1e-9)


@given(any_values, any_values)
def test_drift_is_never_negative(usual: np.ndarray, recent: np.ndarray) -> None:
    level = psi(reference_histogram(usual), recent, values_min=1)

    assert level is not None
    assert level >= 0.0


def test_the_index_is_the_sum_over_the_bins() -> None:
    reference = Reference(edges=(0.0, 1.0), shares=(0.5, 0.3, 0.2))
    recent = np.r_[np.full(20, -1.0), np.full(30, 1.0), np.full(50, 2.0)]

    expected = -0.3 * np.log(0.2 / 0.5) + 0.0 + 0.3 * np.log(0.5 / 0.2)
    assert psi(reference, recent) == pytest.approx(expected)


def test_ten_bins_hold_a_tenth_each() -> None:
    reference = reference_histogram(np.random.default_rng(1).permutation(1000.0 * np.arange(1000)))

    assert reference.shares == pytest.approx([0.1] * 10)


def test_a_constant_feature_is_quiet_until_it_moves() -> None:
    reference = reference_histogram(np.full(500, 3.0))

    assert reference.shares == (0.0, 1.0, 0.0)
    assert psi(reference, np.full(200, 3.0)) == pytest.approx(0.0, abs=1e-9)
    for moved in (2.999, 3.001):
        level = psi(reference, np.full(200, moved))
        assert level is not None
        assert level > 5.0


def test_a_value_that_fills_several_bins_has_one_of_its_own() -> None:
    rng = np.random.default_rng(2)
    mostly_zero = np.where(rng.random(2000) < 0.6, 0.0, rng.normal(size=2000))

    reference = reference_histogram(mostly_zero)
    at_zero = reference.edges.index(0.0)

    assert reference.shares[at_zero] == pytest.approx(0.6, abs=0.05)
    level = psi(reference, rng.normal(size=500))
    assert level is not None
    assert level > 1.0


def test_chance_alone_shows_about_nine_over_n() -> None:
    rng = np.random.default_rng(3)
    reference = reference_histogram(rng.normal(size=50_000))

    levels = [psi(reference, rng.normal(size=500)) or 0.0 for _ in range(300)]

    assert np.mean(levels) == pytest.approx(9 / 500, rel=0.15)
    assert max(levels) < 0.10


def test_a_shift_by_half_a_deviation_or_a_doubled_spread_passes_a_quarter() -> None:
    rng = np.random.default_rng(4)
    reference = reference_histogram(rng.normal(size=5000))

    shifted = psi(reference, rng.normal(0.6, 1.0, 500))
    widened = psi(reference, rng.normal(0.0, 2.0, 500))

    assert shifted is not None
    assert widened is not None
    assert min(shifted, widened) > 0.25


def test_too_few_values_have_no_index() -> None:
    reference = reference_histogram(np.arange(1000.0))

    assert psi(reference, np.arange(99.0)) is None
    assert psi(reference, np.arange(100.0)) is not None
    assert psi(reference, [], values_min=0) is None


def test_an_empty_bin_costs_no_more_than_half_an_observation() -> None:
    reference = Reference(edges=(0.0,), shares=(0.1, 0.9))

    level = psi(reference, np.ones(100))

    expected = (0.005 - 0.1) * np.log(0.005 / 0.1) + 0.1 * np.log(1 / 0.9)
    assert level == pytest.approx(expected)


def test_the_distance_of_kolmogorov_and_smirnov_is_that_of_the_cumulative_shares() -> None:
    usual, recent = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.3, 0.5])

    assert ks_of(usual, recent) == pytest.approx(0.3)
    assert ks_of(usual, usual) == 0.0


def test_a_limit_is_that_of_the_next_shorter_length() -> None:
    placebo = Placebo(rows=(40, 100), psi=(0.9, 0.4), ks=(0.5, 0.3))

    assert limits_of(placebo, 39) is None
    assert limits_of(placebo, 99) == (0.9, 0.5)
    assert limits_of(placebo, 100) == limits_of(placebo, 5_000) == (0.4, 0.3)
    assert limits_of(Placebo(), 500) is None


def test_drift_refuses_what_is_not_a_number() -> None:
    with pytest.raises(ValueError, match="finite"):
        reference_histogram([1.0, np.nan])
    with pytest.raises(ValueError, match="needs values"):
        reference_histogram([])
    with pytest.raises(ValueError, match="bins"):
        Reference(edges=(1.0,), shares=(1.0,))
