"""Costs and their gradients against NumPy."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from glorot_jax.losses import LOSSES
from tests import numpy_net

LOGITS = arrays(np.float32, (5, 4), elements=st.floats(-20, 20, width=32))
LABELS = arrays(np.int32, (5,), elements=st.integers(0, 3))


@given(logits=LOGITS, labels=LABELS)
@pytest.mark.parametrize("name", LOSSES)
def test_costs_per_example(name, logits, labels):
    cost = LOSSES[name](logits, labels)
    chex.assert_shape(cost, (5,))
    # Rounding is relative to the largest logit, 20, through the softmax.
    np.testing.assert_allclose(
        cost, numpy_net.costs(logits, labels, name), rtol=1e-5, atol=20 * 2**-22
    )


@given(logits=LOGITS, labels=LABELS)
@pytest.mark.parametrize("name", LOSSES)
def test_gradients(name, logits, labels):
    gradient = jax.grad(lambda logits: LOSSES[name](logits, labels).sum())(jnp.asarray(logits))
    expected = numpy_net.cost_gradient(logits, labels, name)
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=20 * 2**-22)


def test_known_costs():
    logits, labels = jnp.zeros((3, 8)), jnp.array([0, 3, 7])
    np.testing.assert_allclose(LOSSES["cross_entropy"](logits, labels), np.log(8), rtol=1e-6)
    # (7/8)^2 + 7 (1/8)^2
    np.testing.assert_allclose(LOSSES["quadratic"](logits, labels), 7 / 8, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "wrong"), [("cross_entropy", 2e4), ("quadratic", 2.0)], ids=["cross_entropy", "quad"]
)
def test_certain_answers_cost_nothing_or_the_most(name, wrong):
    logits = jnp.array([[1e4, -1e4, -1e4], [1e4, -1e4, -1e4]])
    cost = LOSSES[name](logits, jnp.array([0, 2]))
    np.testing.assert_allclose(cost, [0, wrong], rtol=1e-6)
    gradient = jax.grad(lambda x: LOSSES[name](x, jnp.array([0, 2])).sum())(logits)
    chex.assert_tree_all_finite(gradient)


@pytest.mark.parametrize("name", LOSSES)
def test_transformations(name):
    logits = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    labels = jnp.array([0, 1, 2, 3, 0, 1])
    cost = LOSSES[name](logits, labels)
    np.testing.assert_allclose(jax.jit(LOSSES[name])(logits, labels), cost, rtol=1e-6)
    stacked = jax.vmap(LOSSES[name])(logits.reshape(2, 3, 4), labels.reshape(2, 3))
    np.testing.assert_allclose(stacked.reshape(-1), cost, rtol=1e-6)
    np.testing.assert_allclose(
        LOSSES[name](logits + np.float32(3), labels), cost, rtol=1e-5, atol=1e-6
    )
