"""What all figures share: their specification, their look, and how they find conditions."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import matplotlib
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from glorot_jax.claims.measured import UPDATES_PER_EPOCH
from glorot_jax.results import PAPER_DEPTH, condition_name, part

WIDTH = 5.6  # inches; narrow, so that a phone doesn't shrink the letters much
SET_NAMES = {
    "shapeset": "Shapeset-3x2",
    "mnist": "MNIST",
    "digits": "digits of 8 x 8 pixels (not MNIST)",
}

STYLE: Any = {
    "font.size": 11,
    "axes.titlesize": 11.5,
    "axes.labelsize": 11,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "legend.fontsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "lines.linewidth": 1.6,
    "axes.formatter.limits": (-3, 4),
    "axes.formatter.use_mathtext": True,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.hashsalt": "glorot_jax",
}

# Okabe and Ito's colours, told apart by colour-blind readers; a network's kind keeps its colour.
COLOURS = {
    ("tanh", "standard"): "#d55e00",
    ("tanh", "normalized"): "#e69f00",
    ("softsign", "standard"): "#0072b2",
    ("softsign", "normalized"): "#56b4e9",
    ("sigmoid", "standard"): "#000000",
    ("sigmoid", "normalized"): "#777777",
    ("tanh", "gaussian"): "#cc79a7",
}
OTHER_COLOURS = ("#009e73", "#8c564b", "#7b5aa6", "#b8b000", "#cc79a7")
DASHES = {"standard": "-", "normalized": "--"}
OTHER_DASH = "-."
SHALLOW_DASH = ":"


class FigureSpec(NamedTuple):
    """One figure: what it is called, what it shows, what it needs and how it is drawn.

    ``parts`` are the parts of the results that can give its data, any one of which is enough;
    ``drawable(results)`` says whether there is anything to draw; ``draw(results)`` draws it.
    """

    title: str
    caption: str
    parts: tuple[str, ...]
    drawable: Callable[[xr.Dataset], bool]
    draw: Callable[[xr.Dataset], Figure]


class Row(NamedTuple):
    """One condition of a part, and where it stands there."""

    place: int
    activation: str
    initializer: str
    depth: int

    @property
    def label(self) -> str:
        """See ``results.condition_name``."""
        return condition_name(self.activation, self.initializer, self.depth)


def needed(results: xr.Dataset, name: str) -> xr.Dataset:
    """The part ``name`` of results that are known to hold it.

    Raises:
      KeyError: they don't.
    """
    found = part(results, name)
    if found is None:
        raise KeyError(f"the results hold no part '{name}'")
    return found


def rows(measured: xr.Dataset) -> list[Row]:
    """The conditions of a part in their order; a part without ``depth`` has one layer count."""
    count = measured.sizes["condition"]
    depths = measured["depth"].values if "depth" in measured.variables else [PAPER_DEPTH] * count
    found = zip(measured["activation"].values, measured["initializer"].values, depths, strict=True)
    return [Row(i, str(a), str(w), int(d)) for i, (a, w, d) in enumerate(found)]


def select(
    measured: xr.Dataset | None, activation: str, initializer: str = "standard", *, known: str
) -> list[Row]:
    """Conditions of that unit and initialiser, deepest first, whose variable ``known`` is known.

    A condition of which every member diverged has nothing but NaN there and is left out.
    """
    if measured is None or known not in measured.variables:
        return []
    found = [
        row
        for row in rows(measured)
        if (row.activation, row.initializer) == (activation, initializer)
        and np.isfinite(of(measured, known, row)).any()
    ]
    return sorted(found, key=lambda row: -row.depth)


def of(measured: xr.Dataset, name: str, row: Row) -> np.ndarray:
    """The values of one condition, axes as in the part without ``condition``."""
    return np.asarray(measured[name].isel(condition=row.place).values, np.float64)


def layers(measured: xr.Dataset) -> list[int]:
    """Numbers of the hidden layers, 1 at the input."""
    return [i + 1 for i in range(measured.sizes["layer"])]


def layer_colours(count: int) -> list[tuple[float, float, float, float]]:
    """From dark at layer 1 to light at the top, light still seen on white."""
    return list(matplotlib.colormaps["viridis"](np.linspace(0.0, 0.88, count)))


def condition_colours(found: Iterable[Row]) -> dict[int, str]:
    """A colour for each row, by its index: fixed for the paper's networks."""
    others = iter(OTHER_COLOURS * 4)
    return {
        row.place: COLOURS.get((row.activation, row.initializer)) or next(others) for row in found
    }


def dash(row: Row, *, deepest: int) -> str:
    """The line style of a condition: standard solid, normalized dashed, shallower nets dotted."""
    return SHALLOW_DASH if row.depth < deepest else DASHES.get(row.initializer, OTHER_DASH)


def new_figure(height: float) -> Figure:
    """An empty figure of the common width whose layout keeps labels apart."""
    return Figure(figsize=(WIDTH, height), layout="constrained")


def stack(figure: Figure, count: int, *, sharex: bool = True, sharey: bool = False) -> list[Axes]:
    """``count`` panels, one under the other."""
    return list(figure.subplots(count, 1, sharex=sharex, sharey=sharey, squeeze=False)[:, 0])


def legend_below(figure: Figure, axes: Axes, *, columns: int, title: str | None = None) -> None:
    """One legend for the whole figure, of what ``axes`` shows, under everything else."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=columns, title=title, frameon=False
    )


def mark_epochs(axes: Axes, *, updates_per_unit: float) -> None:
    """A second x axis on top that counts the paper's epochs of 20 000 updates."""
    ratio = updates_per_unit / UPDATES_PER_EPOCH

    def to_epochs(x: Any) -> Any:
        return x * ratio

    def from_epochs(x: Any) -> Any:
        return x / ratio

    top = axes.secondary_xaxis("top", functions=(to_epochs, from_epochs))
    top.set_xlabel("epochs of 20 000 updates")
    top.grid(visible=False)
