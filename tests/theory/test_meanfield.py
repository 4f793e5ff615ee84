"""Mean field against closed forms, SciPy's quadrature, its own iteration and measured networks."""

import itertools
from functools import partial

import chex
import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, optimize

from glorot_jax.activations import ACTIVATIONS, slope
from glorot_jax.data.stream import Batch
from glorot_jax.losses import cross_entropy
from glorot_jax.network import MLP
from glorot_jax.probes import gradients
from glorot_jax.theory import linear, meanfield

# Float32 sums of a hundred terms, and the quadrature.
RTOL = 1e-5
TANH, RELU, SOFTSIGN = (ACTIVATIONS[name] for name in ("tanh", "relu", "softsign"))


def erf(s):
    """An activation whose mean field has closed forms (Williams 1997)."""
    return jax.scipy.special.erf(s)


def erf_square(q, c=1.0):
    return 2 / np.pi * np.arcsin(2 * q * c / (1 + 2 * q))


def erf_slope_square(q):
    return 4 / np.pi / np.sqrt(1 + 4 * q)


def erf_fixed_point(sigma_w2, sigma_b2):
    return optimize.brentq(
        lambda q: sigma_w2 * erf_square(q) + sigma_b2 - q, 1e-9, sigma_w2 + sigma_b2 + 1, xtol=1e-14
    )


def by_scipy(function, q):
    def integrand(u):
        values = np.asarray(function(jnp.asarray(np.sqrt(q) * u, jnp.float32)), np.float64)
        return values * np.exp(-(u**2) / 2) / np.sqrt(2 * np.pi)

    panels = itertools.pairwise(np.linspace(-10, 10, 41))  # 0 is where two of them meet
    return sum(integrate.fixed_quad(integrand, *panel, n=20)[0] for panel in panels)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_integrals_agree_with_scipy(name):
    f = jax.jit(ACTIVATIONS[name])
    f_slope = jax.jit(partial(slope, ACTIVATIONS[name]))
    q = 1.7
    expected = 1.3 * by_scipy(lambda s: f(s) ** 2, q) + 0.2
    assert meanfield.variance_map(f, q, 1.3, 0.2) == pytest.approx(expected, rel=1e-4)
    expected = 1.3 * by_scipy(lambda s: f_slope(s) ** 2, q)
    assert meanfield.chi(f, q, 1.3) == pytest.approx(expected, rel=1e-4)


@hypothesis.given(st.floats(1e-4, 30))
def test_closed_forms_of_erf_and_relu(q):
    square = meanfield.variance_map(erf, q, 1.0, 0.0)
    assert square == pytest.approx(erf_square(q), rel=RTOL)
    assert meanfield.chi(erf, q, 1.0) == pytest.approx(erf_slope_square(q), rel=RTOL)
    assert meanfield.variance_map(RELU, q, 3.0, 0.5) == pytest.approx(1.5 * q + 0.5, rel=RTOL)
    assert meanfield.chi(RELU, q, 3.0) == pytest.approx(1.5, rel=RTOL)


def test_expectation_has_the_shape_of_q():
    q = jnp.array([[0.1, 1.0, 2.0], [3.0, 4.0, 5.0]])
    found = meanfield.expectation(jnp.square, q)
    chex.assert_shape(found, (2, 3))
    np.testing.assert_allclose(found, q, rtol=RTOL)


def test_correlation_maps_of_erf_and_relu_in_closed_form():
    c = np.linspace(-1, 1, 21)
    q = 2.5
    found = meanfield.correlation_map(erf, jnp.asarray(c, jnp.float32), q, 1.4, 0.3)
    expected = (1.4 * erf_square(q, c) + 0.3) / (1.4 * erf_square(q) + 0.3)
    np.testing.assert_allclose(found, expected, rtol=RTOL, atol=RTOL)
    # The arc-cosine kernel of degree 1 (Cho and Saul 2009).
    angle = np.arccos(c)
    found = meanfield.correlation_map(RELU, jnp.asarray(c, jnp.float32), q, 2.0, 0.0)
    np.testing.assert_allclose(
        found, (np.sin(angle) + (np.pi - angle) * c) / np.pi, rtol=RTOL, atol=RTOL
    )


