"""Counts in fixed, equally wide bins: reduced on the device, so no value is ever kept."""

import jax
import jax.numpy as jnp


def histogram(
    values: jax.Array, low: jax.Array | float, high: jax.Array | float, bins: int
) -> jax.Array:
    """Fraction of ``values`` (any shape) in each of ``bins`` equal bins of [low, high], [bins].

    Values outside, infinities included, fall into the first or last bin, so the fractions sum to
    1; a value that has no place, NaN or any value where low = high, is counted nowhere.
    """
    flat = values.reshape(-1)
    position = (flat - low) / (high - low) * bins
    has_place = ~jnp.isnan(position) & (low < high)
    index = jnp.clip(jnp.where(has_place, position, 0), 0, bins - 1).astype(jnp.int32)
    counts = jnp.zeros(bins, jnp.int32).at[index].add(has_place.astype(jnp.int32))
    return counts.astype(jnp.float32) / flat.size
