"""Whitened inputs have no correlations and are as large as before; nothing else changes."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from glorot_jax.data.stream import Batch, Task, finite_stream
from glorot_jax.data.whitening import apply, fit, whitened

KEY = jax.random.key(0)


def _examples(n=400, *, inputs=5, seed=0):
    """Correlated inputs with a mean."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, inputs)) @ random.normal(size=(inputs, inputs)) + 2.0
    return x.astype(np.float32)


def _whiten(whitening, x):
    return np.asarray(apply(whitening, Batch(jnp.asarray(x), jnp.zeros(len(x), jnp.int32))).x)


def test_whitened_inputs_are_uncorrelated_and_as_large_as_before():
    x = _examples()
    made = _whiten(fit(x, floor=1e-9), x)
    size = np.mean(x.astype(np.float64) ** 2)
    np.testing.assert_allclose(made.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(np.cov(made.T, bias=True), size * np.eye(5), atol=1e-3 * size)


def test_the_matrix_is_symmetric_so_that_whitened_inputs_stay_near():
    whitening = fit(_examples())
    np.testing.assert_allclose(whitening.matrix, whitening.matrix.T, atol=1e-6)


def test_directions_of_little_variance_are_stretched_no_further():
    """Variances 100, 1 and 0; the mean is 101 / 3, and the floor a tenth of it."""
    random = np.random.default_rng(1)
    x = random.normal(size=(4000, 3)) * [10.0, 1.0, 0.0]
    x = (x - x.mean(axis=0)) / np.maximum(x.std(axis=0), 1e-9) * [10.0, 1.0, 0.0]
    variance = _whiten(fit(x, floor=0.1), x).astype(np.float64).var(axis=0)
    floor = 0.1 * 101 / 3
    np.testing.assert_allclose(variance[1] / variance[0], 1 / floor, rtol=0.05)
    assert variance[2] == 0


@pytest.mark.parametrize(
    ("x", "floor", "words"), [(np.ones((9, 3)), 0.1, "all alike"), (_examples(), 0.0, "floor: 0.0")]
)
def test_what_cannot_be_whitened_is_named(x, floor, words):
    with pytest.raises(ValueError, match=words):
        fit(x, floor=floor)


@pytest.fixture(scope="module")
def task():
    examples = Batch(jnp.asarray(_examples()), jnp.arange(400) % 3)
    return Task(
        name="made_up",
        class_names=("a", "b", "c"),
        train=finite_stream(examples, block_size=100),
        validation=Batch(examples.x[:50], examples.y[:50]),
        test=Batch(examples.x[50:90], examples.y[50:90]),
        image_shape=(5, 1, 1),
        origin="made up",
        pixel_range=(0.0, 1.0),
    )


def test_a_task_shows_the_same_examples_whitened(task):
    made = whitened(task, KEY, examples=400)
    arrays, whitening = made.train.arrays
    chex.assert_trees_all_equal(arrays, task.train.arrays)
    state, other = (one.train.init(jax.random.key(7)) for one in (task, made))
    for _ in range(3):
        state, block = task.train.next(task.train.arrays, state)
        other, shown = jax.jit(made.train.next)(made.train.arrays, other)
        np.testing.assert_array_equal(block.y, shown.y)
        np.testing.assert_allclose(shown.x, apply(whitening, block).x, rtol=1e-5, atol=1e-5)
    for part in ("validation", "test"):
        before, after = getattr(task, part), getattr(made, part)
        np.testing.assert_array_equal(before.y, after.y)
        np.testing.assert_allclose(after.x, apply(whitening, before).x, rtol=1e-5, atol=1e-5)
    low, high = made.pixel_range
    assert low < 0 < 1 < high  # not [0, 1] any more, which an autoencoder would believe
