"""Costs and their gradients against NumPy."""

import chex
import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from glorot_jax.losses import LOSSES
from tests import numpy_net

COST = {name: jax.jit(loss) for name, loss in LOSSES.items()}
GRADIENT = {
    name: jax.jit(jax.grad(lambda logits, labels, loss=loss: loss(logits, labels).sum()))
    for name, loss in LOSSES.items()
}
LOGITS = arrays(np.float32, (5, 4), elements=st.floats(-20, 20, width=32, allow_subnormal=False))
LABELS = arrays(np.int32, (5,), elements=st.integers(0, 3))


@given(logits=LOGITS, labels=LABELS)
@pytest.mark.parametrize("name", LOSSES)
def test_costs_per_example(name, logits, labels):
    cost = COST[name](logits, labels)
    chex.assert_shape(cost, (5,))
    # Rounding is relative to the largest logit, 20, through the softmax.
    np.testing.assert_allclose(
        cost, numpy_net.costs(logits, labels, name), rtol=1e-5, atol=20 * 2**-22
    )


@given(logits=LOGITS, labels=LABELS)
@pytest.mark.parametrize("name", LOSSES)
def test_gradients(name, logits, labels):
    gradient = GRADIENT[name](logits, labels)
    expected = numpy_net.cost_gradient(logits, labels, name)
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=20 * 2**-22)


def test_known_costs():
    logits, labels = np.zeros((5, 4), np.float32), np.array([0, 1, 2, 3, 3], np.int32)
    np.testing.assert_allclose(COST["cross_entropy"](logits, labels), np.log(4), rtol=1e-6)
    # (3/4)^2 + 3 (1/4)^2
    np.testing.assert_allclose(COST["quadratic"](logits, labels), 3 / 4, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "wrong"), [("cross_entropy", 2e4), ("quadratic", 2.0)], ids=["cross_entropy", "quad"]
)
def test_certain_answers_cost_nothing_or_the_most(name, wrong):
    logits = np.full((5, 4), -1e4, np.float32)
    logits[:, 0] = 1e4
    labels = np.array([0, 1, 2, 3, 0], np.int32)
    np.testing.assert_allclose(COST[name](logits, labels), wrong * (labels != 0), rtol=1e-6)
    chex.assert_tree_all_finite(GRADIENT[name](logits, labels))


@pytest.mark.parametrize("name", LOSSES)
def test_transformations(name):
    logits = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    labels = np.array([0, 1, 2, 3, 0, 1], np.int32)
    cost = LOSSES[name](logits, labels)
    stacked = jax.jit(jax.vmap(LOSSES[name]))(logits.reshape(2, 3, 4), labels.reshape(2, 3))
    np.testing.assert_allclose(stacked.reshape(-1), cost, rtol=1e-6)
    np.testing.assert_allclose(
        COST[name](logits + np.float32(3), labels), cost, rtol=1e-5, atol=1e-6
    )
