"""Back-propagated and weight gradients: against autodiff taken another way, and against NumPy."""

from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from glorot_jax.activations import ACTIVATIONS
from glorot_jax.data.stream import Batch
from glorot_jax.losses import LOSSES
from glorot_jax.network import MLP, kernels, signals
from glorot_jax.probes import (
    backprop_statistics,
    gradient_statistics,
    gradients,
    weight_gradient_statistics,
)
from tests import numpy_net

SIZES = (6, 9, 5, 7, 3)
DEPTH, BINS, N = 3, 8, 11
BATCH = Batch(*numpy_net.random_examples(0, N, SIZES[0], SIZES[-1]))
STACKED = jax.tree.map(
    lambda *leaves: np.stack(leaves), *[numpy_net.random_params(seed, SIZES) for seed in range(2)]
)
CASES = [("tanh", "cross_entropy"), ("sigmoid", "quadratic"), ("softsign", "cross_entropy")]
TOLERANCE = {"rtol": 1e-4, "atol": 1e-6}  # float32 through four layers


def _member(index):
    return jax.tree.map(lambda leaf: leaf[index], STACKED)


def _model(activation):
    return MLP(SIZES[1:-1], SIZES[-1], ACTIVATIONS[activation])


def _gradients(activation, loss):
    found = partial(gradients, _model(activation))
    return jax.jit(lambda params, batch: found(params, batch, LOSSES[loss]))(_member(0), BATCH)


def _statistics(activation, loss):
    return partial(gradient_statistics, _model(activation), loss=LOSSES[loss], bins=BINS)


@pytest.mark.parametrize(("activation", "loss"), CASES)
def test_gradients_are_those_of_numpy(activation, loss):
    found = _gradients(activation, loss)
    ds, dw, _ = numpy_net.backprop(_member(0), *BATCH, activation, loss)
    assert len(found.ds) == len(found.dw) == DEPTH + 1
    for ours, theirs in zip((*found.ds, *found.dw), (*ds, *dw), strict=True):
        np.testing.assert_allclose(ours, theirs, **TOLERANCE)
    s, z = numpy_net.forward(_member(0), BATCH.x, activation)
    for ours, theirs in zip((*found.flow.s, *found.flow.z), (*s, *z), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("activation", "loss"), CASES[:2])
def test_backpropagated_gradients_are_jacobians_of_the_cost_from_each_layer(activation, loss):
    found = _gradients(activation, loss)
    f, params = ACTIVATIONS[activation], _member(0)
    weights = [(kernel.astype(np.float32), bias) for kernel, bias in _float32_layers(params)]

    def cost_above(layer, s, label):
        """The cost of one example from its pre-activation s of ``layer``."""
        for kernel, bias in weights[layer + 1 :]:
            s = f(s) @ kernel + bias
        return LOSSES[loss](s[None], label[None])[0]

    for layer in range(DEPTH + 1):
        one = jax.jacrev(partial(cost_above, layer))
        expected = jax.jit(jax.vmap(one))(found.flow.s[layer], BATCH.y)
        np.testing.assert_allclose(found.ds[layer], expected, **TOLERANCE)


def _float32_layers(params):
    return [(k.astype(np.float32), b.astype(np.float32)) for k, b in numpy_net.layers(params)]


@pytest.mark.parametrize(("activation", "loss"), CASES[:2])
def test_weight_gradients_are_those_of_the_mean_cost(activation, loss):
    model = _model(activation)

    def mean_cost(params):
        return jnp.mean(LOSSES[loss](signals(model, params, BATCH.x).logits, BATCH.y))

    expected = kernels(jax.jit(jax.grad(mean_cost))(_member(0)))
    for ours, theirs in zip(_gradients(activation, loss).dw, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, **TOLERANCE)


