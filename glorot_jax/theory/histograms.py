"""Predicted histograms: examples differ in their variances, so a layer shows a Gaussian mixture.

Shares [bins] of the bins between ``edges`` [bins + 1]; as in the measured histograms, what lies
outside is counted in the outermost bins. NumPy in float64.
"""

import jax.numpy as jnp
import numpy as np
from scipy.special import ndtr, ndtri

from glorot_jax.activations import Activation, slope

_CELLS = 1000  # on either side of 0
_SLOPES = 64


def mixture_shares(variances: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Shares of an equal mixture of N(0, v), v in ``variances`` (any shape; 0 is a point at 0)."""
    v = np.ravel(np.asarray(variances, np.float64))
    positive = v[v > 0]
    # Where below 0 lies nothing of the point at 0, and at 0 or above lies all of it.
    below = np.where(np.asarray(edges) > 0, 1.0, 0.0) * (v.size - positive.size)
    below = below + sum(
        ndtr(np.asarray(edges)[:, None] / np.sqrt(some)).sum(axis=1)
        for some in np.array_split(positive, max(1, positive.size // 1000))
    )
    return _between(below / v.size)


def activation_shares(activation: Activation, q: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Shares of z = f(s), s an equal mixture of N(0, q_e) over the examples; q [n], positive.

    f is taken to be straight within each of 2000 cells of s, 1% wide.
    """
    std = np.sqrt(np.asarray(q, np.float64))
    cells = np.concatenate([[0.0], np.geomspace(1e-3 * std.min(), 9 * std.max(), _CELLS)])
    s = np.concatenate([-cells[:0:-1], cells])
    mass = np.diff(np.mean(ndtr(s[:, None] / std), axis=1))
    z = np.asarray(activation(jnp.asarray(s, jnp.result_type(float))), np.float64)
    low, high = np.minimum(z[:-1], z[1:]), np.maximum(z[:-1], z[1:])
    flat = high == low
    width = np.where(flat, 1.0, high - low)
    edge = np.asarray(edges, np.float64)[:, None]
    passed = np.where(flat, edge > low, np.clip((edge - low) / width, 0, 1))
    return _between(passed @ mass / mass.sum())


def backprop_variances(activation: Activation, q: np.ndarray, backprop: np.ndarray) -> np.ndarray:
    """Var[dC/ds | s] of each example at 64 mid-quantiles of its s ~ N(0, q), [n, 64].

    dC/ds = f'(s) times a sum over the units above, Gaussian if these are many.

    Args:
      q: [n], Var[s] of each example.
      backprop: [n], Var[dC/ds] of each example.
    """
    u = ndtri((np.arange(_SLOPES) + 0.5) / _SLOPES)
    s = np.sqrt(np.asarray(q, np.float64))[:, None] * u
    squares = np.asarray(slope(activation, jnp.asarray(s, jnp.result_type(float))), np.float64) ** 2
    mean = squares.mean(axis=1, keepdims=True)
    relative = np.divide(squares, mean, out=np.zeros_like(squares), where=mean > 0)
    return np.asarray(backprop, np.float64)[:, None] * relative


def _between(below: np.ndarray) -> np.ndarray:
    below[0], below[-1] = 0.0, 1.0
    return np.diff(below)
