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


def _outputs_in_bytes(function, *args):
    return programs.lowered(function, *args).compile().memory_analysis().output_size_in_bytes


def test_what_goes_in_or_is_twice_takes_no_memory_of_its_own():
    x, y = jnp.ones(10_000), jnp.full(10_000, 2.0)
    once = _outputs_in_bytes(lambda x, y: [jnp.sin(x)], x, y)
    assert once >= x.nbytes
    two_of_each = lambda x, y: [x, y, jnp.sin(x), jnp.sin(x), x, np.pi]  # noqa: E731
    assert x.nbytes <= _outputs_in_bytes(two_of_each, x, y) < 1.1 * once
    for ours, theirs in zip(
        compiled_once(two_of_each)(x, y), jax.jit(two_of_each)(x, y), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_equations_that_differ_are_told_apart():
    def function(x, n):
        first, second = x[:2], x[2:]  # one primitive, other parameters
        scaled = [2.0 * x, 2.0000002 * x, x * 2.0, x * jnp.float32(2.0)]
        shifted = [x + np.arange(4.0, dtype=np.float32), x + np.ones(4, np.float32)]
        drawn = [jax.random.normal(jax.random.key(seed), (4,)) for seed in (0, 1)]
        others = [n * 2, n * 3, jax.lax.cumsum(x), jax.lax.cumsum(x, reverse=True)]
        return [first, second, scaled, shifted, drawn, others, x, n, jax.grad(jnp.prod)(x)]

    args = jnp.array([1.0, 2.0, 3.0, 5.0]), np.int32(7)
    ours, theirs = compiled_once(function)(*args), jax.jit(function)(*args)
    assert jax.tree.map(jnp.result_type, ours) == jax.tree.map(jnp.result_type, theirs)
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


def test_inputs_that_come_back_are_arrays():
    for given in (True, 2, 2.5, np.float64(3), np.arange(3.0), jnp.arange(3)):
        ours, theirs = compiled_once(lambda x: x)(given), jax.jit(lambda x: x)(given)
        assert isinstance(ours, jax.Array)
        assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)


def test_not_more_are_kept_than_there_is_room_for(monkeypatch):
    monkeypatch.setattr(programs, "KEPT", 2)
    for size in (1, 2, 3):
        compiled_once(lambda x: x + x)(X[:size])
    assert len(programs._kept) == 2
