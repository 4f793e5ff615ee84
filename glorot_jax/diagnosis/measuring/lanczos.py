"""Singular values of linear operators known by their products alone: Golub-Kahan-Lanczos.

From a random start vector v, m steps of bidiagonalisation (matfree's) give the Gauss rule of m
nodes for v'f(A'A)v, whose expectation is the trace of f(A'A). For f the square root Gauss is never
below and the Gauss-Radau rule with a node at 0 never above (Golub and Meurant 2010, chapter 6):
the two bracket the mean singular value. Where the density at 0 is positive, as it is for square
random matrices, their errors fall as 1/m^2 in the ratio 1 to -2, so that a third of the bracket
from Gauss the leading terms cancel.

A counts as having k = min(inputs, outputs) singular values, zeros among them.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.custom_batching import sequential_vmap
from jax.flatten_util import ravel_pytree
from matfree import decomp

MATVECS = 20
BINS = 50
# Relative to the largest singular value. What is smaller counts as 0: float32 holds no more.
ZERO = 1e-5
# Added on the diagonal. A spectrum of few different values (0, an isometry) ends the iteration
# early, in 0 / 0. No two of these are alike, and no singular value moves by more (Weyl).
_PERTURBATION = 1e-6

# Directions for each step up to which the vectors are made orthogonal anew. Among more of them
# rounding hardly brings back what was found before, and it would take most of the time.
FEW = 50

Matvec = Callable[[Any], Any]


class Ritz(NamedTuple):
    """What one start vector says of an operator with ``k`` singular values.

    ``values`` [m], descending, and ``weights`` [m], which add up to 1: the Gauss rule.
    ``residuals`` [m]: of each value, a singular value is as near as this. ``mean_below``: the mean
    by Gauss-Radau. ``half_maximum``: the largest value after half as many steps.
    """

    values: jax.Array
    weights: jax.Array
    residuals: jax.Array
    mean_below: jax.Array
    half_maximum: jax.Array
    k: jax.Array


class Spectrum(NamedTuple):
    """Singular values of one operator or of several of a shape, averaged over them; scalars.

    ``mean_error``: a bound of the standard error of ``mean`` over start vectors, plus half of the
    most that the quadrature can be off: twice it covers the truth. 0 of exact values.
    ``mean_square``: of the singular values. ``maximum`` and ``minimum``: the means of each
    operator's; of a Lanczos iteration a lower bound, short by about ``maximum_error``, and an
    upper one.
    ``condition``: the median over operators of maximum / minimum, inf where the minimum is 0, and
    a lower bound too. ``density`` [bins], which integrates to 1, between ``edges`` [bins + 1] from
    0 to the largest value of all. ``exact``: whether values are exact, a bool.
    """

    mean: jax.Array
    mean_error: jax.Array
    mean_square: jax.Array
    maximum: jax.Array
    maximum_error: jax.Array
    minimum: jax.Array
    condition: jax.Array
    density: jax.Array
    edges: jax.Array
    exact: jax.Array


class Bidiagonal(NamedTuple):
    """``diagonal`` [m], and ``above`` [m] it; the last of ``above`` leads out of the m steps.

    ``k``: how many singular values the operator has.
    """

    diagonal: jax.Array
    above: jax.Array
    k: jax.Array


def singular_values(
    matvec: Matvec,
    like: Any,
    key: jax.Array,
    /,
    *,
    matvecs: int = MATVECS,
    num_vectors: int = 8,
    rms: jax.Array | None = None,
    bins: int = BINS,
) -> Spectrum:
    """The spectrum of one linear operator ``matvec`` of arrays shaped like ``like``.

    Args:
      matvecs: Lanczos steps, at most min(inputs, outputs) of which are made.
      num_vectors: start vectors.
      rms: root of the mean square singular value, |A| / sqrt(k) by Frobenius' norm; it lowers
        the error of the mean about fourfold.
    """

    def from_one_vector(key: jax.Array) -> Ritz:
        return ritz(bidiagonal(matvec, like, key, matvecs=matvecs))

    values = jax.vmap(from_one_vector)(jax.random.split(key, num_vectors))
    values = jax.tree.map(lambda a: a[None], values)
    return summary(values, None if rms is None else jnp.reshape(rms, (1,)), bins=bins)


def bidiagonal(matvec: Matvec, like: Any, key: jax.Array, /, *, matvecs: int) -> Bidiagonal:
    """Lanczos steps of one operator from one random vector of signs; all in float32.

    Pure, for ``vmap`` over operators. Starts on the smaller side of the operator. Finite whatever
    its rank.
    """
    shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, jnp.float32), like)
    inputs, outputs = _size(shapes), _size(jax.eval_shape(matvec, shapes))
    if inputs > outputs:
        transpose = jax.linear_transpose(matvec, shapes)
        made = jax.eval_shape(matvec, shapes)
        return bidiagonal(lambda u: transpose(u)[0], made, key, matvecs=matvecs)

    unravel = ravel_pytree(jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), shapes))[1]

    def flat(v: jax.Array) -> jax.Array:
        return ravel_pytree(matvec(unravel(v)))[0]

    start = jax.random.rademacher(key, (inputs,), jnp.float32)
    # Uneven, so that no row of equal weights is orthogonal to it.
    scale = _scale(flat, start * jnp.linspace(1, 2, inputs, dtype=jnp.float32))
    divisor = _or_one(scale)
    added = jnp.linspace(_PERTURBATION / 2, _PERTURBATION, inputs, dtype=jnp.float32)

    def scaled(v: jax.Array) -> jax.Array:
        return flat(v) / divisor + jnp.pad(added * v, (0, outputs - inputs))

    reortho = "full" if held_orthogonal(inputs, matvecs) else "none"
    steps = decomp.bidiag(min(matvecs, inputs), materialize=False, reortho=reortho)
    made = steps(scaled, start)
    diagonal, above = made.J_small
    # After as many steps as there are inputs nothing may be left, and matfree divides by that.
    left = jnp.linalg.norm(made.residual)
    left = jnp.where(jnp.isnan(left), 0, left)
    return Bidiagonal(scale * diagonal, scale * jnp.append(above, left), jnp.float32(inputs))


def held_orthogonal(directions: int, matvecs: int) -> bool:
    """Whether the Lanczos vectors of so many directions are made orthogonal to all before."""
    return directions <= FEW * matvecs


def _size(shapes: Any) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))


def _scale(flat: Matvec, v: jax.Array) -> jax.Array:
    """Near the largest singular value, from below."""
    made, transpose = jax.vjp(flat, v)
    return _norm(transpose(made / _or_one(_norm(made)))[0])


def _norm(values: jax.Array) -> jax.Array:
    # The squares of small values underflow: gradients that vanished may be 1e-30.
    largest = jnp.max(jnp.abs(values))
    return largest * jnp.linalg.norm(values / _or_one(largest))


def one_at_a_time(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function``, which decomposes a matrix, for ``vmap``: on a CPU a loop.

    There a batch of decompositions waits for ever on threads that another batch holds.
    """
    on_cpu = sequential_vmap(function)

    # Asked when called: an import must not start a backend.
    def chosen(*args: Any) -> Any:
        return (on_cpu if jax.default_backend() == "cpu" else function)(*args)

    return chosen