@pytest.mark.parametrize(("sigma_w2", "sigma_b2"), [(1.5, 0.0), (3.0, 0.0), (0.5, 0.1), (9.0, 2.0)])
def test_fixed_point_and_phase_of_erf(sigma_w2, sigma_b2):
    q = erf_fixed_point(sigma_w2, sigma_b2)
    found = meanfield.fixed_point(erf, sigma_w2, sigma_b2)
    # The residual V(q) - q has float32's error; its slope turns that into an error of q.
    slack = RTOL * q / (1 - sigma_w2 * 4 / np.pi / (1 + 2 * q) / np.sqrt(1 + 4 * q))
    np.testing.assert_allclose(found, q, atol=slack, rtol=0)
    expected = "chaotic" if sigma_w2 * erf_slope_square(q) > 1 else "ordered"
    assert meanfield.phase(erf, sigma_w2, sigma_b2) == expected


@pytest.mark.parametrize("start", [0.01, 30.0])
def test_fixed_point_is_where_iteration_leads(start):
    q = np.float32(start)
    for _ in range(60):
        q = meanfield.variance_map(TANH, q, 2.0, 0.1)
    np.testing.assert_allclose(meanfield.fixed_point(TANH, 2.0, 0.1, start=start), q, rtol=1e-5)


def test_fixed_points_at_the_ends():
    assert meanfield.fixed_point(TANH, 0.9, 0.0) == 0
    assert meanfield.fixed_point(TANH, 1.0, 0.0) == 0
    assert meanfield.fixed_point(RELU, 1.9, 0.0) == 0
    assert meanfield.fixed_point(RELU, 2.1, 0.0) == np.inf
    assert meanfield.fixed_point(RELU, 2.0, 0.0, start=3.0) == 3
    assert meanfield.fixed_point(RELU, 1.0, 0.3) == pytest.approx(0.6, rel=RTOL)


@pytest.mark.parametrize(
    ("activation", "sigma_w"),
    [(TANH, 1), (SOFTSIGN, 1), (RELU, np.sqrt(2)), (erf, np.sqrt(np.pi) / 2)],
)
def test_known_critical_points_without_biases(activation, sigma_w):
    assert np.sqrt(meanfield.critical_sigma_w2(activation, 0.0)) == pytest.approx(sigma_w, rel=RTOL)
    assert meanfield.phase(activation, sigma_w**2, 0.0) == "critical"
    assert meanfield.phase(activation, 0.9 * sigma_w**2, 0.0) == "ordered"
    assert meanfield.phase(activation, 1.1 * sigma_w**2, 0.0) == "chaotic"


@pytest.mark.parametrize("sigma_b", [0.05, 0.3, 1.0])
def test_critical_line_of_erf(sigma_b):
    def excess(sigma_w2):
        return sigma_w2 * erf_slope_square(erf_fixed_point(sigma_w2, sigma_b**2)) - 1

    expected = np.sqrt(optimize.brentq(excess, 0.7, 20))
    # sigma_b^2 = q - E[f^2] / E[f'^2] is of order q^3 of a difference of terms of order q.
    assert np.sqrt(meanfield.critical_sigma_w2(erf, sigma_b**2)) == pytest.approx(
        expected, rel=1e-3
    )


def test_the_critical_line_is_its_points():
    sigma_b = np.array([0.0, 0.1, 1.0])
    each = [meanfield.critical_sigma_w2(SOFTSIGN, b**2) ** 0.5 for b in sigma_b]
    line = np.sqrt(meanfield.critical_line(SOFTSIGN, sigma_b**2))
    np.testing.assert_allclose(line, each, rtol=1e-5)
    line = np.sqrt(meanfield.critical_line(RELU, sigma_b**2))
    assert line[0] == pytest.approx(np.sqrt(2), rel=RTOL)
    assert np.isnan(line[1:]).all()
    at = jnp.asarray(np.array(each)[None] ** 2, jnp.float32)
    found = meanfield.chi_at_fixed_point(SOFTSIGN, at, jnp.asarray(sigma_b[None] ** 2, jnp.float32))
    assert found.shape == (1, 3)
    np.testing.assert_allclose(found, 1, rtol=1e-3)


