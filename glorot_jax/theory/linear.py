"""The linear regime, f'(0) = 1 and symmetric small activations (section 4.2.1, eqs. 5-7, 13-15)."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class LinearRegime(NamedTuple):
    """Predicted variances, one entry per hidden layer from the input upwards.

    ``activation`` Var[z^i], i = 1..d (eq. 5); ``backprop`` Var[dC/ds] of the same layers (eq. 6);
    ``weight_gradient`` Var[dC/dw] of the kernel below each (eq. 7).
    """

    activation: np.ndarray
    backprop: np.ndarray
    weight_gradient: np.ndarray


def predict(
    sizes: Sequence[int],
    weight_variances: Sequence[float] | np.ndarray,
    *,
    input_variance: float,
    output_gradient_variance: float,
) -> LinearRegime:
    """Eqs. 5, 6 and 7 for layers of any sizes.

    Args:
      sizes: n_0 (inputs), n_1 .. n_d (hidden), n_{d+1} (classes).
      weight_variances: Var[W^0] .. Var[W^d].
      input_variance: E[x^2]; it stands for Var[x] because weights of mean zero pass on the mean
        square whatever the mean of the input is.
      output_gradient_variance: mean square of dC/ds at the logits.

    Raises:
      ValueError: there is not one weight variance per layer.
    """
    if len(weight_variances) != len(sizes) - 1:
        raise ValueError(
            f"weight_variances: {len(weight_variances)} given, {len(sizes) - 1} layers "
            "need one each"
        )
    n = np.asarray(sizes, np.float64)
    variances = np.asarray(weight_variances, np.float64)
    forward = input_variance * np.cumprod(n[:-2] * variances[:-1])
    # W^{i+1} takes dC/ds of the layer above, n_{i+2} units, down to the layer it leaves.
    backward = output_gradient_variance * np.cumprod((n[2:] * variances[1:])[::-1])[::-1]
    below = np.concatenate([[input_variance], forward[:-1]])
    return LinearRegime(forward, backward, below * backward)


def quarter_circle_mean(sigma_w2: float, /) -> float:
    """Mean singular value of a square matrix of independent entries, 8/(3 pi) sigma_w.

    The first moment of the quarter-circle law, exact as the matrix grows: what
    ``spectrum.mean_singular_value`` is of a linear layer. ``sigma_w2``: n Var[W].
    """
    return float(8 / (3 * np.pi) * np.sqrt(sigma_w2))
