"""The monitor inside jitted training, against the same statistics measured outside of it."""

from functools import cache

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from glorot_jax.diagnosis import site_statistics
from glorot_jax.diagnosis.reporting.monitor import monitor
from glorot_jax.losses import cross_entropy
from tests.diagnosis.models import labels, traced

UPDATES, EVERY, RATE = 7, 3, 0.5


@cache
def _outside(name):
    model, found = traced(name)
    return jax.jit(lambda params: site_statistics(found, params, model.x, labels()))


@pytest.mark.parametrize("name", ["plain_mlp", "scanned_remat"])
def test_it_is_site_statistics_to_the_bit(name):
    model, found = traced(name)
    expected = _outside(name)(model.params)
    always = jax.jit(lambda p: monitor(model.apply, p, model.x, labels()))(model.params)
    asked = jax.jit(lambda p, when: monitor(model.apply, p, model.x, labels(), when=when))
    for measured in (always, asked(model.params, True)):
        chex.assert_trees_all_equal(measured.values, expected)
        assert measured.sites == tuple(row.label for row in found.rows())
    nothing = asked(model.params, False)
    assert jax.tree.structure(nothing) == jax.tree.structure(always)
    chex.assert_trees_all_equal_shapes_and_dtypes(nothing, always)
    assert all(np.isnan(values).all() for values in nothing.values.values())


def _train(params):
    """Plain SGD in one scan; the parameters before each update and what the monitor says."""
    model, _ = traced("plain_mlp")

    def step(params, update):
        measured = monitor(model.apply, params, model.x, labels(), when=update % EVERY == 0)
        cost = lambda p: jnp.mean(cross_entropy(model.apply(p, model.x), labels()))  # noqa: E731
        moved = jax.tree.map(lambda p, g: p - RATE * g, params, jax.grad(cost)(params))
        return moved, (params, measured)

    return jax.lax.scan(step, params, jnp.arange(UPDATES))[1]


def test_it_follows_training_inside_a_scan_under_vmap():
    model, _ = traced("plain_mlp")
    seeds = jax.tree.map(lambda leaf: jnp.stack([leaf, 0.5 * leaf]), model.params)
    chex.clear_trace_counter()
    once = jax.jit(chex.assert_max_traces(_train, n=1))
    train = jax.jit(jax.vmap(once))
    history, measured = train(seeds)
    train(jax.tree.map(lambda leaf: 2 * leaf, seeds))
    stds = measured.values["s_std"]
    assert stds.shape == (2, UPDATES, 3)
    assert np.isfinite(stds[0]).all(1).tolist() == [i % EVERY == 0 for i in range(UPDATES)]
    assert (np.diff(stds[:, ::EVERY], axis=1) != 0).all()
    for seed in range(2):
        for update in range(0, UPDATES, EVERY):
            at = (seed, update)
            expected = _outside("plain_mlp")(jax.tree.map(lambda a, at=at: a[at], history))
            ours = jax.tree.map(lambda a, at=at: a[at], dict(measured.values))
            chex.assert_trees_all_close(ours, expected, rtol=1e-4, atol=1e-6)


def test_nothing_is_done_unless_asked():
    model, _ = traced("plain_mlp")
    costs = []

    def counted(logits, y):
        jax.debug.callback(lambda: costs.append(1))
        return cross_entropy(logits, y)

    @jax.jit
    def step(params, when):
        return monitor(model.apply, params, model.x, labels(), loss=counted, when=when)

    for when, count in ((False, 0), (True, 1), (False, 1)):
        jax.block_until_ready(step(model.params, when))
        jax.effects_barrier()
        assert len(costs) == count


def test_labels_of_steps():
    rows = traced("nested_scans")[1].rows()
    names = [row.label for row in rows]
    assert names[:3] == ["first/w", "middle/own[0, 0]", "middle/shared[0, 0]"]
    assert names[-2:] == ["middle/shared[1, 2]", "last/w"]
    assert len(set(names)) == len(names)
    assert traced("scanned_remat")[1].rows()[2].label == "middle/w[1]"


@pytest.mark.parametrize(
    ("when", "said"), [(1, "int32"), (jnp.ones(2, bool), r"bool\[2\]"), (0.5, "float32")]
)
def test_when_is_one_bool(when, said):
    model, _ = traced("plain_mlp")
    with pytest.raises(ValueError, match=rf"^when: {said}.* is not one bool$"):
        monitor(model.apply, model.params, model.x, labels(), when=when)
