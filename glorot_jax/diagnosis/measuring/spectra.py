"""What is said of singular values: of all of them, or of what Lanczos iterations found."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from glorot_jax.diagnosis.measuring.lanczos import Bidiagonal, or_one

BINS = 50
# Relative to the largest singular value. What is smaller counts as 0: float32 holds no more.
ZERO = 1e-5


class Ritz(NamedTuple):
    """What one start vector says of an operator with ``k`` singular values; axes before are kept.

    ``values`` [m], descending, and ``weights`` [m], which add up to 1: the Gauss rule.
    ``residuals`` [m]: of each value, a singular value is as near as this. ``mean_below``: the mean
    by Gauss-Radau. ``half_maximum``: the largest value after half as many steps.
    """

    values: np.ndarray
    weights: np.ndarray
    residuals: np.ndarray
    mean_below: np.ndarray
    half_maximum: np.ndarray
    k: int


class Spectrum(NamedTuple):
    """Singular values of one operator or of several of a shape, averaged over them; scalars.

    ``mean_error``: a bound of the standard error of ``mean`` over start vectors, plus half of the
    most that the quadrature can be off: twice it covers the truth. 0 of exact values.
    ``mean_square``: of the singular values. ``maximum`` and ``minimum``: the means of each
    operator's; of a Lanczos iteration a lower bound, short by about ``maximum_error``, and an
    upper one.
    ``condition``: the median over operators of maximum / minimum, inf where the minimum is 0, and
    a lower bound too. ``density`` [bins], which integrates to 1, between ``edges`` [bins + 1] from
    0 to the largest value of all. ``exact``: whether values are exact, a bool. The others are
    float32, and NaN where a value of an operator isn't finite.
    """

    mean: np.ndarray
    mean_error: np.ndarray
    mean_square: np.ndarray
    maximum: np.ndarray
    maximum_error: np.ndarray
    minimum: np.ndarray
    condition: np.ndarray
    density: np.ndarray
    edges: np.ndarray
    exact: np.ndarray


def ritz(steps: Bidiagonal) -> Ritz:
    """Singular values and quadrature rules of small bidiagonal matrices."""
    m = steps.diagonal.shape[-1]
    wide = steps.diagonal[..., None] * np.eye(m, m + 1)
    wide = wide + steps.above[..., None] * np.eye(m, m + 1, 1)
    # LAPACK takes no others.
    known = np.where(np.isfinite(wide).all(axis=(-2, -1)), 1, np.nan)
    wide = np.where(np.isnan(known)[..., None, None], 0, wide)
    left, values, right = np.linalg.svd(wide[..., :m])
    # With a row of zeros below, a singular value is 0: Radau's node.
    below = np.linalg.svd(np.concatenate([wide, np.zeros_like(wide[..., :1, :])], axis=-2))
    half = np.linalg.svd(wide[..., : max(m // 2, 1), : m // 2], compute_uv=False)
    return Ritz(
        values=known[..., None] * _with_zeros(values),
        weights=np.square(right[..., 0]),
        residuals=steps.above[..., -1:] * np.abs(left[..., -1, :]),
        mean_below=known * np.sum(below[1] * np.square(below[2][..., 0]), axis=-1),
        half_maximum=half[..., 0] if m > 1 else np.zeros(wide.shape[:-2]),
        k=steps.k,
    )


def _with_zeros(values: np.ndarray) -> np.ndarray:
    return np.where(values <= ZERO * values[..., :1], 0, values)


@np.errstate(all="ignore")  # what isn't finite is NaN in the end
def summary(
    every: Ritz,
    rms: np.ndarray | None = None,
    singular: np.ndarray | None = None,
    /,
    *,
    bins: int = BINS,
) -> Spectrum:
    """What start vectors, ``every`` with leading axes [operators, vectors], say together.

    ``rms`` [operators]: the root of each one's mean square singular value, where it is known. It
    corrects each estimate by how far off that of the mean square is, a control variate, and lowers
    the error of the mean about fourfold.
    ``singular`` [operators], bools: which are known to have a singular value 0.
    """
    unit = or_one(np.max(every.values[..., 0]))
    values = every.values / unit
    first, square, third, fourth = (
        np.sum(every.weights * values**power, axis=-1) for power in (1, 2, 3, 4)
    )
    bracket = np.maximum(first - every.mean_below / unit, 0)
    mean = first - bracket / 3
    a, b, c, d = (np.mean(moment) for moment in (first, square, third, fourth))
    variance = b - a**2
    if rms is not None:
        known = np.square(rms / unit)[:, None]
        spread = d - b**2
        slope = np.where(spread > 1e-6 * b**2, (c - a * b) / or_one(spread), 0)
        mean = mean - slope * (square - known)
        variance = b - 2 * slope * c + slope**2 * d - (a - slope * b) ** 2
        square = known
    # With random signs v'Bv / k has at most 2 / k times the variance of B's eigenvalues.
    of_vectors = 2 * np.maximum(variance, 0) / every.k / mean.size
    error = np.sqrt(of_vectors) + np.mean(bracket) / 3
    top = np.max(every.values[..., 0], axis=1)
    largest = np.argmax(every.values[..., 0], axis=1)[:, None]
    short = np.minimum(every.residuals[..., 0], (every.values[..., 0] - every.half_maximum) / 3)
    short = np.take_along_axis(short, largest, axis=1)
    bottom = np.min(every.values[..., -1], axis=1)
    if singular is not None:
        bottom = np.where(singular, 0 * bottom, bottom)
    return _in_single(
        Spectrum(
            mean=np.mean(mean) * unit,
            mean_error=error * unit,
            mean_square=np.mean(square) * unit**2,
            maximum=np.mean(top),
            maximum_error=np.mean(np.maximum(short, 0)),
            minimum=np.mean(bottom),
            condition=_condition(top, bottom),
            **_density(every.values, every.weights, every.residuals, bins),
            exact=np.array(False),
        )
    )


@np.errstate(all="ignore")  # what isn't finite is NaN in the end
def singular_values_of(matrices: Iterable[np.ndarray]) -> np.ndarray:
    """All of each, [matrices, k] in float64, descending; NaN of a matrix that isn't finite.

    Right to about 1e-8 of the largest. Of a matrix that is far longer than wide it takes a tenth
    of the time of ``svd``.
    """
    squares = np.stack([_squared(matrix) for matrix in matrices])
    finite = np.isfinite(squares).all(axis=(-2, -1))
    values = np.linalg.eigvalsh(np.where(finite[:, None, None], squares, 0))[:, ::-1]
    return np.where(finite[:, None], np.sqrt(np.maximum(values, 0)), np.nan)


def _squared(matrix: np.ndarray) -> np.ndarray:
    """Its product with its transpose, the smaller of the two."""
    wide = matrix.astype(np.float64)
    short = wide if wide.shape[0] <= wide.shape[1] else wide.T
    made: np.ndarray = short @ short.T
    return made


@np.errstate(all="ignore")  # what isn't finite is NaN in the end
def exact_summary(values: np.ndarray, /, *, bins: int = BINS) -> Spectrum:
    """The same of all singular values [operators, k], descending."""
    values = _with_zeros(values.astype(np.float64))
    top, bottom = values[:, 0], values[:, -1]
    weights = np.full(values.shape, 1 / values.shape[1])
    return _in_single(
        Spectrum(
            mean=np.mean(values),
            mean_error=np.zeros(()),
            mean_square=np.mean(np.square(values)),
            maximum=np.mean(top),
            maximum_error=np.zeros(()),
            minimum=np.mean(bottom),
            condition=_condition(top, bottom),
            **_density(values, weights, np.zeros_like(values), bins),
            exact=np.array(True),
        )
    )


def unknown(bins: int = BINS) -> Spectrum:
    """That of an operator of which nothing is known."""
    scalars: dict[str, Any] = dict.fromkeys(Spectrum._fields, np.nan)
    shaped = {"density": np.full(bins, np.nan), "edges": np.full(bins + 1, np.nan)}
    return _in_single(Spectrum(**scalars | shaped | {"exact": np.array(False)}))


def _in_single(spectrum: Spectrum) -> Spectrum:
    exact = spectrum.exact
    return Spectrum(*(np.asarray(a, np.float32) for a in spectrum))._replace(exact=exact)


def _condition(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    ratios = np.where(bottom == 0, np.inf, top / or_one(bottom))
    # The lower median; between two infinite numbers the usual one is NaN.
    return np.sort(ratios)[(len(ratios) - 1) // 2]


def _density(
    values: np.ndarray, weights: np.ndarray, residuals: np.ndarray, bins: int
) -> dict[str, np.ndarray]:
    """The mean density of ``values`` [.., m].

    A node stands for what is nearer to it than to the others, as far as its residual reaches:
    a converged one is a singular value, and stays a point.
    """
    # As single precision has them: what is told of a value at an edge is told of these edges.
    edges = np.asarray(or_one(np.max(values)) * np.linspace(0, 1, bins + 1), np.float32)
    between = (values[..., 1:] + values[..., :-1]) / 2
    above = np.concatenate([values[..., :1], between], axis=-1)
    below = np.concatenate([between, np.zeros_like(values[..., :1])], axis=-1)
    high = np.minimum(above, values + residuals)
    width = high - np.maximum(below, values - residuals)

    def share_below(edge: float) -> float:
        reached = np.clip(1 - (high - edge) / or_one(width), 0, 1)
        share = np.where(width > 0, reached, high <= edge)
        return float(np.sum(weights * share) * values.shape[-1] / values.size)

    shares = np.array([0, *map(share_below, edges[1:-1]), 1])
    return {"density": np.diff(shares) / np.diff(edges), "edges": edges}
