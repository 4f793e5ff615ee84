"""Finite width in the linear regime: how far one seed's mean squares lie from their expectation.

Eqs. 5 and 6 give the expectation over weights, which is exact at any width; a net of n units shows
it with a spread of order sqrt(depth / n).
"""

from collections.abc import Sequence

import numpy as np

UNIFORM_KURTOSIS = -1.2  # excess; 0 for Gaussian weights


def spread_over_seeds(
    examples: np.ndarray, widths: Sequence[int], /, *, excess_kurtosis: float = UNIFORM_KURTOSIS
) -> np.ndarray:
    """Standard deviation over seeds, relative to the mean, of each layer's mean square, [layers].

    The mean square is that over units and examples. Exact for linear layers of independent
    symmetric weights; the sum over examples is tr M, M the examples' matrix of second moments, and
    a layer maps E[(tr M)^2], E[tr M^2] and E[sum of M_kk^2] linearly.

    Args:
      examples: [n, n_0], what enters the first of the layers: x for Var[z^i] upwards, dC/ds at the
        logits for Var[dC/ds^i] downwards (as if they did not depend on the weights).
      widths: number of units of each layer entered.
      excess_kurtosis: of the weights.
    """
    x = np.asarray(examples, np.float64)
    gram = x @ x.T if x.shape[0] < x.shape[1] else x.T @ x
    total, square = np.trace(gram) ** 2, np.sum(gram**2)
    diagonal = np.sum(np.mean(x**2, axis=0) ** 2) * x.shape[0] ** 2
    # In units of the expectation of tr M, whatever the variance of the weights.
    square, diagonal, total = square / total, diagonal / total, 1.0
    spreads = []
    for n in widths:
        unit = total + 2 * square + excess_kurtosis * diagonal  # E[M_kk^2] of each of n units
        total = (n * unit + n * (n - 1) * total) / n**2
        square = (n * unit + n * (n - 1) * square) / n**2
        diagonal = unit / n
        spreads.append(np.sqrt(total - 1))
    return np.array(spreads)


def weight_gradient_spread(activation: np.ndarray, backprop: np.ndarray) -> np.ndarray:
    """Spread of the mean square of dC/dw (eq. 7) from those of z and dC/ds, [layers].

    z^{i-1} depends on the weights below a kernel and dC/ds^i on those above, so the two are
    independent in a linear net: (1 + a^2)(1 + b^2) - 1, exact if all examples shrink and grow
    together in one of the two.

    Args:
      activation: [layers], ``spread_over_seeds`` of z^i, i = 1..d. The inputs, below the first
        kernel, have no spread.
      backprop: [layers], the same of dC/ds^i.
    """
    below = np.concatenate([[0.0], activation[:-1]])
    return np.sqrt((1 + below**2) * (1 + backprop**2) - 1)
