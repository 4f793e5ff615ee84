"""Intervals against SciPy's."""

import numpy as np
import pytest
from scipy import stats

from glorot_jax.confidence import mean_interval, slope_interval, spread_of_mean

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


def test_the_spread_over_seeds_alone_is_students():
    values = RNG.normal(0.1, 1, 7)
    spread = spread_of_mean(values)
    assert spread.error == pytest.approx(stats.sem(values))
    low, high = stats.t.interval(0.95, 6, values.mean(), stats.sem(values))
    assert 2 * spread.half() == pytest.approx(high - low)
    assert spread.p(values.mean()) == pytest.approx(stats.ttest_1samp(values, 0).pvalue)


def test_the_spread_over_seeds_and_examples_is_that_of_a_two_way_layout():
    """By the sums of squares of an analysis of variance."""
    values = RNG.normal(size=(4, 30)) + RNG.normal(size=(4, 1)) + 0.5 * RNG.normal(size=(1, 30))
    rows, columns = values.shape
    mean = values.mean()
    of_rows = columns * np.sum((values.mean(axis=1) - mean) ** 2)
    of_columns = rows * np.sum((values.mean(axis=0) - mean) ** 2)
    rest = np.sum((values - mean) ** 2) - of_rows - of_columns
    squares = of_rows / (rows - 1) + of_columns / (columns - 1)
    squares -= rest / ((rows - 1) * (columns - 1))
    assert spread_of_mean(values).error == pytest.approx(np.sqrt(squares / values.size))


@pytest.mark.parametrize(("of_seeds", "of_examples"), [(0.02, 0.0), (0.02, 0.3), (0.0, 0.3)])
def test_its_interval_holds_the_mean_as_often_as_it_says(of_seeds, of_examples):
    random = np.random.default_rng(1)
    shape = (400, 5, 300)
    values = (
        of_seeds * random.normal(size=(400, 5, 1))
        + of_examples * random.normal(size=(400, 1, 300))
        + 0.3 * random.normal(size=shape)
    )
    inside = np.mean([abs(one.mean()) <= spread_of_mean(one).half() for one in values])
    # 400 draws: 0.95 less three standard errors. It may be too wide, by what chance clips.
    assert inside >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 400)
    if of_seeds:
        assert inside < 0.995
