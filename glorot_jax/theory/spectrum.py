"""Singular values of wide layers diag(f'(s)) W and of products of them, by free probability.

Pennington, Schoenholz and Ganguli 2017. Layers are independent, W is ``gaussian`` (independent
entries of any law, Var[W] = sigma_w^2 / n) or ``orthogonal`` (sigma_w times a random rotation),
and s ~ N(0, q). NumPy in float64: complex roots are followed, which float32 loses.

All rests on the S-transform, which multiplies along a product. With p = E[x / (x + t)] for the
squared singular values x, t(p) = (1 - p) / (p S(-p)).
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from scipy.special import ndtri

from glorot_jax.activations import Activation, slope
from glorot_jax.theory.quadrature import legendre

WEIGHTS = ("gaussian", "orthogonal")
_UNITS = 1000
_NODES = 200


class Density(NamedTuple):
    """``value`` at the singular values ``x`` [points]; ``at_zero``, the share of exact zeros.

    ``value`` leaves those zeros out: it integrates to 1 - at_zero.
    """

    x: np.ndarray
    value: np.ndarray
    at_zero: float


class Moments(NamedTuple):
    """Of the squared singular values of the product of layers: ``mean`` and ``variance``."""

    mean: float
    variance: float


def preactivations(q: float, /, *, units: int = _UNITS) -> np.ndarray:
    """s of ``units`` units at the mid-quantiles of N(0, q), [units]."""
    quantiles: np.ndarray = ndtri((np.arange(units) + 0.5) / units)
    return np.sqrt(q) * quantiles


def slopes(activation: Activation, q: float, /, *, units: int = _UNITS) -> np.ndarray:
    """|f'(s)| of ``units`` units whose s are ``preactivations``, [units]."""
    s = preactivations(q, units=units)
    return np.abs(np.asarray(slope(activation, jnp.asarray(s, jnp.result_type(float))), np.float64))


def mean_singular_value(
    activation: Activation,
    q: float,
    sigma_w2: float,
    /,
    *,
    depth: int = 1,
    weights: str = "gaussian",
    aspect: float = 1.0,
) -> float:
    """Mean singular value of a product of ``depth`` layers, all with the same q.

    Args and errors as ``mean_by_slopes``.
    """
    return mean_by_slopes(
        slopes(activation, q), sigma_w2, depth=depth, weights=weights, aspect=aspect
    )


def mean_by_slopes(
    slopes: np.ndarray,
    sigma_w2: float,
    /,
    *,
    depth: int = 1,
    weights: str = "gaussian",
    aspect: float = 1.0,
) -> float:
    """The same of layers whose units have these slopes f'(s), [units].

    Args:
      sigma_w2: n_in Var[W].
      aspect: n_out / n_in of a single Gaussian layer; the mean is over min(n_in, n_out) values.

    Raises:
      ValueError: ``weights`` is neither kind, ``depth`` is not positive, or ``aspect`` is asked of
        anything but one Gaussian layer.
    """
    _check(depth, weights)
    if aspect != 1 and (depth > 1 or weights != "gaussian"):
        raise ValueError(f"aspect: {aspect} needs depth 1 and gaussian weights")
    squares, shares = _distinct(np.square(slopes))
    # E[sqrt(x)] = (2/pi) int_0^infinity p du at t = u^2, and that area is (2/pi) int u(p) dp.
    largest = min(float(shares[squares > 0].sum()), 1 / aspect)
    if largest == 0:
        return 0.0
    nodes, node_weights = legendre(_NODES)
    # u(p) is singular like p^(-depth/2) at worst, at both ends flat in the angle.
    angle = np.pi / 4 * (nodes + 1)
    p = largest * np.sin(angle) ** 2
    dp = largest * np.sin(2 * angle) * node_weights * np.pi / 4
    log_s_slopes = np.log1p(-p) - np.log(p) - np.log(_level(squares, shares, p))
    log_s = log_s_slopes - np.log(sigma_w2)
    if weights == "gaussian":
        log_s -= np.log1p(-aspect * p)
    u = np.exp((np.log1p(-p) - np.log(p) - depth * log_s) / 2)
    return float(2 / np.pi * np.sum(u * dp) / min(1.0, 1 / aspect))


def largest_singular_value(
    activation: Activation,
    q: float,
    sigma_w2: float,
    /,
    *,
    depth: int = 1,
    weights: str = "gaussian",
) -> float:
    """Upper edge of the spectrum of a product of ``depth`` layers of equal widths."""
    _check(depth, weights)
    squares, shares = _distinct(slopes(activation, q) ** 2)
    # z(y), the inverse of the subordination y(z), falls from infinity to the edge and turns there.
    y = squares.max() * (1 + np.logspace(-12, 8, 20_001))
    psi, _ = _psi(squares, shares, y)
    log_z = np.log1p(psi) - np.log(psi) + depth * np.log(psi * y * sigma_w2)
    if weights == "orthogonal":
        log_z -= depth * np.log1p(psi)
    return float(np.exp(log_z.min() / 2))


