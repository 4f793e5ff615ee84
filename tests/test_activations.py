"""Activations and their slopes against closed forms and finite differences."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from glorot_jax.activations import ACTIVATIONS, resolve, slope
from tests import numpy_net


def _gelu(s):
    return s / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (s + 0.044715 * s**3)))


CLOSED_FORMS = {
    **{name: numpy_net.ACTIVATIONS[name][0] for name in ("sigmoid", "tanh", "softsign")},
    "relu": lambda s: np.maximum(s, 0),
    "gelu": _gelu,
}
CLOSED_SLOPES = {
    **{name: numpy_net.ACTIVATIONS[name][1] for name in ("sigmoid", "tanh", "softsign")},
    "relu": lambda s: (s > 0).astype(float),
}
RANGES = {"sigmoid": (0, 1), "tanh": (-1, 1), "softsign": (-1, 1)}
F = {name: jax.jit(f) for name, f in ACTIVATIONS.items()}
SLOPE = jax.jit(slope, static_argnums=0)
MODERATE = arrays(np.float32, (16,), elements=st.floats(-30, 30, width=32, allow_subnormal=False))


def test_every_activation_has_a_reference():
    assert CLOSED_FORMS.keys() == ACTIVATIONS.keys()


@given(s=MODERATE)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_values(name, s):
    chex.assert_trees_all_close(
        np.asarray(F[name](s)), CLOSED_FORMS[name](s.astype(float)), rtol=1e-5, atol=1e-6
    )


@given(s=MODERATE)
@pytest.mark.parametrize("name", CLOSED_SLOPES)
def test_slope_is_the_closed_form(name, s):
    expected = CLOSED_SLOPES[name](s.astype(float))
    np.testing.assert_allclose(SLOPE(ACTIVATIONS[name], s), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_slope_is_the_finite_difference(name):
    # Off the kinks at 0; a central difference of step h errs by h^2 f''' / 6 + eps / h, < 1e-9.
    s, h = np.linspace(-6, 6, 50), 1e-5
    with jax.enable_x64(True):
        f = F[name]
        difference = (np.asarray(f(jnp.asarray(s + h))) - np.asarray(f(jnp.asarray(s - h)))) / 2 / h
        np.testing.assert_allclose(SLOPE(f, jnp.asarray(s)), difference, atol=1e-9)


@pytest.mark.parametrize("name", RANGES)
def test_extreme_inputs_stay_in_range_and_have_no_slope(name):
    s = np.array([-3e38, -1e4, -200.0, 200.0, 1e4, 3e38], np.float32)
    low, high = RANGES[name]
    values, slopes = F[name](s), SLOPE(ACTIVATIONS[name], s)
    chex.assert_tree_all_finite((values, slopes))
    assert low <= values.min() <= low + 0.01
    assert high - 0.01 <= values.max() <= high
    assert (slopes >= 0).all()
    assert slopes.max() < 1e-4


@pytest.mark.parametrize(("name", "at_zero"), [("sigmoid", 0.25), ("tanh", 1.0), ("softsign", 1.0)])
def test_slope_at_zero(name, at_zero):
    assert slope(ACTIVATIONS[name], jnp.zeros(())) == at_zero


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_elementwise_under_every_transformation(name):
    f, s = ACTIVATIONS[name], np.linspace(-2, 3, 6, dtype=np.float32).reshape(2, 3)
    values, slopes = f(s), SLOPE(f, s)
    chex.assert_equal_shape([values, slopes, s])
    chex.assert_type(jax.eval_shape(f, jnp.asarray(s, jnp.bfloat16)), jnp.bfloat16)
    np.testing.assert_allclose(jax.jit(jax.vmap(jax.vmap(f)))(s), values, rtol=1e-6, atol=1e-7)
    by_grad = jax.jit(jax.vmap(jax.vmap(jax.grad(f))))(s)
    np.testing.assert_allclose(by_grad, slopes, rtol=1e-5, atol=1e-6)


def cubic(s):
    return s**3


def halved(s):
    return s.astype(jnp.bfloat16)


def broken(s):
    raise RuntimeError("no luck")


@jax.custom_vjp
def one_way(s):
    return s


one_way.defvjp(lambda s: (s, None), lambda _, d: (d,))
NOT_A_FUNCTION = 3


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_our_own_are_found_by_name(name):
    assert resolve(name) is ACTIVATIONS[name]


def test_ones_own_is_found_by_its_path():
    assert resolve(f"{__name__}:cubic") is cubic
    assert resolve("jax.nn:silu") is jax.nn.silu


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tanhh", "is not one of sigmoid, tanh, .* or package.module:name"),
        ("no_such_package.x:f", "there is no module no_such_package"),
        ("jax.nn:no_such_name", "there is no no_such_name in jax.nn"),
        ("jax.nn:", "is not of the form package.module:name"),
        (f"{__name__}:NOT_A_FUNCTION", "is not a function of an array"),
        (f"{__name__}:broken", r"fails for float32\[2, 3\] .RuntimeError: no luck."),
        (f"{__name__}:halved", r"fails for float32\[2, 3\] .TypeError: returns .*bfloat16"),
        (f"{__name__}:one_way", r"fails for float32\[2, 3\] .TypeError"),
        ("jax.numpy:isnan", r"fails for float32\[2, 3\] .TypeError: returns .*bool"),
        ("jax.numpy:sum", r"fails for float32\[2, 3\] .TypeError: returns .*\(\)"),
        ("jax.numpy:log", "has values or slopes between -2 and 3 that are not finite"),
        ("jax.nn:softmax", "is not elementwise"),
        ("jax.numpy:sort", "is not elementwise"),
    ],
)
def test_what_is_no_activation_is_refused_in_one_line(name, message):
    with pytest.raises(ValueError, match=rf"^{name}: {message}") as refusal:
        resolve(name)
    assert "\n" not in str(refusal.value)
