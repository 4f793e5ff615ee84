"""The curvature estimate against NumPy, brute force and, where nothing is left out, the truth."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from glorot_jax.activations import ACTIVATIONS
from glorot_jax.data.stream import Batch
from glorot_jax.losses import LOSSES, cross_entropy
from glorot_jax.network import MLP, logits
from glorot_jax.training.curvature import LOGIT_CURVATURES, gauss_newton_diagonal, hessian_diagonal
from glorot_jax.training.update import mean_cost
from tests import numpy_net

SIZES = (4, 5, 3, 3)
CLOSE = {"rtol": 1e-4, "atol": 1e-7}
losses = pytest.mark.parametrize("loss", LOSSES)


def _model(activation="tanh", sizes=SIZES):
    return MLP(sizes[1:-1], sizes[-1], ACTIVATIONS[activation])


def _batch(seed=0, n=6, sizes=SIZES):
    return Batch(*map(jnp.asarray, numpy_net.random_examples(seed, n, sizes[0], sizes[-1])))


PARAMS = jax.tree.map(jnp.asarray, numpy_net.random_params(1, SIZES))
HESSIANS = jax.jit(jax.vmap(jax.hessian(cross_entropy)))
estimate = jax.jit(gauss_newton_diagonal, static_argnums=(0, 1))


def _numpy_logit_curvature(scores, loss):
    """Example by example and class by class."""
    p = numpy_net.softmax(scores)
    if loss == "cross_entropy":
        return p - p**2
    h = np.zeros_like(p)
    for e, j in np.ndindex(p.shape):
        for k in range(p.shape[1]):
            h[e, j] += 2 * (p[e, k] * ((k == j) - p[e, j])) ** 2
    return h


def _numpy_estimate(params, x, activation, loss):
    """LeCun et al.'s recursion, unit by unit."""
    _, slope = numpy_net.ACTIVATIONS[activation]
    s, z = numpy_net.forward(params, x, activation)
    layers = numpy_net.layers(params)
    h_s = _numpy_logit_curvature(s[-1], loss)
    found = []
    for i in reversed(range(len(layers))):
        kernel, bias = layers[i]
        h_kernel, h_bias = np.zeros_like(kernel), np.zeros_like(bias)
        h_z = np.zeros_like(z[i])
        for e in range(len(x)):
            for j, k in np.ndindex(kernel.shape):
                h_kernel[j, k] += z[i][e, j] ** 2 * h_s[e, k] / len(x)
                h_z[e, j] += kernel[j, k] ** 2 * h_s[e, k]
            h_bias += h_s[e] / len(x)
        found.insert(0, (h_kernel, h_bias))
        if i:
            h_s = slope(s[i - 1]) ** 2 * h_z
    return found


def test_every_loss_has_its_curvature():
    assert set(LOGIT_CURVATURES) == set(LOSSES.values())


@losses
@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "softsign"])
def test_estimate_is_the_recursion_in_numpy(activation, loss):
    batch = _batch()
    found = estimate(_model(activation), LOSSES[loss], PARAMS, batch)
    chex.assert_trees_all_equal_shapes_and_dtypes(found, PARAMS)
    expected = _numpy_estimate(PARAMS, batch.x, activation, loss)
    for ours, theirs in zip(numpy_net.layers(found), expected, strict=True):
        chex.assert_trees_all_close(ours, theirs, **CLOSE)


def test_logit_curvature_of_the_cross_entropy_is_exact():
    scores = np.random.default_rng(2).normal(0, 2, (5, 4)).astype(np.float32)
    for y in range(4):
        hessian = HESSIANS(scores, jnp.full(5, y))
        exact = jnp.diagonal(hessian, axis1=1, axis2=2)
        np.testing.assert_allclose(LOGIT_CURVATURES[cross_entropy](scores), exact, **CLOSE)


@losses
def test_logit_curvature_is_that_of_numpy_and_never_negative(loss):
    for scale in (1, 100):
        scores = np.random.default_rng(3).normal(0, scale, (50, 9)).astype(np.float32)
        found = LOGIT_CURVATURES[LOSSES[loss]](scores)
        expected = _numpy_logit_curvature(scores.astype(np.float64), loss)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
        assert np.min(found) >= -1e-12


def test_output_layer_is_exact():
    batch, model = _batch(), _model()

    def cost(output):
        return mean_cost(model, cross_entropy, {**PARAMS, "output": output}, batch)

    exact = jax.jit(lambda output: hessian_diagonal(cost, output))(PARAMS["output"])
    found = estimate(model, cross_entropy, PARAMS, batch)["output"]
    chex.assert_trees_all_close(found, exact, rtol=1e-4, atol=1e-6)


@losses
def test_one_unit_a_layer_leaves_out_only_what_couples_the_logits(loss):
    sizes = (3, 1, 1, 4)
    params = jax.tree.map(jnp.asarray, numpy_net.random_params(5, sizes))
    model, batch = _model(sizes=sizes), _batch(1, sizes=sizes)
    scores = np.asarray(logits(model, params, batch.x), np.float64)
    h = _numpy_logit_curvature(scores, loss)
    # J^T diag(h) J of each example, by brute force: J [example, class, ...parameter].
    jacobian = jax.jit(jax.jacobian(lambda p: logits(model, p, batch.x)))(params)
    expected = jax.tree.map(
        lambda j: np.einsum("ek...,ek->...", np.square(j), h) / len(h), jacobian
    )
    found = estimate(model, LOSSES[loss], params, batch)
    chex.assert_trees_all_close(found, expected, **CLOSE)


@losses
def test_hessian_diagonal_is_that_of_the_hessian(loss):
    batch, model = _batch(), _model()
    flat, unravel = jax.flatten_util.ravel_pytree(PARAMS)

    def cost(params):
        return mean_cost(model, LOSSES[loss], params, batch)

    found = jax.jit(lambda p: hessian_diagonal(cost, p))(PARAMS)
    chex.assert_trees_all_equal_shapes_and_dtypes(found, PARAMS)
    hessian = jax.jit(jax.hessian(lambda flat: cost(unravel(flat))))(flat)
    found, _ = jax.flatten_util.ravel_pytree(found)
    np.testing.assert_allclose(found, jnp.diagonal(hessian), rtol=1e-4, atol=1e-6)
    assert np.min(found) < 0  # so the estimate, which is never negative, is another thing


def test_members_at_once_are_as_alone():
    model, batch = _model(), _batch()
    several = [jax.tree.map(lambda leaf, c=c: leaf * c, PARAMS) for c in (0.5, 1.0, 2.0)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *several)

    def one(params):
        return gauss_newton_diagonal(model, cross_entropy, params, batch)

    for over in (jax.vmap(one), lambda stack: jax.lax.map(one, stack)):
        together = jax.jit(over)(stacked)
        for row, params in enumerate(several):
            ours = jax.tree.map(lambda leaf, row=row: leaf[row], together)
            alone = estimate(model, cross_entropy, params, batch)
            chex.assert_trees_all_close(ours, alone, **CLOSE)


def test_lowers_for_accelerators():
    program = jax.jit(lambda p, b: gauss_newton_diagonal(_model(), cross_entropy, p, b))
    jax.export.export(program, platforms=["cpu", "tpu", "cuda"])(PARAMS, _batch())


def test_a_loss_of_unknown_curvature_is_refused():
    def hinge(scores, labels):
        return scores[:, 0]

    with pytest.raises(ValueError, match=r"^loss: .*hinge.* is not one of .*cross_entropy, quad"):
        gauss_newton_diagonal(_model(), hinge, PARAMS, _batch())
