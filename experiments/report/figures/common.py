"""What all figures share: their specification, their look, and how they find conditions."""

import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from experiments.data.registry import DATA_SETS, SHAPESET
from experiments.networks import NetworkSpec
from glorot_jax.plotting import WIDTH

TITLE_WIDTH = 50  # of a title

# After Okabe and Ito's, darker: a contrast of 3:1 with white, as glorot_jax.colours.on_dark gives
# them with a dark page, and apart for those who don't see green, in either. Tests hold them to it.
# A network's kind keeps its colour.
VERMILION, AMBER, NAVY, SKY = "#9e2a00", "#a67c00", "#0b3d91", "#3f8fd0"
BLACK, GREY, GREEN, PURPLE = "#000000", "#777777", "#009e73", "#a03a8a"
COLOURS = {
    ("tanh", "standard"): VERMILION,
    ("tanh", "normalized"): AMBER,
    ("softsign", "standard"): NAVY,
    ("softsign", "normalized"): SKY,
    ("sigmoid", "standard"): BLACK,
    ("sigmoid", "normalized"): GREY,
    ("tanh", "gaussian"): PURPLE,
    ("tanh", "denoising"): GREEN,
}
OTHER_COLOURS = ("#7b5aa6", "#8c564b", "#1b7837", "#008290", "#bf4f95", "#7f3b08", "#5c6f00")
DASHES = {"standard": "-", "normalized": "--"}
OTHER_DASH = "-."
SHALLOW_DASH = ":"


@dataclass(frozen=True)
class FigureSpec:
    """How one of ``EXHIBITS`` is drawn.

    Attributes:
      drawable: whether the whole results have anything to draw.
      draw: draws it from the whole results.
      sets: the data sets that its networks learned from or were given.
    """

    caption: str
    drawable: Callable[[xr.DataTree], bool]
    draw: Callable[[xr.DataTree], Figure]
    sets: Callable[[xr.DataTree], Sequence[str]] = lambda results: ()


def condition_colours(specs: Iterable[NetworkSpec]) -> dict[tuple[str, str], str]:
    """A colour for each kind of network, fixed for the paper's."""
    others = iter(OTHER_COLOURS * 8)
    kinds = dict.fromkeys(spec.kind for spec in specs)
    return {kind: COLOURS.get(kind) or next(others) for kind in kinds}


def dash(spec: NetworkSpec, *, deepest: int) -> str:
    """The line style of a condition: standard solid, normalized dashed, shallower nets dotted."""
    return SHALLOW_DASH if spec.depth < deepest else DASHES.get(spec.scheme, OTHER_DASH)


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
    if name != SHAPESET:
        figure.suptitle(title_of(DATA_SETS[name].title), fontsize="medium", weight="bold")
