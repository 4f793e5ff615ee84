"""What theory expects at each site, from the sizes of the kernels and the signal that comes in.

Mean field: the kernel's entries are independent of the signal and of each other, so that s is
Gaussian. A site's z is predicted where it is f(s) of the site before, and measured anywhere else:
after a normalisation, a sum of branches, attention. Every example is followed by itself.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy import optimize
from scipy.interpolate import PchipInterpolator

from glorot_jax.activations import SATURATED_SLOPE
from glorot_jax.diagnosis.measuring.fingerprints import input_sources
from glorot_jax.diagnosis.measuring.gains import inputs_of_an_output
from glorot_jax.diagnosis.tracing.layout import Site, slope_of
from glorot_jax.diagnosis.tracing.programs import compiled_once
from glorot_jax.diagnosis.tracing.sites import Traced
from glorot_jax.theory import meanfield, spectrum
from glorot_jax.theory.quadrature import half_gauss

# Where an activation is tabulated: close to 0 finely, far out coarsely, and on either side of 0,
# where many bend.
_RIGHT = np.append(1e-7, np.sinh(np.linspace(0, 8, 2049))[1:])
GRID = np.concatenate([-_RIGHT[::-1], [0.0], _RIGHT]).astype(np.float32)
STRAIGHT = 1e-10  # q below which f is taken for its tangent at 0
GROWN = 1.01  # what q is multiplied by to see how E[f^2] follows it
CURVE = 20  # points of a curve over q
FEW = 5  # values of q, where that of each example would take too long

# What is predicted, by the name of what it is held against.
PREDICTED = ("z_mean_square", "s_mean_square", "ds_mean_square", "jacobian_mean_square")
_LARGEST_GAIN = 100.0
_GAIN_STEPS = 60


class Table(NamedTuple):
    """An elementwise function f and its slope on ``GRID``."""

    f: np.ndarray
    slope: np.ndarray

    @property
    def two_sided(self) -> bool:
        """Whether f levels off on both sides, as tanh does and relu does not."""
        middle = abs(float(self.slope[len(GRID) // 2]))
        return max(abs(float(self.slope[0])), abs(float(self.slope[-1]))) < SATURATED_SLOPE * middle


@dataclass(frozen=True)
class RowConstants:
    """What is fixed for one row: its f, and how its contraction multiplies mean squares.

    ``forward``: inputs that an output adds up, on average; fewer than fan_in beside a border.
    ``backward``: outputs that an input goes into. ``even``: whether all inputs go into as many.
    ``independent``: whether z can't depend on the kernel, nor the kernel's entries on each other:
    it is one parameter, used once.
    """

    table: Table | None
    forward: float
    backward: float
    used_once: bool
    even: bool
    independent: bool


def row_constants(traced: Traced) -> tuple[RowConstants, ...]:
    """The rows of ``traced``, in its order, before any parameters are given."""
    tables = _tables(traced)
    uses = Counter(name for site in traced.sites for name in site.parameters)
    sites = [
        _row(site, table, [uses[name] for name in site.parameters] == [1])
        for site, table in zip(traced.sites, tables, strict=True)
    ]
    return traced.layout.repeat(sites)


def _row(site: Site, table: Table | None, alone: bool) -> RowConstants:
    seen = inputs_of_an_output(site)
    ratio = np.prod(site.s.shape) / max(np.prod(site.z.shape), 1)
    even = all(len(set(shares)) <= 1 for shares in site.uses)
    independent = alone and all(site.kernel_varies)
    return RowConstants(table, seen, seen * ratio, site.used_once, even, independent)


def _tables(traced: Traced) -> list[Table | None]:
    """f and f' of each site on the grid, by one program; alike sites share one table."""
    alike = traced.layout.alike

    def every(grid: jax.Array) -> list[Table | None]:
        first_ones = [traced.sites[indices[0]] for indices in alike]
        return [None if site.activation is None else _tabulate(site, grid) for site in first_ones]

    made: list[Table | None] = jax.device_get(compiled_once(every)(GRID))
    of_site = {
        index: table for indices, table in zip(alike, made, strict=True) for index in indices
    }
    return [of_site[index] for index in range(len(traced.sites))]


