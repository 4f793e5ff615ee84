"""Hidden-unit nonlinearities: the paper's three, and today's. All are elementwise functions."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

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
