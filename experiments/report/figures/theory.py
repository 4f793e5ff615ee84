"""Theory in figures: the variances of eqs. 5-7 with mean field, and its phase diagrams."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import jax.numpy as jnp
import matplotlib
import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from experiments.networks import NetworkSpec, read
from experiments.report.figures.common import COLOURS, FigureSpec, name_set, new_figure
from experiments.report.figures.initial import GROUP, sets_of, tanh_pair
from experiments.report.figures.marks import NEUTRAL, STRETCH, WITH_INTERVAL, explain
from experiments.report.figures.overlay import NOTE_SIZE, expected, largest, percent
from experiments.results.queries import dataset_of, layers, needed, of
from experiments.results.schema import find_group
from glorot_jax.activations import ACTIVATIONS, Activation
from glorot_jax.confidence import mean_interval
from glorot_jax.plotting import STYLE, legend_below, widen
from glorot_jax.theory import meanfield

VARIANCES = (
    ("activation", "activations ", "$z$ (eq. 5)"),
    ("backprop", "gradients ", r"$\partial C/\partial s$ (eq. 6)"),
    ("weight_gradient", "weight gradients ", r"$\partial C/\partial w$ (eq. 7)"),
)
BAND = 1.96  # standard deviations of a mean, for 95%
ROOM = 1.6  # above and below what a panel of residuals shows, for its numbers

# What the diagrams show, in units of the sigma_w that is critical without biases.
WIDEST, TALLEST = 2.5, 1.25
PANEL_HEIGHT = 2.5
COLUMNS, LINES, POINTS = 46, 24, 60
DEPTHS = (3, 10)  # layers, of the contours
CONTOURS = ("solid", "dotted")
TOLERANCE = 0.01  # of chi on the critical line
STRONGEST = 3.0  # chi beyond which a colour changes no more
SHOWN = ("tanh", "softsign", "sigmoid", "relu", "gelu")
MARKS = (("standard", 1 / np.sqrt(3), "o"), ("normalized", 1.0, "s"))


def variances(results: xr.DataTree) -> Figure:
    """Mean squares by layer, measured, as the linear regime predicts them and as mean field does.

    Where the results hold mean field, a second column shows the measured over it.
    """
    initial = needed(results, GROUP)
    specs = tanh_pair(initial, "activation_mean_square")
    theory = any(
        expected(initial, f"{name}_mean_square", spec) is not None
        for name, *_ in VARIANCES
        for spec in specs
    )
    figure = new_figure(9.4)
    name_set(figure, dataset_of(initial))
    panels = figure.subplots(len(VARIANCES), 2 if theory else 1, sharex=True, squeeze=False)
    for (left, *right), (name, kind, sign) in zip(panels, VARIANCES, strict=True):
        for spec in specs:
            _draw_variances(left, initial, name, spec)
        left.set(title=sign if theory else kind + sign, ylabel="mean square", yscale="log")
        widen(left)
        for axes in right:
            _draw_residuals(axes, initial, name, specs)
    for axes in panels[-1]:
        axes.set(xlabel="hidden layer", xticks=layers(initial))
    marks: dict[str, Artist] = dict(WITH_INTERVAL)
    if theory:
        marks |= {"95% of such means": STRETCH}
    explain(panels[-1][0], marks, columns=1)
    legend_below(figure, list(panels[:, 0]), columns=3 if theory else 2)
    return figure


def _draw_variances(axes: Axes, initial: xr.Dataset, name: str, spec: NetworkSpec) -> None:
    colour = COLOURS[spec.kind]
    mean, half = mean_interval(of(initial, f"{name}_mean_square", spec), axis=0)
    linear = mean_interval(of(initial, f"predicted_{name}", spec), axis=0).mean
    theory = expected(initial, f"{name}_mean_square", spec)
    axes.errorbar(
        layers(initial),
        mean,
        yerr=np.nan_to_num(half),
        fmt="o",
        color=colour,
        label=f"{spec.name} measured",
    )
    predicted = "predicted" if theory is None else "eqs. 5-7"
    axes.plot(layers(initial), linear, "--", color=colour, label=f"{spec.name} {predicted}")
    if theory is not None:
        axes.plot(layers(initial), theory, color=colour, lw=1.2, label=f"{spec.name} mean field")


def _draw_residuals(axes: Axes, initial: xr.Dataset, name: str, specs: list[NetworkSpec]) -> None:
    """Measured over mean field, and the band in which a mean over the seeds should be."""
    numbers, notes = np.asarray(layers(initial)), []
    for spec, offset in zip(specs, (-0.07, 0.07), strict=False):
        theory = expected(initial, f"{name}_mean_square", spec)
        if theory is None:
            continue
        colour = COLOURS[spec.kind]
        ratio = of(initial, f"{name}_mean_square", spec) / theory
        mean, half = mean_interval(ratio, axis=0)
        axes.errorbar(numbers + offset, mean, yerr=np.nan_to_num(half), fmt="o", color=colour)
        spread = of(initial, f"predicted_{name}_spread", spec) * BAND / np.sqrt(len(ratio))
        axes.fill_between(numbers, 1 - spread, 1 + spread, color=colour, alpha=0.15, lw=0)
        notes.append(f"{spec.name} {percent(largest(mean - 1))}")
    axes.axhline(1, color="#555555", lw=0.8, zorder=1)
    reach = ROOM * float(np.abs(np.array(axes.dataLim.intervaly) - 1).max())
    axes.set(title="measured / mean field", ylim=(1 - reach, 1 + reach))
    axes.text(0.03, 0.97, "\n".join(notes), transform=axes.transAxes, va="top", fontsize=NOTE_SIZE)


@dataclass(frozen=True)
class Phases:
    """What a phase diagram shows: chi [n, m] at q* for sigma_b [n] by sigma_w [m].

    ``line`` [points, 2]: sigma_w, sigma_b of the critical line; NaN where none is critical, or
    only a q that signals don't go to (relu and gelu, whose q* is infinite).
    """

    sigma_w: np.ndarray
    sigma_b: np.ndarray
    chi: np.ndarray
    line: np.ndarray


@cache
def phases(activation: Activation) -> Phases:
    """The phases around the sigma_w that is critical without biases (1 if none is)."""
    # As many points as there are on the line: one program does for both.
    critical = np.sqrt(meanfield.critical_line(activation, np.zeros(POINTS))[0])
    unit = float(np.nan_to_num(critical, nan=1.0))
    sigma_w = np.linspace(0, WIDEST * unit, COLUMNS)
    sigma_b = np.linspace(0, TALLEST * unit, LINES)
    squares = np.broadcast_arrays(sigma_w**2, sigma_b[:, None] ** 2)
    as_float = partial(jnp.asarray, dtype=jnp.result_type(float))
    chi = meanfield.chi_at_fixed_point(activation, *(as_float(square) for square in squares))
    # It starts like a logarithm at sigma_b = 0, so there are most points there.
    along = TALLEST * unit * np.linspace(0, 1, POINTS) ** 4
    line = np.column_stack([np.sqrt(meanfield.critical_line(activation, along**2)), along])
    reached = meanfield.chi_at_fixed_point(activation, *(as_float(side**2) for side in line.T))
    line[~(np.abs(np.asarray(reached) - 1) < TOLERANCE)] = np.nan
    return Phases(sigma_w, sigma_b, np.asarray(chi, np.float64), line)


def phase_diagram(activation: Activation, /, *, title: str = "") -> Figure:
    """The phase diagram of one activation, any elementwise function, for a notebook."""
    with matplotlib.rc_context(STYLE):
        return _phase_figure({title: activation})


def _phase_figure(activations: Mapping[str, Activation]) -> Figure:
    """A panel for each activation, two in a row, and the scale and the legend below."""
    lines = -(-len(activations) // 2)
    figure = new_figure(PANEL_HEIGHT * lines + 1.3)
    grid = figure.add_gridspec(lines + 1, 2, height_ratios=[*[PANEL_HEIGHT] * lines, 0.12])
    panels = []
    for i, (title, activation) in enumerate(activations.items()):
        alone = i == len(activations) - 1 and i % 2 == 0
        axes = figure.add_subplot(grid[i // 2, slice(None) if alone else i % 2])
        shown = _draw_phases(axes, phases(activation))
        axes.set_title(title)
        if i % 2 == 0:
            axes.set_ylabel(r"$\sigma_b$")
        panels.append(axes)
    scale = figure.add_subplot(grid[-1, :])
    bar = figure.colorbar(shown, cax=scale, orientation="horizontal")
    ticks = (1 / STRONGEST, 1 / 2, 1.0, 2.0, STRONGEST)
    bar.set_ticks(list(np.log(ticks)), labels=["1/3", "1/2", "1", "2", "3"])
    bar.set_label(r"$\chi$: growth of Var[$\partial C/\partial s$] for each layer down")
    thin: Any = {"color": NEUTRAL, "lw": 0.9}
    marks = {
        f"a factor e in {depth} layers": Line2D([], [], ls=style, **thin)
        for depth, style in zip(DEPTHS, CONTOURS, strict=True)
    }
    legend_below(figure, panels, columns=3, more=marks)
    return figure


def _draw_phases(axes: Axes, diagram: Phases) -> QuadMesh:
    """Shades chi, draws the critical line and marks the paper's initialisations."""
    levels = np.log(np.clip(diagram.chi, 1 / STRONGEST, STRONGEST))
    limit = np.log(STRONGEST)
    shown = axes.pcolormesh(
        diagram.sigma_w,
        diagram.sigma_b,
        levels,
        cmap="RdBu_r",
        vmin=-limit,
        vmax=limit,
        shading="gouraud",
        rasterized=True,
    )
    at = [-1 / depth for depth in DEPTHS] + [1 / depth for depth in reversed(DEPTHS)]
    axes.contour(
        diagram.sigma_w,
        diagram.sigma_b,
        np.log(np.maximum(diagram.chi, 1e-12)),
        levels=at,
        colors="#555555",
        linewidths=0.7,
        linestyles=[*CONTOURS, *reversed(CONTOURS)],
    )
    axes.plot(*diagram.line.T, color="black", lw=2, label="critical")
    if np.isnan(diagram.line).any():
        axes.contour(diagram.sigma_w, diagram.sigma_b, levels, [0], colors="black", linewidths=2)
    for name, sigma_w, marker in MARKS:
        axes.plot(
            sigma_w, 0, marker, ms=8, mfc="white", mec="black", mew=1.5, clip_on=False, zorder=5,
            ls="none", label=name,
        )  # fmt: skip
    paper = {"fc": "white", "alpha": 0.75, "lw": 0, "pad": 1.5}
    at_the_corners: dict[str, Any] = {
        "transform": axes.transAxes,
        "bbox": paper,
        "fontsize": NOTE_SIZE,
    }
    axes.text(0.04, 0.94, "ordered", va="top", **at_the_corners)
    axes.text(0.96, 0.12, "chaotic", ha="right", **at_the_corners)
    axes.set(xlabel=r"$\sigma_w$", xlim=(0, diagram.sigma_w[-1]), ylim=(0, diagram.sigma_b[-1]))
    axes.grid(visible=False)
    return shown


