"""What all figures share: their specification, their look, and how they find conditions."""

import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from experiments.networks import PAPER_DEPTH
from experiments.results.schema import DATA_SETS, USUAL, condition_name, part
from glorot_jax.plotting import WIDTH

ONLINE = "shapeset"  # the set that the paper shows wherever it shows one only
SET_NAMES = {
    "shapeset": "Shapeset-3x2",
    "mnist": "MNIST",
    "digits": "digits of 8 x 8 pixels (not MNIST)",
    "cifar10": "CIFAR-10",
    "small_imagenet": "Small-ImageNet",
    "imagenette": "Imagenette (not Small-ImageNet)",
    "fashion_mnist": "Fashion-MNIST",
}
TITLE_WIDTH = 50  # of a title

# Okabe and Ito's colours, told apart by colour-blind readers; a network's kind keeps its colour.
COLOURS = {
    ("tanh", "standard"): "#d55e00",
    ("tanh", "normalized"): "#e69f00",
    ("softsign", "standard"): "#0072b2",
    ("softsign", "normalized"): "#56b4e9",
    ("sigmoid", "standard"): "#000000",
    ("sigmoid", "normalized"): "#777777",
    ("tanh", "gaussian"): "#cc79a7",
    ("tanh", "denoising"): "#009e73",
}
OTHER_COLOURS = ("#8c564b", "#7b5aa6", "#b8b000", "#17becf", "#cc79a7", "#7f3b08", "#1b7837")
DASHES = {"standard": "-", "normalized": "--"}
OTHER_DASH = "-."
SHALLOW_DASH = ":"


class FigureSpec(NamedTuple):
    """One figure: what it is called, what it shows, what it needs and how it is drawn.

    ``parts`` are the parts of the results that can give its data, any one of which is enough;
    ``drawable(results)`` says whether there is anything to draw; ``draw(results)`` draws it;
    ``sets(results)`` are the data sets that its networks learned from or were given.
    """

    title: str
    caption: str
    parts: tuple[str, ...]
    drawable: Callable[[xr.Dataset], bool]
    draw: Callable[[xr.Dataset], Figure]
    sets: Callable[[xr.Dataset], Sequence[str]] = lambda results: ()


class Row(NamedTuple):
    """One condition of a part, and where it stands there."""

    place: int
    activation: str
    initializer: str
    depth: int
    optimizer: str = USUAL["optimizer"]
    shape: str = USUAL["shape"]
    loss: str = USUAL["loss"]

    @property
    def label(self) -> str:
        """See ``results.condition_name``."""
        return condition_name(*self[1:])

    @property
    def kind(self) -> tuple[str, str]:
        """What gives a network its colour."""
        return self.activation, self.initializer

    @property
    def plain(self) -> bool:
        """Whether it was trained as the paper trains what its figures show."""
        return all(getattr(self, name) == value for name, value in USUAL.items())


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
    """The conditions of a part in their order; a coordinate that it lacks is as in the paper."""
    count = measured.sizes["condition"]
    usual = {"depth": PAPER_DEPTH, **USUAL}

    def coordinate(name: str) -> Sequence[Any]:
        known = name in measured.variables
        return list(measured[name].values) if known else [usual[name]] * count

    found = zip(*(coordinate(name) for name in Row._fields[1:]), strict=True)
    return [
        Row(i, str(unit), str(start), int(depth), *map(str, rest))
        for i, (unit, start, depth, *rest) in enumerate(found)
    ]


def select(
    measured: xr.Dataset | None, activation: str, initializer: str = "standard", *, known: str
) -> list[Row]:
    """Plain conditions of that unit and start, deepest first, whose variable ``known`` is known.

    A condition of which every member diverged has nothing but NaN there and is left out.
    """
    if measured is None or known not in measured.variables:
        return []
    found = [
        row
        for row in rows(measured)
        if row.kind == (activation, initializer)
        and row.plain
        and np.isfinite(of(measured, known, row)).any()
    ]
    return sorted(found, key=lambda row: -row.depth)


def first_set(results: xr.Dataset, find: Callable[[xr.Dataset], Sequence]) -> str | None:
    """The first data set, Shapeset before all, in whose part ``find`` finds anything."""
    parts = ((name, part(results, name)) for name in DATA_SETS)
    return next((name for name, found in parts if found is not None and find(found)), None)


def dataset_of(measured: xr.Dataset) -> str:
    """The data set that a part is about, Shapeset where it doesn't say."""
    return str(measured.attrs.get("dataset", ONLINE))


def of(measured: xr.Dataset, name: str, row: Row) -> np.ndarray:
    """The values of one condition, axes as in the part without ``condition``."""
    return np.asarray(measured[name].isel(condition=row.place).values, np.float64)


def layers(measured: xr.Dataset) -> list[int]:
    """Numbers of the hidden layers, 1 at the input."""
    return [i + 1 for i in range(measured.sizes["layer"])]


def condition_colours(found: Iterable[Row]) -> dict[tuple[str, str], str]:
    """A colour for each kind of network, fixed for the paper's."""
    others = iter(OTHER_COLOURS * 8)
    kinds = dict.fromkeys(row.kind for row in found)
    return {kind: COLOURS.get(kind) or next(others) for kind in kinds}


def dash(row: Row, *, deepest: int) -> str:
    """The line style of a condition: standard solid, normalized dashed, shallower nets dotted."""
    return SHALLOW_DASH if row.depth < deepest else DASHES.get(row.initializer, OTHER_DASH)


def new_figure(height: float) -> Figure:
    """An empty figure of the common width whose layout keeps labels apart."""
    return Figure(figsize=(WIDTH, height), layout="constrained")


def stack(figure: Figure, count: int, *, sharex: bool = True, sharey: bool = False) -> list[Axes]:
    """``count`` panels, one under the other."""
    return list(figure.subplots(count, 1, sharex=sharex, sharey=sharey, squeeze=False)[:, 0])


class _Plain(LogFormatter):
    """0.6 where Matplotlib would write 6e-01."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return f"{x:g}" if super().__call__(x, pos) else ""


def plain_log(axes: Axes, which: Literal["x", "y"]) -> None:
    """Makes an axis logarithmic and labels it with plain numbers."""
    axes.set(**{f"{which}scale": "log"})
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_formatter(_Plain())
    axis.set_minor_formatter(_Plain(minor_thresholds=(2, 0.5)))


def title_of(text: str, *, width: int = TITLE_WIDTH) -> str:
    """``text`` in lines short enough for a title."""
    return textwrap.fill(text, width)


def name_set(figure: Figure, name: str) -> None:
    """Says in the figure which set it is about, where that isn't the paper's."""
    if name != ONLINE:
        figure.suptitle(title_of(SET_NAMES.get(name, name)), fontsize="medium", weight="bold")
