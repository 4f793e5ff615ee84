"""Activation statistics against NumPy's of an independent forward pass."""

from functools import partial

import chex
import jax
import numpy as np
import pytest

from glorot_jax.activations import ACTIVATIONS
from glorot_jax.data.stream import Batch
from glorot_jax.network import MLP
from glorot_jax.probes import activation_statistics
from tests import numpy_net

SIZES = (6, 9, 5, 7, 3)
DEPTH, BINS = 3, 8
BATCH = Batch(*numpy_net.random_examples(0, 20, SIZES[0], SIZES[-1]))
STACKED = jax.tree.map(
    lambda *leaves: np.stack(leaves),
    *[numpy_net.random_params(seed, SIZES, stddev=1.5) for seed in range(2)],
)


def _member(index):
    return jax.tree.map(lambda leaf: leaf[index], STACKED)


def _model(activation):
    return MLP(SIZES[1:-1], SIZES[-1], ACTIVATIONS.get(activation, lambda s: s))


def _probe(activation):
    return partial(activation_statistics, _model(activation), bins=BINS)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "softsign"])
def test_statistics_are_those_of_numpy(activation):
    found = jax.jit(_probe(activation))(_member(0), BATCH)
    _, slope = numpy_net.ACTIVATIONS[activation]
    s, z = numpy_net.forward(_member(0), BATCH.x, activation)
    assert all(len(values) == DEPTH for values in found.values())
    for layer in range(DEPTH):
        s_layer, z_layer = s[layer], z[layer + 1]
        expected = {
            "mean": z_layer.mean(),
            "std": z_layer.std(),
            "mean_square": (z_layer**2).mean(),
            "quantile": np.quantile(z_layer, (0.02, 0.5, 0.98)),
            "saturated": (slope(s_layer) < 0.05 * slope(np.zeros(()))).mean(),
            # A value outside, none here, would be missing from NumPy's counts.
            "histogram": np.histogram(z_layer, BINS, (-1, 1))[0] / z_layer.size,
        }
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            np.testing.assert_allclose(
                found[name][layer], value, rtol=1e-5, atol=1e-6, err_msg=f"{name} of {layer}"
            )
    assert 0 < found["saturated"].max() < 1  # the comparison above compared something


def test_a_unit_that_is_linear_everywhere_is_never_saturated():
    params = jax.tree.map(lambda leaf: 100 * leaf, _member(0))
    found = jax.jit(_probe("identity"))(params, BATCH)
    np.testing.assert_array_equal(found["saturated"], np.zeros(DEPTH))
    np.testing.assert_allclose(found["histogram"].sum(axis=1), np.ones(DEPTH), rtol=1e-6)


def test_saturated_everywhere_and_nowhere():
    for stddev, expected in ((1e4, 1.0), (1e-4, 0.0)):
        params = jax.tree.map(lambda leaf, stddev=stddev: stddev * leaf, _member(0))
        found = jax.jit(_probe("tanh"))(params, BATCH)
        # At 1e4 a unit is unsaturated with probability about 2 x 2.2 / 1e4 a unit and example.
        np.testing.assert_allclose(found["saturated"], expected, atol=0.05)


def test_vmap_over_seeds_and_one_trace():
    once = chex.assert_max_traces(lambda params, batch: _probe("tanh")(params, batch), n=1)
    over_seeds = jax.jit(jax.vmap(once, in_axes=(0, None)))
    together = over_seeds(STACKED, BATCH)
    over_seeds(jax.tree.map(lambda leaf: 2 * leaf, STACKED), BATCH)
    for seed in range(2):
        one = jax.tree.map(lambda leaf, seed=seed: leaf[seed], together)
        alone = jax.jit(_probe("tanh"))(_member(seed), BATCH)
        chex.assert_trees_all_close(one, alone, rtol=1e-5, atol=1e-6)


def test_gradient_of_the_mean_square():
    def total(params):
        return _probe("tanh")(params, BATCH)["mean_square"].sum()

    gradient = jax.jit(jax.grad(total))(_member(0))
    # Along the gradient itself, by central differences of the NumPy forward pass: errors h^2.
    h = 1e-4

    def numpy_total(sign):
        moved = jax.tree.map(lambda p, g: p.astype(float) + sign * h * np.asarray(g, float), *both)
        _, z = numpy_net.forward(moved, BATCH.x, "tanh")
        return sum((layer**2).mean() for layer in z[1:])

    both = (_member(0), gradient)
    along = sum(float((np.asarray(g, float) ** 2).sum()) for g in jax.tree.leaves(gradient))
    assert along > 1e-3
    assert (numpy_total(1) - numpy_total(-1)) / (2 * h) == pytest.approx(along, rel=1e-4)


def test_lowers_for_accelerators():
    jax.export.export(jax.jit(_probe("tanh")), platforms=["tpu", "cuda"])(_member(0), BATCH)
