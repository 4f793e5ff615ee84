"""How predicates read a part of the results: one condition, plain arrays, common statistics."""

import numpy as np
import xarray as xr

from experiments.claims.verdict import NotTested
from experiments.results.schema import USUAL

UPDATES_PER_EPOCH = 20_000  # section 2.3; an online run has no other epoch
PAPER_UPDATES = 5_000_000
PAPER_WIDTH = 1000

# The factor by which standard initialisation changes a variance from layer to layer, eq. 15.
STANDARD_FACTOR = 3.0
# Level: a standard deviation that changes by less, from one layer to the next, than half of what
# standard initialisation does to it (on a logarithmic scale, where layers multiply). The paper
# contrasts two cases, a factor of sqrt(3) and no change; this is the line half way between.
LEVEL = STANDARD_FACTOR**0.25


def condition(
    part: xr.Dataset,
    activation: str,
    initializer: str,
    /,
    *,
    depth: int | None = None,
    optimizer: str = USUAL["optimizer"],
    shape: str = USUAL["shape"],
    loss: str = USUAL["loss"],
) -> xr.Dataset:
    """The one condition asked for, its own layers only; of several depths, the deepest.

    Raises:
      NotTested: ``part`` doesn't hold it.
    """
    asked = {"activation": activation, "initializer": initializer}
    asked |= {"optimizer": optimizer, "shape": shape, "loss": loss}
    wanted = np.ones(part.sizes.get("condition", 0), bool)
    for name, value in {**asked, "depth": depth}.items():
        if value is not None and wanted.size:
            wanted &= _coordinate(part, name) == value
    rows = np.flatnonzero(wanted)
    if not rows.size:
        deep = "" if depth is None else f" of {depth} layers"
        unusual = "".join(f", {n} {asked[n]}" for n in USUAL if asked[n] != USUAL[n])
        raise NotTested(
            f"no {activation} net with {initializer} initialisation{deep}{unusual} in the results"
        )
    if "depth" not in part.coords:
        return part.isel(condition=int(rows[0]))
    depths = part.coords["depth"].values[rows]
    found = part.isel(condition=int(rows[np.argmax(depths)]))
    return found.isel(layer=slice(0, int(depths.max()))) if "layer" in part.dims else found


def _coordinate(part: xr.Dataset, name: str) -> np.ndarray:
    """One value a condition, or one for all: the part's attribute or what is usual."""
    if name in part.coords:
        return part.coords[name].values
    return np.asarray(part.attrs.get(name, USUAL.get(name, "unknown")))


def values(found: xr.Dataset, name: str, /, *dims: str) -> np.ndarray:
    """Variable ``name`` as a float array with its axes in the order ``dims``.

    Raises:
      NotTested: it isn't there, or it has other dimensions.
    """
    if name not in found or set(found[name].dims) != set(dims):
        raise NotTested(f"the results hold no '{name}' by {', '.join(dims)}")
    return found[name].transpose(*dims).values.astype(np.float64)


def by_layer(found: xr.Dataset, name: str, /) -> np.ndarray:
    """[seed, layer] of a part at initialisation; at least two layers."""
    return _two_layers(values(found, name, "seed", "layer"))


def course(found: xr.Dataset, name: str, /) -> np.ndarray:
    """[seed, update, layer] of a training part; at least two layers."""
    return _two_layers(values(found, name, "seed", "update", "layer"))


def percentile_98(found: xr.Dataset, /) -> np.ndarray:
    """98th percentile of the activations, [seed, update, layer]."""
    quantiles = values(found, "activation_quantile", "seed", "update", "layer", "quantile")
    which = int(np.argmin(np.abs(values(found, "quantile", "quantile") - 0.98)))
    return _two_layers(quantiles[..., which])


def at_chosen_rate(found: xr.Dataset, name: str, /) -> np.ndarray:
    """One condition's ``name`` at its chosen learning rate, [seed, update].

    Raises:
      NotTested: every rate diverged, or ``name`` isn't there.
    """
    chosen = float(values(found, "chosen_learning_rate"))
    if not np.isfinite(chosen):
        raise NotTested(f"every learning rate of {found.coords['condition'].item()} diverged")
    rate = int(np.argmin(np.abs(values(found, "learning_rate", "learning_rate") - chosen)))
    return values(found, name, "learning_rate", "seed", "update")[rate]


def updates(found: xr.Dataset, /) -> np.ndarray:
    """Updates done at each checkpoint; at least two checkpoints."""
    done = values(found, "update", "update")
    if done.size < 2:
        raise NotTested("the run was measured once only, so it has no course")
    return done


def last_update(found: xr.Dataset, /) -> int:
    """Updates done at the end of the run."""
    return int(updates(found)[-1])


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


def at_paper_scale(found: xr.Dataset, /) -> str | None:
    """What a run lacks to be compared with the paper's absolute numbers, None if nothing."""
    short = [
        f"{name} {have} of {need}"
        for name, have, need in (
            ("width", int(found.attrs.get("width", 0)), PAPER_WIDTH),
            ("updates", last_update(found), PAPER_UPDATES),
        )
        if have < need
    ]
    return ", ".join(short) or None


def _two_layers(array: np.ndarray) -> np.ndarray:
    if array.shape[-1] < 2:
        raise NotTested("one hidden layer only; the claim compares layers")
    return array
