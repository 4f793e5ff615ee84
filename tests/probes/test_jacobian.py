"""Layer Jacobians against forward-mode autodiff, singular values against NumPy and the oracle."""

from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from glorot_jax.activations import ACTIVATIONS
from glorot_jax.network import MLP
from glorot_jax.probes import layer_jacobians, singular_values
from glorot_jax.theory import quarter_circle_mean
from tests import numpy_net

SIZES = (6, 9, 4, 4, 3)
N = 5
X, _ = numpy_net.random_examples(0, N, SIZES[0], SIZES[-1])
STACKED = jax.tree.map(
    lambda *leaves: np.stack(leaves), *[numpy_net.random_params(seed, SIZES) for seed in range(2)]
)


def _member(index):
    return jax.tree.map(lambda leaf: leaf[index], STACKED)


def _model(activation):
    return MLP(SIZES[1:-1], SIZES[-1], ACTIVATIONS[activation])


def _by_jacfwd(activation):
    """dz_out / dz_in of each hidden layer and example, [n, out, in], from the layer alone."""
    _, z = numpy_net.forward(_member(0), X, activation)
    found = []
    for (kernel, bias), below in zip(numpy_net.layers(_member(0))[:-1], z[:-1], strict=True):
        kernel, bias, below = (a.astype(np.float32) for a in (kernel, bias, below))

        def layer(z, kernel=kernel, bias=bias):
            return ACTIVATIONS[activation](z @ kernel + bias)

        found.append(np.asarray(jax.jit(jax.vmap(jax.jacfwd(layer)))(below)))
    return found


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "softsign"])
def test_jacobians_and_singular_values(activation):
    model, expected = _model(activation), _by_jacfwd(activation)
    found = jax.jit(partial(layer_jacobians, model))(_member(0), X)
    chex.assert_shape(found, [(N, 6, 9), (N, 9, 4), (N, 4, 4)])
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, np.swapaxes(theirs, 1, 2), rtol=1e-4, atol=1e-6)
    values = np.asarray(jax.jit(partial(singular_values, model))(_member(0), X))
    # 6 x 9, 9 x 4 and 4 x 4 matrices have 6, 4 and 4 singular values: the rest is NaN.
    assert values.shape == (3, N, 6)
    for layer, rank in enumerate((6, 4, 4)):
        svd = np.linalg.svd(expected[layer].astype(float), compute_uv=False)
        # A singular value is known to the rounding of the largest.
        np.testing.assert_allclose(values[layer, :, :rank], svd, rtol=1e-4, atol=1e-5)
        assert np.isnan(values[layer, :, rank:]).all()
        assert (np.diff(values[layer, :, :rank], axis=1) <= 0).all()


@pytest.mark.parametrize("n_var", [1 / 3, 1.0], ids=["standard", "normalized"])
def test_mean_singular_value_of_a_square_layer_is_the_oracle(n_var):
    n, rng = 300, np.random.default_rng(0)
    bound = np.sqrt(3 * n_var / n)
    kernel = rng.uniform(-bound, bound, (n, n)).astype(np.float32)
    params = {
        "hidden_01": {"kernel": kernel, "bias": np.zeros(n, np.float32)},
        "output": {"kernel": np.zeros((n, 2), np.float32), "bias": np.zeros(2, np.float32)},
    }
    model = MLP((n,), 2, lambda s: s)
    x = rng.uniform(-1, 1, (1, n)).astype(np.float32)
    found = float(jax.jit(partial(singular_values, model))(params, x).mean())
    # A sum over the spectrum of a random matrix varies by O(1) units, not sqrt(n): its mean by 1/n.
    assert found == pytest.approx(quarter_circle_mean(n_var), rel=3 / n)


def test_vmap_over_seeds_and_one_trace():
    probe = partial(singular_values, _model("tanh"))
    once = chex.assert_max_traces(lambda params, x: probe(params, x), n=1)
    over_seeds = jax.jit(jax.vmap(once, in_axes=(0, None)))
    together = over_seeds(STACKED, X)
    over_seeds(jax.tree.map(lambda leaf: 2 * leaf, STACKED), X)
    for seed in range(2):
        alone = jax.jit(probe)(_member(seed), X)
        np.testing.assert_allclose(together[seed], alone, rtol=1e-4, atol=1e-5)


def test_gradient_of_squared_singular_values_of_a_linear_layer():
    model, params = MLP(SIZES[1:-1], SIZES[-1], lambda s: s), _member(0)

    def total(params):
        return jnp.nansum(jnp.square(singular_values(model, params, X)))

    gradient = jax.jit(jax.grad(total))(params)
    # The squares sum to the squared entries of W, once an example: the derivative is 2 n W.
    for name in ("hidden_01", "hidden_02", "hidden_03"):
        expected = 2 * N * params[name]["kernel"]
        np.testing.assert_allclose(gradient[name]["kernel"], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("probe", [layer_jacobians, singular_values], ids=lambda f: f.__name__)
def test_lowers_for_accelerators(probe):
    program = jax.jit(partial(probe, _model("tanh")))
    jax.export.export(program, platforms=["tpu", "cuda"])(_member(0), X)
