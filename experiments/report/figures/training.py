"""Figures of what happens inside networks over training: 2, 3, 4, 9, 10, and pre-training."""

from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from experiments.claims.paper import UPDATES_PER_EPOCH
from experiments.networks import NetworkSpec, read
from experiments.report.figures.common import (
    FigureSpec,
    name_set,
    new_figure,
    plain_log,
    stack,
    title_of,
)
from experiments.report.figures.initial import activation_edges
from experiments.report.figures.marks import (
    DOT,
    FAINT,
    FAINT_AREA,
    LINE,
    NEUTRAL,
    OVER_SEEDS,
    PAPER,
    STRETCH,
    explain,
)
from experiments.report.figures.times import BAND, dress_time, spread, unit_of
from experiments.results.queries import NotMeasured, first_set, layers, needed, of, select
from glorot_jax.confidence import mean_interval
from glorot_jax.plotting import layer_colours, legend_below

MOST_BARS = 12  # vertical bars of Fig. 2 a layer
MOST_MARKERS = 30  # markers of Figs. 3 and 10 a layer
LOWEST_DENSITY = 1e-3  # of the highest, the bottom of the logarithmic axis of a histogram
PRETRAINED = "denoising"
LEAVES_EPOCH = 100  # of the paper's sigmoid of 4 layers, section 3.1
KNEE = (0.6, 0.8)  # where the paper's softsign has its mass, either side of 0, section 3.3

Find = Callable[[xr.Dataset], list[NetworkSpec]]


def _deepest(known: str, *kinds: tuple[str, str]) -> Find:
    """Finds the deepest network of each of those kinds whose variable ``known`` is known."""

    def find(trained: xr.Dataset) -> list[NetworkSpec]:
        of_kind = (select(trained, *kind, known=known) for kind in kinds)
        return [specs[0] for specs in of_kind if specs]

    return find


def _sigmoids(trained: xr.Dataset) -> list[NetworkSpec]:
    """Sigmoid networks of every depth, the shallowest first, then those that were pre-trained."""
    return [
        spec
        for scheme in ("standard", PRETRAINED)
        for spec in reversed(select(trained, "sigmoid", scheme, known="activation_mean"))
    ]


_UNITS = ("tanh", "standard"), ("softsign", "standard")
_saturated = _deepest("activation_std", *_UNITS)
_spread_out = _deepest("activation_histogram", *_UNITS)
_tanh_normalized = _deepest("activation_std", ("tanh", "normalized"))
_tanh_pair = _deepest("weight_gradient_std", ("tanh", "standard"), ("tanh", "normalized"))


def _pretrained(trained: xr.Dataset) -> list[NetworkSpec]:
    if "reconstruction_cost" not in trained.variables:
        return []
    return [
        spec
        for spec in read(trained)
        if spec.scheme == PRETRAINED and np.isfinite(of(trained, "reconstruction_cost", spec)).any()
    ]


def _panels(
    results: xr.DataTree, find: Find, *, panel: float, rest: float, sharey: bool
) -> tuple[xr.Dataset, Figure, list[tuple[Axes, NetworkSpec]]]:
    """The group that a figure is drawn from and an empty panel for each network found there.

    ``panel`` is the height of one, ``rest`` that of everything else, in inches.
    """
    name = first_set(results, find)
    if name is None:
        raise NotMeasured("the results hold no networks that this figure shows")
    trained = needed(results, name)
    specs = find(trained)
    figure = new_figure(panel * len(specs) + rest)
    name_set(figure, name)
    return trained, figure, list(zip(stack(figure, len(specs), sharey=sharey), specs, strict=True))


def _known_layers(values: np.ndarray) -> list[int]:
    """Which layers ([seed, update, layer]) have any number: those up to the network's depth."""
    return [i for i in range(values.shape[-1]) if np.isfinite(values[..., i]).any()]


def _layer_legend(figure: Figure, panels: Sequence[Axes], trained: xr.Dataset) -> None:
    legend_below(figure, panels, columns=len(layers(trained)), title="hidden layer")


def fig02(results: xr.DataTree) -> Figure:
    """Fig. 2: mean and standard deviation of sigmoid activations by layer over training."""
    trained, figure, shown = _panels(results, _sigmoids, panel=3.0, rest=1.7, sharey=True)
    panels = [axes for axes, _ in shown]
    updates = dress_time(panels, trained["update"])
    colours = layer_colours(len(layers(trained)))
    for axes, spec in shown:
        means, stds = of(trained, "activation_mean", spec), of(trained, "activation_std", spec)
        for i in _known_layers(means):
            mean = mean_interval(means[..., i], axis=0).mean
            std = mean_interval(stds[..., i], axis=0).mean
            axes.plot(updates, mean, color=colours[i], label=str(i + 1))
            bars = _thin(len(updates), MOST_BARS, i)
            axes.vlines(
                updates[bars], (mean - std)[bars], (mean + std)[bars], color=colours[i], lw=1
            )
        axes.set(title=title_of(spec.name), ylabel="activation $z$")
    bar = Line2D([], [], color=NEUTRAL, ls="none", marker="|", ms=11, mew=1)
    marks = {"mean over seeds": LINE, "one standard deviation": bar}
    explain(panels[-1], marks | _leaving(shown, float(updates[-1]), unit_of(trained["update"])))
    _layer_legend(figure, panels, trained)
    return figure


