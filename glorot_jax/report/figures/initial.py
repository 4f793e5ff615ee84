"""Figures of networks at initialisation: 6, 7, 8, eq. 17 and the variances of eqs. 5-7."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from glorot_jax.report.figures.common import (
    COLOURS,
    FigureSpec,
    Row,
    condition_colours,
    layer_colours,
    layers,
    legend_below,
    needed,
    new_figure,
    of,
    rows,
    select,
    stack,
)
from glorot_jax.report.statistics import mean_interval
from glorot_jax.results import part

PART = "initial"
SMALL_PANELS = (
    ("sigmoid", "standard"),
    ("softsign", "standard"),
    ("softsign", "normalized"),
    ("tanh", "gaussian"),
)
VISIBLE_STD = 3.0  # gradients are shown to this many standard deviations of the widest layer
LOWEST_DENSITY = 1e-3  # of the highest, the bottom of the logarithmic axis of a histogram
SPECTRUM_BINS = 60
HEADROOM = 1.08
LEAST_RATIO = 10.0  # of the ends of a logarithmic axis, so that noise isn't magnified
VARIANCES = (
    ("activation", "activations $z$ (eq. 5)"),
    ("backprop", r"gradients $\partial C/\partial s$ (eq. 6)"),
    ("weight_gradient", r"weight gradients $\partial C/\partial w$ (eq. 7)"),
)


def _tanh(initial: xr.Dataset | None, known: str) -> list[Row]:
    """Tanh with the paper's two initialisers, as far as they were measured."""
    pairs = (select(initial, "tanh", kind, known=known) for kind in ("standard", "normalized"))
    return [found[0] for found in pairs if found]


def _has_tanh(known: str):
    return lambda results: bool(_tanh(part(results, PART), known))


def activation_edges(found: xr.Dataset, bins: int) -> np.ndarray:
    """Edges of the bins of activations, [-1, 1] in equal bins where the part doesn't say."""
    if "activation_bin_edge" in found.variables:
        return np.asarray(found["activation_bin_edge"].values, np.float64)
    return np.linspace(-1.0, 1.0, bins + 1)


def _draw_activations(axes: Axes, initial: xr.Dataset, row: Row) -> None:
    """Density of the activations of each layer, mean over seeds."""
    fractions = mean_interval(of(initial, "activation_histogram", row), axis=0).mean
    edges = activation_edges(initial, fractions.shape[-1])
    for layer, colour, values in zip(
        layers(initial), layer_colours(len(fractions)), fractions, strict=True
    ):
        if np.isfinite(values).any():
            axes.stairs(
                values / np.diff(edges),
                edges,
                color=colour,
                lw=1.3,
                baseline=None,
                label=str(layer),
            )


