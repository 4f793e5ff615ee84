"""The gradient that sites account for, beside jax.grad over all parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from glorot_jax.diagnosis.measuring.audit import accounted, alone, unaccounted
from glorot_jax.diagnosis.measuring.site_statistics import at_each_site
from glorot_jax.diagnosis.tracing.sites import trace

N, WIDTH = 5, 4
X = jax.random.normal(jax.random.key(0), (N, WIDTH))
DRAW = jax.random.normal


def _kernel(number, *shape):
    return DRAW(jax.random.key(number), shape or (WIDTH, WIDTH))


def _scan(p, x):
    def layer(z, w):
        return jnp.tanh(z @ w["kernel"].T + w["bias"][None]), None

    return jax.lax.scan(layer, x, p["layers"])[0] @ p["out"]


def _recurrent(p, x):
    def step(state, _):
        state = jnp.tanh(x @ p["inward"] + state @ p["again"] + p["bias"][None])
        return state, state

    return jax.lax.scan(step, jnp.zeros_like(x), None, length=3)[0]


STACKED = {"kernel": _kernel(1, 3, WIDTH, WIDTH), "bias": _kernel(2, 3, WIDTH)}
SHARES = {
    "dense": (
        lambda p, x: jnp.tanh(x @ p["w"] + p["b"][None]) @ p["v"],
        {"w": 0.0, "b": 0.0, "v": 0.0},
    ),
    "tied": (lambda p, x: jnp.tanh(x @ p["w"]) @ p["w"].T, {"w": 0.0}),
    "layers": (_scan, {"layers/kernel": 0.0, "layers/bias": 0.0, "out": 0.0}),
    # The bias is that of a sum of two sites, and of neither.
    "time": (_recurrent, {"inward": 0.0, "again": 0.0, "bias": 1.0}),
    "elementwise": (
        lambda p, x: (x[:, :, None] * p["w"][None]).sum(1) + x @ p["v"],
        {"w": 1.0, "v": 0.0},
    ),
    "partly": (lambda p, x: x @ p["w"] + jnp.sum(jnp.square(p["w"])) * x, {"w": None}),
}
PARAMS = {
    "w": _kernel(3),
    "v": _kernel(4),
    "b": _kernel(5, WIDTH),
    "layers": STACKED,
    "out": _kernel(6),
    "inward": _kernel(7),
    "again": _kernel(8),
    "bias": _kernel(9, WIDTH),
}


@pytest.mark.parametrize("name", SHARES)
def test_what_is_not_seen_is_told_leaf_by_leaf(name):
    apply_fn, expected = SHARES[name]
    params = {k: PARAMS[k] for k in dict.fromkeys(path.split("/")[0] for path in expected)}
    traced = trace(apply_fn, params, X)

    @jax.jit
    def audit(params):
        def cost(params, perturbations):
            signals = traced.run(params, X, perturbations)
            return jnp.sum(jnp.sin(signals.outputs)), signals

        zeros = traced.perturbations()
        (gradient, ds), signals = jax.grad(cost, (0, 1), has_aux=True)(params, zeros)
        leaves = jax.tree.leaves(params)
        _, gradients = at_each_site(traced, signals, ds, 10)
        seen = accounted(traced.block, traced.sites, leaves, gradients, ds)
        shares = unaccounted(jax.tree.leaves(gradient), seen)
        return jax.tree.unflatten(jax.tree.structure(params), shares)

    found = {
        jax.tree_util.keystr(path, simple=True, separator="/"): float(share)
        for path, share in jax.tree_util.tree_leaves_with_path(audit(params))
    }
    assert set(found) == set(expected)
    for path, share in expected.items():
        if share is None:
            assert found[path] > 0.01
        else:
            np.testing.assert_allclose(found[path], share, atol=2e-6)


# The parameters whose gradient is that of one site: read once, by it, and outside of loops.
ALONE = {
    "dense": {"w", "v"},
    "tied": set(),
    "layers": {"out"},
    "time": set(),
    "elementwise": {"v"},
    "partly": set(),
    "transposed": {"v"},
    "given_back": set(),
}
OTHERS = {
    "transposed": (lambda p, x: jnp.tanh(x @ p["w"].T) @ p["v"], ("w", "v")),
    "given_back": (lambda p, x: (x @ p["w"], p["w"]), ("w",)),
}


@pytest.mark.parametrize("name", ALONE)
def test_a_site_has_the_whole_gradient_of_a_parameter_that_nothing_else_reads(name):
    apply_fn, expected = OTHERS.get(name) or SHARES[name]
    params = {k: PARAMS[k] for k in dict.fromkeys(path.split("/")[0] for path in expected)}
    traced = trace(apply_fn, params, X)
    paths = [
        jax.tree_util.keystr(path, simple=True, separator="/")
        for path, _ in jax.tree_util.tree_leaves_with_path(params)
    ]
    names = {site.order: site.name for site in traced.sites}
    found = alone(traced.block, len(paths))
    assert {paths[index] for index in found.values()} == ALONE[name]
    assert all(names[order] == paths[index] for order, index in found.items())