def _leaving(
    shown: Sequence[tuple[Axes, NetworkSpec]], last: float, unit: float
) -> dict[str, Artist]:
    """Faint, when the paper's sigmoid of 4 layers leaves its plateau, in a run as long as that."""
    place = LEAVES_EPOCH * UPDATES_PER_EPOCH / unit
    of_four = [axes for axes, spec in shown if spec.depth == 4 and place <= last]
    for axes in of_four:
        axes.axvline(place, color=NEUTRAL, **FAINT)
    name = f"{PAPER}: leaves the plateau"
    return {name: Line2D([], [], color=NEUTRAL, **FAINT)} if of_four else {}


def _thin(count: int, most: int, offset: int) -> slice:
    """At most about ``most`` of ``count`` places, starting later for a later curve."""
    step = max(1, count // most)
    return slice(offset % step, None, step)


def _saturation(results: xr.DataTree, find: Find) -> Figure:
    """98th percentile (markers) and standard deviation (lines) of activations over training."""
    trained, figure, shown = _panels(results, find, panel=3.2, rest=1.7, sharey=True)
    panels = [axes for axes, _ in shown]
    updates = dress_time(panels, trained["update"])
    colours = layer_colours(len(layers(trained)))
    for axes, spec in shown:
        high = of(trained, "activation_quantile", spec)[..., -1]
        stds = of(trained, "activation_std", spec)
        for i in _known_layers(stds):
            std = mean_interval(stds[..., i], axis=0).mean
            axes.plot(updates, std, color=colours[i], label=str(i + 1))
            axes.fill_between(updates, *spread(stds[..., i]), color=colours[i], alpha=BAND, lw=0)
            places = _thin(len(updates), MOST_MARKERS, i)
            percentile = mean_interval(high[..., i], axis=0).mean
            axes.plot(updates[places], percentile[places], "o", ms=3.5, color=colours[i])
        axes.set(title=title_of(spec.name), ylabel="activation $z$")
        axes.set_ylim(bottom=0)
    marks = {"98th percentile": DOT, "standard deviation": LINE, "least to greatest seed": STRETCH}
    explain(panels[-1], marks)
    _layer_legend(figure, panels, trained)
    return figure


def fig03(results: xr.DataTree) -> Figure:
    """Fig. 3: saturation over training, tanh above softsign, standard initialisation."""
    return _saturation(results, _saturated)


def fig10(results: xr.DataTree) -> Figure:
    """Fig. 10: as Fig. 3 for tanh with the normalized initialisation."""
    return _saturation(results, _tanh_normalized)


def fig04(results: xr.DataTree) -> Figure:
    """Fig. 4: how activations are distributed at the end of training, tanh above softsign."""
    trained, figure, shown = _panels(results, _spread_out, panel=3.0, rest=1.3, sharey=False)
    panels = [axes for axes, _ in shown]
    for axes, spec in shown:
        last = of(trained, "activation_histogram", spec)[:, -1]
        fractions = mean_interval(last, axis=0).mean
        edges = activation_edges(trained, fractions.shape[-1])
        highest = np.nanmax(fractions / np.diff(edges))
        for i, colour in enumerate(layer_colours(len(fractions))):
            if np.isfinite(fractions[i]).any():
                density = fractions[i] / np.diff(edges)
                axes.stairs(density, edges, color=colour, lw=1.3, baseline=None, label=str(i + 1))
        axes.set(title=title_of(spec.name), ylabel="density", yscale="log", xlim=(-1, 1))
        axes.set_ylim(highest * LOWEST_DENSITY, highest * 1.5)
    panels[-1].set_xlabel("activation $z$")
    marks: dict[str, Artist] = {"mean over seeds": LINE}
    for axes in (axes for axes, spec in shown if spec.activation == "softsign"):
        for low, high in (KNEE, tuple(-end for end in reversed(KNEE))):
            axes.axvspan(low, high, **FAINT_AREA)
        marks[f"{PAPER}: softsign's mass"] = Patch(**FAINT_AREA)
    explain(panels[-1], marks)
    _layer_legend(figure, panels, trained)
    return figure


def fig09(results: xr.DataTree) -> Figure:
    """Fig. 9: standard deviation of weight gradients by layer over training, tanh."""
    trained, figure, shown = _panels(results, _tanh_pair, panel=3.0, rest=1.7, sharey=False)
    panels = [axes for axes, _ in shown]
    updates = dress_time(panels, trained["update"])
    colours = layer_colours(len(layers(trained)))
    for axes, spec in shown:
        stds = of(trained, "weight_gradient_std", spec)
        for i in _known_layers(stds):
            mean = mean_interval(stds[..., i], axis=0).mean
            axes.plot(updates, mean, color=colours[i], label=str(i + 1))
            axes.fill_between(updates, *spread(stds[..., i]), color=colours[i], alpha=BAND, lw=0)
        axes.set(title=title_of(spec.name), ylabel=r"std of $\partial C/\partial w$", yscale="log")
    _equal_ratio(panels)
    explain(panels[-1], OVER_SEEDS)
    _layer_legend(figure, panels, trained)
    return figure


def _equal_ratio(panels: Sequence[Axes]) -> None:
    """Logarithmic axes about what each shows, one as long as the other: a gap is a gap in both."""
    limits = [np.log(axes.get_ylim()) for axes in panels]
    longest = max(high - low for low, high in limits)
    for axes, (low, high) in zip(panels, limits, strict=True):
        middle = (low + high) / 2
        axes.set_ylim(np.exp(middle - longest / 2), np.exp(middle + longest / 2))


def pretraining(results: xr.DataTree) -> Figure:
    """Reconstruction cost of each layer's denoising autoencoder over its pre-training."""
    trained, figure, shown = _panels(results, _pretrained, panel=3.6, rest=1.3, sharey=False)
    updates = np.asarray(trained["pretraining_update"].values, np.float64)
    colours = layer_colours(len(layers(trained)))
    for axes, spec in shown:
        costs = np.moveaxis(of(trained, "reconstruction_cost", spec), 1, -1)
        for i in _known_layers(costs):
            mean = mean_interval(costs[..., i], axis=0).mean
            axes.plot(updates, mean, color=colours[i], label=str(i + 1), marker="o", ms=3.5)
            axes.fill_between(updates, *spread(costs[..., i]), color=colours[i], alpha=BAND, lw=0)
        axes.set(title=title_of(spec.name), ylabel="reconstruction cost")
        plain_log(axes, "y")
        axes.set_xlim(0, updates[-1])
    shown[-1][0].set_xlabel("updates of each layer's pre-training")
    explain(shown[-1][0], OVER_SEEDS)
    _layer_legend(figure, [axes for axes, _ in shown], trained)
    return figure


def _spec(caption: str, find: Find, draw: Callable[[xr.DataTree], Figure]) -> FigureSpec:
    """The entry of a figure of the networks that ``find`` finds, of Shapeset before all."""

    def sets(results: xr.DataTree) -> Sequence[str]:
        name = first_set(results, find)
        return [] if name is None else [name]

    return FigureSpec(caption, lambda results: bool(sets(results)), draw, sets)


_SATURATION = (
    "98th percentile (markers) and standard deviation (lines) of the activations of each hidden "
    "layer on the monitored test examples while the set is learned, means over seeds. "
)

FIGURES = {
    "fig02": _spec(
        "Mean of the activations of each hidden layer on the monitored test examples, mean over "
        "seeds; a vertical bar is one standard deviation over units and examples either way. "
        "What must be seen: the top layer falls to 0 quickly, which saturates it, and leaves it "
        "only late, in the paper at about epoch 100 with 4 layers and never in its budget with 5; "
        "in the paper a net that starts from pre-training, where one is shown, doesn't do so.",
        _sigmoids,
        fig02,
    ),
    "fig03": _spec(
        _SATURATION + "What must be seen: with tanh layer 1 saturates first, then layer 2, and "
        "so on; with softsign the layers saturate less, and together.",
        _saturated,
        fig03,
    ),
    "fig04": _spec(
        "Density of the activations of each hidden layer at the end of training, mean over seeds, "
        "on a logarithmic axis. What must be seen: tanh has its mass at -1, 1 and 0; softsign has "
        "it around 0.6 to 0.8 in absolute value, where it bends without being flat.",
        _spread_out,
        fig04,
    ),
    "fig09": _spec(
        "Standard deviation of the weight gradients of each layer on the monitored test examples, "
        "each panel about what it shows and both of equal length, so that a gap between layers is "
        "as wide in one as in the other. What must be seen: the layers drift apart "
        "with the standard initialisation and stay together with the normalized one.",
        _tanh_pair,
        fig09,
    ),
    "fig10": _spec(
        _SATURATION + "What must be seen: unlike tanh in Fig. 3, no layer after the other; the "
        "picture is closer to softsign's.",
        _tanh_normalized,
        fig10,
    ),
    "pretraining": _spec(
        "Cost of reconstructing what each layer sees from a corrupted copy of it, over the updates "
        "of that layer's denoising autoencoder, before the network of Fig. 11 is fine-tuned. Lines "
        "are means over seeds; bands span the least and greatest seed. What must be seen: every "
        "layer's cost falls.",
        _pretrained,
        pretraining,
    ),
}
