"""The figure of eq. 17: singular values of the layer-to-layer Jacobians, and their theory."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from experiments.claims.paper import PAPER_SINGULAR_VALUE
from experiments.networks import NetworkSpec
from experiments.report.figures.common import (
    COLOURS,
    FigureSpec,
    condition_colours,
    name_set,
    new_figure,
)
from experiments.report.figures.initial import GROUP, has_any, known_rows, sets_of, tanh_pair
from experiments.report.figures.marks import (
    DASHED,
    FAINT,
    NEUTRAL,
    PAPER,
    STRETCH,
    WITH_INTERVAL,
    explain,
)
from experiments.report.figures.overlay import NOTE_SIZE, OVER, expected, largest, percent
from experiments.results.queries import (
    dataset_of,
    layers,
    mean_singular_values,
    needed,
    network,
    of,
)
from glorot_jax.confidence import mean_interval
from glorot_jax.plotting import shortened

SPECTRUM_BINS = 60
POINTS, THEORY = "#1c1e21", "#0072b2"
HEADROOM = 1.08
PAPER_UNITS = ("sigmoid", "tanh", "softsign")
PAPER_STARTS = ("standard", "normalized", "gaussian")
ORACLE_GAP = 0.15  # between values whose names have room beside each other


def _mean_singular_values(initial: xr.Dataset, spec: NetworkSpec) -> np.ndarray:
    """[seed, layer], mean over each seed's examples and the whole spectrum."""
    return mean_singular_values(network(initial, spec))


def _residuals(initial: xr.Dataset, spec: NetworkSpec) -> np.ndarray | None:
    """measured / predicted - 1 of the mean singular value of each layer, mean over seeds."""
    theory = expected(initial, "singular_value_mean", spec)
    if theory is None:
        return None
    return mean_interval(_mean_singular_values(initial, spec), axis=0).mean / theory - 1


def _label(spec: NetworkSpec, residual: float) -> str:
    """The name of a network and how far theory is off, if there is any."""
    return f"{spec.name} ({percent(residual)})" if np.isfinite(residual) else spec.name


def _draw_by_layer(axes: Axes, initial: xr.Dataset, specs: list[NetworkSpec]) -> None:
    """Mean singular value of each J^i of the paper's networks, and the oracles."""
    colours = condition_colours(specs)
    offsets = np.linspace(-0.28, 0.28, len(specs)) if len(specs) > 1 else [0.0]
    numbers = np.asarray(layers(initial), np.float64)
    for spec, offset in zip(specs, offsets, strict=True):
        mean, half = mean_interval(_mean_singular_values(initial, spec), axis=0)
        axes.errorbar(
            numbers + offset,
            mean,
            yerr=np.nan_to_num(half),
            fmt="o" if spec.scheme == "standard" else "s",
            ms=5,
            color=colours[spec.kind],
            label=_label(spec, largest(_residuals(initial, spec))),
        )
        theory = expected(initial, "singular_value_mean", spec)
        if theory is not None:
            axes.plot(numbers + offset, theory, "_", ms=11, mew=1.5, color=POINTS, zorder=3)
    _draw_oracles(axes, initial, specs)
    axes.set(xlabel="hidden layer", ylabel="mean singular value of $J$", xticks=numbers)
    axes.set_ylim(0, axes.get_ylim()[1] * HEADROOM)
    given = [spec for spec in specs if spec.kind in PAPER_SINGULAR_VALUE]
    for spec in given:
        axes.axhline(PAPER_SINGULAR_VALUE[spec.kind], color=colours[spec.kind], **FAINT)
    marks = WITH_INTERVAL | {"8/(3π) √(n Var[W])": DASHED}
    if any(expected(initial, "singular_value_mean", spec) is not None for spec in specs):
        marks |= {"free probability": Line2D([], [], ls="none", marker="_", ms=11, color=POINTS)}
    if given:
        marks |= {f"{PAPER}, of its colour": Line2D([], [], color=NEUTRAL, **FAINT)}
    explain(axes, marks)
    columns = 3 if all(_residuals(initial, spec) is None for spec in specs) else 2
    axes.legend(
        loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=columns, frameon=False, borderpad=0
    )


