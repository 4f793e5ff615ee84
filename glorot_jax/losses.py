"""Costs per example, from logits [n, classes] and integer labels [n] to [n]."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

Loss = Callable[[jax.Array, jax.Array], jax.Array]


def cross_entropy(logits: jax.Array, labels: jax.Array, /) -> jax.Array:
    """-log P(y given x) under a softmax output (section 2.3), in nats."""
    return optax.losses.softmax_cross_entropy_with_integer_labels(logits, labels)


def quadratic(logits: jax.Array, labels: jax.Array, /) -> jax.Array:
    """Squared distance between the softmax output and the one-hot target (section 4.1)."""
    target = jax.nn.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
    return jnp.sum(jnp.square(jax.nn.softmax(logits) - target), axis=-1)


LOSSES: dict[str, Loss] = {"cross_entropy": cross_entropy, "quadratic": quadratic}
