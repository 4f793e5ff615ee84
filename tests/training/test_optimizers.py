"""Every optimiser trains under one contract; each step is what NumPy says."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from glorot_jax.activations import tanh
from glorot_jax.data import shapeset
from glorot_jax.data.stream import Batch
from glorot_jax.initialization import scheme
from glorot_jax.losses import LOSSES, cross_entropy
from glorot_jax.network import MLP
from glorot_jax.training.curvature import gauss_newton_diagonal
from glorot_jax.training.optimizers import (
    OPTIMIZERS,
    scale_by_curvature,
    scale_by_gradient_variance,
)
from glorot_jax.training.update import Member, make_update, mean_cost
from tests import numpy_net

SIZES = (6, 9, 5, 3)
MODEL = MLP(SIZES[1:-1], SIZES[-1])
BATCHES = Batch(
    *(
        np.stack(leaves)
        for leaves in zip(
            *(numpy_net.random_examples(seed, 10, SIZES[0], SIZES[-1]) for seed in range(4)),
            strict=True,
        )
    )
)
DECAY = 0.9
OF_ORDER_1 = ("gradient_variance", "adam")  # their steps over the rate, whatever the gradient


def _member(name, rate, params=None):
    params = numpy_net.random_params(1, SIZES) if params is None else params
    params, rate = jax.tree.map(jnp.asarray, params), jnp.asarray(rate, jnp.float32)
    return Member(params, OPTIMIZERS[name].make(rate).init(params), rate, jnp.zeros((), jnp.int32))


def _update(name, model=MODEL, loss=cross_entropy):
    return make_update(model, loss, OPTIMIZERS[name].make, OPTIMIZERS[name].extra)


def _train(name, member):
    step = _update(name)
    return jax.lax.scan(lambda m, b: (step(m, b), None), member, BATCHES)[0]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_update_keeps_the_members_structure(name, loss):
    member = _member(name, 0.01)
    after = jax.eval_shape(
        _update(name, loss=LOSSES[loss]), member, Batch(*(b[0] for b in BATCHES))
    )
    chex.assert_trees_all_equal_shapes_and_dtypes(after, member)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_members_at_once_are_as_alone(name):
    members = [_member(name, rate) for rate in (0.0, 0.01, 0.1)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *members)
    alone = [jax.jit(lambda m: _train(name, m))(member) for member in members]
    together = jax.jit(jax.vmap(lambda m: _train(name, m)))(stacked)
    for row, one in enumerate(alone):
        ours = jax.tree.map(lambda leaf, row=row: leaf[row], together)
        chex.assert_trees_all_close(ours, one, rtol=1e-4, atol=1e-5)
    chex.assert_trees_all_equal(alone[0].params, members[0].params)  # a rate of 0
    assert not np.allclose(
        alone[1].params["output"]["kernel"], members[1].params["output"]["kernel"]
    )


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_lowers_for_accelerators(name):
    program = jax.jit(lambda member: _train(name, member))
    jax.export.export(program, platforms=["cpu", "tpu", "cuda"])(_member(name, 0.01))


def test_sgd_is_plain_sgd():
    plain = make_update(MODEL, cross_entropy, optax.sgd)
    batch = Batch(*(b[0] for b in BATCHES))
    programs = [
        str(jax.make_jaxpr(update)(_member("sgd", 0.1), batch))
        for update in (plain, _update("sgd"))
    ]
    assert programs[0] == programs[1]


def test_the_update_hands_the_minibatchs_own_curvature_to_the_optimizer():
    batch = Batch(*(b[0] for b in BATCHES))
    member = _member("hessian_diagonal", 0.1)
    after = jax.jit(_update("hessian_diagonal"))(member, batch)
    given = (MODEL, cross_entropy, member.params, batch)
    curvature = jax.jit(gauss_newton_diagonal, static_argnums=(0, 1))(*given)
    gradient = jax.jit(jax.grad(mean_cost, argnums=2), static_argnums=(0, 1))(*given)
    optimizer = OPTIMIZERS["hessian_diagonal"].make(0.1)
    step, _ = optimizer.update(gradient, member.opt_state, curvature=curvature)
    expected = jax.tree.map(jnp.add, member.params, step)
    chex.assert_trees_all_close(after.params, expected, rtol=1e-4, atol=1e-6)


def test_adam_s_first_step_is_the_rate_against_the_gradient_s_sign():
    batch, member = Batch(*(b[0] for b in BATCHES)), _member("adam", 0.01)
    gradient = jax.jit(jax.grad(mean_cost, argnums=2), static_argnums=(0, 1))(
        MODEL, cross_entropy, member.params, batch
    )
    after = jax.jit(_update("adam"))(member, batch).params
    expected = jax.tree.map(lambda p, g: p - 0.01 * g / (np.abs(g) + 1e-8), member.params, gradient)
    chex.assert_trees_all_close(after, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "factor"), [("first_frozen", 0.0), ("first_slow", SIZES[1] / SIZES[0])]
)
def test_only_layer_1_has_another_rate(name, factor):
    batch = Batch(*(b[0] for b in BATCHES))
    steps = {}
    for one in ("sgd", name):
        member = _member(one, 0.1)
        after = jax.jit(_update(one))(member, batch).params
        steps[one] = jax.tree.map(lambda new, old: new - old, after, member.params)
    first = steps["sgd"].pop("hidden_01")
    expected = {"hidden_01": jax.tree.map(lambda leaf: factor * leaf, first), **steps["sgd"]}
    chex.assert_trees_all_close(steps[name], expected, rtol=1e-4, atol=1e-7)
    assert max(np.abs(leaf).max() for leaf in jax.tree.leaves(first)) > 1e-4


def test_a_frozen_layers_gradient_is_not_computed():
    batch = Batch(*(b[0] for b in BATCHES))

    def products(name):
        compiled = jax.jit(_update(name)).lower(_member(name, 0.1), batch).compile()
        return compiled.cost_analysis()["flops"]

    # Of the kernel [6, 9] and ten examples, at two operations each.
    assert products("sgd") - products("first_frozen") >= 2 * 10 * SIZES[0] * SIZES[1]


def _steps(transformation, gradients, **extra):
    """The steps made of ``gradients`` [t, n] by a transformation of one array."""

    def one(state, given):
        gradient, more = given
        step, state = transformation.update(gradient, state, None, **more)
        return state, step

    begin = transformation.init(jnp.zeros(gradients.shape[1]))
    return jax.jit(lambda: jax.lax.scan(one, begin, (jnp.asarray(gradients), extra))[1])()


def test_curvature_is_averaged_over_updates():
    rng = np.random.default_rng(0)
    g, h = rng.normal(size=(6, 3)), rng.exponential(size=(6, 3))
    found = _steps(
        scale_by_curvature(DECAY, 0.2), g.astype(np.float32), curvature=h.astype(np.float32)
    )
    for t in range(6):
        weights = DECAY ** np.arange(t, -1, -1)
        mean = weights @ h[: t + 1] / weights.sum()
        np.testing.assert_allclose(found[t], g[t] / (mean / mean.mean() + 0.2), rtol=1e-4)


def test_a_rate_of_the_mean_curvature_s_inverse_without_damping_is_newtons_step():
    h, w = np.float32([0.01, 1.0, 100.0]), np.float32([3.0, -2.0, 1.0])
    step = _steps(scale_by_curvature(DECAY, 0.0), (h * w)[None], curvature=h[None])[0]
    np.testing.assert_allclose(w - step / h.mean(), 0, atol=1e-6)


@pytest.mark.parametrize("scale", [0.0, 1e-6, 1.0])
def test_the_unit_of_the_cost_changes_no_step_but_by_the_gradient(scale):
    rng = np.random.default_rng(2)
    g = rng.normal(size=(5, 4)).astype(np.float32)
    h = rng.exponential(size=(5, 4)).astype(np.float32)
    found = _steps(scale_by_curvature(DECAY, 0.1), g, curvature=scale * h)
    expected = _steps(scale_by_curvature(DECAY, 0.1), g, curvature=h if scale else h * 0 + 1)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert (np.abs(found) <= np.abs(g) / 0.1 * 1.0001).all()


def test_gradients_are_divided_by_their_deviation_over_updates():
    g = np.random.default_rng(1).normal(0.3, 1.0, (6, 3))
    found = _steps(scale_by_gradient_variance(DECAY, 1e-3), g.astype(np.float32))
    mean, square = np.zeros(3), np.ones(3)
    for t in range(6):
        mean = DECAY * mean + (1 - DECAY) * g[t]
        square = DECAY * square + (1 - DECAY) * g[t] ** 2
        np.testing.assert_allclose(found[t], g[t] / np.sqrt(square - mean**2 + 1e-3), rtol=1e-4)


def test_a_gradient_that_never_varies_stays_finite_and_bounded():
    g = np.full((2000, 2), [1.0, 1e-4], np.float32)
    found = _steps(scale_by_gradient_variance(0.99, 1e-2), g)
    chex.assert_tree_all_finite(found)
    assert np.abs(found[0] / g[0] - 1).max() < 0.01  # the first steps are plain SGD's
    # sqrt(eps) bounds the division; 1 - 0.99^2000 of a constant gradient is known by then.
    np.testing.assert_allclose(found[-1], g[-1] / 0.1, rtol=1e-2)


@pytest.fixture(scope="module")
def images():
    return shapeset.sample(jax.random.key(5), 1000, size=10)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_deep_network_trains_stably(name, images):
    model = MLP((30,) * 5, len(shapeset.CLASS_NAMES), tanh)
    params = scheme("standard")(model, jax.random.key(2), images.x)
    update = _update(name, model)

    @jax.jit
    def costs(member):
        batches = jax.tree.map(lambda leaf: leaf.reshape(100, 10, *leaf.shape[1:]), images)
        after = jax.lax.scan(lambda m, b: (update(m, b), None), member, batches)[0]
        return [mean_cost(model, cross_entropy, m.params, images) for m in (member, after)]

    for rate in (1e-4, 3e-4, 1e-3) if name in OF_ORDER_1 else (0.001, 0.01, 0.1):
        before, after = costs(_member(name, rate, params))
        # The classes aren't equally frequent, and that alone is worth learning.
        assert after < before
