"""Means, norms and cosines of the values of a site, in float32 whatever their type.

A complex value counts as E|w|^2 wherever a square is taken, and as its two parts in a quantile, a
histogram or a cosine. Squares of small and of large values leave float32; norms, standard
deviations and cosines are taken over the largest value, so that they don't.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from glorot_jax.probes.histogram import histogram
from glorot_jax.probes.quantile import quantile

HISTOGRAM_REACH = 4.0  # standard deviations on either side of the mean


def is_complex(values: jax.Array) -> bool:
    """Whether values have an imaginary part."""
    return bool(jnp.issubdtype(values.dtype, jnp.complexfloating))


def parts(values: jax.Array) -> jax.Array:
    """In float32; complex values [..] as their real and imaginary parts [.., 2]."""
    if is_complex(values):
        values = jnp.stack([values.real, values.imag], axis=-1)
    return values.astype(jnp.float32)


def magnitude(values: jax.Array) -> jax.Array:
    """|w| in float32."""
    return jnp.abs(values).astype(jnp.float32)


def mean(values: jax.Array) -> jax.Array:
    """The mean; of complex values its magnitude."""
    if is_complex(values):
        return jnp.abs(jnp.mean(values)).astype(jnp.float32)
    return jnp.mean(values.astype(jnp.float32))


def mean_square(values: jax.Array, axis: int | Sequence[int] | None = None) -> jax.Array:
    """E|w|^2 over ``axis``."""
    return jnp.mean(jnp.square(magnitude(values)), axis=axis)


def std(values: jax.Array) -> jax.Array:
    """sqrt(E|w - E[w]|^2)."""
    unit = largest(values)
    flat = parts(values) / unit
    of_parts = flat.reshape(-1, 2 if is_complex(values) else 1)
    return unit * jnp.sqrt(jnp.sum(jnp.var(of_parts, axis=0)))


def norm(values: jax.Array, axis: int | None = None) -> jax.Array:
    """Frobenius' norm over all values, or over ``axis``."""
    unit = largest(values)
    squares = jnp.square(magnitude(values) / unit)
    return unit * jnp.sqrt(jnp.sum(squares, axis=axis))


def largest(values: jax.Array) -> jax.Array:
    """The largest |w|, 1 where it is 0 or not finite."""
    found = jnp.max(magnitude(values))
    return jnp.where((found > 0) & jnp.isfinite(found), found, 1)


def by_example(values: jax.Array, axis: int | None, n: int) -> jax.Array:
    """[n, values of an example]; all NaN, and one of them, where ``axis`` isn't known."""
    if axis is None or not jnp.issubdtype(values.dtype, jnp.inexact):
        return jnp.full((n, 1), jnp.nan, jnp.float32)
    return jnp.moveaxis(values, axis, 0).reshape(n, -1)


def cosine(values: jax.Array, axis: int | None) -> jax.Array:
    """Mean cosine between two examples, over all pairs of examples that aren't 0."""
    if axis is None:
        return jnp.array(jnp.nan, jnp.float32)
    examples = parts(jnp.moveaxis(values, axis, 0)).reshape(values.shape[axis], -1)
    examples = examples / largest(examples)
    norms = jnp.linalg.norm(examples, axis=1, keepdims=True)
    directions = jnp.where(norms == 0, 0, examples / jnp.where(norms == 0, 1, norms))
    count = jnp.sum((norms != 0).astype(jnp.float32))
    own = jnp.sum(jnp.square(directions))
    return (jnp.sum(jnp.square(jnp.sum(directions, axis=0))) - own) / (count * (count - 1))


def quantiles(values: jax.Array, probabilities: Sequence[float]) -> jax.Array:
    """Of all values, or of all their parts."""
    return quantile(parts(values), probabilities)


def shape_of(values: jax.Array, bins: int) -> jax.Array:
    """Fractions [bins] in equal bins of mean +- 4 standard deviations."""
    flat = parts(values)
    centre, reach = jnp.mean(flat), HISTOGRAM_REACH * std(flat)
    return histogram(flat, centre - reach, centre + reach, bins)


def unit_spread(values: jax.Array, axis: int | None) -> jax.Array:
    """Standard deviation over units of a unit's mean square, relative to its mean."""
    if axis is None:
        return jnp.array(jnp.nan, jnp.float32)
    # The squares of squares of a small signal are too small for float32.
    units = jnp.mean(jnp.square(magnitude(values) / largest(values)), axis=axis)
    return jnp.std(units) / jnp.mean(units)
