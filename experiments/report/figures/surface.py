"""Fig. 5: the two costs as maps over one weight of each layer, with their plateaus."""

import matplotlib
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from experiments.report.figures.common import FigureSpec, new_figure
from experiments.report.figures.marks import NEUTRAL
from experiments.results.queries import needed
from experiments.results.schema import find_group
from glorot_jax.confidence import mean_interval
from glorot_jax.plotting import legend_below

GROUP = "surface"
COSTS = (("cross_entropy", "cross-entropy"), ("quadratic", "quadratic"))
# Pale, so that lines and hatches are seen on all of it.
PALE_BLUES = LinearSegmentedColormap.from_list(
    "pale_blues", matplotlib.colormaps["Blues"](np.linspace(0.0, 0.65, 64))
)
LEVELS = np.linspace(0.1, 0.9, 9)  # of the contours
PLATEAU = 0.1  # of the slope by what is left to gain, where the group doesn't say it
HATCH = "////"


def _coordinate(surface: xr.Dataset, name: str) -> np.ndarray:
    """The values of a weight, or its places where the group has none."""
    if name in surface.variables:
        return np.asarray(surface[name].values, np.float64)
    return np.arange(surface.sizes[name], dtype=np.float64)


def plateau_of(surface: xr.Dataset, name: str) -> np.ndarray:
    """Where the first net's surface is a plateau [first, second], by differences on its grid."""
    cost = np.asarray(surface[name].isel(seed=0).values, np.float64)
    first, second = (_coordinate(surface, f"{which}_weight") for which in ("first", "second"))
    slope = np.hypot(*np.gradient(cost, first, second))
    return slope < float(surface.attrs.get("plateau", PLATEAU)) * (cost - cost.min())


def _draw_cost(axes: Axes, surface: xr.Dataset, name: str) -> QuadMesh:
    """One cost of the first net over both weights, from its least (0) to its greatest (1)."""
    first, second = (_coordinate(surface, f"{which}_weight") for which in ("first", "second"))
    cost = np.asarray(surface[name].isel(seed=0).values, np.float64)
    share = (cost - cost.min()) / max(float(np.ptp(cost)), np.finfo(float).tiny)
    shown = axes.pcolormesh(
        first, second, share.T, cmap=PALE_BLUES, vmin=0, vmax=1, shading="gouraud", rasterized=True
    )
    axes.contour(first, second, share.T, levels=LEVELS, colors=NEUTRAL, linewidths=0.8)
    with matplotlib.rc_context({"hatch.color": NEUTRAL, "hatch.linewidth": 0.7}):
        axes.contourf(
            first,
            second,
            plateau_of(surface, name).T.astype(float),
            levels=[0.5, 1.5],
            colors="none",
            hatches=[HATCH],
        )
    axes.set(xlabel="weight, layer 1", box_aspect=1)
    axes.grid(visible=False)
    return shown


def _plateau_text(surface: xr.Dataset, name: str) -> str:
    """How much of the surface is a plateau, mean over nets with its 95% t interval."""
    mean, half = mean_interval(100 * np.asarray(surface[f"plateau_{name}"].values), axis=0)
    known = f" ± {half:.1f}" if np.isfinite(half) else ""
    return f"plateau: {mean:.1f}{known} %"


def fig05(results: xr.DataTree) -> Figure:
    """Fig. 5: both costs of a random net side by side, with the share that is a plateau."""
    surface = needed(results, GROUP)
    figure = new_figure(4.4)
    panels = list(figure.subplots(1, len(COSTS), sharey=True))
    for axes, (name, title) in zip(panels, COSTS, strict=True):
        shown = _draw_cost(axes, surface, name)
        axes.set_title(f"{title}\n{_plateau_text(surface, name)}")
    panels[0].set_ylabel("weight, layer 2")
    bar = figure.colorbar(shown, ax=panels, orientation="horizontal", aspect=40, pad=0.03)
    bar.set_label("cost, from its least to its greatest")
    hatched = Patch(facecolor="none", edgecolor=NEUTRAL, hatch=HATCH)
    legend_below(figure, [], columns=1, more={"plateau of this net": hatched})
    return figure


def _drawable(results: xr.DataTree) -> bool:
    surface = find_group(results, GROUP)
    return surface is not None and all(
        np.isfinite(surface[name].isel(seed=0).values).all() for name, _ in COSTS
    )


FIGURES = {
    "fig05": FigureSpec(
        "Both costs of a two-layer tanh network with random inputs and targets over one weight of "
        "each layer, for the first random net, each from its least to its greatest on one scale, "
        "contours a tenth apart. Hatched: where it is a plateau, much left to gain and little "
        "slope; above each, that share, mean over all random nets with its 95% t interval. What "
        "must be seen: the quadratic cost has the worse plateaus. The paper draws both as "
        "surfaces in one picture.",
        _drawable,
        fig05,
    ),
}
