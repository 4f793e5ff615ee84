"""Mean field: layers so wide that every pre-activation is Gaussian, for any activation.

Poole et al. 2016 and Schoenholz et al. 2017; s^{i+1} = z^i W^i + b^i with Var[W] = sigma_w^2 / n
and Var[b] = sigma_b^2. Nothing depends on the law of the weights beyond its variance. Computed in
JAX's default float; in float32 the integrals are good to about 1e-6 for q up to 30, to 1e-5 at 150.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from glorot_jax.activations import Activation, slope
from glorot_jax.theory.quadrature import half_gauss, legendre

Value = float | jax.Array

RADIAL_NODES = 64
ANGULAR_NODES = 32
# The limits q -> 0 and q -> infinity are taken here: inside them q is a float32 with digits to
# spare, and sqrt(q) is far from where any activation of unit scale bends.
SMALLEST_Q, LARGEST_Q = 1e-12, 1e12
_SEARCHED_Q = np.logspace(-12, 12, 481)
_BISECTIONS = 60
# V(q) / q within this of 1 is no sign of growth: float32 and the quadrature together.
_RESOLUTION = 4e-6
CRITICAL_TOLERANCE = 1e-5


class DepthScales(NamedTuple):
    """Layers over which a departure from the fixed point changes by a factor of e.

    ``variance`` of q from q*, ``correlation`` of c from c*, ``gradient`` of the mean square of
    dC/ds: vanishing towards the input if chi < 1, exploding if chi > 1. Infinite at criticality;
    ``correlation`` also without biases where q* is 0 or infinite: no exponential there.
    """

    variance: jax.Array
    correlation: jax.Array
    gradient: jax.Array


class SignalVariances(NamedTuple):
    """What a net of d hidden layers should show over weights, units and examples.

    ``preactivation`` [d, n]: Var[s^i] of each example; the rest [d], averaged over the examples.
    ``activation``: Var[z^i], ``activation_mean_square`` E[(z^i)^2], i = 1..d; ``backprop``
    Var[dC/ds] of the same layers, of each example's own cost; ``weight_gradient`` Var[dC/dw] of
    the kernel below each, of each example's own gradient.
    """

    preactivation: jax.Array
    activation: jax.Array
    activation_mean_square: jax.Array
    backprop: jax.Array
    weight_gradient: jax.Array


def expectation(function: Callable[[jax.Array], jax.Array], q: Value) -> jax.Array:
    """E[function(s)] for s ~ N(0, q), q of any shape: the result has the shape of q.

    Gauss-Hermite quadrature on either side of 0 separately, so that a kink at 0 (relu, softsign)
    costs no accuracy: over the whole line 128 nodes leave softsign's E[f'^2] off by 4%.
    """
    q = _within_limits(q)
    nodes, weights = (jnp.asarray(part, q.dtype) for part in half_gauss(0, RADIAL_NODES))
    s = jnp.sqrt(q)[..., None] * _last(nodes, q.ndim + 1)
    return jnp.sum(_last(weights, s.ndim) * (function(s) + function(-s)), axis=-1) / 2


@partial(jax.jit, static_argnames="activation")
def variance_map(activation: Activation, q: Value, sigma_w2: Value, sigma_b2: Value) -> jax.Array:
    """Var[s] of the next layer, sigma_w^2 E[f(s)^2] + sigma_b^2 with s ~ N(0, q)."""
    return sigma_w2 * expectation(lambda s: jnp.square(activation(s)), q) + sigma_b2


@partial(jax.jit, static_argnames="activation")
def slope_square(activation: Activation, q: Value) -> jax.Array:
    """E[f'(s)^2] for s ~ N(0, q)."""
    return expectation(lambda s: jnp.square(slope(activation, s)), q)


@partial(jax.jit, static_argnames="activation")
def fixed_point(
    activation: Activation, sigma_w2: Value, sigma_b2: Value, *, start: float = 1.0
) -> jax.Array:
    """q*: where the variance map leads from ``start``; 0 or infinity where it ends at neither.

    The nearest root of V(q) = q on the side to which V(start) lies, which is the limit of the
    iteration wherever V is increasing. ``start`` itself if it stays (critical relu).
    """
    q = jnp.asarray(start)

    def growth(q: jax.Array) -> jax.Array:
        return variance_map(activation, q, sigma_w2, sigma_b2) / q - 1

    at_start = growth(q)
    rises = at_start > 0
    grid = jnp.asarray(_SEARCHED_Q, q.dtype)
    turns = jnp.where(
        rises, (grid > q) & (growth(grid) < -_RESOLUTION), (grid < q) & (growth(grid) > _RESOLUTION)
    )
    # The nearest turn: the first one above, or the last one below.
    index = jnp.where(rises, jnp.argmax(turns), grid.size - 1 - jnp.argmax(turns[::-1]))
    low, high = (jnp.log(jnp.where(rises, *ends)) for ends in ((q, grid[index]), (grid[index], q)))
    root = jnp.exp(_bisect(lambda x: growth(jnp.exp(x)) > 0, low, high))
    end = jnp.where(rises, jnp.inf, 0.0)
    return jnp.where(
        jnp.abs(at_start) <= _RESOLUTION, q, jnp.where(jnp.any(turns), root, end)
    ).astype(q.dtype)


@partial(jax.jit, static_argnames="activation")
def chi(activation: Activation, q: Value, sigma_w2: Value) -> jax.Array:
    """sigma_w^2 E[f'(s)^2], the factor of Var[dC/ds] for each layer down; q = 0, inf as limits."""
    return sigma_w2 * slope_square(activation, q)


@partial(jax.jit, static_argnames="activation")
def correlation_map(
    activation: Activation, c: Value, q: Value, sigma_w2: Value, sigma_b2: Value
) -> jax.Array:
    """Correlation of the pre-activations of two examples, one layer on: c [...], one q for both."""
    product = _pair_expectation(activation, c, q)
    return (sigma_w2 * product + sigma_b2) / variance_map(activation, q, sigma_w2, sigma_b2)


@partial(jax.jit, static_argnames="activation")
def correlation_fixed_point(
    activation: Activation, q: Value, sigma_w2: Value, sigma_b2: Value
) -> jax.Array:
    """c* for q = q*: 1 unless 1 is unstable, then the root below 1 that all pairs are drawn to."""

    def rises(c: jax.Array) -> jax.Array:
        return correlation_map(activation, c, q, sigma_w2, sigma_b2) > c

    # The map is convex on [0, 1], starts at or above 0 and ends at 1.
    root = _bisect(rises, jnp.zeros(()), jnp.ones(()))
    at_one = _correlation_slope(activation, 1.0, q, sigma_w2, sigma_b2)
    return jnp.where(at_one > 1 + CRITICAL_TOLERANCE, root, 1.0)


@partial(jax.jit, static_argnames="activation")
def chi_at_fixed_point(
    activation: Activation, sigma_w2: jax.Array, sigma_b2: jax.Array
) -> jax.Array:
    """chi at q*, for sigma_w2 and sigma_b2 of one shape: below 1 ordered, above 1 chaotic."""

    def at(variances: tuple[jax.Array, jax.Array]) -> jax.Array:
        weights, biases = variances
        return chi(activation, fixed_point(activation, weights, biases), weights)

    return jax.lax.map(at, (sigma_w2.reshape(-1), sigma_b2.reshape(-1))).reshape(sigma_w2.shape)


def phase(activation: Activation, sigma_w2: Value, sigma_b2: Value) -> str:
    """``ordered`` (chi < 1 at q*: pairs merge, gradients vanish), ``critical`` or ``chaotic``.

    Critical is chi within 1e-5 of 1. Where q* is infinite, chi is taken in that limit.
    """
    found = float(chi(activation, fixed_point(activation, sigma_w2, sigma_b2), sigma_w2))
    if abs(found - 1) <= CRITICAL_TOLERANCE:
        return "critical"
    return "ordered" if found < 1 else "chaotic"


@partial(jax.jit, static_argnames="activation")
def depth_scales(activation: Activation, sigma_w2: Value, sigma_b2: Value) -> DepthScales:
    """How deep signals and gradients go (Schoenholz et al. 2017)."""
    # Inside the limits, where the clip has the slope 1.
    q = jnp.clip(fixed_point(activation, sigma_w2, sigma_b2), 2 * SMALLEST_Q, LARGEST_Q / 2)
    c = correlation_fixed_point(activation, q, sigma_w2, sigma_b2)
    factors = (
        jax.grad(lambda q: variance_map(activation, q, sigma_w2, sigma_b2))(q),
        _correlation_slope(activation, c, q, sigma_w2, sigma_b2),
        chi(activation, q, sigma_w2),
    )
    return DepthScales(*(_scale(factor) for factor in factors))


def critical_sigma_w2(activation: Activation, sigma_b2: float, /) -> float:
    """The sigma_w^2 at which ``sigma_b2`` is critical: chi = 1 at the fixed point q*.

    At chi = 1, sigma_w^2 = 1 / E[f'^2] and sigma_b^2 = q - E[f^2] / E[f'^2], both functions of q
    alone; the smallest such q is taken. It need not be stable: gelu's at sigma_b = 0 is not.

    Raises:
      ValueError: no q in 1e-12..1e12 makes this ``sigma_b2`` critical (relu has none but 0).
    """
    sigma_w, exists = _critical(activation, np.sqrt(sigma_b2))
    if not exists:
        raise ValueError(f"sigma_b2: {sigma_b2} is critical for no sigma_w2 with this activation")
    return float(sigma_w) ** 2


def critical_line(activation: Activation, sigma_b2: np.ndarray, /) -> np.ndarray:
    """``critical_sigma_w2`` of each of ``sigma_b2`` [n], NaN where none is critical, [n]."""
    sigma_b = jnp.asarray(np.sqrt(sigma_b2), jnp.result_type(float))
    sigma_w, exists = _critical_line(activation, sigma_b)
    return np.where(exists, np.square(np.asarray(sigma_w, np.float64)), np.nan)


def predict_signals(
    activation: Activation,
    sizes: Sequence[int],
    weight_variances: Sequence[float],
    *,
    input_mean_squares: ArrayLike,
    output_gradient_mean_squares: ArrayLike,
) -> SignalVariances:
    """Eqs. 5-7 without the linear regime: q and E[f'^2] of every example in every layer.

    Args:
      sizes: n_0 (inputs), n_1 .. n_d (hidden), n_{d+1} (classes); biases are 0.
      weight_variances: Var[W^0] .. Var[W^d]; only the variance of the paper's uniform law matters.
      input_mean_squares: [n], mean of x^2 over the inputs of each example. Examples differ, and
        the maps bend: one q for all is wrong.
      output_gradient_mean_squares: [n] or (), mean square of dC/ds at the logits.

    Raises:
      ValueError: there is not one weight variance per layer.
    """
    if len(weight_variances) != len(sizes) - 1:
        raise ValueError(
            f"weight_variances: {len(weight_variances)} given, {len(sizes) - 1} layers "
            "need one each"
        )
    square = jnp.asarray(input_mean_squares)
    below, q, mean = [square], [], []
    for n_in, variance in zip(sizes[:-2], weight_variances[:-1], strict=True):
        q.append(n_in * variance * below[-1])
        below.append(expectation(lambda s: jnp.square(activation(s)), q[-1]))
        mean.append(expectation(activation, q[-1]))
    gradient = jnp.broadcast_to(jnp.asarray(output_gradient_mean_squares), square.shape)
    backprop: list[jax.Array] = []
    for n_out, variance, q_layer in zip(
        sizes[:1:-1], weight_variances[:0:-1], q[::-1], strict=True
    ):
        gradient = gradient * (n_out * variance) * slope_square(activation, q_layer)
        backprop.insert(0, gradient)
    z2, ds2 = jnp.stack(below), jnp.stack(backprop)
    mean_square = jnp.mean(z2[1:], axis=1)
    return SignalVariances(
        preactivation=jnp.stack(q),
        activation=mean_square - jnp.square(jnp.mean(jnp.stack(mean), axis=1)),
        activation_mean_square=mean_square,
        backprop=jnp.mean(ds2, axis=1),
        weight_gradient=jnp.mean(z2[:-1] * ds2, axis=1),
    )


@partial(jax.jit, static_argnames="activation")
def _critical(activation: Activation, sigma_b: float) -> tuple[jax.Array, jax.Array]:
    """The critical sigma_w, and whether there is one."""

    def excess(q: jax.Array) -> jax.Array:
        square = expectation(lambda s: jnp.square(activation(s)), q)
        return 1 - (square / slope_square(activation, q) + sigma_b**2) / q

    grid = jnp.asarray(_SEARCHED_Q, jnp.result_type(float))
    found = excess(grid)
    above = found > _RESOLUTION
    index = jnp.argmax(above)
    low, high = jnp.log(grid[jnp.maximum(index - 1, 0)]), jnp.log(grid[index])
    root = jnp.exp(_bisect(lambda x: excess(jnp.exp(x)) < 0, low, high))
    at_zero = jnp.abs(found[0]) <= _RESOLUTION
    q = jnp.where(at_zero, grid[0], root)
    return 1 / jnp.sqrt(slope_square(activation, q)), at_zero | jnp.any(above)


@partial(jax.jit, static_argnames="activation")
def _critical_line(activation: Activation, sigma_b: jax.Array) -> tuple[jax.Array, jax.Array]:
    return jax.lax.map(lambda each: _critical(activation, each), sigma_b)


def _correlation_slope(
    activation: Activation, c: Value, q: Value, sigma_w2: Value, sigma_b2: Value
) -> jax.Array:
    """Derivative of the correlation map at c: chi at c = 1 if q is a finite fixed point."""
    q = _within_limits(q)
    slopes = _pair_expectation(lambda s: slope(activation, s), c, q)
    return sigma_w2 * slopes * q / variance_map(activation, q, sigma_w2, sigma_b2)


def _pair_expectation(function: Callable[[jax.Array], jax.Array], c: Value, q: Value) -> jax.Array:
    """E[function(s1) function(s2)], both N(0, q) with correlation c [...]; q is a scalar.

    In polar coordinates, sector by sector between the lines s1 = 0 and s2 = 0.
    """
    c = jnp.asarray(c)
    q = _within_limits(q).astype(c.dtype)
    turn = jnp.arccos(jnp.clip(c, -1, 1))[..., None, None]
    radius, radial = (jnp.asarray(part, c.dtype) for part in half_gauss(1, RADIAL_NODES))
    nodes, angular = legendre(ANGULAR_NODES)
    total = jnp.zeros(c.shape, c.dtype)
    # Half of the plane; the rest is its mirror image (-s1, -s2).
    for first, width in ((0 * turn - np.pi / 2, turn), (turn - np.pi / 2, np.pi - turn)):
        angle = first + width * _last(jnp.asarray((nodes + 1) / 2, c.dtype)[:, None], turn.ndim)
        reach = jnp.sqrt(q) * _last(radius, angle.ndim)
        s1, s2 = reach * jnp.cos(angle), reach * jnp.cos(angle - turn)
        both = function(s1) * function(s2) + function(-s1) * function(-s2)
        inner = jnp.sum(_last(radial, both.ndim) * both, axis=-1)
        weight = _last(jnp.asarray(angular / 2, c.dtype), inner.ndim)
        total = total + jnp.sum(weight * inner, axis=-1) * width[..., 0, 0] / (2 * np.pi)
    return total


def _bisect(
    is_below: Callable[[jax.Array], jax.Array], low: jax.Array, high: jax.Array
) -> jax.Array:
    """Where ``is_below`` turns from true to false between ``low`` and ``high``, scalars."""

    def halve(_: int, ends: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        low, high = ends
        middle = (low + high) / 2
        below = is_below(middle)
        return jnp.where(below, middle, low), jnp.where(below, high, middle)

    low, high = jax.lax.fori_loop(0, _BISECTIONS, halve, (low, high))
    return (low + high) / 2


def _within_limits(q: Value) -> jax.Array:
    return jnp.clip(jnp.asarray(q, jnp.result_type(float)), SMALLEST_Q, LARGEST_Q)


def _last(nodes: jax.Array, ndim: int) -> jax.Array:
    """``nodes`` on the last of ``ndim`` axes; JAX's implicit rank promotion may be off."""
    return nodes.reshape((1,) * (ndim - nodes.ndim) + nodes.shape)


def _scale(factor: jax.Array) -> jax.Array:
    distance = jnp.abs(jnp.log(factor))
    return jnp.where(distance > _RESOLUTION, 1 / distance, jnp.inf)
