"""Intervals against SciPy's."""

import numpy as np
import pytest
from scipy import stats

from glorot_jax.confidence import mean_interval, slope_interval

X = np.log([32, 64, 128, 256, 1024])
RNG = np.random.default_rng(0)
Y = 0.5 * X[:, None, None] + RNG.normal(0, 0.3, (5, 6, 2))


def test_the_slope_of_one_draw_is_that_of_a_regression():
    found = slope_interval(X, Y[:, :1])
    for k in range(2):
        line = stats.linregress(X, Y[:, 0, k])
        assert found.mean[k] == pytest.approx(line.slope)
        assert found.half[k] == pytest.approx(stats.t.ppf(0.975, 3) * line.stderr)


def test_the_slope_of_many_draws_is_the_mean_of_theirs():
    found = slope_interval(X, Y)
    slopes = np.array([[stats.linregress(X, Y[:, i, k]).slope for k in range(2)] for i in range(6)])
    expected = mean_interval(slopes, axis=0)
    np.testing.assert_allclose(found.mean, expected.mean)
    np.testing.assert_allclose(found.half, expected.half)
    for k in range(2):
        low, high = stats.t.interval(0.95, 5, slopes[:, k].mean(), stats.sem(slopes[:, k]))
        np.testing.assert_allclose([found.low[k], found.high[k]], [low, high])


@pytest.mark.parametrize("missing", [np.nan, -np.inf])
def test_a_draw_with_a_value_missing_has_no_slope(missing):
    gaps = Y.copy()
    gaps[2, 0, 1] = missing
    found, without = slope_interval(X, gaps), slope_interval(X, Y[:, 1:])
    assert found.mean[1] == pytest.approx(without.mean[1])
    assert found.mean[0] == pytest.approx(slope_interval(X, Y).mean[0])
