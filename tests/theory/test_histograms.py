"""Predicted histograms against the distributions of SciPy and against drawn values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from glorot_jax.activations import ACTIVATIONS, slope
from glorot_jax.theory import histograms

EDGES = np.linspace(-1, 1, 41)
Q = np.geomspace(0.02, 2.0, 7)


def _shares(cumulative):
    """Of bins that count what lies outside in the outermost ones."""
    below = cumulative.copy()
    below[0], below[-1] = 0, 1
    return np.diff(below)


def test_a_mixture_is_the_mean_of_its_parts():
    expected = np.mean([_shares(stats.norm.cdf(EDGES, scale=np.sqrt(v))) for v in Q], axis=0)
    np.testing.assert_allclose(histograms.mixture_shares(Q, EDGES), expected, atol=1e-12)
    np.testing.assert_allclose(
        histograms.mixture_shares(np.tile(Q, (500, 1)), EDGES), expected, atol=1e-12
    )


def test_no_variance_is_a_point_in_the_bin_that_starts_at_zero():
    found = histograms.mixture_shares(np.array([0.0, 0.0]), EDGES)
    np.testing.assert_array_equal(found, np.arange(40) == 20)
    half = histograms.mixture_shares(np.array([0.0, 0.04]), EDGES)
    only = histograms.mixture_shares(np.array([0.04]), EDGES)
    np.testing.assert_allclose(half, found / 2 + only / 2)


INVERSES = {
    "tanh": np.arctanh,
    "softsign": lambda z: z / (1 - np.abs(z)),
    "sigmoid": lambda z: np.log(z / (1 - z)),
}


@pytest.mark.parametrize("name", INVERSES)
def test_activations_are_the_inverse_images_of_the_bins(name):
    with np.errstate(divide="ignore", invalid="ignore"):
        s = INVERSES[name](EDGES)
    low = 0.0 if name == "sigmoid" else -1.0
    s = np.where(low >= EDGES, -np.inf, s)
    expected = np.mean([_shares(stats.norm.cdf(s, scale=np.sqrt(q))) for q in Q], axis=0)
    found = histograms.activation_shares(ACTIVATIONS[name], Q, EDGES)
    np.testing.assert_allclose(found, expected, atol=1e-4 * expected.max())
    assert found.sum() == pytest.approx(1)


def test_activations_that_are_flat_or_turn():
    found = histograms.activation_shares(jax.nn.relu, Q, EDGES)
    positive = np.mean([stats.norm.cdf(EDGES, scale=np.sqrt(q)) for q in Q], axis=0)
    np.testing.assert_allclose(found, _shares(np.where(EDGES > 0, positive, 0)), atol=1e-4)
    found = histograms.activation_shares(jnp.square, Q, EDGES)
    chi_square = np.mean([stats.chi2.cdf(EDGES / q, df=1) for q in Q], axis=0)
    # The density of a square is infinite at 0, so a cell's straight line shows there.
    np.testing.assert_allclose(found, _shares(chi_square), atol=1e-3)


@pytest.mark.parametrize("name", ["tanh", "relu"])
def test_back_propagated_gradients_are_a_slope_times_a_gaussian(name):
    rng = np.random.default_rng(0)
    q, backprop = np.array([0.2, 3.0]), np.array([0.01, 0.05])
    found = histograms.backprop_variances(ACTIVATIONS[name], q, backprop)
    np.testing.assert_allclose(found.mean(axis=1), backprop, rtol=1e-6)
    draws = 100_000
    s = np.sqrt(q) * rng.normal(size=(draws, 2))
    slopes = np.asarray(slope(ACTIVATIONS[name], jnp.asarray(s, jnp.float32)), np.float64)
    ds = slopes * rng.normal(size=(draws, 2)) * np.sqrt(backprop / np.mean(slopes**2, axis=0))
    edges = np.linspace(-0.8, 0.8, 17)
    seen = np.histogram(ds, edges)[0] / ds.size
    error = np.sqrt(seen * (1 - seen) / ds.size)
    shares = histograms.mixture_shares(found, edges)
    # 64 quantiles cut the tails of s a little.
    assert (np.abs(shares - seen) < 4 * error + 0.003).all()
