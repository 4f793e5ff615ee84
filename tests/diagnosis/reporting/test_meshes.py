"""Measuring where arrays are sharded over a mesh with explicit axes, and in a shard_map."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import glorot_jax as gj

EVERYWHERE, SPLIT = PartitionSpec(), PartitionSpec("d")


def apply_fn(params, x):
    return jnp.tanh(x @ params["first"]) @ params["last"]


def looped(params, x):
    """Its layers in a loop, which is measured in another way."""

    def layer(z, kernel):
        return jnp.tanh(z @ kernel), None

    first = jnp.tanh(x @ params["layers"][0])
    return jax.lax.scan(layer, first, params["layers"][1:])[0]


PARAMS = {
    "first": jax.random.normal(jax.random.key(0), (8, 16)),
    "last": jax.random.normal(jax.random.key(1), (16, 4)),
}
X, Y = jax.random.normal(jax.random.key(2), (32, 8)), jnp.arange(32) % 4
MESH = jax.make_mesh((2,), ("d",), axis_types=(AxisType.Explicit,))


def on_mesh(tree, spec):
    return jax.device_put(tree, NamedSharding(MESH, spec))


def watched(model, state, params, x, y):
    def mean_cost(params):
        """By a product: JAX may refuse the derivative of an index over a mesh."""
        logits = model(params, x)
        targets = jax.nn.one_hot(y, logits.shape[-1])
        return jnp.mean(optax.losses.softmax_cross_entropy(logits, targets))

    cost, grads = jax.value_and_grad(mean_cost)(params)
    return gj.watch(model, optax.sgd(0.1), every=2)(state, params, grads, (x, y), cost=cost)[1]


def start(updates=0):
    return gj.watch(apply_fn).init({})._replace(updates=jnp.int32(updates))


def assert_alike(found, wanted):
    numbers = [
        jax.tree.map(np.asarray, (dict(seen.values), dict(seen.overall)))
        for seen in (found, wanted)
    ]
    chex.assert_trees_all_close(*numbers, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("mesh", [MESH, None], ids=["known", "unknown"])
def test_a_batch_over_devices_is_monitored_as_on_one(mesh):
    """``mesh``: that of the surrounding code."""
    placed = on_mesh(PARAMS, EVERYWHERE), on_mesh(X, SPLIT), on_mesh(Y, SPLIT)
    with jax.set_mesh(mesh or jax.sharding.Mesh(np.empty((), object), ())):
        found = jax.jit(lambda *data: gj.monitor(apply_fn, *data))(*placed)
    assert_alike(found, gj.monitor(apply_fn, PARAMS, X, Y))


def test_a_batch_over_devices_is_watched_as_on_one():
    placed = on_mesh(PARAMS, EVERYWHERE), on_mesh(X, SPLIT), on_mesh(Y, SPLIT)
    found = jax.jit(lambda *data: watched(apply_fn, start(), *data))(*placed)
    assert_alike(found, watched(apply_fn, start(), PARAMS, X, Y))


@pytest.mark.parametrize("mesh", [MESH, None], ids=["known", "unknown"])
def test_a_model_over_devices_is_diagnosed_as_on_one(mesh):
    """``mesh``: that of the surrounding code. Singular values too."""
    placed = on_mesh(PARAMS, EVERYWHERE), on_mesh(X, SPLIT), on_mesh(Y, SPLIT)
    with jax.set_mesh(mesh or jax.sharding.Mesh(np.empty((), object), ())):
        found = gj.diagnose(apply_fn, *placed).data
    wanted = gj.diagnose(apply_fn, PARAMS, X, Y).data
    for name in ("ds_std", "sigma_mean", "whole_sigma_max"):
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-4)


@pytest.mark.parametrize("model", [apply_fn, looped])
def test_members_in_a_shard_map_are_measured_as_alone(model):
    """Not the sum over devices, which the derivative by something common to all would be."""
    if model is looped:
        members = {"layers": jax.random.normal(jax.random.key(3), (2, 3, 8, 8))}
    else:
        members = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf / 3]), PARAMS)

    def one(params):
        params = jax.tree.map(lambda leaf: leaf[0], params)
        seen = [watched(model, start(updates), params, X, Y) for updates in (1, 2)]
        return jax.tree.map(lambda leaf: leaf[None], seen)

    mapped = jax.shard_map(one, mesh=MESH, in_specs=SPLIT, out_specs=SPLIT)
    between, due = jax.tree.map(np.asarray, jax.jit(mapped)(on_mesh(members, SPLIT)))
    assert all(np.isnan(values).all() for values in jax.tree.leaves(between))
    for member in range(2):
        found, alone = (
            jax.tree.map(lambda leaf, member=member: leaf[member], tree) for tree in (due, members)
        )
        assert_alike(found, watched(model, start(2), alone, X, Y))
