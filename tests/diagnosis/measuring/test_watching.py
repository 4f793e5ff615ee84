"""What a watch measures, against NumPy and against what the diagnosis finds."""

from functools import cache

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import glorot_jax as gj
from glorot_jax.diagnosis import site_statistics
from glorot_jax.diagnosis.judging.gathering import _first_update
from glorot_jax.diagnosis.measuring.watching import statistics_of_update, update_sizes
from glorot_jax.diagnosis.tracing.sites import named_leaves
from glorot_jax.diagnosis.tracing.stations import find_landmarks
from glorot_jax.losses import cross_entropy
from tests.diagnosis.models import examples, labels, traced


@cache
def _landmarks(name):
    model, found = traced(name)
    return find_landmarks(found.block, len(jax.tree.leaves(model.params)), found.n)


def _updates(params, size=0.01):
    rng = np.random.default_rng(3)
    return jax.tree.map(
        lambda leaf: jnp.asarray(size * rng.normal(size=leaf.shape), leaf.dtype), params
    )


@cache
def _measured(name):
    model, found = traced(name)

    def measure(params, updates):
        sizes = update_sizes(found, params, updates)
        return statistics_of_update(
            found, _landmarks(name), params, sizes, model.x, labels(), loss=cross_entropy
        )

    return jax.jit(measure)(model.params, _updates(model.params))


@pytest.mark.parametrize("name", ["plain_mlp", "scanned_remat", "linen_cnn_with_attention"])
def test_sites_are_those_of_site_statistics(name):
    model, found = traced(name)
    expected = jax.jit(lambda p: site_statistics(found, p, model.x, labels()))(model.params)
    rows = _measured(name).rows
    chex.assert_trees_all_close({key: rows[key] for key in expected}, dict(expected), rtol=1e-5)
    cost = np.mean(cross_entropy(model.apply(model.params, model.x), labels()))
    np.testing.assert_allclose(_measured(name).overall["loss"], cost, rtol=1e-5)


def _flat(tree):
    return {name: np.asarray(leaf, np.float64) for name, leaf in named_leaves("params", tree)}


@pytest.mark.parametrize("name", ["plain_mlp", "scanned_remat", "nested_scans", "weight_norm"])
def test_steps_are_relative_to_each_layers_own_part(name):
    model, found = traced(name)
    kernels, updates = _flat(model.params), _flat(_updates(model.params))
    rows = _measured(name).rows
    for index, row in enumerate(found.rows()):
        parts = row.name.split("+")
        site = next(site for site in found.sites if site.name == row.name)
        at = tuple(
            step for step, varies in zip(row.step, site.kernel_varies, strict=True) if varies
        )
        mine = [(kernels[part][at], updates[part][at]) for part in parts]
        size, moved = (np.sqrt(sum(np.sum(pair[i] ** 2) for pair in mine)) for i in (0, 1))
        np.testing.assert_allclose(rows["parameter_norm"][index], size, rtol=1e-5)
        np.testing.assert_allclose(rows["step"][index], moved / size, rtol=1e-5)
    whole = [np.sqrt(sum(np.sum(a**2) for a in tree.values())) for tree in (updates, kernels)]
    np.testing.assert_allclose(_measured(name).overall["step"], whole[0] / whole[1], rtol=1e-5)


def test_steps_are_those_of_a_diagnosis():
    model, found = traced("plain_mlp")
    optimizer = optax.chain(optax.scale_by_sign(), optax.scale(-1e-2))
    gradient = jax.grad(lambda p: jnp.mean(cross_entropy(model.apply(p, model.x), labels())))
    grads = gradient(model.params)
    expected = _first_update(optimizer, model.params, grads)
    updates, _ = optimizer.update(grads, optimizer.init(model.params), model.params)

    def measure(params, updates):
        sizes = update_sizes(found, params, updates)
        return statistics_of_update(
            found, _landmarks("plain_mlp"), params, sizes, model.x, labels(), loss=cross_entropy
        )

    rows = jax.jit(measure)(model.params, updates).rows
    for index, row in enumerate(found.rows()):
        step, unmoved = expected[row.name]
        np.testing.assert_allclose(rows["step"][index], step, rtol=1e-5)
        assert rows["unmoved"][index] == unmoved == 0


def test_entries_that_cannot_move_in_their_type():
    kernel = jnp.asarray([[1.0, 1.0], [100.0, 0.5]], jnp.bfloat16)
    update = jnp.asarray([[2.0**-12, 2.0**-3], [0.0, 2.0**-12]], jnp.bfloat16)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(4, 2)), jnp.bfloat16)

    def apply(params, x):
        return (x @ params["w"]).astype(jnp.float32)

    found = gj.trace(apply, {"w": kernel}, x)
    landmarks = find_landmarks(found.block, 1, found.n)
    sizes = update_sizes(found, {"w": kernel}, {"w": update})
    measured = statistics_of_update(
        found, landmarks, {"w": kernel}, sizes, x, jnp.zeros(4, int), loss=cross_entropy
    )
    # Three entries are asked to move, and one does.
    np.testing.assert_allclose(measured.rows["unmoved"], [2 / 3], rtol=1e-6)


def test_entropy_is_that_of_the_attention_fed():
    rng = np.random.default_rng(0)
    q, k, out = (
        jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in ((5, 4),) * 2 + ((5, 3),)
    )

    def apply(params, x):
        scores = (x @ params["q"]) @ jnp.swapaxes(x @ params["k"], 1, 2)
        return jnp.mean(jax.nn.softmax(scores) @ (x @ params["out"]), axis=1)

    params, x = {"q": q, "k": k, "out": out}, examples(7, 5)
    found = gj.trace(apply, params, x)
    landmarks = find_landmarks(found.block, 3, found.n)
    rows = statistics_of_update(found, landmarks, params, {}, x, labels(), loss=cross_entropy).rows
    a, b = (np.asarray(x, np.float64) @ np.asarray(w, np.float64) for w in (q, k))
    scores = a @ np.swapaxes(b, 1, 2)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    expected = -np.mean(np.sum(weights * np.log(weights), -1)) / np.log(7)
    by_name = dict(zip([row.name for row in found.rows()], rows["attention_entropy"], strict=True))
    np.testing.assert_allclose([by_name["q"], by_name["k"]], expected, rtol=1e-5)
    assert np.isnan(by_name["out"])
    assert np.isnan(rows["step"]).all()


@pytest.mark.parametrize(
    ("name", "expected"),
    [("plain_mlp", [1, 1, np.nan]), ("relu", [1, 0, np.nan]), ("gelu", [1, 0, np.nan])],
)
def test_functions_that_level_off_on_both_sides(name, expected):
    np.testing.assert_array_equal(_measured(name).rows["two_sided"], expected)