def test_relu_with_biases_is_never_critical():
    with pytest.raises(ValueError, match=r"^sigma_b2: 0\.01 is critical for no sigma_w2"):
        meanfield.critical_sigma_w2(RELU, 0.01)


def test_depth_scales_are_those_of_the_iteration():
    sigma_w2, sigma_b2 = 2.5, 0.1
    scales = meanfield.depth_scales(TANH, sigma_w2, sigma_b2)
    q_star = meanfield.fixed_point(TANH, sigma_w2, sigma_b2)
    c_star = meanfield.correlation_fixed_point(TANH, q_star, sigma_w2, sigma_b2)
    assert 0 < c_star < 1
    assert meanfield.correlation_map(TANH, c_star, q_star, sigma_w2, sigma_b2) == pytest.approx(
        float(c_star), abs=RTOL
    )
    q = q_star * 1.02
    ratio = (meanfield.variance_map(TANH, q, sigma_w2, sigma_b2) - q_star) / (q - q_star)
    # A step of 2% sees the map's curvature to about 2%.
    assert -1 / np.log(ratio) == pytest.approx(float(scales.variance), rel=0.03)
    c = c_star + 0.01
    c_next = meanfield.correlation_map(TANH, c, q_star, sigma_w2, sigma_b2)
    ratio = (c_next - c_star) / (c - c_star)
    assert -1 / np.log(ratio) == pytest.approx(float(scales.correlation), rel=0.1)
    chi = meanfield.chi(TANH, q_star, sigma_w2)
    assert chi > 1
    assert scales.gradient == pytest.approx(1 / np.log(chi), rel=RTOL)


def test_depth_scales_diverge_at_the_critical_line():
    """Schoenholz et al. 2017: from both sides, like one over the distance to the line."""
    sigma_b = 0.2
    critical = np.sqrt(meanfield.critical_sigma_w2(TANH, sigma_b**2))
    for side in (-1, 1):
        far, near = (
            meanfield.depth_scales(TANH, (critical * (1 + side * distance)) ** 2, sigma_b**2)
            for distance in (0.02, 0.002)
        )
        for name in ("correlation", "gradient"):
            ratio = getattr(near, name) / getattr(far, name)
            assert 7 < ratio < 13, f"{name}, side {side}"
        # Amplitudes settle as fast as anywhere: no divergence in q.
        assert near.variance < 2 * far.variance


@pytest.mark.parametrize(
    ("activation", "sigma_w2", "factor"),
    [
        (TANH, 1 / 3, 1 / 3),
        (TANH, 1.0, 1.0),
        (RELU, 1.5, 0.75),
        (RELU, 2.0, 1.0),
        (RELU, 2.5, 1.25),
    ],
)
def test_depth_scales_without_biases(activation, sigma_w2, factor):
    """Signals and gradients change alike; correlations slower than any exponential."""
    found = meanfield.depth_scales(activation, sigma_w2, 0.0)
    expected = np.inf if factor == 1 else 1 / abs(np.log(factor))
    assert found.variance == pytest.approx(expected, rel=RTOL)
    assert found.gradient == pytest.approx(expected, rel=RTOL)
    assert np.isinf(found.correlation)


def test_linear_predictions_are_those_of_the_linear_regime():
    sizes, variances = [20, 30, 40, 50, 7], [0.02, 0.03, 0.01, 0.04]
    x, g = np.array([0.5, 2.0]), np.array([0.3, 0.1])
    found = meanfield.predict_signals(
        lambda s: s, sizes, variances, input_mean_squares=x, output_gradient_mean_squares=g
    )
    each = [
        linear.predict(sizes, variances, input_variance=a, output_gradient_variance=b)
        for a, b in zip(x, g, strict=True)
    ]
    for name in ("activation", "backprop", "weight_gradient"):
        expected = np.mean([getattr(one, name) for one in each], axis=0)
        np.testing.assert_allclose(getattr(found, name), expected, rtol=RTOL)
    np.testing.assert_allclose(found.preactivation.mean(axis=1), found.activation, rtol=RTOL)


