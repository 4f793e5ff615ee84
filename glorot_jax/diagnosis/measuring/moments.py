"""Means, norms and cosines of the values of a site, in float32 whatever their type.

Of arrays of NumPy or of JAX, or of a ``Wide`` of one. A complex value counts as E|w|^2 wherever a
square is taken, and as its two parts in a quantile, a histogram or a cosine. Squares of small and
of large values leave float32; norms, standard deviations and cosines are taken over the largest
value, so that they don't.
"""

from collections.abc import Sequence
from math import gcd
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from glorot_jax.diagnosis.arrays import Array, einsum, namespace
from glorot_jax.diagnosis.measuring.wide import Wide, is_complex, is_inexact, wide
from glorot_jax.probes.histogram import histogram

HISTOGRAM_REACH = 4.0  # standard deviations on either side of the mean


def centre(values: Array | Wide) -> Array:
    """The mean, [1]; of complex values its two parts, [2]."""
    own = wide(values)
    if is_complex(own.values):
        return own.xp.mean(own.parts.reshape(-1, 2), axis=0)
    return own.xp.mean(own.parts)[None]


def size_of_centre(centre: Array) -> Array:
    """The mean; of complex values its magnitude."""
    xp = namespace(centre)
    return centre[0] if len(centre) == 1 else xp.sqrt(xp.sum(xp.square(centre)))


def mean_square(values: Array | Wide, axis: int | Sequence[int] | None = None) -> Array:
    """E|w|^2 over ``axis``."""
    own = wide(values)
    return own.xp.square(own.scale) * own.xp.mean(own.squares, axis=axis)


def std(values: Array | Wide) -> Array:
    """sqrt(E|w - E[w]|^2)."""
    return wide(values).std


def norm(values: Array | Wide, axis: int | Sequence[int] | None = None) -> Array:
    """Frobenius' norm over all values, or over ``axis``."""
    own = wide(values)
    return own.scale * own.xp.sqrt(own.xp.sum(own.squares, axis=axis))


def all_nan(values: Array | Wide) -> Array:
    """Whether all are."""
    return wide(values).all_nan


def example_mean_squares(values: Array | Wide, axis: int | None, n: int) -> Array:
    """E|w|^2 of each example, [n]; NaN where their ``axis`` isn't known."""
    own = wide(values)
    return own.xp.square(own.scale) * own.xp.mean(_by_example(own, axis, n), axis=1)


def example_norms(values: Array | Wide, axis: int | None, n: int) -> Array:
    """Frobenius' norm of each example, [n]; NaN where their ``axis`` isn't known."""
    own = wide(values)
    return own.scale * own.xp.sqrt(own.xp.sum(_by_example(own, axis, n), axis=1))


def _by_example(own: Wide, axis: int | None, n: int) -> Array:
    """Squares, [n, values of an example]; all NaN, and one of them, where they can't be told."""
    if axis is None or not is_inexact(own.values):
        return own.xp.full((n, 1), np.nan, np.float32)
    return own.xp.moveaxis(own.squares, axis, 0).reshape(n, -1)


class Directions(NamedTuple):
    """Of the examples' unit vectors their sum, [values of one], and the sum of their squares;
    ``number``: how many examples aren't 0.
    """

    total: Array
    squares: Array
    number: Array


def directions(values: Array | Wide, axis: int | None) -> Directions:
    """The examples' directions; all NaN where their ``axis`` isn't known."""
    own = wide(values)
    xp = own.xp
    if axis is None:
        unknown = xp.asarray(np.nan, np.float32)
        return Directions(unknown, unknown, unknown)
    examples = xp.moveaxis(own.scaled, axis, 0).reshape(own.values.shape[axis], -1)
    squares = xp.sum(_by_example(own, axis, len(examples)), axis=1)
    inverse = _inverse_root(squares)
    return Directions(
        einsum("n,nk->k", inverse, examples),
        xp.sum(squares * xp.square(inverse)),
        xp.sum((squares != 0).astype(np.float32)),
    )


def _inverse_root(squares: Array) -> Array:
    """1 / sqrt(squares), 0 where they are 0."""
    xp = namespace(squares)
    return xp.where(squares == 0, 0, 1 / xp.sqrt(xp.where(squares == 0, 1, squares)))


def cosine(of: Directions) -> Array:
    """Mean cosine between two examples, over all pairs of examples that aren't 0."""
    xp = namespace(of.total)
    return (xp.sum(xp.square(of.total)) - of.squares) / (of.number * (of.number - 1))


def position_cosine(values: Array | Wide, axis: int | None) -> Array:
    """Mean cosine between the values at two positions of one example, [n, positions.., units].

    NaN where there is one position only, or values are complex.
    """
    own = wide(values)
    xp = own.xp
    real = jnp.issubdtype(own.values.dtype, jnp.floating)
    if axis is None or own.values.ndim < 3 or not real:
        return xp.asarray(np.nan, np.float32)
    n, units = own.values.shape[axis], own.values.shape[-1]
    tokens, squares = (
        xp.moveaxis(a, axis, 0).reshape(n, -1, units) for a in (own.scaled, own.squares)
    )
    count = tokens.shape[1]
    sizes = xp.sum(squares, axis=2)
    inverse = _inverse_root(sizes)
    total = xp.sum(xp.square(einsum("nt,ntk->nk", inverse, tokens)))
    own_squares = xp.sum(sizes * xp.square(inverse))
    return (total - own_squares) / (n * count * (count - 1.0))


