"""Spectra against closed forms of random-matrix theory and decompositions of random matrices."""

import math

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate

from glorot_jax.activations import ACTIVATIONS, slope
from glorot_jax.theory import linear, meanfield, spectrum

TANH, RELU, SOFTSIGN = (ACTIVATIONS[name] for name in ("tanh", "relu", "softsign"))
WIDTH, DRAWS = 300, 4


def identity(s):
    return s


def drawn(activation, q, sigma_w2, *, depth=1, weights="gaussian", shape=(WIDTH, WIDTH)):
    """Singular values [draws, k] of products of layers of real matrices."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(DRAWS):
        product = np.eye(shape[0])
        for _ in range(depth):
            if weights == "orthogonal":
                w, _ = np.linalg.qr(rng.normal(size=shape))
            else:  # uniform, as the paper's: only the variance counts
                w = rng.uniform(-1, 1, shape) * np.sqrt(3 / shape[0])
            s = np.sqrt(q) * rng.normal(size=shape[1])
            slopes = np.asarray(slope(activation, s.astype(np.float32)), np.float64)
            product = product @ (np.sqrt(sigma_w2) * w * slopes)
        found.append(np.linalg.svd(product, compute_uv=False))
    return np.array(found)


@hypothesis.given(st.floats(0.01, 10), st.floats(0.01, 100))
@hypothesis.settings(max_examples=10)
def test_a_linear_gaussian_layer_has_the_mean_of_the_quarter_circle(sigma_w2, q):
    found = spectrum.mean_singular_value(identity, q, sigma_w2)
    assert found == pytest.approx(8 / (3 * np.pi) * np.sqrt(sigma_w2), rel=1e-9)
    assert found == pytest.approx(linear.quarter_circle_mean(sigma_w2), rel=1e-9)


def test_mean_singular_values_with_closed_forms():
    for depth in (1, 2, 3, 5):
        # E[x^(1/2)] of the Fuss-Catalan law: its moments at a fractional order.
        half = 0.5 * (depth + 1)
        moment = math.gamma(half + 1) / (math.gamma(1.5) * math.gamma(half - 0.5 + 2))
        assert spectrum.mean_singular_value(identity, 1.0, 1.0, depth=depth) == pytest.approx(
            moment, rel=1e-6
        )
        found = spectrum.mean_singular_value(identity, 1.0, 4.0, depth=depth, weights="orthogonal")
        assert found == pytest.approx(2.0**depth, rel=1e-9)
    # A rotated diagonal has that diagonal for singular values.
    found = spectrum.mean_singular_value(TANH, 0.8, 1.0, weights="orthogonal")
    mean_slope = meanfield.expectation(lambda s: slope(TANH, s), 0.8)
    assert found == pytest.approx(float(mean_slope), rel=1e-4)
    # Half of relu's units are off: a matrix of half as many columns, and zeros for the rest.
    found = spectrum.mean_singular_value(RELU, 1.0, 2.0)
    half = spectrum.mean_singular_value(identity, 1.0, 2.0, aspect=0.5)
    assert found == pytest.approx(half / 2, rel=1e-6)


def marchenko_pastur_mean(aspect):
    """E[sqrt(x)] over the nonzero eigenvalues of W W^T or W^T W, n_in Var[W] = 1."""
    low, high = (1 - np.sqrt(aspect)) ** 2, (1 + np.sqrt(aspect)) ** 2

    def weighted(x):
        return np.sqrt((high - x) * (x - low)) / (2 * np.pi * aspect * x) * np.sqrt(x)

    return integrate.quad(weighted, low, high)[0] / min(1, 1 / aspect)


@pytest.mark.parametrize("aspect", [0.3, 0.9, 1.0, 1.1, 3.0])
def test_rectangular_layers_follow_marchenko_and_pastur(aspect):
    found = spectrum.mean_singular_value(identity, 1.0, 1.0, aspect=aspect)
    assert found == pytest.approx(marchenko_pastur_mean(aspect), rel=1e-5)


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("weights", spectrum.WEIGHTS)
@pytest.mark.parametrize("activation", [TANH, SOFTSIGN, RELU], ids=["tanh", "softsign", "relu"])
def test_real_matrices_have_the_spectrum_predicted(activation, weights, depth):
    q, sigma_w2 = 0.7, 1.2
    options = {"depth": depth, "weights": weights}
    seen = drawn(activation, q, sigma_w2, **options)
    # A layer's mean slope alone is known to one over the root of its units; take three errors of
    # the average over draws, the coefficient of variation of a slope being below 1.
    tolerance = 3 * np.sqrt(depth / (WIDTH * DRAWS))
    mean = spectrum.mean_singular_value(activation, q, sigma_w2, **options)
    assert mean == pytest.approx(seen.mean(), rel=tolerance)
    moments = spectrum.squared_moments(activation, q, sigma_w2, **options)
    assert moments.mean == pytest.approx(np.mean(seen**2), rel=2 * tolerance)
    assert moments.variance == pytest.approx(np.var(seen**2), rel=6 * tolerance)
    edge = spectrum.largest_singular_value(activation, q, sigma_w2, **options)
    # Edges of square matrices fluctuate as n^(-2/3).
    assert edge == pytest.approx(seen.max(axis=1).mean(), rel=2 * WIDTH ** (-2 / 3) + tolerance)


def test_a_rectangular_layer_of_the_paper():
    seen = drawn(TANH, 0.5, 1.0, shape=(200, 300))
    found = spectrum.mean_singular_value(TANH, 0.5, 1.0, aspect=1.5)
    assert found == pytest.approx(seen.mean(), rel=3 / np.sqrt(300 * DRAWS))


def test_density_of_one_linear_layer_is_the_quarter_circle():
    x = np.linspace(0.05, 2.2, 40)
    found = spectrum.density(identity, 1.0, 1.0, x, resolution=1e-3)
    expected = np.sqrt(np.clip(4 - x**2, 0, None)) / np.pi
    # Seen through a Lorentzian; a square-root edge loses the root of the resolution.
    away = np.abs(x - 2) > 0.05
    np.testing.assert_allclose(found.value[away], expected[away], atol=0.01)
    assert found.at_zero == 0


@pytest.mark.parametrize("depth", [2, 3])
def test_density_of_a_product_of_linear_layers_is_fuss_catalan(depth):
    """In the angle that makes it elementary (Haagerup and Moller 2013)."""
    angle = np.linspace(0.3, 0.9 * np.pi / (depth + 1), 12)
    squared = np.sin((depth + 1) * angle) ** (depth + 1) / (
        np.sin(angle) * np.sin(depth * angle) ** depth
    )
    value = np.sin(angle) ** 2 * np.sin(depth * angle) ** (depth - 1)
    value /= np.pi * np.sin((depth + 1) * angle) ** depth
    x = np.sqrt(squared)
    found = spectrum.density(identity, 1.0, 1.0, x, depth=depth, resolution=1e-4)
    np.testing.assert_allclose(found.value, 2 * x * value, rtol=0.01)
    edge = spectrum.largest_singular_value(identity, 1.0, 1.0, depth=depth)
    assert edge**2 == pytest.approx((depth + 1) ** (depth + 1) / depth**depth, rel=1e-5)


@pytest.mark.parametrize(
    ("activation", "weights", "depth"),
    [(TANH, "gaussian", 1), (TANH, "orthogonal", 3), (RELU, "gaussian", 2)],
)
def test_density_agrees_with_a_histogram(activation, weights, depth):
    q, sigma_w2 = 0.7, 1.2
    seen = drawn(activation, q, sigma_w2, depth=depth, weights=weights)
    edges = np.linspace(0.1, 1.0, 6) * seen.max()
    x = np.linspace(edges[0], edges[-1], 101)
    found = spectrum.density(activation, q, sigma_w2, x, depth=depth, weights=weights)
    shares = [
        integrate.trapezoid(found.value[i : i + 21], x[i : i + 21]) for i in range(0, 100, 20)
    ]
    measured = np.histogram(seen, edges)[0] / seen.size
    # Eigenvalues repel, but the slopes are drawn: at most a binomial error.
    error = np.sqrt(measured * (1 - measured) / seen.size)
    assert (np.abs(shares - measured) < 4 * error + 1 / WIDTH).all(), (shares, measured)
    exact_zeros = 0.5 if activation is RELU else 0.0
    assert found.at_zero == exact_zeros


def test_dynamical_isometry_of_orthogonal_linear_and_tanh_nets_but_not_relu():
    """Pennington et al. 2017: at criticality, is the variance of x bounded whatever the depth?"""
    depth = 100

    def variance(activation, sigma_b, weights):
        sigma_w2 = meanfield.critical_sigma_w2(activation, sigma_b**2)
        q = float(meanfield.fixed_point(activation, sigma_w2, sigma_b**2))
        found = spectrum.squared_moments(activation, q, sigma_w2, depth=depth, weights=weights)
        assert found.mean == pytest.approx(1, rel=0.01)
        return found.variance

    assert variance(identity, 0.0, "orthogonal") == pytest.approx(0, abs=1e-9)
    # tanh: q* falls with sigma_b along the critical line, and the variance with it, at any depth.
    tanh = [variance(TANH, sigma_b, "orthogonal") for sigma_b in (0.1, 0.01, 1e-3)]
    assert tanh[0] > 4 * tanh[1] > 16 * tanh[2]
    assert tanh[2] < 1
    assert variance(RELU, 0.0, "orthogonal") == pytest.approx(depth, rel=0.01)
    for activation, sigma_b in ((identity, 0.0), (TANH, 1e-3), (RELU, 0.0)):
        assert variance(activation, sigma_b, "gaussian") >= depth * (1 - 1e-6)


def test_what_cannot_be_asked():
    with pytest.raises(ValueError, match=r"^weights: uniform is not one of gaussian, orthogonal$"):
        spectrum.mean_singular_value(TANH, 1.0, 1.0, weights="uniform")
    with pytest.raises(ValueError, match=r"^depth: 0 is not a positive number of layers$"):
        spectrum.squared_moments(TANH, 1.0, 1.0, depth=0)
    with pytest.raises(ValueError, match=r"^aspect: 2 needs depth 1 and gaussian weights$"):
        spectrum.mean_singular_value(TANH, 1.0, 1.0, depth=2, aspect=2)
    with pytest.raises(ValueError, match=r"^x: -1\.0 is not positive$"):
        spectrum.density(TANH, 1.0, 1.0, np.array([-1.0, 1.0]))


def test_fewer_quantiles_give_nearly_the_same_density():
    x = np.linspace(0.05, 1.5, 20)
    fine, coarse = (spectrum.density(TANH, 0.3, 1.0, x, units=n).value for n in (1000, 100))
    np.testing.assert_allclose(coarse, fine, atol=0.02 * fine.max())


def test_units_without_a_slope_pass_nothing_on():
    assert spectrum.mean_singular_value(jnp.sign, 1.0, 1.0) == 0


def test_slopes_are_those_of_the_quantiles():
    found = spectrum.slopes(jax.nn.relu, 2.0, units=10)
    np.testing.assert_array_equal(found, [0] * 5 + [1] * 5)