@pytest.mark.parametrize(("activation", "loss"), CASES)
def test_statistics_are_those_of_numpy(activation, loss):
    found = jax.jit(_statistics(activation, loss))(_member(0), BATCH)
    ds, dw, _ = numpy_net.backprop(_member(0), *BATCH, activation, loss)
    # Brute force: each example's own weight gradient, from a batch of that example alone.
    own = [
        numpy_net.backprop(_member(0), BATCH.x[e : e + 1], BATCH.y[e : e + 1], activation, loss)[1]
        for e in range(N)
    ]
    for layer, (kernel, _) in enumerate(numpy_net.layers(_member(0))[:-1]):
        expected = {
            "backprop": {
                "std": ds[layer].std(),
                "mean_square": (ds[layer] ** 2).mean(),
                "output_mean_square": (ds[-1] ** 2).mean(),
                "unit": ds[-2].std(),
                "histogram": _histogram(ds[layer], ds[-2].std()),
            },
            "weight_gradient": {
                "std": dw[layer].std(),
                "mean_square": np.mean([one[layer] ** 2 for one in own]),
                "ratio": dw[layer].std() / kernel.std(),
                "unit": dw[-2].std(),
                "histogram": _histogram(dw[layer], dw[-2].std()),
            },
        }
        assert found.keys() == expected.keys()
        for group, statistics in expected.items():
            assert found[group].keys() == statistics.keys()
            for name, value in statistics.items():
                assert len(found[group][name]) == DEPTH
                np.testing.assert_allclose(
                    found[group][name][layer], value, **TOLERANCE, err_msg=f"{group} {name} {layer}"
                )


def _histogram(values, unit):
    """Fractions in bins of +-5 units, the outermost open."""
    return np.histogram(np.clip(values / unit, -5, 5), BINS, (-5, 5))[0] / values.size


def test_each_half_is_the_same_alone():
    model, params = _model("tanh"), _member(0)
    both = jax.jit(_statistics("tanh", "quadratic"))(params, BATCH)
    halves = {"backprop": backprop_statistics, "weight_gradient": weight_gradient_statistics}
    for name, half in halves.items():
        alone = jax.jit(partial(half, model, loss=LOSSES["quadratic"], bins=BINS))(params, BATCH)
        chex.assert_trees_all_close(alone, both[name], rtol=1e-5, atol=1e-7)


def test_vmap_over_seeds_and_one_trace():
    probe = _statistics("tanh", "cross_entropy")
    once = chex.assert_max_traces(lambda params, batch: probe(params, batch), n=1)
    over_seeds = jax.jit(jax.vmap(once, in_axes=(0, None)))
    together = over_seeds(STACKED, BATCH)
    over_seeds(jax.tree.map(lambda leaf: 2 * leaf, STACKED), BATCH)
    for seed in range(2):
        one = jax.tree.map(lambda leaf, seed=seed: leaf[seed], together)
        alone = jax.jit(probe)(_member(seed), BATCH)
        chex.assert_trees_all_close(one, alone, rtol=1e-5, atol=1e-7)


def test_gradient_of_the_mean_squares():
    def total(params):
        found = _statistics("tanh", "cross_entropy")(params, BATCH)
        return sum(group["mean_square"].sum() for group in found.values())

    def numpy_total(params):
        ds, _, _ = numpy_net.backprop(params, *BATCH, "tanh", "cross_entropy")
        _, z = numpy_net.forward(params, BATCH.x, "tanh")
        weight = [np.mean((a[:, :, None] * d[:, None, :]) ** 2) for a, d in zip(z, ds, strict=True)]
        return sum((d**2).mean() for d in ds[:-1]) + sum(weight[:-1])

    params = _member(0)
    gradient = jax.tree.map(np.asarray, jax.jit(jax.grad(total))(params))
    # Along the gradient itself, by central differences in float64: errors h^2.
    h = 1e-3
    ahead, behind = (
        numpy_total(jax.tree.map(lambda p, g, s=s: p.astype(float) + s * h * g, params, gradient))
        for s in (1, -1)
    )
    along = sum(float((g.astype(float) ** 2).sum()) for g in jax.tree.leaves(gradient))
    assert along > 1e-6
    assert (ahead - behind) / (2 * h) == pytest.approx(along, rel=1e-3)


def test_a_network_without_gradient_has_empty_histograms():
    params = jax.tree.map(np.copy, _member(0))
    params["output"]["kernel"][:] = 0
    found = jax.jit(_statistics("tanh", "cross_entropy"))(params, BATCH)
    for name in ("backprop", "weight_gradient"):
        np.testing.assert_array_equal(found[name]["std"], np.zeros(DEPTH))
        np.testing.assert_array_equal(found[name]["histogram"], np.zeros((DEPTH, BINS)))


def test_lowers_for_accelerators():
    probe = jax.jit(_statistics("tanh", "cross_entropy"))
    jax.export.export(probe, platforms=["tpu", "cuda"])(_member(0), BATCH)