def _draw_others(axes: Axes, initial: xr.Dataset, specs: list[NetworkSpec]) -> None:
    """Mean over layers of every other network, one a line, and its oracle as a stroke."""
    places = np.arange(len(specs))
    by_seed = [mean_interval(_mean_singular_values(initial, spec), axis=-1).mean for spec in specs]
    means = [mean_interval(values, axis=0) for values in by_seed]
    axes.errorbar(
        [float(one.mean) for one in means],
        places,
        xerr=np.nan_to_num([float(one.half) for one in means]),
        fmt="o",
        ms=5,
        color=POINTS,
    )
    oracles = [float(of(initial, "predicted_singular_value_mean", spec)) for spec in specs]
    axes.plot(oracles, places, "|", ms=12, color="#555555")
    for place, spec, one in zip(places, specs, means, strict=True):
        by_layer = expected(initial, "singular_value_mean", spec)
        if by_layer is not None and np.isfinite(by_layer).all():
            theory = float(by_layer.mean())
            axes.plot(theory, place, "|", ms=12, mew=2, color=THEORY)
            axes.annotate(
                percent(float(one.mean) / theory - 1),
                (1.0, place),
                xycoords=("axes fraction", "data"),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                color=THEORY,
                fontsize=NOTE_SIZE,
            )
    axes.set_yticks(places, [shortened(spec.name) for spec in specs])
    axes.set_ylim(len(specs) - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.set_xlabel("mean singular value of $J$")
    stroke: Any = {"ls": "none", "marker": "|", "ms": 12}
    marks = WITH_INTERVAL | {"units of slope 1": Line2D([], [], color="#555555", **stroke)}
    if len(axes.texts):
        marks |= {"free probability": Line2D([], [], color=THEORY, mew=2, **stroke)}
    explain(axes, marks)


def _draw_oracles(axes: Axes, initial: xr.Dataset, specs: list[NetworkSpec]) -> None:
    """The line 8/(3 pi) sqrt(n Var[W]) of each initialiser, named on the right."""
    known = {
        spec.scheme: float(of(initial, "predicted_singular_value_mean", spec)) for spec in specs
    }
    drawn = sorted((value, name) for name, value in known.items() if np.isfinite(value))
    labels: list[tuple[list[float], list[str]]] = []
    for value, name in drawn:
        axes.axhline(value, color="#555555", lw=1, ls=(0, (5, 3)), zorder=1)
        if not labels or value - labels[-1][0][-1] > ORACLE_GAP:
            labels.append(([], []))
        labels[-1][0].append(value)
        labels[-1][1].append(f"{name}\n{value:.2f}")
    for values, names in labels:
        axes.annotate(
            "\n".join(reversed(names)),
            (1.0, float(np.mean(values))),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            color="#555555",
            fontsize=9,
        )


def _draw_spectrum(axes: Axes, initial: xr.Dataset, specs: list[NetworkSpec]) -> None:
    """Density of all singular values of the layers above the first, which are the square ones."""
    values = {spec: of(initial, "singular_value", spec)[:, 1:] for spec in specs}
    values = {spec: v[np.isfinite(v)] for spec, v in values.items()}
    values = {spec: v for spec, v in values.items() if v.size}
    edges = np.linspace(0, max(v.max() for v in values.values()) * 1.02, SPECTRUM_BINS + 1)
    for spec, v in values.items():
        density, _ = np.histogram(v, edges, density=True)
        colour = COLOURS[(spec.activation, spec.scheme)]
        axes.stairs(density, edges, fill=True, color=colour, alpha=0.3)
        theory = expected(initial, "singular_value_density", spec)
        means = expected(initial, "singular_value_mean", spec)
        residual = np.nan if means is None else v.mean() / means[1:].mean() - 1
        axes.stairs(density, edges, color=colour, lw=1.5, label=_label(spec, residual))
        axes.axvline(v.mean(), color=colour, lw=1.5, ls="--")
        if theory is not None:
            at = of(initial, "meanfield_singular_value", spec)
            axes.plot(at, theory, color=POINTS, **OVER)
    axes.set(xlabel="singular value of $J$, layers above the first", ylabel="density")
    axes.legend(frameon=False)
    mean = Line2D([], [], color=NEUTRAL, lw=1.5, ls="--")
    marks: dict[str, Artist] = {"measured": STRETCH, "its mean, upright": mean}
    if expected(initial, "singular_value_density", specs[0]) is not None:
        marks |= {"free probability": Line2D([], [], color=POINTS, **OVER)}
    explain(axes, marks)


def eq17(results: xr.DataTree) -> Figure:
    """Eq. 17: mean singular value of each layer's Jacobian, and the spectrum behind it."""
    initial = needed(results, GROUP)
    specs = known_rows(initial, "singular_value")
    paper = [spec for spec in specs if spec.kind[0] in PAPER_UNITS and spec.kind[1] in PAPER_STARTS]
    others = [spec for spec in specs if spec not in paper]
    square = tanh_pair(initial, "singular_value") if initial.sizes["layer"] > 1 else []
    panels = [
        (5.1, _draw_by_layer, paper),
        (3.5, _draw_spectrum, square),
        (0.33 * len(others) + 1.2, _draw_others, others),
    ]
    panels = [panel for panel in panels if panel[2]]
    heights = [height for height, _, _ in panels]
    figure = new_figure(sum(heights))
    name_set(figure, dataset_of(initial))
    # Apart, so that long names beside the last panel don't narrow the others.
    places = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    for place, (_, draw, shown) in zip(places, panels, strict=True):
        draw(place.subplots(), initial, shown)
    return figure


FIGURES = {
    "eq17": FigureSpec(
        "Above: mean singular value of each layer's Jacobian, mean over seeds with its 95% t "
        "interval; the faint lines are the paper's 0.5 and 0.8, the dashed ones 8/(3 pi) "
        "sqrt(n Var[W]), the mean for a square matrix of independent entries and units of slope 1. "
        "Below them: the spectrum of tanh standard and "
        "normalized over all seeds, examples and layers above the first, with its mean dashed; "
        "then any other networks, mean over layers, with that oracle as a stroke. What must be "
        "seen: about 0.5 with the standard and about 0.8 with the normalized initialisation. In "
        "runs that have them, strokes and thin dashed curves are free probability with "
        "the units' own slopes, and the percentages its residual, measured / predicted - 1 of the "
        "mean, above in the layer where it is largest: points below the oracle must be on strokes.",
        has_any("singular_value"),
        eq17,
        sets_of,
    ),
}
