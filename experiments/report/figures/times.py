"""The time axis of figures that show training, in updates below and in epochs above."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from experiments.claims.paper import UPDATES_PER_EPOCH

# From so many updates on, the axis counts them in these units.
UNITS = ((2_000_000, 1e6, "updates (millions)"), (5_000, 1e3, "updates (thousands)"))
BAND = 0.18  # opacity


def dress_time(
    panels: Sequence[Axes], counts: xr.DataArray, *, what: str = "updates"
) -> np.ndarray:
    """Names the common x axis of stacked panels; returns the ``counts`` of updates in its units."""
    unit, label = _unit(counts)
    updates = np.asarray(counts.values, np.float64) / unit
    panels[-1].set_xlabel(label.replace("updates", what))
    panels[0].set_xlim(min(updates[0], 0.0), updates[-1])
    mark_epochs(panels[0], updates_per_unit=unit)
    return updates


def unit_of(counts: xr.DataArray) -> float:
    """How many updates one unit of the axis is."""
    return _unit(counts)[0]


def _unit(counts: xr.DataArray) -> tuple[float, str]:
    last = int(counts.values[-1])
    return next(((unit, label) for least, unit, label in UNITS if last >= least), (1.0, "updates"))


def mark_epochs(axes: Axes, *, updates_per_unit: float) -> None:
    """A second x axis on top that counts the paper's epochs of 20 000 updates."""
    ratio = updates_per_unit / UPDATES_PER_EPOCH

    def to_epochs(x: ArrayLike) -> ArrayLike:
        return np.asarray(x) * ratio

    def from_epochs(x: ArrayLike) -> ArrayLike:
        return np.asarray(x) / ratio

    top = axes.secondary_xaxis("top", functions=(to_epochs, from_epochs))
    top.set_xlabel("epochs of 20 000 updates")
    top.grid(visible=False)


def spread(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest over seeds, axis 0; NaN where no seed has a number."""
    known = np.isfinite(values)
    low = np.where(known, values, np.inf).min(axis=0)
    high = np.where(known, values, -np.inf).max(axis=0)
    return np.where(np.isfinite(low), low, np.nan), np.where(np.isfinite(high), high, np.nan)
