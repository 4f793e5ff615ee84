"""Mean field of pairs of examples: what the gradient of a cost averaged over a batch needs.

Every pair has its own two variances and its own correlation, so E[f(s1) f(s2)] is summed in Hermite
polynomials, sum_k a_k(q1) a_k(q2) c^k (Mehler), one matrix product a degree. NumPy in float64.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from glorot_jax.activations import Activation, slope
from glorot_jax.theory.meanfield import RADIAL_NODES, SMALLEST_Q
from glorot_jax.theory.quadrature import half_gauss

DEGREES = 60
_DRAWS = 4000


class Kernels(NamedTuple):
    """Second moments of every pair of n examples, mean over a layer's units, in a net of d layers.

    ``preactivation`` [d, n, n]: of s^i; ``activation`` [d + 1, n, n]: of z^0 (the inputs) to z^d;
    ``incoming`` and ``backprop`` [d, n, n]: of dC/dz^i and dC/ds^i, C each example's own cost.
    """

    preactivation: np.ndarray
    activation: np.ndarray
    incoming: np.ndarray
    backprop: np.ndarray


def pair_moments(function: Callable[[jax.Array], jax.Array], covariance: np.ndarray) -> np.ndarray:
    """E[function(s_i) function(s_j)] for s ~ N(0, covariance), [n, n] as ``covariance``.

    The diagonal is exact to the quadrature. What the first 60 degrees leave over is counted as of
    the next degree: nothing for smooth functions, up to 1% between close examples for a step.
    """
    q = np.maximum(np.diagonal(covariance), SMALLEST_Q)
    half, weights = half_gauss(0, RADIAL_NODES)
    u, weights = np.concatenate([-half, half]), np.concatenate([weights, weights]) / 2
    s = jnp.asarray(np.sqrt(q)[:, None] * u, jnp.result_type(float))
    values = np.asarray(function(s), np.float64)
    correlation = np.clip(covariance / np.sqrt(np.outer(q, q)), -1, 1)
    rest = values**2 @ weights
    moments, power = np.zeros_like(correlation), np.ones_like(correlation)
    previous, current = np.zeros_like(u), np.ones_like(u)
    for k in range(DEGREES + 1):
        coefficient = values @ (weights * current)
        moments += np.outer(coefficient, coefficient) * power
        rest = rest - coefficient**2
        power = power * correlation
        previous, current = current, (u * current - np.sqrt(k) * previous) / np.sqrt(k + 1)
    rest = np.sqrt(np.maximum(rest, 0))
    return moments + np.outer(rest, rest) * power


def predict_kernels(
    activation: Activation,
    sizes: Sequence[int],
    weight_variances: Sequence[float] | np.ndarray,
    *,
    inputs: np.ndarray,
    output_gradients: np.ndarray,
) -> Kernels:
    """Second moments of pairs of examples, layer by layer; its diagonal is ``predict_signals``.

    Args:
      sizes: n_0 (inputs), n_1 .. n_d (hidden), n_{d+1} (classes); biases are 0.
      weight_variances: Var[W^0] .. Var[W^d].
      inputs: [n, n_0], the examples.
      output_gradients: [.., n, classes], dC/ds at the logits of each example's own cost; averaged
        over the leading axes.
    """
    x, g = np.asarray(inputs, np.float64), np.asarray(output_gradients, np.float64)
    below, covariances = [x @ x.T / sizes[0]], []
    for n_in, variance in zip(sizes[:-2], weight_variances[:-1], strict=True):
        covariances.append(n_in * variance * below[-1])
        below.append(pair_moments(activation, covariances[-1]))
    gradient = np.mean((g @ g.swapaxes(-1, -2)).reshape(-1, *below[0].shape), axis=0) / sizes[-1]
    incoming: list[np.ndarray] = []
    backprop: list[np.ndarray] = []
    for n_out, variance, covariance in zip(
        sizes[:1:-1], weight_variances[:0:-1], covariances[::-1], strict=True
    ):
        incoming.insert(0, n_out * variance * gradient)
        gradient = incoming[0] * pair_moments(lambda s: slope(activation, s), covariance)
        backprop.insert(0, gradient)
    return Kernels(*(np.stack(found) for found in (covariances, below, incoming, backprop)))


def batch_gradient_variances(kernels: Kernels) -> np.ndarray:
    """Var[dC/dw], C the mean cost of the examples, of the kernel below each hidden layer, [d]."""
    return np.mean(kernels.activation[:-1] * kernels.backprop, axis=(1, 2))


def batch_gradient_mixture(
    activation: Activation, kernels: Kernels, inputs: np.ndarray, layer: int
) -> np.ndarray:
    """Var[dC/dw | both of its units], C the mean cost, for the kernel below ``layer``, [4000].

    dC/dw = mean_e z_e f'(s_e) dC/dz_e is Gaussian once z of the unit below and s of the one above
    are known on all examples. Units are drawn from N(0, Cov[s]), except that below layer 0, the
    lowest, are the inputs. The mean is that of ``batch_gradient_variances``.
    """
    random = np.random.default_rng(0)
    if layer == 0:
        z = np.asarray(inputs, np.float64)
        z = z[:, np.arange(_DRAWS) % z.shape[1]]
    else:
        z = _on_units(activation, kernels.preactivation[layer - 1], random)
    slopes = _on_units(lambda s: slope(activation, s), kernels.preactivation[layer], random)
    factor = z * slopes
    found = np.sum(factor * (kernels.incoming[layer] @ factor), axis=0)
    mean = found.mean()
    return found * (batch_gradient_variances(kernels)[layer] / mean) if mean > 0 else found


def _on_units(
    function: Callable[[jax.Array], jax.Array], covariance: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """``function`` of the pre-activations of units drawn from N(0, covariance), [n, units]."""
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0))
    drawn = root @ random.standard_normal((len(root), _DRAWS))
    return np.asarray(function(jnp.asarray(drawn, jnp.result_type(float))), np.float64)
