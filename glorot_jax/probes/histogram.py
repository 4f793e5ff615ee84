"""Counts in fixed, equally wide bins: reduced on the device, so no value is ever kept."""

import jax
import jax.numpy as jnp


def histogram(values: jax.Array, low: jax.Array, high: jax.Array, bins: int) -> jax.Array:
    """Fraction of ``values`` (any shape) in each of ``bins`` equal bins of [low, high], [bins].

    Values outside fall into the first or last bin, so the fractions always sum to 1; a value that
    is not a number is counted nowhere.
    """
    flat = values.reshape(-1)
    position = jnp.clip((flat - low) / (high - low) * bins, 0, bins - 1)
    counts = jnp.zeros(bins, jnp.int32)
    counts = counts.at[position.astype(jnp.int32)].add(jnp.isfinite(flat).astype(jnp.int32))
    return counts.astype(jnp.float32) / flat.size
