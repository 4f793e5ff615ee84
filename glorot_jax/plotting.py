"""The look of every figure, and small helpers to draw one."""

import textwrap
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import FigureBase

WIDTH = 5.6  # inches; narrow, so that a phone doesn't shrink the letters much
LABEL_WIDTH = 36  # characters a line, of a name in a legend
TICK_WIDTH = 26  # of a name beside an axis
LEGEND_WIDTH = 73  # of a whole line of a legend
LEAST_RATIO = 10.0  # of the ends of a logarithmic axis, so that noise isn't magnified
LIGHTEST = 0.57  # of viridis, as far as it is seen on white
HANDLE_WIDTH = 8  # characters that a legend's line sample takes

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


def layer_colours(count: int) -> list[str]:
    """From dark at layer 1 to light at the top, its contrast with white still 3:1."""
    return [to_hex(c) for c in matplotlib.colormaps["viridis"](np.linspace(0.0, LIGHTEST, count))]


def legend_below(
    figure: FigureBase,
    panels: Sequence[Axes],
    *,
    columns: int,
    title: str | None = None,
    more: Mapping[str, Artist] = MappingProxyType({}),
) -> None:
    """One legend of what ``panels`` show, and ``more``, under everything else.

    Fewer ``columns`` if names are long.
    """
    handles: dict[str, Artist] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(textwrap.fill(label, LABEL_WIDTH), handle)
    handles |= more
    longest = max(len(line) for label in handles for line in label.splitlines())
    figure.legend(
        handles.values(),
        handles.keys(),
        loc="outside lower center",
        ncols=max(1, min(columns, LEGEND_WIDTH // (longest + HANDLE_WIDTH))),
        title=title,
        frameon=False,
    )


def shortened(text: str) -> str:
    """``text`` as it fits beside an axis."""
    return text if len(text) <= TICK_WIDTH else f"{text[: TICK_WIDTH - 1]}…"


def as_it_stands(text: str) -> str:
    """``text`` for Matplotlib, which would read what is between two dollars as mathematics."""
    return text.replace("$", r"\$")


def widen(axes: Axes) -> None:
    """Makes a logarithmic y axis span at least a factor ``LEAST_RATIO``, about its middle."""
    low, high = axes.get_ylim()
    grow = max(1.0, np.sqrt(LEAST_RATIO / (high / low)))
    axes.set_ylim(low / grow, high * grow)