@pytest.mark.parametrize("variances", [[0.1, 0.2], [0.1] * 4], ids=len)
def test_one_weight_variance_per_layer(variances):
    with pytest.raises(ValueError, match=rf"^weight_variances: {len(variances)} given, 3 layers"):
        meanfield.predict_signals(
            TANH,
            [2, 3, 5, 7],
            variances,
            input_mean_squares=np.ones(1),
            output_gradient_mean_squares=1.0,
        )


SIZES, SEEDS = (120, 200, 150, 200, 10), 60


def _measured(activation, variances, x):
    rng = np.random.default_rng(0)
    names = [*(f"hidden_{layer:02d}" for layer in range(1, len(SIZES) - 1)), "output"]
    fans = list(itertools.pairwise(SIZES))
    params = {
        name: {
            "kernel": rng.uniform(-1, 1, (SEEDS, *fan)).astype(np.float32)
            * np.float32(np.sqrt(3 * variance)),
            "bias": np.zeros((SEEDS, fan[1]), np.float32),
        }
        for name, variance, fan in zip(names, variances, fans, strict=True)
    }
    batch = Batch(x, rng.integers(SIZES[-1], size=len(x), dtype=np.int32))
    model = MLP(SIZES[1:-1], SIZES[-1], activation)

    def one_seed(params):
        found = gradients(model, params, batch, cross_entropy)
        s, z, ds = (
            jnp.stack([jnp.mean(jnp.square(layer), axis=1) for layer in layers])
            for layers in (found.flow.s[:-1], found.flow.z, found.ds)
        )
        mean = jnp.stack([jnp.mean(layer, axis=1) for layer in found.flow.z[1:]])
        return {
            "preactivation": s,
            "activation_mean_square": z[1:],
            "backprop": ds[:-1],
            "weight_gradient": z[:-1] * ds[:-1],
        }, (ds[-1], mean)

    return jax.tree.map(np.asarray, jax.jit(partial(jax.lax.map, one_seed))(params))


@pytest.mark.parametrize("name", ["tanh", "softsign", "sigmoid", "relu"])
def test_networks_show_what_is_predicted(name):
    rng = np.random.default_rng(1)
    # Examples as different as images are: their mean squares span a factor of 30.
    size = np.geomspace(0.5, np.sqrt(8), 30, dtype=np.float32)[:, None]
    x = size * rng.uniform(-1, 1.5, (30, SIZES[0])).astype(np.float32)
    variances = [2 / sum(fan) for fan in itertools.pairwise(SIZES)]
    seen, (output, mean) = _measured(ACTIVATIONS[name], variances, x)
    predicted = meanfield.predict_signals(
        ACTIVATIONS[name],
        SIZES,
        variances,
        input_mean_squares=np.mean(x**2, axis=1),
        output_gradient_mean_squares=output.mean(axis=0),
    )
    # Mean field is the first term of a series in depth / width.
    finite_width = sum(1 / n for n in SIZES[1:-1])
    expected = predicted._replace(preactivation=predicted.preactivation.mean(axis=1))
    for quantity, values in seen.items():
        by_seed = values.mean(axis=2)
        average = by_seed.mean(axis=0)
        error = by_seed.std(axis=0, ddof=1) / np.sqrt(SEEDS) / average
        assert error.max() < 0.03, f"{quantity}: too few seeds to tell"
        off = np.abs(average / getattr(expected, quantity) - 1)
        assert (off < 4 * error + finite_width).all(), (quantity, off, error)
    variance = seen["activation_mean_square"].mean(axis=(0, 2)) - mean.mean(axis=(0, 2)) ** 2
    np.testing.assert_allclose(predicted.activation, variance, rtol=0.08)


def test_one_variance_for_all_examples_is_wrong():
    """The reason for predicting example by example: the error exceeds what is asked, 1.5%."""
    x = np.geomspace(0.1, 3.0, 30)
    arguments = (TANH, [100, 100, 100, 9], [0.01, 0.01, 0.01])
    each, mean = (
        meanfield.predict_signals(
            *arguments, input_mean_squares=squares, output_gradient_mean_squares=1.0
        ).activation
        for squares in (x, x.mean(keepdims=True))
    )
    assert (mean / each > 1.015).all()