def fig06(results: xr.Dataset) -> Figure:
    """Fig. 6: activations at initialisation, tanh standard above normalized, others below."""
    initial = needed(results, PART)
    main = _tanh(initial, "activation_histogram")
    others = (select(initial, *kind, known="activation_histogram") for kind in SMALL_PANELS)
    small = [found[0] for found in others if found]
    small_rows = -(-len(small) // 2)
    figure = new_figure(2.7 * len(main) + 2.2 * small_rows + 0.7)
    grid = figure.add_gridspec(
        len(main) + small_rows, 2, height_ratios=[2.7] * len(main) + [2.2] * small_rows
    )
    for i, row in enumerate(main):
        axes = figure.add_subplot(grid[i, :])
        _draw_activations(axes, initial, row)
        axes.set(title=row.label, ylabel="density", xlim=(-1, 1))
    first = figure.axes[0]
    for i, row in enumerate(small):
        alone = i == len(small) - 1 and i % 2 == 0
        place = grid[len(main) + i // 2, :] if alone else grid[len(main) + i // 2, i % 2]
        axes = figure.add_subplot(place)
        _draw_activations(axes, initial, row)
        axes.set(title=row.label, ylabel="density", yscale="log", xlim=(-1, 1))
        axes.set_ylim(bottom=axes.get_ylim()[1] * LOWEST_DENSITY)
    for axes in figure.axes[-2:]:
        axes.set_xlabel("activation $z$")
    legend_below(figure, first, columns=len(layers(initial)), title="hidden layer")
    return figure


def _gradient_density(initial: xr.Dataset, name: str, row: Row) -> tuple[np.ndarray, np.ndarray]:
    """Bin edges in the gradient's own units and the density [layer, bin], means over seeds.

    The outermost bins also count everything beyond them and are left out.
    """
    fractions = mean_interval(of(initial, f"{name}_histogram", row), axis=0).mean
    unit = float(mean_interval(of(initial, f"{name}_unit", row)[:, 0], axis=0).mean)
    edges = np.asarray(initial["gradient_bin_edge"].values, np.float64) * unit
    return edges[1:-1], (fractions / np.diff(edges))[:, 1:-1]


def _gradients(results: xr.Dataset, name: str, xlabel: str, *, share: bool) -> Figure:
    """One panel an initialiser, one curve a layer, logarithmic density; same axes if ``share``."""
    initial = needed(results, PART)
    found = _tanh(initial, f"{name}_histogram")
    figure = new_figure(2.7 * len(found) + 0.9)
    panels = stack(figure, len(found), sharex=share, sharey=share)
    reach = highest = 0.0
    for axes, row in zip(panels, found, strict=True):
        edges, density = _gradient_density(initial, name, row)
        widest = VISIBLE_STD * float(np.nanmax(of(initial, f"{name}_std", row)))
        highest = max(highest * share, float(np.nanmax(density)))
        reach = max(reach * share, widest)
        for layer, colour, values in zip(
            layers(initial), layer_colours(len(density)), density, strict=True
        ):
            axes.stairs(values, edges, color=colour, lw=1.3, baseline=None, label=str(layer))
        axes.set(title=row.label, ylabel="density", yscale="log", xlim=(-reach, reach))
        axes.set_ylim(highest * LOWEST_DENSITY, highest * 2)
    panels[-1].set_xlabel(xlabel)
    legend_below(figure, panels[0], columns=len(layers(initial)), title="hidden layer")
    return figure


def fig07(results: xr.Dataset) -> Figure:
    """Fig. 7: back-propagated gradients dC/ds of each hidden layer at initialisation."""
    return _gradients(
        results, "backprop", r"back-propagated gradient $\partial C/\partial s$", share=True
    )


def fig08(results: xr.Dataset) -> Figure:
    """Fig. 8: gradients dC/dw of the weights below each hidden layer at initialisation."""
    return _gradients(
        results, "weight_gradient", r"weight gradient $\partial C/\partial w$", share=False
    )


def _draw_mean_singular_values(axes: Axes, initial: xr.Dataset) -> None:
    """Mean singular value of each J^i by condition, and the oracles."""
    found = [row for row in rows(initial) if np.isfinite(of(initial, "singular_value", row)).any()]
    colours = condition_colours(found)
    offsets = np.linspace(-0.28, 0.28, len(found)) if len(found) > 1 else [0.0]
    numbers = np.asarray(layers(initial), np.float64)
    for row, offset in zip(found, offsets, strict=True):
        values = of(initial, "singular_value", row)
        per_seed = mean_interval(values.reshape(*values.shape[:2], -1), axis=-1).mean
        mean, half = mean_interval(per_seed, axis=0)
        axes.errorbar(
            numbers + offset,
            mean,
            yerr=np.nan_to_num(half),
            fmt="o" if row.initializer == "standard" else "s",
            ms=5,
            color=colours[row.place],
            label=row.label,
        )
    _draw_oracles(axes, initial)
    axes.set(xlabel="hidden layer", ylabel="mean singular value of $J$", xticks=numbers)
    axes.set_ylim(0, axes.get_ylim()[1] * HEADROOM)


def _draw_oracles(axes: Axes, initial: xr.Dataset) -> None:
    """The line 8/(3 pi) sqrt(n Var[W]) of each initialiser, named on the right."""
    drawn = {}
    for row in rows(initial):
        value = float(of(initial, "predicted_singular_value_mean", row))
        if np.isfinite(value):
            drawn[row.initializer] = value
    for initializer, value in drawn.items():
        axes.axhline(value, color="#555555", lw=1, ls=(0, (5, 3)), zorder=1)
        axes.annotate(
            f"{initializer.replace('_', ' ')}\n{value:.2f}",
            (1.0, value),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            color="#555555",
            fontsize=9,
        )


def _draw_spectrum(axes: Axes, initial: xr.Dataset, found: list[Row]) -> None:
    """Density of all singular values of the layers above the first, which are the square ones."""
    values = {row: of(initial, "singular_value", row)[:, 1:] for row in found}
    values = {row: v[np.isfinite(v)] for row, v in values.items()}
    values = {row: v for row, v in values.items() if v.size}
    edges = np.linspace(0, max(v.max() for v in values.values()) * 1.02, SPECTRUM_BINS + 1)
    for row, v in values.items():
        density, _ = np.histogram(v, edges, density=True)
        colour = COLOURS[(row.activation, row.initializer)]
        axes.stairs(density, edges, fill=True, color=colour, alpha=0.3)
        axes.stairs(density, edges, color=colour, lw=1.5, label=row.label)
        axes.axvline(v.mean(), color=colour, lw=1.5, ls="--")
    axes.set(xlabel="singular value of $J$, layers above the first", ylabel="density")
    axes.legend(frameon=False)


def eq17(results: xr.Dataset) -> Figure:
    """Eq. 17: mean singular value of each layer's Jacobian, and the spectrum behind it."""
    initial = needed(results, PART)
    found = _tanh(initial, "singular_value")
    figure = new_figure(7.0)
    upper, lower = figure.subplots(2, 1, height_ratios=[1.35, 1])
    _draw_mean_singular_values(upper, initial)
    _draw_spectrum(lower, initial, found)
    columns = 3
    upper.legend(
        loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=columns, frameon=False, borderpad=0
    )
    return figure


def variances(results: xr.Dataset) -> Figure:
    """Mean squares by layer, measured and as the linear regime (eqs. 5-7) predicts them."""
    initial = needed(results, PART)
    found = _tanh(initial, "activation_mean_square")
    figure = new_figure(8.4)
    panels = stack(figure, len(VARIANCES))
    for axes, (name, title) in zip(panels, VARIANCES, strict=True):
        for row in found:
            colour = COLOURS[(row.activation, row.initializer)]
            mean, half = mean_interval(of(initial, f"{name}_mean_square", row), axis=0)
            predicted = mean_interval(of(initial, f"predicted_{name}", row), axis=0).mean
            axes.errorbar(
                layers(initial),
                mean,
                yerr=np.nan_to_num(half),
                fmt="o",
                color=colour,
                label=f"{row.label} measured",
            )
            axes.plot(
                layers(initial), predicted, "--", color=colour, label=f"{row.label} predicted"
            )
        axes.set(title=title, ylabel="mean square", yscale="log")
        _widen(axes)
    panels[-1].set(xlabel="hidden layer", xticks=layers(initial))
    legend_below(figure, panels[0], columns=2)
    return figure


def _widen(axes: Axes) -> None:
    """Makes a logarithmic y axis span at least ``LEAST_RATIO``, about its middle."""
    low, high = axes.get_ylim()
    grow = max(1.0, np.sqrt(LEAST_RATIO / (high / low)))
    axes.set_ylim(low / grow, high * grow)


FIGURES = {
    "fig06": FigureSpec(
        "Fig. 6: activations at initialisation",
        "Density of the activations of each hidden layer before any training, mean over seeds. "
        "What must be seen: with the standard initialisation the peak at 0 grows from layer to "
        "layer, because each layer passes on about a third of the variance; with the normalized "
        "initialisation (N) the layers stay much closer together. The paper shows tanh only; the "
        "small panels, on a logarithmic axis, add the other units and the plain Gaussian.",
        (PART,),
        _has_tanh("activation_histogram"),
        fig06,
    ),
    "fig07": FigureSpec(
        "Fig. 7: back-propagated gradients at initialisation",
        "Density of dC/ds over units and examples, mean over seeds, logarithmic, with one axis "
        "for both initialisations; what lies beyond 5 standard deviations of the top layer isn't "
        "shown. What must be seen: with the standard initialisation the distributions narrow from "
        "the top layer down to the input; with the normalized one they are level.",
        (PART,),
        _has_tanh("backprop_histogram"),
        fig07,
    ),
    "fig08": FigureSpec(
        "Fig. 8: weight gradients at initialisation",
        "Density of dC/dw, the cost averaged over the monitored examples, mean over seeds, drawn "
        "as in Fig. 7 but with each initialisation on its own axes. What must be seen: the layers "
        "lie on each other with either initialisation, as eq. 14 says, although the "
        "back-propagated gradients of Fig. 7 don't.",
        (PART,),
        _has_tanh("weight_gradient_histogram"),
        fig08,
    ),
    "eq17": FigureSpec(
        "Eq. 17: singular values of the layer-to-layer Jacobians",
        "Above: mean singular value of each layer's Jacobian, mean over seeds with its 95% t "
        "interval; the dashed lines are 8/(3 pi) sqrt(n Var[W]), the mean for a square matrix of "
        "independent entries and units of slope 1. Below: the spectrum of tanh standard and "
        "normalized over all seeds, examples and layers above the first, with its mean dashed. "
        "What must be seen: about 0.5 with the standard and about 0.8 with the normalized "
        "initialisation.",
        (PART,),
        _has_tanh("singular_value"),
        eq17,
    ),
    "variances": FigureSpec(
        "Eqs. 5-7: variances by layer, measured and predicted",
        "Mean squares of tanh networks at initialisation: points are measured (mean over seeds "
        "and 95% t interval), dashed lines are what eqs. 5-7 predict for units of slope 1. What "
        "must be seen: the fall of the activations and of the back-propagated gradients with the "
        "standard initialisation, and weight gradients that are level; measured values lie "
        "below the prediction where the slope of the units is below 1.",
        (PART,),
        _has_tanh("activation_mean_square"),
        variances,
    ),
}
