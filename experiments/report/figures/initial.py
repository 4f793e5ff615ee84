"""Figures of networks at initialisation: 6, 7 and 8, with what mean field says of them."""

from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.networks import NetworkSpec, read
from experiments.report.figures.common import FigureSpec, name_set, new_figure, title_of
from experiments.report.figures.marks import DASHED, LINE, PALE, explain
from experiments.report.figures.overlay import (
    ALONE,
    EXPLAINED,
    OVER,
    UNDER,
    expected,
    note,
    residuals,
)
from experiments.results.queries import dataset_of, layers, needed, of, select
from experiments.results.schema import find_group
from glorot_jax.confidence import mean_interval
from glorot_jax.plotting import layer_colours, legend_below

GROUP = "initial"
SMALL_PANELS = (
    ("sigmoid", "standard"),
    ("softsign", "standard"),
    ("softsign", "normalized"),
    ("tanh", "gaussian"),
)
VISIBLE_STD = 3.0  # gradients are shown to this many standard deviations of the widest layer
LOWEST_DENSITY = 1e-3  # of the highest, the bottom of the logarithmic axis of a histogram
SMALL_TITLE = 20  # characters a line


def tanh_pair(initial: xr.Dataset | None, known: str) -> list[NetworkSpec]:
    """Tanh with the paper's two initialisers, as far as they were measured."""
    pairs = (select(initial, "tanh", kind, known=known) for kind in ("standard", "normalized"))
    return [specs[0] for specs in pairs if specs]


def has_any(known: str) -> Callable[[xr.DataTree], bool]:
    """Whether results have the variable ``known`` of any network at initialisation."""
    return lambda results: bool(known_rows(find_group(results, GROUP), known))


def known_rows(initial: xr.Dataset | None, known: str) -> list[NetworkSpec]:
    """Every network of which the variable ``known`` is known."""
    if initial is None:
        return []
    return [spec for spec in read(initial) if np.isfinite(of(initial, known, spec)).any()]


def _others(initial: xr.Dataset, known: str) -> list[NetworkSpec]:
    """Networks of a user's own, named by a dotted path; every one where the paper's are missing."""
    every = known_rows(initial, known)
    own = [spec for spec in every if ":" in "".join(spec.kind)]
    return own if tanh_pair(initial, known) else every


