"""A figure in words, taken from what is drawn: for those who can't see it."""

import re

import numpy as np
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import StepPatch

LONGEST = 1500  # characters
_SIGNS = {r"\partial": "\N{PARTIAL DIFFERENTIAL}", r"\sigma": "\N{GREEK SMALL LETTER SIGMA}"}
_SIGNS |= {r"\chi": "\N{GREEK SMALL LETTER CHI}"}


def described(figure: Figure) -> str:
    """Every panel with its axes, and where each named curve begins, ends or peaks."""
    legends = [legend for part in (figure, *figure.subfigs) for legend in part.legends]
    titles = [plain(legend.get_title().get_text()) for legend in legends]
    layers = any(title.startswith("hidden layer") for title in titles)
    images = [plain(axes.get_title()) for axes in figure.axes if axes.images]
    panels = [f"Images: {', '.join(images)}."] if images else []
    panels += [_panel(axes, layers=layers) for axes in figure.axes if not axes.images]
    text = " ".join(panel for panel in panels if panel)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1].rsplit(';', 1)[0]}; and so on."


def plain(text: str) -> str:
    """``text`` without Matplotlib's mathematics and on one line.

    >>> plain("gradient $\\\\partial C/\\\\partial s$\\nby layer")
    'gradient \N{PARTIAL DIFFERENTIAL}C/\N{PARTIAL DIFFERENTIAL}s by layer'
    """
    for sign, letter in _SIGNS.items():
        text = re.sub(re.escape(sign) + r"\s*", letter, text)
    return " ".join(text.replace("$", "").split())


def _panel(axes: Axes, *, layers: bool) -> str:
    name, x, y = (plain(t) for t in (axes.get_title(), axes.get_xlabel(), axes.get_ylabel()))
    what = " against ".join(word for word in (y, x) if word)
    curves = [_curve(one, layers=layers) for one in _named(axes)]
    said = "; ".join(curve for curve in curves if curve)
    notes = "; ".join(filter(None, (plain(text.get_text()) for text in axes.texts)))
    parts = [f"Panel {name}" if name else "Panel", what, said, notes]
    return ": ".join(part for part in parts if part) + "." if what or said or notes else ""


def _named(axes: Axes) -> list[Line2D | ErrorbarContainer | StepPatch]:
    """What a legend would name, and nothing that only explains a mark."""
    lines = [line for line in axes.lines if np.size(line.get_xdata())]
    steps = [patch for patch in axes.patches if isinstance(patch, StepPatch)]
    bars = [one for one in axes.containers if isinstance(one, ErrorbarContainer)]
    every: list[Line2D | ErrorbarContainer | StepPatch] = [*lines, *steps, *bars]
    return [one for one in every if str(one.get_label()) and str(one.get_label())[0] != "_"]


def _curve(one: Line2D | ErrorbarContainer | StepPatch, *, layers: bool) -> str:
    label = plain(str(one.get_label()))
    name = f"layer {label}" if layers and label.isdigit() else label
    if isinstance(one, StepPatch):
        values, edges, _ = one.get_data()
        if not np.isfinite(values).any():
            return ""
        top = int(np.nanargmax(values))
        return f"{name} peaks at {values[top]:.3g} near {(edges[top] + edges[top + 1]) / 2:.2g}"
    line = one[0] if isinstance(one, ErrorbarContainer) else one
    known = np.asarray(line.get_ydata(), float)
    known = known[np.isfinite(known)]
    if not known.size:
        return ""
    first, last = (f"{value:.3g}" for value in (known[0], known[-1]))
    return f"{name} at {first}" if first == last else f"{name} from {first} to {last}"
