"""Fig. 5: the two costs as surfaces over one weight of each layer."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d import Axes3D

from experiments.report.figures.common import FigureSpec, new_figure
from experiments.results.queries import needed
from experiments.results.schema import find_group
from glorot_jax.confidence import mean_interval

GROUP = "surface"
COSTS = (
    ("cross_entropy", "cross-entropy", "#56b4e9"),
    ("quadratic", "quadratic", "#e69f00"),
)
MOST_CELLS = 60  # cells of a drawn surface a side
ZOOM = 0.84  # leaves room for the labels, which no layout engine sees
VIEW = {"elev": 28, "azim": -55}


def _coordinate(surface: xr.Dataset, name: str) -> np.ndarray:
    """The values of a weight, or its places where the group has none."""
    if name in surface.variables:
        return np.asarray(surface[name].values, np.float64)
    return np.arange(surface.sizes[name], dtype=np.float64)


def _draw_cost(axes: Axes3D, surface: xr.Dataset, name: str, colour: str) -> None:
    """One cost of the first net over both weights, as a picture inside vector files."""
    first, second = (_coordinate(surface, f"{which}_weight") for which in ("first", "second"))
    cost = np.asarray(surface[name].isel(seed=0).values, np.float64)
    steps = [max(1, -(-size // MOST_CELLS)) for size in cost.shape]
    grid = np.meshgrid(first[:: steps[0]], second[:: steps[1]], indexing="ij")
    axes.plot_surface(
        *grid,
        cost[:: steps[0], :: steps[1]],
        color=colour,
        rcount=MOST_CELLS,
        ccount=MOST_CELLS,
        linewidth=0,
        antialiased=False,
        rasterized=True,
    )
    axes.set(xlabel="weight, layer 1", ylabel="weight, layer 2")
    axes.view_init(**VIEW)
    axes.set_box_aspect(None, zoom=ZOOM)


def _plateau_text(surface: xr.Dataset, name: str) -> str:
    """How much of the surface is a plateau, mean over nets with its 95% t interval."""
    mean, half = mean_interval(100 * np.asarray(surface[f"plateau_{name}"].values), axis=0)
    known = f" ± {half:.0f}" if np.isfinite(half) else ""
    return f"plateau: {mean:.0f}{known} %"


def fig05(results: xr.DataTree) -> Figure:
    """Fig. 5: both costs of a random net one above the other, with the share that is a plateau."""
    surface = needed(results, GROUP)
    figure = new_figure(7.6)
    for place, (name, title, colour) in enumerate(COSTS, start=1):
        axes = figure.add_subplot(2, 1, place, projection="3d")
        _draw_cost(axes, surface, name, colour)
        axes.set_title(f"{title}; {_plateau_text(surface, name)}")
    return figure


def _drawable(results: xr.DataTree) -> bool:
    surface = find_group(results, GROUP)
    return surface is not None and all(
        np.isfinite(surface[name].isel(seed=0).values).all() for name, _, _ in COSTS
    )


FIGURES = {
    "fig05": FigureSpec(
        "Both costs of a two-layer tanh network with random inputs and targets over one weight of "
        "each layer, for the first random net; above each, the share of the surface that is a "
        "plateau, mean over all random nets with its 95% t interval. What must be seen: the "
        "quadratic cost has the worse plateaus.",
        _drawable,
        fig05,
    ),
}