def _grid(results: xr.DataTree, main: int, small: int) -> tuple[Figure, list[Axes], list[Axes]]:
    """A figure of wide panels, one under the other, and below them small ones, two in a row."""
    small_rows = -(-small // 2)
    heights = [2.7] * main + [2.2] * small_rows
    figure = new_figure(sum(heights) + 1.3)
    name_set(figure, dataset_of(needed(results, GROUP)))
    grid = figure.add_gridspec(len(heights), 2, height_ratios=heights)
    wide = [figure.add_subplot(grid[i, :]) for i in range(main)]
    alone = small - 1 if small % 2 else small  # the last one if it has no neighbour
    places = [(main + i // 2, i % 2 if i < alone else slice(None)) for i in range(small)]
    return figure, wide, [figure.add_subplot(grid[place]) for place in places]


def activation_edges(group: xr.Dataset, bins: int) -> np.ndarray:
    """Edges of the bins of activations, [-1, 1] in equal bins where the group doesn't say."""
    if "activation_bin_edge" in group.variables:
        return np.asarray(group["activation_bin_edge"].values, np.float64)
    return np.linspace(-1.0, 1.0, bins + 1)


def _draw_layers(
    axes: Axes,
    initial: xr.Dataset,
    edges: np.ndarray,
    density: np.ndarray,
    theory: np.ndarray | None,
) -> None:
    """The density of each layer [layer, bin], and over it what theory says, if anything."""
    centres = (edges[1:] + edges[:-1]) / 2
    if theory is None:
        theory = np.full_like(density, np.nan)
    for layer, colour, values, predicted in zip(
        layers(initial), layer_colours(len(density)), density, theory, strict=True
    ):
        covered = np.isfinite(predicted).any()
        if np.isfinite(values).any():
            style = UNDER if covered else ALONE
            axes.stairs(values, edges, color=colour, baseline=None, label=str(layer), **style)
        if covered:
            axes.plot(centres, predicted, color=colour, **OVER)


def _legend(figure: Figure, initial: xr.Dataset) -> None:
    theory = any(axes.lines for axes in figure.axes)
    marks = {"measured": PALE, "mean field": DASHED} if theory else {"measured": LINE}
    explain(figure.axes[-1], marks)
    legend_below(figure, figure.axes[:1], columns=len(layers(initial)), title="hidden layer")


def _draw_activations(axes: Axes, initial: xr.Dataset, spec: NetworkSpec) -> float:
    """Density of the activations of each layer, mean over seeds; returns the highest."""
    fractions = mean_interval(of(initial, "activation_histogram", spec), axis=0).mean
    edges = activation_edges(initial, fractions.shape[-1])
    theory = expected(initial, "activation_histogram", spec)
    width = np.diff(edges)
    density = fractions / width
    _draw_layers(axes, initial, edges, density, None if theory is None else theory / width)
    note(axes, "$z$", residuals(initial, "activation_std", spec, power=2))
    return float(np.nanmax(density))


def fig06(results: xr.DataTree) -> Figure:
    """Fig. 6: activations at initialisation, tanh standard above normalized, others below."""
    initial = needed(results, GROUP)
    known = "activation_histogram"
    main = tanh_pair(initial, known)
    others = [select(initial, *kind, known=known)[:1] for kind in SMALL_PANELS]
    small = [spec for specs in [*others, _others(initial, known)] for spec in specs]
    small = list(dict.fromkeys(small))
    figure, wide, narrow = _grid(results, len(main), len(small))
    for axes, spec in zip(wide, main, strict=True):
        _draw_activations(axes, initial, spec)
        axes.set(title=spec.name, ylabel="density", xlim=(-1, 1))
    for axes, spec in zip(narrow, small, strict=True):
        highest = _draw_activations(axes, initial, spec)
        axes.set(ylabel="density", yscale="log", xlim=(-1, 1))
        axes.set_title(title_of(spec.name, width=SMALL_TITLE))
        axes.set_ylim(highest * LOWEST_DENSITY, highest * 2)
    for axes in figure.axes[-2:]:
        axes.set_xlabel("activation $z$")
    _legend(figure, initial)
    return figure


def _gradient_edges(initial: xr.Dataset, name: str, spec: NetworkSpec) -> np.ndarray:
    """Bin edges in the gradient's own units, mean over seeds."""
    unit = float(mean_interval(of(initial, f"{name}_unit", spec)[:, 0], axis=0).mean)
    return np.asarray(initial["gradient_bin_edge"].values, np.float64) * unit


_GRADIENTS = {"backprop": "back-propagated gradient", "weight_gradient": "weight gradient"}
_SIGNS = {"backprop": r"$\partial C/\partial s$", "weight_gradient": r"$\partial C/\partial w$"}
# What the variance is taken from: a variable and the power that makes it one.
_SPREADS = {"backprop": ("backprop_mean_square", 1), "weight_gradient": ("weight_gradient_std", 2)}


def _draw_gradients(
    axes: Axes, initial: xr.Dataset, name: str, spec: NetworkSpec
) -> tuple[float, float]:
    """One curve a layer; returns how far out and how high the axes should reach.

    The outermost bins also count everything beyond them and are left out.
    """
    edges = _gradient_edges(initial, name, spec)
    width = np.diff(edges)
    density = mean_interval(of(initial, f"{name}_histogram", spec), axis=0).mean / width
    theory = expected(initial, f"{name}_histogram", spec)
    _draw_layers(
        axes,
        initial,
        edges[1:-1],
        density[:, 1:-1],
        None if theory is None else (theory / width)[:, 1:-1],
    )
    variable, power = _SPREADS[name]
    note(axes, _SIGNS[name], residuals(initial, variable, spec, power=power))
    axes.set(ylabel="density", yscale="log")
    widest = VISIBLE_STD * float(np.nanmax(of(initial, f"{name}_std", spec)))
    return widest, float(np.nanmax(density[:, 1:-1]))


def _reach(panels: Sequence[Axes], reach: float, highest: float) -> None:
    for axes in panels:
        axes.set_xlim(-reach, reach)
        axes.set_ylim(highest * LOWEST_DENSITY, highest * 2)


def _gradients(results: xr.DataTree, name: str, *, share: bool) -> Figure:
    """One wide panel an initialiser of the paper's, with the same axes if ``share``."""
    initial = needed(results, GROUP)
    main = tanh_pair(initial, f"{name}_histogram")
    small = _others(initial, f"{name}_histogram")
    figure, wide, narrow = _grid(results, len(main), len(small))
    reaches = []
    for axes, spec in zip([*wide, *narrow], [*main, *small], strict=True):
        reaches.append(_draw_gradients(axes, initial, name, spec))
        _reach([axes], *reaches[-1])
        axes.set_title(title_of(spec.name, width=SMALL_TITLE))
    if share and wide:
        widest, highest = zip(*reaches[: len(main)], strict=True)
        _reach(wide, max(widest), max(highest))
        for axes in wide[:-1]:
            axes.tick_params(labelbottom=False)
    for axes in wide[-1:]:
        axes.set_xlabel(f"{_GRADIENTS[name]} {_SIGNS[name]}")
    for axes in narrow:
        axes.set_xlabel(_SIGNS[name])
    _legend(figure, initial)
    return figure


def fig07(results: xr.DataTree) -> Figure:
    """Fig. 7: back-propagated gradients dC/ds of each hidden layer at initialisation."""
    return _gradients(results, "backprop", share=True)


def fig08(results: xr.DataTree) -> Figure:
    """Fig. 8: gradients dC/dw of the weights below each hidden layer at initialisation."""
    return _gradients(results, "weight_gradient", share=False)


def sets_of(results: xr.DataTree) -> Sequence[str]:
    """The data set that the networks at initialisation were given."""
    return [dataset_of(needed(results, GROUP))]


FIGURES = {
    "fig06": FigureSpec(
        "Density of the activations of each hidden layer before any training, mean over seeds. "
        "What must be seen: with the standard initialisation the peak at 0 grows from layer to "
        "layer, because each layer passes on about a third of the variance; with the normalized "
        "initialisation (N) the layers stay much closer together. The paper shows tanh only; the "
        "small panels, on a logarithmic axis, add the other units, the plain Gaussian and any "
        "units or initialisers of your own. " + EXPLAINED + " The curves must lie on each other.",
        has_any("activation_histogram"),
        fig06,
        sets_of,
    ),
    "fig07": FigureSpec(
        "Density of dC/ds over units and examples, mean over seeds, logarithmic, with one axis "
        "for both initialisations; what lies beyond 5 standard deviations of the top layer isn't "
        "shown. What must be seen: with the standard initialisation the distributions narrow from "
        "the top layer down to the input; with the normalized one they are level. "
        + EXPLAINED
        + " The top layer, a sum over a few classes, isn't Gaussian: it has a residual, no curve.",
        has_any("backprop_histogram"),
        fig07,
        sets_of,
    ),
    "fig08": FigureSpec(
        "Density of dC/dw, the cost averaged over the monitored examples, mean over seeds, drawn "
        "as in Fig. 7 but with each initialisation on its own axes. What must be seen: the layers "
        "lie on each other with either initialisation, as eq. 14 says, although the "
        "back-propagated gradients of Fig. 7 don't. " + EXPLAINED,
        has_any("weight_gradient_histogram"),
        fig08,
        sets_of,
    ),
}