def ritz(steps: Bidiagonal) -> Ritz:
    """Singular values and quadrature rules of one small bidiagonal matrix."""
    return one_at_a_time(_ritz)(steps)


def _ritz(steps: Bidiagonal) -> Ritz:
    m = len(steps.diagonal)
    wide = jnp.eye(m, m + 1, dtype=jnp.float32) * steps.diagonal[:, None]
    wide = wide + jnp.eye(m, m + 1, 1, jnp.float32) * steps.above[:, None]
    left, values, right = jnp.linalg.svd(wide[:, :m])
    # With a row of zeros below, a singular value is 0: Radau's node.
    below = jnp.linalg.svd(jnp.pad(wide, ((0, 1), (0, 0))))
    half = jnp.zeros(1, jnp.float32)
    if m > 1:
        half = jnp.linalg.svd(wide[: m // 2, : m // 2], compute_uv=False)
    return Ritz(
        values=_with_zeros(values),
        weights=jnp.square(right[:, 0]),
        residuals=steps.above[-1] * jnp.abs(left[-1]),
        mean_below=jnp.sum(below[1] * jnp.square(below[2][:, 0])),
        half_maximum=half[0],
        k=steps.k,
    )


def _with_zeros(values: jax.Array) -> jax.Array:
    return jnp.where(values <= ZERO * values[..., :1], 0, values)


def summary(
    every: Ritz,
    rms: jax.Array | None = None,
    singular: jax.Array | None = None,
    /,
    *,
    bins: int = BINS,
) -> Spectrum:
    """What start vectors, ``every`` with leading axes [operators, vectors], say together.

    ``rms`` [operators]: the root of each one's mean square singular value, where it is known. It
    corrects each estimate by how far off that of the mean square is, a control variate.
    ``singular`` [operators], bools: which are known to have a singular value 0.
    """
    unit = _or_one(jnp.max(every.values[..., 0]))
    values = every.values / unit
    first, square, third, fourth = (
        jnp.sum(every.weights * values**power, axis=-1) for power in (1, 2, 3, 4)
    )
    bracket = jnp.maximum(first - every.mean_below / unit, 0)
    mean = first - bracket / 3
    a, b, c, d = (jnp.mean(moment) for moment in (first, square, third, fourth))
    variance = b - a**2
    if rms is not None:
        known = jnp.square(rms / unit)[:, None]
        spread = d - b**2
        slope = jnp.where(spread > 1e-6 * b**2, (c - a * b) / _or_one(spread), 0)
        mean = mean - slope * (square - known)
        variance = b - 2 * slope * c + slope**2 * d - (a - slope * b) ** 2
        square = known
    # With random signs v'Bv / k has at most 2 / k times the variance of B's eigenvalues.
    of_vectors = 2 * jnp.maximum(variance, 0) / jnp.mean(every.k) / mean.size
    error = jnp.sqrt(of_vectors) + jnp.mean(bracket) / 3
    top = jnp.max(every.values[..., 0], axis=1)
    largest = jnp.argmax(every.values[..., 0], axis=1)[:, None]
    short = jnp.minimum(every.residuals[..., 0], (every.values[..., 0] - every.half_maximum) / 3)
    short = jnp.take_along_axis(short, largest, axis=1)
    bottom = jnp.min(every.values[..., -1], axis=1)
    if singular is not None:
        bottom = jnp.where(singular, 0, bottom)
    return Spectrum(
        mean=jnp.mean(mean) * unit,
        mean_error=error * unit,
        mean_square=jnp.mean(square) * unit**2,
        maximum=jnp.mean(top),
        maximum_error=jnp.mean(jnp.maximum(short, 0)),
        minimum=jnp.mean(bottom),
        condition=_condition(top, bottom),
        **_density(every.values, every.weights, every.residuals, bins),
        exact=jnp.array(False),
    )


def exact_summary(values: jax.Array, /, *, bins: int = BINS) -> Spectrum:
    """The same of all singular values [operators, k], descending."""
    values = _with_zeros(values)
    top, bottom = values[:, 0], values[:, -1]
    weights = jnp.full(values.shape, 1 / values.shape[1], jnp.float32)
    return Spectrum(
        mean=jnp.mean(values),
        mean_error=jnp.zeros((), jnp.float32),
        mean_square=jnp.mean(jnp.square(values)),
        maximum=jnp.mean(top),
        maximum_error=jnp.zeros((), jnp.float32),
        minimum=jnp.mean(bottom),
        condition=_condition(top, bottom),
        **_density(values, weights, jnp.zeros_like(values), bins),
        exact=jnp.array(True),
    )


def _condition(top: jax.Array, bottom: jax.Array) -> jax.Array:
    ratios = jnp.where(bottom == 0, jnp.inf, top / _or_one(bottom))
    # The lower median; between two infinite numbers the usual one is NaN.
    return jnp.sort(ratios)[(len(ratios) - 1) // 2]


def _density(
    values: jax.Array, weights: jax.Array, residuals: jax.Array, bins: int
) -> dict[str, jax.Array]:
    """The mean density of ``values`` [.., m].

    A node stands for what is nearer to it than to the others, as far as its residual reaches:
    a converged one is a singular value, and stays a point.
    """
    edges = _or_one(jnp.max(values)) * jnp.linspace(0, 1, bins + 1, dtype=jnp.float32)
    between = (values[..., 1:] + values[..., :-1]) / 2
    above = jnp.concatenate([values[..., :1], between], axis=-1)
    below = jnp.concatenate([between, jnp.zeros_like(values[..., :1])], axis=-1)
    high = jnp.minimum(above, values + residuals)
    width = high - jnp.maximum(below, values - residuals)

    def share_below(edge: jax.Array) -> jax.Array:
        reached = jnp.clip(1 - (high - edge) / _or_one(width), 0, 1)
        share = jnp.where(width > 0, reached, (high <= edge).astype(jnp.float32))
        return jnp.sum(weights * share) * values.shape[-1] / values.size

    shares = jax.lax.map(share_below, edges[1:-1])
    shares = jnp.concatenate([jnp.zeros(1), shares, jnp.ones(1)], dtype=jnp.float32)
    return {"density": jnp.diff(shares) / jnp.diff(edges), "edges": edges}


def _or_one(value: jax.Array) -> jax.Array:
    return jnp.where(value == 0, 1, value)
