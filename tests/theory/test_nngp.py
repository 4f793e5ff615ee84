"""Pairs of examples against closed forms, the diagonal's own theory and networks."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from glorot_jax.activations import ACTIVATIONS
from glorot_jax.theory import histograms, meanfield, nngp

SIZES = (30, 200, 150, 200, 10)
FANS = list(itertools.pairwise(SIZES))


def _covariance(n=6):
    """Of examples as different in size as images are, some of them close to each other."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 8)) * np.geomspace(0.3, 3, n)[:, None]
    x[1] = 0.5 * x[0] + 0.05 * rng.normal(size=8)
    return x @ x.T / 8


def test_moments_with_closed_forms():
    covariance = _covariance()
    q = np.diagonal(covariance)
    scale = np.sqrt(np.outer(q, q))
    angle = np.arccos(np.clip(covariance / scale, -1, 1))
    for function, expected, rtol in (
        (lambda s: s, covariance, 1e-6),
        (jnp.sin, np.exp(-(q[:, None] + q) / 2) * np.sinh(covariance), 1e-5),
        # Cho and Saul 2009, degrees 1 and 0: a kink and a step.
        (
            jax.nn.relu,
            scale * (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / (2 * np.pi),
            1e-4,
        ),
        (lambda s: jnp.where(s > 0, 1.0, 0.0), (np.pi - angle) / (2 * np.pi), 0.01),
    ):
        found = nngp.pair_moments(function, covariance)
        np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol * np.abs(expected).max())


@pytest.mark.parametrize("name", ["tanh", "softsign", "sigmoid", "relu"])
def test_the_diagonal_is_what_single_examples_show(name):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(5, SIZES[0])) * np.geomspace(0.3, 3, 5)[:, None]
    gradients = rng.normal(size=(4, 5, SIZES[-1]))
    variances = [1 / fan[0] for fan in FANS]
    found = nngp.predict_kernels(
        ACTIVATIONS[name], SIZES, variances, inputs=x, output_gradients=gradients
    )
    single = meanfield.predict_signals(
        ACTIVATIONS[name],
        SIZES,
        variances,
        input_mean_squares=jnp.asarray((x**2).mean(axis=1), jnp.float32),
        output_gradient_mean_squares=jnp.asarray((gradients**2).mean(axis=(0, 2)), jnp.float32),
    )
    q, z, _, ds = (np.diagonal(kernel, axis1=1, axis2=2) for kernel in found)
    np.testing.assert_allclose(q, single.preactivation, rtol=1e-4)
    np.testing.assert_allclose(z[1:].mean(axis=1), single.activation_mean_square, rtol=1e-4)
    np.testing.assert_allclose(ds.mean(axis=1), single.backprop, rtol=1e-4)
    np.testing.assert_allclose((z[:-1] * ds).mean(axis=1), single.weight_gradient, rtol=1e-4)


def _backward(f, slope, x, targets, rng):
    """dC/dW of the mean cost and dC/ds at the logits of one random net, in NumPy."""
    z, slopes, weights = [x], [], []
    for n_in, n_out in FANS:
        weights.append(rng.uniform(-1, 1, (n_in, n_out)) * np.sqrt(3 / n_in))
        s = z[-1] @ weights[-1]
        z.append(f(s))
        slopes.append(slope(s))
    odds = np.exp(s - s.max(axis=1, keepdims=True))
    output = odds / odds.sum(axis=1, keepdims=True) - targets
    ds, dw = output, []
    for layer in range(len(FANS) - 2, -1, -1):
        ds = ds @ weights[layer + 1].T * slopes[layer]
        dw.insert(0, z[layer].T @ ds / len(x))
    return dw, output


UNITS = {
    "tanh": (np.tanh, lambda s: 1 - np.tanh(s) ** 2),
    "sigmoid": (lambda s: 1 / (1 + np.exp(-s)), lambda s: np.exp(-s) / (1 + np.exp(-s)) ** 2),
}


@pytest.mark.parametrize("name", UNITS)
def test_the_gradient_of_a_batch_is_as_predicted(name):
    rng = np.random.default_rng(2)
    seeds, examples = 60, 12
    # Examples with a common part, as images have: their gradients neither agree nor cancel.
    x = rng.normal(size=(examples, SIZES[0])) + rng.normal(size=SIZES[0])
    targets = np.eye(SIZES[-1])[rng.integers(SIZES[-1], size=examples)]
    drawn = [_backward(*UNITS[name], x, targets, rng) for _ in range(seeds)]
    squares = np.array([[np.mean(dw**2) for dw in layers] for layers, _ in drawn])
    found = nngp.predict_kernels(
        ACTIVATIONS[name],
        SIZES,
        [1 / fan[0] for fan in FANS],
        inputs=x,
        output_gradients=np.array([output for _, output in drawn]),
    )
    error = squares.std(axis=0, ddof=1) / np.sqrt(seeds)
    predicted = nngp.batch_gradient_variances(found)
    assert (error < 0.1 * predicted).all(), "too few seeds to tell"
    finite_width = sum(1 / n for n in SIZES[1:-1]) * predicted
    assert (np.abs(squares.mean(axis=0) - predicted) < 4 * error + finite_width).all()
    for layer in range(len(SIZES) - 2):
        mixture = nngp.batch_gradient_mixture(ACTIVATIONS[name], found, x, layer)
        assert mixture.mean() == pytest.approx(predicted[layer])
        # Shares beyond one and two standard deviations tell a mixture from one Gaussian.
        std = np.sqrt(predicted[layer])
        edges = std * np.array([-99, -2, -1, 0, 1, 2, 99])
        shares = histograms.mixture_shares(mixture, edges)
        by_seed = np.array([np.histogram(dw[layer], edges)[0] / dw[layer].size for dw, _ in drawn])
        spread = by_seed.std(axis=0, ddof=1) / np.sqrt(seeds)
        off = np.abs(by_seed.mean(axis=0) - shares)
        assert (off < 4 * spread + sum(1 / n for n in SIZES[1:-1]) * shares).all(), (layer, off)
