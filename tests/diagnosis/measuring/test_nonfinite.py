"""Where numbers stop being finite: each kind of beginning, told by its primitive and line."""

import jax
import jax.numpy as jnp
import pytest

from glorot_jax.diagnosis.measuring.nonfinite import first_not_finite

ZEROS, ONES = jnp.zeros(3), jnp.ones(3)


def _norm(w):
    squares = jnp.sum(jnp.square(w))
    return jnp.sum(jnp.where(squares > 0, w / jnp.sqrt(squares), 0.0))


def _masked(w):
    scores = jnp.where(jnp.arange(3) < 0, w, -jnp.inf)
    return jnp.sum(jax.nn.softmax(scores))


def _in_a_scan(w):
    last, _ = jax.lax.scan(lambda c, x: (jnp.exp(c * 90.0) + x, None), jnp.float32(1.0), w)
    return last


CASES = {
    "log": (lambda w: jnp.sum(jnp.log(w)), ZEROS, "log", False),
    "norm of zeros": (_norm, ZEROS, "sqrt", True),
    "overflow": (lambda w: jnp.sum(jnp.exp(w * 100.0)), ONES, "exp", False),
    "all masked": (_masked, ONES, "sub", False),
    "in a scan": (_in_a_scan, ONES, "exp", False),
    "power": (lambda w: jnp.sum(jnp.where(w > 0, w**0.3, 0.0)), ZEROS, "pow", True),
    "denominator": (lambda w: jnp.sum(1.0 / w), ZEROS, "div", False),
}


@pytest.mark.parametrize("name", CASES)
def test_the_beginning_is_named(name):
    cost, w, primitive, backward = CASES[name]
    found = first_not_finite(cost, w)
    assert (found.primitive, found.backward) == (primitive, backward)
    assert found.line.startswith("test_nonfinite.py:")


@pytest.mark.parametrize(
    "cost",
    [
        lambda w: jnp.sum(w),
        lambda w: jnp.sum(jnp.where(w > 0, 1.0 / jnp.where(w > 0, w, 1.0), 0.0)),
        lambda w: jnp.sum(jax.nn.softmax(jnp.where(jnp.arange(3) < 2, w, -jnp.inf))),
    ],
)
def test_what_is_finite_has_no_beginning(cost):
    assert first_not_finite(cost, ZEROS) is None
