"""The network's forward pass against NumPy, its names, shapes, offsets and transformations."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from glorot_jax.activations import ACTIVATIONS
from glorot_jax.initializers import gaussian, normalized
from glorot_jax.network import MLP, init, kernels, layer_names, signals
from tests import numpy_net

INPUTS, WIDTHS, CLASSES, N = 6, (5, 8, 4), 3, 7
SIZES = [INPUTS, *WIDTHS, CLASSES]


def _model(activation="tanh", **options):
    return MLP(WIDTHS, CLASSES, ACTIVATIONS[activation], **options)


def _params(model, seed=0):
    """Parameters whose biases are not 0, so that a forgotten bias shows."""
    params = init(model, jax.random.key(seed), INPUTS)
    keys = iter(jax.random.split(jax.random.key(seed + 100), 20))
    return jax.tree.map(lambda leaf: leaf + 0.3 * jax.random.normal(next(keys), leaf.shape), params)


@pytest.fixture(scope="module")
def x():
    return jax.random.uniform(jax.random.key(1), (N, INPUTS), minval=-1.0)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "softsign"])
def test_forward_is_that_of_numpy(activation, x):
    model = _model(activation)
    params = _params(model)
    flow = signals(model, params, x)
    s, z = numpy_net.forward(params, x, activation)
    assert len(flow.s) == len(flow.z) == len(WIDTHS) + 1
    for ours, theirs in zip((*flow.s, *flow.z), (*s, *z), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(flow.logits, flow.s[-1])
    np.testing.assert_array_equal(model.apply({"params": params}, x), flow.logits)


def test_shapes_of_signals_and_parameters(x):
    model = _model()
    params = init(model, jax.random.key(0), INPUTS)
    flow = signals(model, params, x)
    chex.assert_shape(flow.s, [(N, size) for size in SIZES[1:]])
    chex.assert_shape(flow.z, [(N, size) for size in SIZES[:-1]])
    assert set(params) == {"hidden_01", "hidden_02", "hidden_03", "output"}
    chex.assert_shape(kernels(params), list(zip(SIZES[:-1], SIZES[1:], strict=True)))
    for name, size in zip(layer_names(3), SIZES[1:], strict=True):
        np.testing.assert_array_equal(params[name]["bias"], np.zeros(size))
    chex.assert_trees_all_equal_dtypes(params, jax.tree.map(jnp.float32, params))


def test_kernels_are_in_order_from_the_input(x):
    model = _model()
    params = _params(model)
    shuffled = {name: params[name] for name in ("output", "hidden_03", "hidden_01", "hidden_02")}
    for kernel, (expected, _) in zip(kernels(shuffled), numpy_net.layers(params), strict=True):
        np.testing.assert_array_equal(kernel, expected.astype(np.float32))


@pytest.mark.parametrize("depth", [0, 1, 5, 12])
def test_layer_names_sort_as_they_are_stacked(depth):
    names = layer_names(depth)
    assert len(names) == depth + 1
    assert list(names) == sorted(names)
    assert names[-1] == "output"


def test_kernel_init_draws_every_layer_and_keys_differ():
    params = init(_model(kernel_init=gaussian(1e-3)), jax.random.key(0), INPUTS)
    # Ten standard deviations hold every normal draw, and no draw of the default initialiser's.
    assert all(0 < jnp.abs(kernel).max() < 1e-2 for kernel in kernels(params))
    first, second = (kernels(init(_model(), jax.random.key(seed), INPUTS)) for seed in (0, 1))
    assert all(not np.allclose(a, b) for a, b in zip(first, second, strict=True))


def test_default_is_tanh_normalized(x):
    default, spelt = MLP(WIDTHS, CLASSES), _model("tanh", kernel_init=normalized())
    params = [init(model, jax.random.key(0), INPUTS) for model in (default, spelt)]
    chex.assert_trees_all_equal(*params)
    np.testing.assert_array_equal(
        signals(default, params[0], x).logits, signals(spelt, params[0], x).logits
    )


def test_an_offset_is_added_to_its_pre_activation(x):
    model = _model()
    params = _params(model)
    free = signals(model, params, x)
    offsets = [jnp.zeros((N, size)) for size in SIZES[1:]]
    chex.assert_trees_all_equal(signals(model, params, x, offsets), free)
    offsets[1] = jax.random.normal(jax.random.key(2), (N, SIZES[2]))
    moved = signals(model, params, x, offsets)
    np.testing.assert_array_equal(moved.s[0], free.s[0])
    np.testing.assert_allclose(moved.s[1], free.s[1] + offsets[1], rtol=1e-6)
    np.testing.assert_allclose(moved.z[2], np.tanh(free.s[1] + offsets[1]), rtol=1e-5)
    assert not np.allclose(moved.logits, free.logits)


def test_jit_vmap_over_seeds_and_grad(x):
    model = _model()
    params = [_params(model, seed) for seed in range(3)]
    alone = [signals(model, p, x) for p in params]
    chex.assert_trees_all_close(jax.jit(signals, static_argnums=0)(model, params[0], x), alone[0])
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *params)
    together = jax.vmap(lambda p: signals(model, p, x))(stacked)
    for seed in range(3):
        one = jax.tree.map(lambda leaf, seed=seed: leaf[seed], together)
        chex.assert_trees_all_close(one, alone[seed], rtol=1e-5, atol=1e-6)
    inits = jax.vmap(lambda key: init(model, key, INPUTS))(jax.random.split(jax.random.key(0), 3))
    chex.assert_tree_shape_prefix(inits, (3,))

    def logit(params):
        return signals(model, params, x).logits[0, 0]

    gradient = jax.grad(logit)(params[0])
    # d logit_0 / d output kernel is the activation below it, in column 0 alone.
    expected = np.zeros((SIZES[-2], CLASSES))
    expected[:, 0] = alone[0].z[-1][0]
    np.testing.assert_allclose(gradient["output"]["kernel"], expected, rtol=1e-6)


def test_one_trace_for_any_parameters(x):
    model = _model()
    forward = jax.jit(chex.assert_max_traces(lambda p, x: signals(model, p, x), n=1))
    for seed in range(3):
        forward(_params(model, seed), x)
