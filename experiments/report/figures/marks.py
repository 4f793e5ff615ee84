"""What lines, dots and bands are, said beneath the panels; and the paper's own values, faint."""

from collections.abc import Mapping
from typing import Any, cast

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.transforms import ScaledTranslation

from experiments.report.figures.times import BAND

NEUTRAL = "#4a4f55"  # stands for any colour
BELOW = 44.0  # points under the axes, for ticks and the axis' name
CENTIMETRES = 72.0  # points an inch
SHARE_OF_DATA = (
    0.6  # of an axis, the least that what was measured takes up beside the paper's value
)
# Of an axis, what is left beyond the paper's value at its end; and where a note stands there.
MARGIN, NOTE = 0.04, 0.1
# The paper's own values: seen, and behind what was measured.
FAINT: Any = {"lw": 3.5, "alpha": 0.35, "solid_capstyle": "butt", "zorder": 1.5}
FAINT_AREA: Any = {"color": NEUTRAL, "alpha": 0.12, "lw": 0, "zorder": 0.5}
PAPER = "the paper"
ON_CURVES: Any = {"fc": "white", "alpha": 0.75, "lw": 0, "pad": 1.0}  # behind words over curves

LINE = Line2D([], [], color=NEUTRAL, lw=1.6)
DASHED = Line2D([], [], color=NEUTRAL, lw=1.4, ls=(0, (4, 2)))
PALE = Line2D([], [], color=NEUTRAL, lw=2.4, alpha=0.45)
DOT = Line2D([], [], color=NEUTRAL, ls="none", marker="o", ms=4)
BAR = Line2D([], [], color=NEUTRAL, ls="none", marker="|", ms=11, mew=1.4)
STRETCH = Patch(color=NEUTRAL, alpha=2 * BAND, lw=0)
OVER_SEEDS = {"mean over seeds": LINE, "least to greatest seed": STRETCH}
WITH_INTERVAL = {"mean over seeds": DOT, "its 95% interval": BAR}


def explain(
    axes: Axes, marks: Mapping[str, Artist], *, columns: int = 2, below: float = BELOW
) -> None:
    """Says what ``marks`` are in a legend of their own, so many points under the lowest panel."""
    figure = cast("Figure", axes.get_figure(root=True))
    legend = Legend(
        axes,
        list(marks.values()),
        list(marks),
        loc="upper center",
        ncols=columns,
        frameon=False,
        borderpad=0,
        bbox_to_anchor=(0.5, 0.0),
        bbox_transform=axes.transAxes
        + ScaledTranslation(0, -below / CENTIMETRES, figure.dpi_scale_trans),
    )
    axes.add_artist(legend)
    legend.set_clip_on(False)  # what is clipped gets no room in the layout


def paper_levels(axes: Axes, levels: Mapping[str, tuple[float, str]]) -> None:
    """Faint lines at the paper's values, (value, colour) by name, as far as they are in reach.

    The axis is widened for values near enough that the measured keep ``SHARE_OF_DATA`` of it; of
    those further off a note says where they are.
    """
    low, high = axes.get_ylim()
    apart = _apart(axes)
    reach = (apart(high) - apart(low)) * (1 / SHARE_OF_DATA - 1)
    near = {n: v for n, (v, _) in levels.items() if -reach <= _beyond(apart, v, low, high) <= reach}
    for name, value in near.items():
        axes.axhline(value, color=levels[name][1], **FAINT)
    far = sorted(value for name, (value, _) in levels.items() if name not in near)
    below, above = ([v for v in far if v < low], [v for v in far if v > high])
    ends = [low, high, *near.values()]
    span = apart(max(ends)) - apart(min(ends))
    undo = axes.yaxis.get_transform().inverted().transform
    # A line at the edge gets a margin, which a note there has to fit into.
    if min(ends) < low:
        low = float(undo(apart(min(ends)) - (NOTE if below else MARGIN) * span))
    if max(ends) > high:
        high = float(undo(apart(max(ends)) + (NOTE if above else MARGIN) * span))
    if near:
        axes.set_ylim(low, high)
    for sign, edge, values in (
        ("\N{DOWNWARDS ARROW}", 0.02, below),
        ("\N{UPWARDS ARROW}", 0.98, above),
    ):
        if values:
            _note(axes, f"{sign} {PAPER} ends at {_from_to(values)}", edge)


def _apart(axes: Axes) -> Any:
    """How far up its axis a value is, in the axis' own scale."""
    return axes.yaxis.get_transform().transform


def _beyond(apart: Any, value: float, low: float, high: float) -> float:
    """How far a value is outside the axis, 0 inside, less than 0 below."""
    return min(0.0, apart(value) - apart(low)) + max(0.0, apart(value) - apart(high))


def _from_to(values: list[float]) -> str:
    ends = [f"{value:.2f}" for value in (values[0], values[-1])]
    return ends[0] if len(values) == 1 else f"{ends[0]} to {ends[1]}"


def _note(axes: Axes, text: str, edge: float) -> None:
    axes.text(
        0.02,
        edge,
        text,
        transform=axes.transAxes,
        va="bottom" if edge < 0.5 else "top",
        fontsize=9,
        color=NEUTRAL,
        bbox=ON_CURVES,
    )
