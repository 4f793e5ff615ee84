"""SGD whose kernels are written late against SGD that writes everything at once."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glorot_jax.activations import ACTIVATIONS
from glorot_jax.data.stream import Batch
from glorot_jax.losses import LOSSES, cross_entropy
from glorot_jax.network import MLP
from glorot_jax.training.blocked import WIDE, late_kernels, make_sgd
from glorot_jax.training.ensemble import fresh_member
from glorot_jax.training.update import make_update, one_by_one
from tests import numpy_net

SIZES = (6, 9, 5, 3)
MODEL = MLP(SIZES[1:-1], SIZES[-1])


def _minibatches(updates, size=4):
    many = [numpy_net.random_examples(seed, size, SIZES[0], SIZES[-1]) for seed in range(updates)]
    return Batch(*(jnp.asarray(np.stack(leaves)) for leaves in zip(*many, strict=True)))


def _member(rate=0.3):
    params = jax.tree.map(jnp.asarray, numpy_net.random_params(1, SIZES))
    return fresh_member(params, rate, optax.sgd)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "softsign"])
def test_it_is_plain_sgd(activation, loss):
    model = MLP(SIZES[1:-1], SIZES[-1], ACTIVATIONS[activation])
    plain = one_by_one(make_update(model, LOSSES[loss], optax.sgd))
    late = late_kernels(model, LOSSES[loss], at_once=5)
    given = _member(), _minibatches(20)
    after, expected = jax.jit(late)(*given), jax.jit(plain)(*given)
    chex.assert_trees_all_close(after, expected, rtol=1e-5, atol=1e-6)
    moved = after.params["hidden_01"]["kernel"] - given[0].params["hidden_01"]["kernel"]
    assert np.abs(moved).max() > 0.01


@given(updates=st.integers(1, 12), at_once=st.integers(1, 12))
@settings(max_examples=12, deadline=None, derandomize=True)
def test_how_many_updates_are_taken_at_once_changes_nothing_but_rounding(updates, at_once):
    given = _member(), _minibatches(updates)
    after = late_kernels(MODEL, cross_entropy, at_once=at_once)(*given)
    expected = late_kernels(MODEL, cross_entropy, at_once=1)(*given)
    chex.assert_trees_all_close(after, expected, rtol=1e-5, atol=1e-6)


def test_members_at_once_each_have_their_rate():
    members = [_member(rate) for rate in (0.0, 0.1, 0.5)]
    train = late_kernels(MODEL, cross_entropy)
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *members)
    together = jax.jit(jax.vmap(train, in_axes=(0, None)))(stacked, _minibatches(10))
    for row, member in enumerate(members):
        alone = jax.jit(train)(member, _minibatches(10))
        ours = jax.tree.map(lambda leaf, row=row: leaf[row], together)
        chex.assert_trees_all_close(ours, alone, rtol=1e-5, atol=1e-6)
    chex.assert_trees_all_equal(
        jax.tree.map(lambda leaf: leaf[0], together).params, members[0].params
    )


@pytest.mark.parametrize(("width", "late"), [(WIDE - 1, False), (WIDE, True)])
def test_the_width_chooses(width, late):
    model = MLP((width, 2), 3)
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), jnp.zeros((1, 6)))["params"])
    params = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), shapes)
    given = fresh_member(params, 0.1, optax.sgd), _minibatches(10)
    chosen = str(jax.make_jaxpr(make_sgd(model, cross_entropy))(*given))
    assert chosen == str(
        jax.make_jaxpr(
            late_kernels(model, cross_entropy)
            if late
            else one_by_one(make_update(model, cross_entropy, optax.sgd))
        )(*given)
    )
