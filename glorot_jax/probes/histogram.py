"""Counts in fixed, equally wide bins: reduced where the values are, so none is ever kept."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def histogram(values: Any, low: jax.Array | float, high: jax.Array | float, bins: int) -> Any:
    """Fraction of ``values`` (any shape) in each of ``bins`` equal bins of [low, high], [bins].

    Values outside, infinities included, fall into the first or last bin, so the fractions sum to
    1; a value that has no place, NaN or any value where low = high, is counted nowhere. Values in
    an array of NumPy are counted by NumPy.
    """
    flat = values.reshape(-1)
    counts = _on_host if isinstance(flat, np.ndarray) else _by_jax
    return counts(flat, low, high, bins).astype(np.float32) / flat.size


def _by_jax(flat: jax.Array, low: Any, high: Any, bins: int) -> jax.Array:
    position = (flat - low) / (high - low) * bins
    has_place = ~jnp.isnan(position) & (low < high)
    index = jnp.clip(jnp.where(has_place, position, 0), 0, bins - 1).astype(jnp.int32)
    return jnp.zeros(bins, jnp.int32).at[index].add(has_place.astype(jnp.int32))


def _on_host(flat: np.ndarray, low: Any, high: Any, bins: int) -> np.ndarray:
    if not low < high:
        return np.zeros(bins, np.intp)
    position = (flat - low) / (high - low) * bins
    if np.isnan(position.min()):
        position = position[~np.isnan(position)]
    return np.bincount(np.clip(position, 0, bins - 1).astype(np.intp), minlength=bins)
