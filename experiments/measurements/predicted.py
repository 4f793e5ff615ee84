"""What theory says of the networks of group ``initial``, named like what is measured there."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from glorot_jax.activations import resolve
from glorot_jax.initialization import SCHEME_NAMES, uniform_variances
from glorot_jax.initializers import INITIALIZERS
from glorot_jax.theory import (
    histograms,
    meanfield,
    nngp,
    predict,
    quarter_circle_mean,
    spectrum,
    spread_over_seeds,
    weight_gradient_spread,
)

# These do more than draw weights: biases, or weights that depend on the examples.
BEYOND_MEAN_FIELD = frozenset(SCHEME_NAMES) - frozenset(INITIALIZERS)
UNIFORM = ("standard", "normalized")
_POINTS, _SPECTRA, _UNITS = 64, 12, 100
MOST_PAIRED = 1000  # examples whose pairs are all looked at; time grows as their cube


@dataclass(frozen=True)
class Networks:
    """The networks of one activation and one initialiser, seeds on the first axis.

    ``sizes``: inputs, hidden layers, classes; ``x`` [n, inputs] the examples, the first
    ``jacobian_examples`` of which have Jacobians; ``weight_variances`` [seed, d + 1] as measured;
    ``output_gradients`` [seed, n, classes]; ``largest_singular_value``: of all that were measured.
    """

    activation: str
    initializer: str
    sizes: Sequence[int]
    x: np.ndarray
    jacobian_examples: int
    weight_variances: np.ndarray
    output_gradients: np.ndarray
    activation_edges: np.ndarray
    backprop_edges: np.ndarray
    weight_gradient_edges: np.ndarray
    largest_singular_value: float


def linear_regime(nets: Networks) -> dict[str, np.ndarray]:
    """Eqs. 5-7 for each network from its own Var[W], E[x^2] and dC/ds at the logits."""
    predictions = [
        predict(
            nets.sizes,
            variances,
            input_variance=float(np.mean(np.square(nets.x, dtype=np.float64))),
            output_gradient_variance=float(np.mean(np.square(gradients, dtype=np.float64))),
        )
        for variances, gradients in zip(nets.weight_variances, nets.output_gradients, strict=True)
    ]
    by_seed = {
        f"predicted_{name}": np.stack([getattr(one, name) for one in predictions])
        for name in predictions[0]._fields
    }
    n, variance = _above_the_first(nets)
    return (
        by_seed
        | _spreads(nets)
        | {"predicted_singular_value_mean": np.array(quarter_circle_mean(n * variance))}
    )


def _above_the_first(nets: Networks) -> tuple[int, float]:
    """Width and mean Var[W] of the hidden layers above the first; NaN if there is none."""
    above = nets.weight_variances[:, 1:-1]
    return nets.sizes[1], float(above.mean()) if above.size else np.nan


def _spreads(nets: Networks) -> dict[str, np.ndarray]:
    """How far one seed strays from eqs. 5-7, for the laws whose kurtosis is known to be uniform."""
    widths = list(nets.sizes[1:-1])
    if nets.initializer in UNIFORM:
        up = spread_over_seeds(nets.x, widths)
        down = spread_over_seeds(nets.output_gradients[0], widths[::-1])[::-1]
    else:
        up = down = np.full(len(widths), np.nan)
    return {
        "predicted_activation_spread": up,
        "predicted_backprop_spread": down,
        "predicted_weight_gradient_spread": weight_gradient_spread(up, down),
    }


def mean_field(nets: Networks) -> dict[str, np.ndarray]:
    """Signals, histograms and singular values of infinitely wide layers, example by example.

    NaN for a scheme that isn't described by the variance of its weights, and where an activation of
    a user's own leaves the finite numbers.
    """
    if nets.initializer not in BEYOND_MEAN_FIELD and not uniform_variances(nets.initializer):
        with contextlib.suppress(ArithmeticError, np.linalg.LinAlgError):
            return _named(_mean_field(nets))
    layers, bins = len(nets.sizes) - 2, len(nets.activation_edges) - 1
    groups = ("activation", "backprop", "weight_gradient")
    shapes: dict[str, tuple[int, ...]] = {f"{group}_histogram": (layers, bins) for group in groups}
    shapes |= {f"{group}_mean_square": (layers,) for group in groups}
    shapes |= dict.fromkeys(("activation_std", "weight_gradient_std"), (layers,))
    shapes |= {"singular_value_mean": (layers,)}
    shapes |= {"singular_value": (_POINTS,), "singular_value_density": (_POINTS,)}
    return _named({name: np.full(shape, np.nan) for name, shape in shapes.items()})


def _named(expected: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {f"meanfield_{name}": values for name, values in expected.items()}


def _mean_field(nets: Networks) -> dict[str, np.ndarray]:
    activation, x = resolve(nets.activation), np.asarray(nets.x, np.float64)
    variances = np.asarray(nets.weight_variances, np.float64).mean(axis=0)
    signals = meanfield.predict_signals(
        activation,
        nets.sizes,
        [float(v) for v in variances],
        input_mean_squares=jnp.asarray(np.mean(x**2, axis=1), jnp.result_type(float)),
        output_gradient_mean_squares=np.square(nets.output_gradients).mean(axis=(0, 2)),
    )
    if not all(np.isfinite(values).all() for values in signals):
        raise ArithmeticError("the signals leave the finite numbers")
    every, x = len(x), x[:MOST_PAIRED]
    pairs = nngp.predict_kernels(
        activation,
        nets.sizes,
        variances,
        inputs=x,
        output_gradients=nets.output_gradients[:, :MOST_PAIRED],
    )
    q, backprop = (np.diagonal(k, axis1=1, axis2=2) for k in (pairs.preactivation, pairs.backprop))
    layers = range(len(q))

    def backprop_histogram(layer: int) -> np.ndarray:
        given_s = histograms.backprop_variances(activation, q[layer], backprop[layer])
        return histograms.mixture_shares(given_s, nets.backprop_edges)

    def weight_gradient_histogram(layer: int) -> np.ndarray:
        given_z = nngp.batch_gradient_mixture(activation, pairs, x, layer)
        return histograms.mixture_shares(given_z, nets.weight_gradient_edges)

    weight_gradients = np.stack([weight_gradient_histogram(i) for i in layers])
    batch_variances = nngp.batch_gradient_variances(pairs)
    if every > len(x):  # the gradient of a mean over more examples is another one
        weight_gradients[:], batch_variances[:] = np.nan, np.nan
    backprops = [backprop_histogram(i) for i in layers]
    # Gaussian is a sum over many units, and above the top hidden layer there are a few classes.
    backprops[-1] = np.full_like(backprops[-1], np.nan)
    return {
        "activation_std": np.sqrt(signals.activation),
        "activation_mean_square": np.asarray(signals.activation_mean_square),
        "activation_histogram": np.stack(
            [histograms.activation_shares(activation, q[i], nets.activation_edges) for i in layers]
        ),
        "backprop_mean_square": np.asarray(signals.backprop),
        "backprop_histogram": np.stack(backprops),
        "weight_gradient_mean_square": np.asarray(signals.weight_gradient),
        "weight_gradient_std": np.sqrt(batch_variances),
        "weight_gradient_histogram": weight_gradients,
        **_singular_values(nets, q, variances),
    }


def _singular_values(nets: Networks, q: np.ndarray, variances: np.ndarray) -> dict[str, np.ndarray]:
    """Of the Jacobians at q [layer, example]: mean by layer, of all, and density above the first.

    The density is that of the first ``nets.jacobian_examples``.
    """
    activation = resolve(nets.activation)
    law = "orthogonal" if nets.initializer == "orthogonal" else "gaussian"

    def mean(layer: int) -> float:
        n_in, n_out = nets.sizes[layer : layer + 2]
        if law == "orthogonal" and n_in != n_out:
            return np.nan
        means = [
            spectrum.mean_singular_value(
                activation, v, n_in * variances[layer], weights=law, aspect=n_out / n_in
            )
            for v in _quantiles(q[layer])
        ]
        return float(np.mean(means))

    at = nets.largest_singular_value * 1.05 * np.arange(1, _POINTS + 1) / _POINTS
    density = np.full_like(at, np.nan)
    n, variance = _above_the_first(nets)
    above = np.ravel(q[1:, : nets.jacobian_examples])
    if above.size and nets.largest_singular_value > 0:
        densities = [
            spectrum.density(activation, v, n * variance, at, weights=law, units=_UNITS).value
            for v in _quantiles(above)
        ]
        density = np.mean(densities, axis=0)
    return {
        "singular_value_mean": np.array([mean(layer) for layer in range(len(q))]),
        "singular_value": at,
        "singular_value_density": density,
    }


def _quantiles(q: np.ndarray) -> np.ndarray:
    """A few that stand for all of ``q``, whose spectra hardly differ."""
    count = min(q.size, _SPECTRA)
    return np.quantile(q, (np.arange(count) + 0.5) / count)