def squared_moments(
    activation: Activation, q: float, sigma_w2: float, /, *, depth: int, weights: str = "gaussian"
) -> Moments:
    """Mean and variance of the squared singular values (Pennington et al. 2017).

    At chi = 1 the mean is 1 and the variance depth (E[f'^4] / E[f'^2]^2 - 1 - s_1), s_1 = -1 for
    Gaussian and 0 for orthogonal weights: dynamical isometry asks for a variance bounded in depth.
    """
    _check(depth, weights)
    squares = slopes(activation, q) ** 2
    chi = sigma_w2 * np.mean(squares)
    spread = np.mean(squares**2) / np.mean(squares) ** 2 - (weights == "orthogonal")
    return Moments(float(chi**depth), float(depth * spread * chi ** (2 * depth)))


def density(
    activation: Activation,
    q: float,
    sigma_w2: float,
    x: np.ndarray,
    /,
    *,
    depth: int = 1,
    weights: str = "gaussian",
    resolution: float | None = None,
    units: int = _UNITS,
) -> Density:
    """Density of the singular values of a product of ``depth`` layers of equal widths.

    Args:
      x: [points], positive singular values to evaluate it at.
      resolution: half-width of the Lorentzian the density is seen through, max(x) / 1000 unless
        told. An isometry (orthogonal and linear) is a single peak of that width.
      units: how many quantiles of s stand for its law; the time grows with them.

    Raises:
      ValueError: ``weights`` is neither kind, or ``depth`` or an ``x`` is not positive.
      ArithmeticError: the root was lost; a larger ``resolution`` finds it.
    """
    _check(depth, weights)
    x = np.asarray(x, np.float64)
    if not (x > 0).all():
        raise ValueError(f"x: {x.min()} is not positive")
    squares, shares = _distinct(slopes(activation, q, units=units) ** 2)
    finest = x.max() / 1000 if resolution is None else resolution
    psi = _follow(squares, shares, sigma_w2, x, finest, depth, weights == "orthogonal")
    at_zero = float(shares[squares == 0].sum())
    value = -2 / np.pi * np.imag((1 + psi - at_zero) / (x + 1j * finest))
    return Density(x, value, at_zero)


def _distinct(squares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each value once and its share: f' is even for most f, so that half as many are left."""
    values, counts = np.unique(squares, return_counts=True)
    return values, counts / squares.size


def _follow(
    squares: np.ndarray,
    shares: np.ndarray,
    sigma_w2: float,
    x: np.ndarray,
    finest: float,
    depth: int,
    orthogonal: bool,
) -> np.ndarray:
    """psi = E[v / (z - v)], v the squared singular values, at z = (x + i finest)^2.

    Newton's method for y, where z = (1 + psi) / (psi S(psi)^depth) and psi = E[x / (y - x)] over
    the squared slopes; from far above the axis, where y is proportional to z, down to it.
    """
    mean = squares @ shares
    scale = np.sqrt(sigma_w2 * mean) ** depth
    start = 100 * max(x.max(), np.sqrt(sigma_w2 * squares.max()) ** depth * 2**depth)
    heights = np.geomspace(start, finest, int(np.ceil(np.log(start / finest) / np.log(1.15))))
    y = mean * (x + 1j * start) ** 2 / scale**2
    for height in heights:
        z = (x + 1j * height) ** 2
        for _ in range(4):
            psi, slope_of_psi = _psi(squares, shares, y)
            # z psi S^depth / (1 + psi), which is 1 at the root, and its logarithmic derivative;
            # a Gaussian matrix's S has the 1 + psi that a rotation's lacks.
            powers = depth - 1 if orthogonal else -1
            value = z * psi * (1 + psi) ** powers / (psi * y * sigma_w2) ** depth
            relative = slope_of_psi * ((1 - depth) / psi + powers / (1 + psi)) - depth / y
            step = (value - 1) / (value * relative)
            y = y - step
    if not (np.abs(step) < 1e-6 * np.abs(y)).all():
        raise ArithmeticError(f"resolution: the spectrum can't be followed down to {finest}")
    return _psi(squares, shares, y)[0]


def _psi(squares: np.ndarray, shares: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """E[x / (y - x)] over the squared slopes x, and its derivative."""
    inverse = 1 / (y[:, None] - squares)
    return inverse @ (squares * shares), -(inverse * inverse) @ (squares * shares)


def _level(squares: np.ndarray, shares: np.ndarray, p: np.ndarray) -> np.ndarray:
    """t(p) with E[squares / (squares + t)] = p: read off a table, then by Newton.

    log t is nearly straight in log(p / (most - p)), most the share of what isn't zero.
    """
    squares, shares = squares[squares > 0], shares[squares > 0]

    def split(log_t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        t = np.exp(log_t)[:, None]
        return squares / (squares + t), t / (squares + t)

    table = np.linspace(np.log(squares.max()) + 50, np.log(squares.min()) - 50, _NODES)
    above, below = split(table)
    logit = np.log(above @ shares) - np.log(below @ shares)
    level = np.interp(np.log(p) - np.log(shares.sum() - p), logit, table)
    for _ in range(5):
        above, below = split(level)
        level = level + (above @ shares - p) / ((above * below) @ shares)
    return np.exp(level)


def _check(depth: int, weights: str) -> None:
    if weights not in WEIGHTS:
        raise ValueError(f"weights: {weights} is not one of {', '.join(WEIGHTS)}")
    if depth < 1:
        raise ValueError(f"depth: {depth} is not a positive number of layers")
