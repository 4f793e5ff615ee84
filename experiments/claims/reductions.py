"""One network's measurements as arrays, and what a predicate reduces them to."""

import numpy as np
import xarray as xr

from experiments.claims.verdict import NotTested
from experiments.results.queries import values


def by_layer(net: xr.Dataset, name: str, /) -> np.ndarray:
    """[seed, layer] of a part at initialisation; at least two layers."""
    return _two_layers(values(net, name, "seed", "layer"))


def course(net: xr.Dataset, name: str, /) -> np.ndarray:
    """[seed, update, layer] of a training part; at least two layers."""
    return _two_layers(values(net, name, "seed", "update", "layer"))


def percentile_98(net: xr.Dataset, /) -> np.ndarray:
    """98th percentile of the activations, [seed, update, layer]."""
    quantiles = values(net, "activation_quantile", "seed", "update", "layer", "quantile")
    which = int(np.argmin(np.abs(values(net, "quantile", "quantile") - 0.98)))
    return _two_layers(quantiles[..., which])


def updates(net: xr.Dataset, /) -> np.ndarray:
    """Updates done at each checkpoint; at least two checkpoints."""
    done = values(net, "update", "update")
    if done.size < 2:
        raise NotTested("the run was measured once only, so it has no course")
    return done


def last_update(net: xr.Dataset, /) -> int:
    """Updates done at the end of the run."""
    return int(updates(net)[-1])


def over_time(course_of: np.ndarray, done: np.ndarray, /) -> np.ndarray:
    """Mean over the run of [seed, update], by the trapezoidal rule, [seed]."""
    return np.trapezoid(course_of, done, axis=1) / (done[-1] - done[0])


def later_half(course_of: np.ndarray, done: np.ndarray, /) -> np.ndarray:
    """Mean of [seed, update] over the checkpoints in the second half of the run, [seed]."""
    return course_of[:, done >= done[-1] / 2].mean(axis=1)


def central_fraction(histogram: np.ndarray, low: float, high: float, reach: float) -> np.ndarray:
    """Fraction within ``reach`` of 0 of a histogram [.., bin] over equal bins of [low, high].

    Raises:
      NotTested: a bin is wider than what is asked for.
    """
    edges = np.linspace(low, high, histogram.shape[-1] + 1)
    slack = 1e-9 * (high - low)
    inside = (edges[:-1] >= -reach - slack) & (edges[1:] <= reach + slack)
    if not inside.any():
        raise NotTested(f"{histogram.shape[-1]} bins are too few to see the peak at 0")
    return histogram[..., inside].sum(axis=-1)


def density(histogram: np.ndarray, low: float, high: float, /) -> np.ndarray:
    """Mean fraction per bin of those whose centre has an absolute value in [low, high], [..].

    For a histogram [.., bin] over equal bins of [-1, 1], as the activation probe makes.
    """
    bins = histogram.shape[-1]
    centres = np.abs((np.arange(bins) + 0.5) * 2 / bins - 1)
    inside = (centres >= low) & (centres <= high)
    if not inside.any():
        raise NotTested(f"{bins} bins are too few to tell {low} from {high}")
    return histogram[..., inside].mean(axis=-1)


def per_layer_factor(std: np.ndarray, /) -> np.ndarray:
    """Geometric mean factor from one layer to the next one up, [seed, layer] to [seed]."""
    return (std[:, -1] / std[:, 0]) ** (1 / (std.shape[1] - 1))


def _two_layers(array: np.ndarray) -> np.ndarray:
    if array.shape[-1] < 2:
        raise NotTested("one hidden layer only; the claim compares layers")
    return array
