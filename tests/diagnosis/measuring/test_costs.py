"""Answers without a network: against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from glorot_jax.diagnosis.measuring.costs import answers
from glorot_jax.losses import cross_entropy

N = 60
LABELS = jnp.array([0] * 30 + [1] * 20 + [2] * 10)
NORMAL = jax.random.normal


def _square(outputs, y):
    return jnp.sum(jnp.square(outputs - y), axis=-1)


def _binary(outputs, y):
    return optax.sigmoid_binary_cross_entropy(outputs[:, 0], y)


def test_the_best_constant_of_a_cross_entropy_is_the_entropy_of_the_classes():
    found = answers(cross_entropy, NORMAL(jax.random.key(0), (N, 3)), LABELS)
    shares = np.bincount(LABELS) / N
    assert found.constant == pytest.approx(-np.sum(shares * np.log(shares)), rel=1e-4)
    assert found.zero == pytest.approx(np.log(3), rel=1e-6)
    assert found.shift_free
    assert found.beyond
    assert not found.targets


def test_the_best_constant_of_a_distance_is_the_variance():
    y = 500 + 200 * NORMAL(jax.random.key(1), (N, 2))
    found = answers(_square, NORMAL(jax.random.key(0), (N, 2)), y)
    assert found.constant == pytest.approx(float(2 * np.var(y, axis=0).mean()), rel=1e-4)
    assert found.zero == pytest.approx(float(np.square(y).sum(1).mean()), rel=1e-5)
    assert found.targets
    assert not found.shift_free


def test_a_loss_with_a_sigmoid_wants_more_than_a_probability():
    y = jnp.array([0.0, 1.0] * 30)
    outputs = jax.nn.sigmoid(NORMAL(jax.random.key(0), (N, 1)))
    assert answers(_binary, outputs, y).beyond
    assert not answers(_square, outputs, y[:, None]).beyond


def test_several_outputs_are_one_answer():
    def loss(outputs, y):
        return cross_entropy(outputs["policy"], y[0]) + jnp.square(outputs["value"] - y[1])

    outputs = {"policy": jnp.ones((N, 3)), "value": jnp.ones(N)}
    value = NORMAL(jax.random.key(2), (N,))
    found = answers(loss, outputs, (LABELS, value))
    shares = np.bincount(LABELS) / N
    expected = -np.sum(shares * np.log(shares)) + np.var(value)
    assert found.constant == pytest.approx(float(expected), rel=1e-3)


def test_positions_of_a_sequence_share_their_constant():
    y = jnp.arange(12).reshape(4, 3) % 3
    found = answers(lambda o, y: cross_entropy(o, y).mean(-1), jnp.ones((4, 3, 3)), y)
    assert found.constant == pytest.approx(np.log(3), rel=1e-4)