def _named(results: xr.DataTree) -> list[str]:
    """The library's activations among those that were measured at initialisation."""
    initial = find_group(results, GROUP)
    measured = set() if initial is None else {spec.activation for spec in read(initial)}
    return [name for name in SHOWN if name in measured]


def phase(results: xr.DataTree) -> Figure:
    """Phase diagrams of the activations that were measured at initialisation."""
    return _phase_figure({name.capitalize(): ACTIVATIONS[name] for name in _named(results)})


FIGURES = {
    "variances": FigureSpec(
        "Mean squares of tanh networks at initialisation: points are measured (mean over seeds "
        "and 95% t interval), dashed lines are what eqs. 5-7 predict for units of slope 1. What "
        "must be seen: the fall of the activations and of the back-propagated gradients with the "
        "standard initialisation, and weight gradients that are level; measured values lie "
        "below the prediction where the slope of the units is below 1. In runs that have it, the "
        "thin line is mean field with the units' own slopes, and on the right the measured over "
        "it, with the largest residual in percent; the bands are where 95% of such means over "
        "seeds should be by the exact spread of linear nets, which those of a net that saturates "
        "stays below. Points must be in the bands about 1; errors go on from layer to layer.",
        lambda results: bool(tanh_pair(find_group(results, GROUP), "activation_mean_square")),
        variances,
        sets_of,
    ),
    "phase": FigureSpec(
        "For weights of variance sigma_w^2 / n and biases of variance sigma_b^2: chi, the factor "
        "by which the variance of back-propagated gradients grows for each layer down, once the "
        "activations have settled. Blue is ordered: gradients vanish and all examples become "
        "alike; red is chaotic: gradients explode and like examples part; on the thick line chi "
        "is 1. Thin solid contours are where gradients change by a factor of e in 3 layers, "
        "dotted ones in 10. What must be seen: for tanh and softsign the standard initialisation "
        "(sigma_w^2 = 1/3, a circle) is well within the ordered phase, where it loses a factor of "
        "3 a layer, and the normalized one (sigma_w = 1, a square) is critical; for sigmoid both "
        "are far from critical. Not a measurement: computed from the activation alone.",
        lambda results: bool(_named(results)),
        phase,
    ),
}
