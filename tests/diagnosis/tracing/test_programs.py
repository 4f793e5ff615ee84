"""Programs are taken from equal ones, and from no others."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from glorot_jax.diagnosis.tracing import programs
from glorot_jax.diagnosis.tracing.programs import compiled_once

X = jnp.arange(4.0)


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch):
    monkeypatch.setattr(programs, "_kept", type(programs._kept)())


def _plain(scale):
    return lambda x: scale * jnp.square(x)


def _in_a_scan(scale):
    def step(carry, x):
        return carry + jnp.sum(scale * x), carry

    return jax.jit(lambda x: jax.lax.scan(step, jnp.float32(0), x[None])[0])


def _with_its_own_derivative(scale):
    @jax.custom_jvp
    def f(x):
        return jnp.sum(x)

    f.defjvp(lambda primals, tangents: (f(*primals), jnp.sum(scale * tangents[0])))
    return jax.grad(f)


def _calling_python(scale):
    return lambda x: jax.pure_callback(lambda a: np.asarray(a * scale), x, x)


@pytest.mark.parametrize("make", [_plain, _in_a_scan, _with_its_own_derivative, _calling_python])
@pytest.mark.parametrize("size", [2, 5000])
def test_what_a_function_closes_over_is_its_own(make, size):
    """Small and large arrays, of JAX and of NumPy: JAX puts them at different places."""
    x = jnp.arange(float(size))
    for scale in (jnp.full(size, 2.0), jnp.full(size, 3.0), np.full(size, 5, np.float32)):
        function = make(scale)
        np.testing.assert_array_equal(compiled_once(function)(x), jax.jit(function)(x))


def test_equal_equations_are_compiled_once():
    for scale in (2.0, 3.0):
        compiled_once(_plain(jnp.full(4, scale)))(X)
    assert len(programs._kept) == 1
    compiled_once(lambda x: jnp.full(4, 2.0) * jnp.sin(x))(X)
    assert len(programs._kept) == 2


def test_inputs_that_are_not_used_count():
    for make in (lambda a: lambda x, y: a * x, lambda a: lambda x, y: 2 * x, lambda a: lambda x: x):
        function = make(jnp.float32(2))
        args = (X, X)[: function.__code__.co_argcount]
        np.testing.assert_array_equal(compiled_once(function)(*args), jax.jit(function)(*args))


def test_other_shapes_trees_and_types_are_other_programs():
    double = compiled_once(lambda tree: jax.tree.map(lambda a: a + a, tree))
    for tree in ({"a": X}, {"b": X}, [X, X[:2]], jnp.arange(3), True, {"key": None, "x": X}):
        assert jax.tree.map(jnp.shape, double(tree)) == jax.tree.map(jnp.shape, tree)
    assert double(jnp.arange(3)).dtype == jnp.int32


def test_not_more_are_kept_than_there_is_room_for(monkeypatch):
    monkeypatch.setattr(programs, "KEPT", 2)
    for size in (1, 2, 3):
        compiled_once(lambda x: x + x)(X[:size])
    assert len(programs._kept) == 2
