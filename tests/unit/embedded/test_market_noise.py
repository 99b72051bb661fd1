import numpy as np
import pytest

from daemon.embedded.noise import fat_magnitude, normal_cdfs, normals, uniforms


def test_the_fat_magnitude_has_the_tabled_quantiles_of_student_t_with_four_degrees() -> None:
    tabled = {0.5: 0.7407, 0.8: 1.5332, 0.9: 2.1318, 0.95: 2.7764, 0.99: 4.6041, 0.999: 8.6103}

    for rank, quantile in tabled.items():
        assert fat_magnitude(rank) * np.sqrt(2.0) == pytest.approx(quantile, abs=6e-5)


def test_the_fat_magnitude_grows_with_its_rank_to_the_ends() -> None:
    ranks = [2.0**-53, 1e-12, 1e-6, 0.3, 0.6, 0.999999, 1.0 - 2.0**-53]

    sizes = [fat_magnitude(rank) for rank in ranks]

    assert sizes == sorted(set(sizes))
    assert sizes[0] > 0.0
    assert np.isfinite(sizes[-1])


def test_normals_have_a_uniform_rank() -> None:
    ranks = np.sort(normal_cdfs(normals("a key", 10_000, 2).ravel()))

    distance = np.abs(ranks - (np.arange(20_000) + 0.5) / 20_000).max()

    # The 1 % point of Kolmogorov's statistic.
    assert distance < 1.63 / np.sqrt(20_000)


def test_noise_is_a_function_of_its_key() -> None:
    assert np.array_equal(uniforms("one", 100), uniforms("one", 100))
    assert not np.any(uniforms("one", 100) == uniforms("two", 100))
    assert np.array_equal(uniforms("one", 100)[:7], uniforms("one", 7))


def test_a_rank_never_reaches_the_ends() -> None:
    lowest, highest = normal_cdfs(np.array([-60.0, 60.0]))
    assert 0.0 < lowest < highest < 1.0
