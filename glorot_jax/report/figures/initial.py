"""Figures of networks at initialisation: 6, 7, 8, eq. 17 and the variances of eqs. 5-7."""

from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from glorot_jax.report.figures.common import (
    COLOURS,
    FigureSpec,
    Row,
    condition_colours,
    dataset_of,
    layer_colours,
    layers,
    legend_below,
    name_set,
    needed,
    new_figure,
    of,
    rows,
    select,
    shortened,
    stack,
    title_of,
    widen,
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
PAPER_UNITS = ("sigmoid", "tanh", "softsign")
PAPER_STARTS = ("standard", "normalized", "gaussian")
ORACLE_GAP = 0.15  # between values whose names have room beside each other
SMALL_TITLE = 20  # characters a line
VARIANCES = (
    ("activation", "activations $z$ (eq. 5)"),
    ("backprop", r"gradients $\partial C/\partial s$ (eq. 6)"),
    ("weight_gradient", r"weight gradients $\partial C/\partial w$ (eq. 7)"),
)


def _tanh(initial: xr.Dataset | None, known: str) -> list[Row]:
    """Tanh with the paper's two initialisers, as far as they were measured."""
    pairs = (select(initial, "tanh", kind, known=known) for kind in ("standard", "normalized"))
    return [found[0] for found in pairs if found]


def _has_any(known: str) -> Callable[[xr.Dataset], bool]:
    return lambda results: bool(_known(part(results, PART), known))


def _known(initial: xr.Dataset | None, known: str) -> list[Row]:
    """Every network of which the variable ``known`` is known."""
    if initial is None:
        return []
    return [row for row in rows(initial) if np.isfinite(of(initial, known, row)).any()]


def _others(initial: xr.Dataset, known: str) -> list[Row]:
    """Networks of a user's own, named by a dotted path; every one where the paper's are missing."""
    every = _known(initial, known)
    own = [row for row in every if ":" in "".join(row.kind)]
    return own if _tanh(initial, known) else every


def _grid(results: xr.Dataset, main: int, small: int) -> tuple[Figure, list[Axes], list[Axes]]:
    """A figure of wide panels, one under the other, and below them small ones, two in a row."""
    small_rows = -(-small // 2)
    heights = [2.7] * main + [2.2] * small_rows
    figure = new_figure(sum(heights) + 0.9)
    name_set(figure, dataset_of(needed(results, PART)))
    grid = figure.add_gridspec(len(heights), 2, height_ratios=heights)
    wide = [figure.add_subplot(grid[i, :]) for i in range(main)]
    alone = small - 1 if small % 2 else small  # the last one if it has no neighbour
    places = [(main + i // 2, i % 2 if i < alone else slice(None)) for i in range(small)]
    return figure, wide, [figure.add_subplot(grid[place]) for place in places]


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
    known = "activation_histogram"
    main = _tanh(initial, known)
    others = [select(initial, *kind, known=known)[:1] for kind in SMALL_PANELS]
    small = [row for found in [*others, _others(initial, known)] for row in found]
    small = list(dict.fromkeys(small))
    figure, wide, narrow = _grid(results, len(main), len(small))
    for axes, row in zip(wide, main, strict=True):
        _draw_activations(axes, initial, row)
        axes.set(title=row.label, ylabel="density", xlim=(-1, 1))
    for axes, row in zip(narrow, small, strict=True):
        _draw_activations(axes, initial, row)
        axes.set(ylabel="density", yscale="log", xlim=(-1, 1))
        axes.set_title(title_of(row.label, width=SMALL_TITLE))
        axes.set_ylim(bottom=axes.get_ylim()[1] * LOWEST_DENSITY)
    for axes in figure.axes[-2:]:
        axes.set_xlabel("activation $z$")
    legend_below(figure, figure.axes[:1], columns=len(layers(initial)), title="hidden layer")
    return figure


def _gradient_density(initial: xr.Dataset, name: str, row: Row) -> tuple[np.ndarray, np.ndarray]:
    """Bin edges in the gradient's own units and the density [layer, bin], means over seeds.

    The outermost bins also count everything beyond them and are left out.
    """
    fractions = mean_interval(of(initial, f"{name}_histogram", row), axis=0).mean
    unit = float(mean_interval(of(initial, f"{name}_unit", row)[:, 0], axis=0).mean)
    edges = np.asarray(initial["gradient_bin_edge"].values, np.float64) * unit
    return edges[1:-1], (fractions / np.diff(edges))[:, 1:-1]


_GRADIENTS = {"backprop": "back-propagated gradient", "weight_gradient": "weight gradient"}


def _draw_gradients(axes: Axes, initial: xr.Dataset, name: str, row: Row) -> tuple[float, float]:
    """One curve a layer; returns how far out and how high the axes should reach."""
    edges, density = _gradient_density(initial, name, row)
    for layer, colour, values in zip(
        layers(initial), layer_colours(len(density)), density, strict=True
    ):
        axes.stairs(values, edges, color=colour, lw=1.3, baseline=None, label=str(layer))
    axes.set(ylabel="density", yscale="log")
    widest = VISIBLE_STD * float(np.nanmax(of(initial, f"{name}_std", row)))
    return widest, float(np.nanmax(density))


def _reach(panels: Sequence[Axes], reach: float, highest: float) -> None:
    for axes in panels:
        axes.set_xlim(-reach, reach)
        axes.set_ylim(highest * LOWEST_DENSITY, highest * 2)


def _gradients(results: xr.Dataset, name: str, sign: str, *, share: bool) -> Figure:
    """One wide panel an initialiser of the paper's, with the same axes if ``share``."""
    initial = needed(results, PART)
    main = _tanh(initial, f"{name}_histogram")
    small = _others(initial, f"{name}_histogram")
    figure, wide, narrow = _grid(results, len(main), len(small))
    reaches = []
    for axes, row in zip([*wide, *narrow], [*main, *small], strict=True):
        reaches.append(_draw_gradients(axes, initial, name, row))
        _reach([axes], *reaches[-1])
        axes.set_title(title_of(row.label, width=SMALL_TITLE))
    if share and wide:
        widest, highest = zip(*reaches[: len(main)], strict=True)
        _reach(wide, max(widest), max(highest))
        for axes in wide[:-1]:
            axes.tick_params(labelbottom=False)
    for axes in wide[-1:]:
        axes.set_xlabel(f"{_GRADIENTS[name]} {sign}")
    for axes in narrow:
        axes.set_xlabel(sign)
    legend_below(figure, figure.axes[:1], columns=len(layers(initial)), title="hidden layer")
    return figure


def fig07(results: xr.Dataset) -> Figure:
    """Fig. 7: back-propagated gradients dC/ds of each hidden layer at initialisation."""
    return _gradients(results, "backprop", r"$\partial C/\partial s$", share=True)


def fig08(results: xr.Dataset) -> Figure:
    """Fig. 8: gradients dC/dw of the weights below each hidden layer at initialisation."""
    return _gradients(results, "weight_gradient", r"$\partial C/\partial w$", share=False)


def _mean_singular_values(initial: xr.Dataset, row: Row) -> np.ndarray:
    """[seed, layer], mean over examples and the whole spectrum."""
    values = of(initial, "singular_value", row)
    return mean_interval(values.reshape(*values.shape[:2], -1), axis=-1).mean


def _draw_by_layer(axes: Axes, initial: xr.Dataset, found: list[Row]) -> None:
    """Mean singular value of each J^i of the paper's networks, and the oracles."""
    colours = condition_colours(found)
    offsets = np.linspace(-0.28, 0.28, len(found)) if len(found) > 1 else [0.0]
    numbers = np.asarray(layers(initial), np.float64)
    for row, offset in zip(found, offsets, strict=True):
        mean, half = mean_interval(_mean_singular_values(initial, row), axis=0)
        axes.errorbar(
            numbers + offset,
            mean,
            yerr=np.nan_to_num(half),
            fmt="o" if row.initializer == "standard" else "s",
            ms=5,
            color=colours[row.kind],
            label=row.label,
        )
    _draw_oracles(axes, initial, found)
    axes.set(xlabel="hidden layer", ylabel="mean singular value of $J$", xticks=numbers)
    axes.set_ylim(0, axes.get_ylim()[1] * HEADROOM)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False, borderpad=0)


def _draw_others(axes: Axes, initial: xr.Dataset, found: list[Row]) -> None:
    """Mean over layers of every other network, one a line, and its oracle as a stroke."""
    places = np.arange(len(found))
    by_seed = [mean_interval(_mean_singular_values(initial, row), axis=-1).mean for row in found]
    means = [mean_interval(values, axis=0) for values in by_seed]
    axes.errorbar(
        [float(one.mean) for one in means],
        places,
        xerr=np.nan_to_num([float(one.half) for one in means]),
        fmt="o",
        ms=5,
        color="#1c1e21",
    )
    oracles = [float(of(initial, "predicted_singular_value_mean", row)) for row in found]
    axes.plot(oracles, places, "|", ms=12, color="#555555")
    axes.set_yticks(places, [shortened(row.label) for row in found])
    axes.set_ylim(len(found) - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.set_xlabel("mean singular value of $J$")


def _draw_oracles(axes: Axes, initial: xr.Dataset, found: list[Row]) -> None:
    """The line 8/(3 pi) sqrt(n Var[W]) of each initialiser, named on the right."""
    known = {
        row.initializer: float(of(initial, "predicted_singular_value_mean", row)) for row in found
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
    found = _known(initial, "singular_value")
    paper = [row for row in found if row.kind[0] in PAPER_UNITS and row.kind[1] in PAPER_STARTS]
    others = [row for row in found if row not in paper]
    panels = [
        (4.0, _draw_by_layer, paper),
        (3.0, _draw_spectrum, _tanh(initial, "singular_value")),
        (0.33 * len(others) + 0.6, _draw_others, others),
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


def variances(results: xr.Dataset) -> Figure:
    """Mean squares by layer, measured and as the linear regime (eqs. 5-7) predicts them."""
    initial = needed(results, PART)
    found = _tanh(initial, "activation_mean_square")
    figure = new_figure(8.4)
    name_set(figure, dataset_of(initial))
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
        widen(axes)
    panels[-1].set(xlabel="hidden layer", xticks=layers(initial))
    legend_below(figure, panels, columns=2)
    return figure


def _sets(results: xr.Dataset) -> Sequence[str]:
    return [dataset_of(needed(results, PART))]


FIGURES = {
    "fig06": FigureSpec(
        "Fig. 6: activations at initialisation",
        "Density of the activations of each hidden layer before any training, mean over seeds. "
        "What must be seen: with the standard initialisation the peak at 0 grows from layer to "
        "layer, because each layer passes on about a third of the variance; with the normalized "
        "initialisation (N) the layers stay much closer together. The paper shows tanh only; the "
        "small panels, on a logarithmic axis, add the other units, the plain Gaussian and any "
        "units or initialisers of your own.",
        (PART,),
        _has_any("activation_histogram"),
        fig06,
        _sets,
    ),
    "fig07": FigureSpec(
        "Fig. 7: back-propagated gradients at initialisation",
        "Density of dC/ds over units and examples, mean over seeds, logarithmic, with one axis "
        "for both initialisations; what lies beyond 5 standard deviations of the top layer isn't "
        "shown. What must be seen: with the standard initialisation the distributions narrow from "
        "the top layer down to the input; with the normalized one they are level.",
        (PART,),
        _has_any("backprop_histogram"),
        fig07,
        _sets,
    ),
    "fig08": FigureSpec(
        "Fig. 8: weight gradients at initialisation",
        "Density of dC/dw, the cost averaged over the monitored examples, mean over seeds, drawn "
        "as in Fig. 7 but with each initialisation on its own axes. What must be seen: the layers "
        "lie on each other with either initialisation, as eq. 14 says, although the "
        "back-propagated gradients of Fig. 7 don't.",
        (PART,),
        _has_any("weight_gradient_histogram"),
        fig08,
        _sets,
    ),
    "eq17": FigureSpec(
        "Eq. 17: singular values of the layer-to-layer Jacobians",
        "Above: mean singular value of each layer's Jacobian, mean over seeds with its 95% t "
        "interval; the dashed lines are 8/(3 pi) sqrt(n Var[W]), the mean for a square matrix of "
        "independent entries and units of slope 1. Below them: the spectrum of tanh standard and "
        "normalized over all seeds, examples and layers above the first, with its mean dashed; "
        "then any other networks, mean over layers, with that oracle as a stroke. What must be "
        "seen: about 0.5 with the standard and about 0.8 with the normalized initialisation.",
        (PART,),
        _has_any("singular_value"),
        eq17,
        _sets,
    ),
    "variances": FigureSpec(
        "Eqs. 5-7: variances by layer, measured and predicted",
        "Mean squares of tanh networks at initialisation: points are measured (mean over seeds "
        "and 95% t interval), dashed lines are what eqs. 5-7 predict for units of slope 1. What "
        "must be seen: the fall of the activations and of the back-propagated gradients with the "
        "standard initialisation, and weight gradients that are level; measured values lie "
        "below the prediction where the slope of the units is below 1.",
        (PART,),
        lambda results: bool(_tanh(part(results, PART), "activation_mean_square")),
        variances,
        _sets,
    ),
}