def _tabulate(site: Site, grid: jax.Array) -> Table:
    """By a function that takes arrays shaped like s only."""
    size = int(np.prod(site.s.shape))
    blocks = -(-GRID.size // size)
    padded = jnp.pad(grid, (0, blocks * size - GRID.size)).astype(site.s.dtype)

    def one(s: jax.Array) -> tuple[jax.Array, jax.Array]:
        assert site.activation is not None
        return site.activation(s), slope_of(site.activation, s)

    made = jax.lax.map(one, padded.reshape(blocks, *site.s.shape))
    return Table(*(part.reshape(-1)[: GRID.size].astype(jnp.float32) for part in made))


def predict(
    rows: Sequence[RowConstants], measured: Mapping[str, np.ndarray], /
) -> tuple[Mapping[str, np.ndarray], np.ndarray]:
    """What is expected of one net, by the names in ``PREDICTED``: [rows] each, NaN if unknown.

    Also, by [rows], how far a net of this width strays from it by the draw of its weights: one
    relative standard deviation of s_mean_square, that of the rows before it included; NaN where
    that can't be told. ``measured`` is what ``site_statistics.as_rows`` returned.
    ``jacobian_mean_square`` is that of the singular values of diag(f'(s)) W, for as many of them
    as there are outputs.
    """
    count = len(rows)
    sources = input_sources(measured["z_fingerprint"], measured["f_fingerprint"])
    # What a kernel sees more often than the rest is not followed: beside a border it is smaller.
    follows = [
        row > 0 and source.row == row - 1 and rows[row].even for row, source in enumerate(sources)
    ]
    z, s, chi = (np.full(count, np.nan) for _ in range(3))
    slope_square: list[np.ndarray] = []
    noise = np.zeros(count)
    after = np.nan * measured["z_example"][0]
    of_after = 0.0  # the square of its noise
    for i, row in enumerate(rows):
        below = after if follows[i] else measured["z_used"][i]
        of_below = of_after if follows[i] else 0.0
        weight = row.forward * measured["kernel_mean_square"][i]
        q = weight * below + measured["bias_mean_square"][i]
        z[i], s[i] = (np.mean(below) if follows[i] else np.nan), np.mean(q)
        own, of_f = (
            np.square(measured[name][i]) if row.independent else np.nan
            for name in ("s_unit_noise", "f_unit_noise")
        )
        noise[i] = np.sqrt(own + of_below)
        moments = _moments(row.table, q)
        after = moments.square
        of_after = of_f + np.square(moments.sensitivity) * of_below
        slope_square.append(moments.slope_square)
        chi[i] = weight * np.mean(moments.slope_square)
    ds = _backwards(rows, follows, measured, slope_square)
    predicted = dict(zip(PREDICTED, (z, s, ds, chi), strict=True))
    return predicted, noise


def _backwards(
    rows: Sequence[RowConstants],
    follows: Sequence[bool],
    measured: Mapping[str, np.ndarray],
    slope_square: Sequence[np.ndarray],
) -> np.ndarray:
    """Eq. 6 from the row above each, for rows of which only the next one makes use."""
    ds = np.full(len(rows), np.nan)
    above = measured["ds_example"][-1]
    for i in range(len(rows) - 2, -1, -1):
        if follows[i + 1] and rows[i].used_once:
            gain = rows[i + 1].backward * measured["kernel_mean_square"][i + 1]
            above = above * gain * slope_square[i]
            ds[i] = np.mean(above)
        else:
            above = measured["ds_example"][i]
    return ds


class _Moments(NamedTuple):
    """Of f(s), s ~ N(0, q): E[f^2], E[f'^2], both [n], and d log E[f^2] / d log q."""

    square: np.ndarray
    slope_square: np.ndarray
    sensitivity: float


def _moments(table: Table | None, q: np.ndarray) -> _Moments:
    if table is None or not np.isfinite(q).all():
        return _Moments(np.nan * q, np.ones_like(q), np.nan)
    # Below, f is a straight line, and the quadrature has no digits left.
    seen = np.maximum(q, STRAIGHT)
    passes_zero = table.f[GRID.size // 2] == 0
    scale = q / seen if passes_zero else 1.0
    square, moved = (scale * _expected_square(table.f, grown * seen) for grown in (1.0, GROWN))
    with np.errstate(divide="ignore", invalid="ignore"):
        sensitivity = np.log(np.mean(moved) / np.mean(square)) / np.log(GROWN)
    return _Moments(square, _expected_square(table.slope, seen), float(sensitivity))


def _expected_square(values: np.ndarray, q: np.ndarray) -> np.ndarray:
    """E[g(s)^2] for s ~ N(0, q) and ``values`` of g on the grid, q of any shape.

    By the quadrature of ``meanfield.expectation``.
    """
    nodes, weights = half_gauss(0, meanfield.RADIAL_NODES)
    s = np.sqrt(q)[..., None] * nodes
    both: np.ndarray = np.square(_on_line(values, s)) + np.square(_on_line(values, -s))
    return both @ weights / 2


def _on_line(values: np.ndarray, s: np.ndarray) -> np.ndarray:
    """Between the points of the grid and beyond its ends, along straight lines."""
    left, right = ((values[i] - values[j]) / (GRID[i] - GRID[j]) for i, j in ((0, 1), (-1, -2)))
    beyond = np.minimum(s - GRID[0], 0) * left + np.maximum(s - GRID[-1], 0) * right
    made: np.ndarray = np.interp(s, GRID, values) + beyond
    return made


def few_examples(s_example: np.ndarray) -> np.ndarray:
    """Five values of q [rows, 5] that stand for all examples and seeds of [seed, rows, n]."""
    levels = (np.arange(FEW) + 0.5) / FEW
    return np.quantile(
        np.moveaxis(s_example, 1, 0).reshape(s_example.shape[1], -1), levels, axis=1
    ).T


def mean_singular_values(
    rows: Sequence[RowConstants], q: np.ndarray, sigma_w2: np.ndarray, aspects: Sequence[float]
) -> np.ndarray:
    """Of diag(f'(s)) W of each row by free probability, s ~ N(0, q), averaged over q [rows, k].

    NaN where ``sigma_w2`` or q is. Rows of one f and shape, such as the steps of a scan, share one
    curve over q.
    """
    predicted = np.full(len(rows), np.nan)
    known = np.isfinite(q).all(axis=1) & (sigma_w2 > 0)
    kinds: dict[tuple[int, float], list[int]] = {}
    for i in np.flatnonzero(known).tolist():
        kinds.setdefault((id(rows[i].table), aspects[i]), []).append(i)
    for (_, aspect), same in kinds.items():
        curve = _mean_over(rows[same[0]].table, q[same], aspect)
        predicted[same] = np.sqrt(sigma_w2[same]) * curve
    return predicted


def _mean_over(table: Table | None, q: np.ndarray, aspect: float) -> np.ndarray:
    """The mean singular value for sigma_w = 1 and q [rows, k], averaged over k."""
    if table is None:
        return np.full(len(q), spectrum.mean_by_slopes(np.ones(1), 1.0, aspect=aspect))

    def at(q: float) -> float:
        slopes = _on_line(table.slope, spectrum.preactivations(q))
        return spectrum.mean_by_slopes(slopes, 1.0, aspect=aspect)

    different = np.unique(q)
    if different.size <= CURVE:
        values = {one: at(float(one)) for one in different}
        return np.array([np.mean([values[one] for one in row]) for row in q])
    # Smooth in log q, and a quarter of a digit between the points is close.
    log_q = np.log(np.maximum(q, STRAIGHT))
    points = np.linspace(log_q.min(), log_q.max(), CURVE)
    curve = PchipInterpolator(points, [at(float(np.exp(point))) for point in points])
    return np.mean(curve(log_q), axis=1)


def critical_gain(row: RowConstants, q: np.ndarray, n_var: float) -> float:
    """The factor for the kernel that makes n Var[W] E[f'(s)^2] 1, s ~ N(0, q), over q [k].

    q grows with the square of the factor. The nearest one to 1, NaN where none up to 100 does it.
    """
    if row.table is None:
        return float(1 / np.sqrt(n_var)) if n_var > 0 else np.nan
    if not (n_var > 0 and np.isfinite(q).all()):
        return np.nan
    slope = row.table.slope

    def excess(log_gain: float) -> float:
        square = np.exp(2 * log_gain)
        return float(n_var * square * np.mean(_expected_square(slope, square * q)) - 1)

    # A wider s is too wide for the nodes of the quadrature, so the search starts from 1.
    sign = 1 if excess(0.0) < 0 else -1
    steps = sign * np.linspace(0.0, np.log(_LARGEST_GAIN), _GAIN_STEPS)
    crossed = next((i for i, step in enumerate(steps) if excess(step) * sign > 0), None)
    if crossed is None:
        return np.nan
    return float(np.exp(optimize.brentq(excess, steps[crossed - 1], steps[crossed])))
