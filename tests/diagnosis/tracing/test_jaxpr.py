"""What is read of JAX's own equations, which has changed from version to version."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend import core

from glorot_jax.diagnosis.tracing import jaxpr
from glorot_jax.diagnosis.tracing.contractions import CONTRACTIONS, contraction

X = jnp.asarray(np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32))
LAYERS = jnp.asarray(np.random.default_rng(1).normal(size=(5, 4, 4)).astype(np.float32))
SCALE = np.arange(4, dtype=np.float32)[None]  # a constant that no argument brings


@jax.custom_jvp
def _with_jvp(x):
    return jnp.sin(x) * 2


_with_jvp.defjvp(lambda x, t: (_with_jvp(*x), 3 * t[0]))


@jax.custom_vjp
def _with_vjp(x):
    return jnp.sin(x) * 2


_with_vjp.defvjp(lambda x: (_with_vjp(x), None), lambda _, t: (3 * t,))


def _scan(layers, x, bias):
    def step(carry, w):
        h, count = carry
        return (jnp.tanh(h @ w + bias), count + 1), (h, jnp.sum(w))

    return jax.lax.scan(step, (x, 0), layers, reverse=True, unroll=2)


def _scan_of_constant(layers, x):
    return jax.lax.scan(lambda h, w: (h @ w * SCALE, None), x, layers)[0]


FUNCTIONS = {
    "jit": (jax.jit(lambda x: jnp.sin(x) * SCALE), X),
    "jit_of_jit": (jax.jit(lambda x: jax.jit(jnp.sin)(x) * 2), X),
    "remat": (jax.checkpoint(lambda x: jnp.sin(x) * SCALE), X),
    "scan": (_scan, LAYERS, X, X[:1]),
    "scan_of_constant": (_scan_of_constant, LAYERS, X),
    "map": (partial(jax.lax.map, jnp.sin), X),
    "cond": (lambda x: jax.lax.cond(x.sum() > 0, jnp.sin, lambda x: x * 2, x), X),
    "cond_of_constant": (lambda x: jax.lax.cond(x.sum() > 0, jnp.sin, lambda x: x * SCALE, x), X),
    "while": (partial(jax.lax.while_loop, lambda x: x.sum() < 9, lambda x: x + 1), X),
    "custom_jvp": (_with_jvp, X),
    "custom_vjp": (_with_vjp, X),
    "relu": (jax.nn.relu, X),
    "vmap": (jax.vmap(lambda x: LAYERS[0] @ x), X),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_flat_function_is_the_same_function(name):
    function, *args = FUNCTIONS[name]
    flat = jaxpr.flatten(jax.make_jaxpr(function)(*args))
    ours = jaxpr.evaluate(flat, args)
    for a, b in zip(ours, jax.tree.leaves(function(*args)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


@pytest.mark.parametrize("name", ["jit", "jit_of_jit", "remat"])
def test_groups_are_written_out(name):
    assert set(_names(name)) <= {"sin", "mul"}


@pytest.mark.parametrize(
    ("name", "primitive", "functions"),
    [
        ("scan", "scan", 1),
        ("map", "scan", 1),
        ("cond", "cond", 2),
        ("while", "while", 2),
        ("custom_jvp", "custom_jvp_call", 1),
        ("custom_vjp", "custom_vjp_call", 1),
        ("relu", "custom_jvp_call", 1),
    ],
)
def test_loops_branches_and_custom_derivatives_stay_and_can_be_looked_into(
    name, primitive, functions
):
    (eqn,) = (eqn for eqn in _equations(name) if eqn.primitive.name == primitive)
    assert len(jaxpr.inside(eqn)) == functions


@pytest.mark.parametrize("name", ["custom_jvp", "custom_vjp"])
def test_the_function_inside_a_custom_derivative_is_the_function(name):
    function, x = FUNCTIONS[name]
    (eqn,) = _equations(name)
    (inner,) = jaxpr.inside(eqn)
    np.testing.assert_allclose(jaxpr.evaluate(inner, [x])[0], function(x), rtol=1e-6)


@pytest.mark.parametrize("name", ["custom_jvp", "custom_vjp"])
def test_an_equation_done_again_has_its_own_derivative(name):
    flat = jaxpr.flatten(jax.make_jaxpr(FUNCTIONS[name][0])(X))
    gradient = jax.grad(lambda x: jaxpr.evaluate(flat, [x])[0].sum())(X)
    np.testing.assert_array_equal(gradient, np.full((3, 4), 3, np.float32))


def test_a_scan_comes_apart_into_constants_carry_and_steps():
    (eqn,) = _equations("scan")
    consts, carry, steps = jaxpr.scan_parts(eqn, [atom.aval.shape for atom in eqn.invars])
    assert (consts, carry, steps) == ([(1, 4)], [(3, 4), ()], [(5, 4, 4)])
    assert jaxpr.scan_options(eqn) == {"length": 5, "reverse": True, "unroll": 2}


@pytest.mark.parametrize(("layers", "carried"), [(None, 1), (LAYERS, 1), ((LAYERS, LAYERS), 1)])
def test_a_scan_may_have_no_constants_and_any_number_of_steps(layers, carried):
    scanned = partial(jax.lax.scan, lambda h, w: (h * 2, None), X, length=5)
    (eqn,) = jax.make_jaxpr(scanned)(layers).jaxpr.eqns
    parts = jaxpr.scan_parts(eqn, eqn.invars)
    assert [len(part) for part in parts] == [0, carried, len(jax.tree.leaves(layers))]


def test_the_body_of_a_scan_gets_constants_carry_and_one_step_and_gives_carry_and_outputs():
    (eqn,) = _equations("scan")
    (body,) = jaxpr.inside(eqn)
    assert [a.shape for a in body.in_avals] == [(1, 4), (3, 4), (), (4, 4)]
    assert [a.shape for a in body.out_avals] == [(3, 4), (), (3, 4), ()]


def test_the_branches_of_a_cond_are_in_the_order_of_its_index():
    *_, eqn = _equations("cond")
    assert eqn.invars[0].aval.dtype == jnp.int32
    if_false, if_true = jaxpr.inside(eqn)
    np.testing.assert_allclose(jaxpr.evaluate(if_false, [X])[0], X * 2, rtol=1e-6)
    np.testing.assert_allclose(jaxpr.evaluate(if_true, [X])[0], jnp.sin(X), rtol=1e-6)


def test_what_no_output_needs_is_left_out():
    def function(x):
        jnp.exp(x)
        return jnp.sin(x)

    flat = jaxpr.flatten(jax.make_jaxpr(function)(X))
    assert [eqn.primitive.name for eqn in flat.jaxpr.eqns] == ["sin"]


@pytest.mark.parametrize(
    ("function", "kernel", "kind", "fan_in", "fan_out"),
    [
        (lambda w, x: x @ w, (4, 7), "dense", 4, 7),
        (lambda w, x: (w @ x.T).T, (7, 4), "dense", 4, 7),
        (lambda w, x: jnp.einsum("ni,hio->nho", x, w), (2, 4, 7), "dense", 4, 14),
        (lambda w, x: jnp.einsum("hni,hio->hno", x[None], w), (1, 4, 7), "dense", 4, 7),
        (lambda w, x: _convolved(x, w), (5, 1, 2), "convolution", 2, 10),
        (lambda w, x: w[jnp.int32(x[:, 0])], (9, 4), "embedding", 9, 4),
    ],
)
def test_a_product_is_read_as_what_it_is(function, kernel, kind, fan_in, fan_out):
    closed = jaxpr.flatten(jax.make_jaxpr(function)(jnp.ones(kernel), X))
    w, x = closed.jaxpr.invars
    read: dict[Any, bool] = {w: False, x: True}  # whether it is made of the signal
    products = []
    for eqn in closed.jaxpr.eqns:
        signal = [read.get(atom, False) for atom in eqn.invars if isinstance(atom, core.Var)]
        if eqn.primitive.name in CONTRACTIONS:
            products.append(contraction(eqn, signal, [not one for one in signal]))
        read.update(dict.fromkeys(eqn.outvars, any(signal)))
    (product,) = products
    assert (product.kind, product.fan_in, product.fan_out) == (kind, fan_in, fan_out)
    assert product.kernel.aval.shape == kernel


def _convolved(x, w):
    return jax.lax.conv_general_dilated(x[:, None], w, (1,), "SAME")


def _equations(name):
    function, *args = FUNCTIONS[name]
    return jaxpr.flatten(jax.make_jaxpr(function)(*args)).jaxpr.eqns


def _names(name):
    return [eqn.primitive.name for eqn in _equations(name)]
