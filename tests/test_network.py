"""The network's forward pass against NumPy, its names, shapes, offsets and transformations."""

import itertools

import chex
import jax
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


PARAMS = [numpy_net.random_params(seed, SIZES) for seed in range(3)]
forward = jax.jit(signals, static_argnums=0)
fresh = jax.jit(init, static_argnums=(0, 2))
KEYS = [jax.random.key(seed, impl="rbg") for seed in range(2)]  # the fastest to compile


@pytest.fixture(scope="module")
def x():
    return numpy_net.random_examples(1, N, INPUTS, CLASSES)[0]


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "softsign"])
def test_forward_is_that_of_numpy(activation, x):
    model = _model(activation)
    params = PARAMS[0]
    flow = forward(model, params, x)
    s, z = numpy_net.forward(params, x, activation)
    assert len(flow.s) == len(flow.z) == len(WIDTHS) + 1
    for ours, theirs in zip((*flow.s, *flow.z), (*s, *z), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(flow.logits, flow.s[-1])
    np.testing.assert_allclose(model.apply({"params": params}, x), flow.logits, rtol=1e-5)


def test_shapes_of_signals_and_parameters(x):
    model = _model()
    params = fresh(model, KEYS[0], INPUTS)
    flow = forward(model, params, x)
    chex.assert_shape(flow.s, [(N, size) for size in SIZES[1:]])
    chex.assert_shape(flow.z, [(N, size) for size in SIZES[:-1]])
    assert set(params) == {"hidden_01", "hidden_02", "hidden_03", "output"}
    chex.assert_shape(kernels(params), list(itertools.pairwise(SIZES)))
    for name, size in zip(layer_names(3), SIZES[1:], strict=True):
        np.testing.assert_array_equal(params[name]["bias"], np.zeros(size))
    chex.assert_trees_all_equal_dtypes(params, jax.tree.map(np.float32, params))


def test_kernels_are_in_order_from_the_input():
    params = PARAMS[0]
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
    params = fresh(_model(kernel_init=gaussian(1e-3)), KEYS[0], INPUTS)
    # Ten standard deviations hold every normal draw, and no draw of the default initialiser's.
    assert all(0 < np.abs(kernel).max() < 1e-2 for kernel in kernels(params))
    first, second = (kernels(fresh(_model(), key, INPUTS)) for key in KEYS)
    assert all(not np.allclose(a, b) for a, b in zip(first, second, strict=True))


def test_default_is_tanh_normalized(x):
    default, spelt = MLP(WIDTHS, CLASSES), _model("tanh", kernel_init=normalized())
    params = [fresh(model, KEYS[0], INPUTS) for model in (default, spelt)]
    chex.assert_trees_all_equal(*params)
    chex.assert_trees_all_equal(*(forward(model, params[0], x) for model in (default, spelt)))


def test_an_offset_is_added_to_its_pre_activation(x):
    model = _model()
    params = PARAMS[0]
    free = forward(model, params, x)
    offsets = [np.zeros((N, size), np.float32) for size in SIZES[1:]]
    # Two programs may round differently: by an ulp of the largest numbers, which are about 1.
    chex.assert_trees_all_close(forward(model, params, x, offsets), free, rtol=1e-6, atol=2e-7)
    offsets[1] = np.random.default_rng(2).normal(size=(N, SIZES[2])).astype(np.float32)
    moved = forward(model, params, x, offsets)
    np.testing.assert_allclose(moved.s[0], free.s[0], rtol=1e-6)
    np.testing.assert_allclose(moved.s[1], free.s[1] + offsets[1], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(moved.z[2], np.tanh(free.s[1] + offsets[1]), rtol=1e-5, atol=1e-6)
    assert not np.allclose(moved.logits, free.logits)


def test_jit_vmap_over_seeds_and_grad(x):
    model = _model()
    alone = [forward(model, params, x) for params in PARAMS]
    chex.assert_trees_all_close(signals(model, PARAMS[0], x), alone[0], rtol=1e-5, atol=1e-6)
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *PARAMS)
    together = jax.jit(jax.vmap(lambda params: signals(model, params, x)))(stacked)
    for seed in range(3):
        one = jax.tree.map(lambda leaf, seed=seed: leaf[seed], together)
        chex.assert_trees_all_close(one, alone[seed], rtol=1e-5, atol=1e-6)

    def logit(params):
        return signals(model, params, x).logits[0, 0]

    gradient = jax.jit(jax.grad(logit))(PARAMS[0])
    # d logit_0 / d output kernel is the activation below it, in column 0 alone.
    expected = np.zeros((SIZES[-2], CLASSES))
    expected[:, 0] = alone[0].z[-1][0]
    np.testing.assert_allclose(gradient["output"]["kernel"], expected, rtol=1e-5)


def test_init_over_seeds():
    model, keys = MLP((), CLASSES), jax.random.split(jax.random.key(0), 3)
    together = jax.jit(jax.vmap(lambda key: init(model, key, INPUTS)))(keys)
    one = jax.tree.map(lambda leaf: leaf[1], together)
    chex.assert_trees_all_close(one, fresh(model, keys[1], INPUTS), rtol=1e-6)


def test_one_trace_for_any_parameters(x):
    model = _model()
    once = jax.jit(chex.assert_max_traces(lambda params, x: signals(model, params, x), n=1))
    for params in PARAMS:
        once(params, x)
