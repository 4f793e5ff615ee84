"""One update against one step of SGD in NumPy."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from glorot_jax.activations import ACTIVATIONS
from glorot_jax.data.stream import Batch
from glorot_jax.losses import LOSSES
from glorot_jax.network import MLP
from glorot_jax.training.update import Member, make_update, mean_cost
from tests import numpy_net

SIZES = (6, 9, 5, 3)
BATCH = Batch(*numpy_net.random_examples(0, 10, SIZES[0], SIZES[-1]))
RATE = 0.3


def _member(params, make_optimizer, rate=RATE):
    rate = jnp.asarray(rate, jnp.float32)
    return Member(params, make_optimizer(rate).init(params), rate, jnp.asarray(4, jnp.int32))


def _model(activation):
    return MLP(SIZES[1:-1], SIZES[-1], ACTIVATIONS[activation])


def _numpy_step(params, activation, loss, rate=RATE):
    """W -= rate * mean gradient, b likewise."""
    _, dw, db = numpy_net.backprop(params, *BATCH, activation, loss)
    return [
        (kernel - rate * d_kernel, bias - rate * d_bias)
        for (kernel, bias), d_kernel, d_bias in zip(numpy_net.layers(params), dw, db, strict=True)
    ]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "softsign"])
def test_an_update_is_a_step_of_sgd(activation, loss):
    params = numpy_net.random_params(1, SIZES)
    before = _member(params, optax.sgd)
    update = make_update(_model(activation), LOSSES[loss], optax.sgd)
    after = jax.jit(update)(before, BATCH)
    expected = _numpy_step(params, activation, loss)
    for ours, theirs in zip(numpy_net.layers(after.params), expected, strict=True):
        chex.assert_trees_all_close(ours, theirs, rtol=1e-5, atol=1e-6)
    chex.assert_trees_all_equal(after._replace(params=None), before._replace(params=None))
    chex.assert_trees_all_equal_shapes_and_dtypes(after.params, params)


@pytest.mark.parametrize("loss", LOSSES)
def test_mean_cost_is_that_of_numpy(loss):
    params = numpy_net.random_params(1, SIZES)
    s, _ = numpy_net.forward(params, BATCH.x, "tanh")
    expected = numpy_net.costs(s[-1], BATCH.y, loss).mean()
    found = jax.jit(lambda p: mean_cost(_model("tanh"), LOSSES[loss], p, BATCH))(params)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_every_member_has_its_own_rate_in_one_program():
    params = numpy_net.random_params(1, SIZES)
    update = make_update(_model("tanh"), LOSSES["cross_entropy"], optax.sgd)
    once = jax.jit(chex.assert_max_traces(lambda member, batch: update(member, batch), n=1))
    for rate in (0.0, 0.01, 1.0):
        after = once(_member(params, optax.sgd, rate), BATCH)
        expected = _numpy_step(params, "tanh", "cross_entropy", rate)
        for ours, theirs in zip(numpy_net.layers(after.params), expected, strict=True):
            chex.assert_trees_all_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_the_optimizer_keeps_its_state():
    def heavy_ball(rate):
        return optax.sgd(rate, momentum=0.5)

    params = numpy_net.random_params(1, SIZES)
    update = jax.jit(make_update(_model("tanh"), LOSSES["cross_entropy"], heavy_ball))
    first = update(_member(params, heavy_ball), BATCH)
    second = update(first, BATCH)
    # Velocity: v1 = g1, v2 = g2 + v1 / 2; the second step goes rate v2.
    one = _numpy_step(params, "tanh", "cross_entropy")
    two = _numpy_step(first.params, "tanh", "cross_entropy")
    start = numpy_net.layers(params)
    for ours, (w0, _), (w1, _), (w2, _) in zip(
        numpy_net.layers(second.params), start, one, two, strict=True
    ):
        np.testing.assert_allclose(ours[0], w2 + (w1 - w0) / 2, rtol=1e-5, atol=1e-6)