CONSTANT = 1e-3  # of the rms of all


def features(values: Array | Wide) -> tuple[Array, Array]:
    """Mean and standard deviation of each feature of [.., features]; none where there are none."""
    own = wide(values)
    if own.values.ndim < 2 or not jnp.issubdtype(own.values.dtype, jnp.floating):
        nothing = own.xp.zeros(0, np.float32)
        return nothing, nothing
    table = own.parts.reshape(-1, own.values.shape[-1])
    return own.xp.mean(table, axis=0), own.xp.std(table, axis=0)


def constant_features(means: Array, stds: Array) -> Array:
    """Share of the features that have one value other than 0 in all examples."""
    xp = namespace(means)
    if not len(means):
        return xp.asarray(np.nan, np.float32)
    size = CONSTANT * xp.sqrt(xp.mean(xp.square(means) + xp.square(stds)))
    return xp.mean(((stds < size) & (xp.abs(means) > size)).astype(np.float32))


SAMPLE = 8192


def sample(values: Array | Wide) -> Array:
    """[SAMPLE + 1]: all values or their parts, or so many of them, and NaN behind; their number.

    Every so many-th value is taken, at steps that have no divisor in common with their count.
    """
    own = wide(values)
    xp, flat = own.xp, own.parts.reshape(-1)
    count = min(flat.size, SAMPLE)
    step = max(flat.size // SAMPLE, 1)
    while gcd(step, flat.size) > 1 and step > 1:
        step += 1
    places = np.arange(count, dtype=np.int64) * step % flat.size
    chosen = flat if count == flat.size else flat[places]
    padded = xp.pad(chosen, (0, SAMPLE - count), constant_values=np.inf)
    # Not by ``any``: the peak is needed anyway, and NaN if any value is.
    known = xp.where(xp.isnan(own.peak), np.nan, count).astype(np.float32)
    return xp.append(padded, known)


def quantiles(samples: Array, probabilities: Sequence[float]) -> Array:
    """[rows, k] of ``samples`` [rows, SAMPLE + 1], interpolated linearly like NumPy's.

    Exact where there are up to SAMPLE values; else the probability that a quantile stands for has
    a standard error of sqrt(p (1 - p) / SAMPLE): 0.15% at 2 and 98%, 0.55% at the median.
    """
    xp = namespace(samples)
    count = samples[:, -1:]
    ordered = _ascending(samples[:, :-1])
    place = xp.asarray(probabilities, np.float32)[None] * (xp.nan_to_num(count, nan=1.0) - 1)
    rank = xp.floor(place).astype(np.int32)
    low = xp.take_along_axis(ordered, rank, axis=1)
    high = xp.take_along_axis(ordered, xp.minimum(rank + 1, SAMPLE - 1), axis=1)
    share = place - rank.astype(np.float32)
    between = low * (1 - share) + xp.where(share > 0, high, 0.0) * share
    return xp.where(xp.isnan(count), np.nan, between)


def _ascending(samples: Array) -> Array:
    """Each row sorted, NaN last: as integers, which XLA on a CPU sorts in a fifth of the time."""
    if namespace(samples) is np:
        return np.sort(samples, axis=1)
    bits = jax.lax.bitcast_convert_type(jnp.where(jnp.isnan(samples), np.nan, samples), np.int32)
    ordered = jnp.sort(_mirrored(bits), axis=1)
    return jax.lax.bitcast_convert_type(_mirrored(ordered), np.float32)


def _mirrored(bits: Array) -> Array:
    """Below 0 the bits of floats grow as their values fall; its own inverse."""
    return jnp.where(bits < 0, bits ^ jnp.int32(0x7FFFFFFF), bits)


def shape_of(values: Array | Wide, bins: int) -> Array:
    """Fractions [bins] in equal bins of mean +- 4 standard deviations."""
    own = wide(values)
    flat = Wide(own.parts) if is_complex(own.values) else own
    middle, reach = centre(flat)[0], HISTOGRAM_REACH * flat.std
    return histogram(flat.parts, middle - reach, middle + reach, bins)


class Units(NamedTuple):
    """Mean square of each unit's values, in squares of ``scale``."""

    squares: Array
    scale: Array


def unit_squares(values: Array | Wide, axes: Sequence[int] | None) -> Units:
    """[units] of values whose units differ along ``axes``; NaN where these aren't known."""
    own = wide(values)
    if axes is None:
        unknown = own.xp.asarray(np.nan, np.float32)
        return Units(unknown[None], unknown)
    # The squares of squares of a small signal are too small for float32.
    rest = tuple(axis for axis in range(own.values.ndim) if axis not in axes)
    return Units(own.xp.mean(own.squares, axis=rest).reshape(-1), own.scale)


def unit_noise(units: Units) -> Array:
    """Standard error of the units' mean square, relative to it; NaN for a single unit."""
    xp, count = namespace(units.squares), units.squares.size
    error = xp.std(units.squares) / xp.sqrt(xp.asarray(count - 1, np.float32))
    return error / xp.mean(units.squares)
