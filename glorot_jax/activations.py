"""Hidden-unit nonlinearities: the paper's three, and today's. All are elementwise functions."""

from collections.abc import Callable
from functools import cache

import jax
import jax.numpy as jnp

from glorot_jax import dotted

Activation = Callable[[jax.Array], jax.Array]

# A unit counts as saturated where its slope is below this fraction of its slope at 0.
SATURATED_SLOPE = 0.05


def sigmoid(s: jax.Array, /) -> jax.Array:
    """1 / (1 + exp(-s)), in (0, 1)."""
    return jax.nn.sigmoid(s)


def tanh(s: jax.Array, /) -> jax.Array:
    """Hyperbolic tangent, in (-1, 1)."""
    return jnp.tanh(s)


def softsign(s: jax.Array, /) -> jax.Array:
    """s / (1 + abs(s)), in (-1, 1); its tails are quadratic polynomials, not exponentials."""
    return jax.nn.soft_sign(s)


def slope(activation: Activation, s: jax.Array, /) -> jax.Array:
    """f'(s), elementwise, for any elementwise ``activation``."""
    return jax.jvp(activation, (s,), (jnp.ones_like(s),))[1]


ACTIVATIONS: dict[str, Activation] = {
    "sigmoid": sigmoid,
    "tanh": tanh,
    "softsign": softsign,
    "relu": jax.nn.relu,
    "gelu": jax.nn.gelu,
}


@cache
def resolve(name: str) -> Activation:
    """The activation called ``name``: one of ``ACTIVATIONS``, or the path of your own.

    A path is written ``package.module:name``. The function must be elementwise, keep float32 and
    be differentiable both ways (``jax.grad`` trains, ``slope`` measures).

    Raises:
      ValueError: there is no such activation, or what the path names is not one.
    """
    if name in ACTIVATIONS:
        return ACTIVATIONS[name]
    if not dotted.is_path(name):
        raise ValueError(f"{name}: is not one of {', '.join(ACTIVATIONS)} or package.module:name")
    activation = dotted.load(name)
    if not callable(activation):
        raise ValueError(f"{name}: is not a function of an array")
    _check(name, activation)
    return activation


def _check(path: str, activation: Activation) -> None:
    # Neither square nor sorted, so that no function that mixes elements looks elementwise.
    s = jnp.array([[1.5, -2.0, 0.3], [-0.7, 3.0, 0.9]])
    try:
        made = jax.eval_shape(lambda s: activation(s), s)
        if not dotted.is_array(made, s.shape, s.dtype):
            raise TypeError(f"returns {made}")
        values, backward = jax.jit(lambda s: jax.vjp(activation, s))(s)
        jacobian = jax.vmap(lambda d: backward(d)[0])(jnp.eye(s.size).reshape(-1, *s.shape))
        slopes = jax.jit(lambda s: slope(activation, s))(s)
    except dotted.FAILURES as error:
        raise ValueError(
            f"{path}: fails for float32{list(s.shape)} ({dotted.reason(error)})"
        ) from error
    if not all(jnp.all(jnp.isfinite(array)) for array in (values, jacobian, slopes)):
        raise ValueError(f"{path}: has values or slopes between -2 and 3 that are not finite")
    jacobian = jacobian.reshape(s.size, s.size)
    if jnp.any(jacobian * (1 - jnp.eye(s.size))):
        raise ValueError(f"{path}: is not elementwise: an output depends on several inputs")
