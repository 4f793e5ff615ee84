"""Figures of our own question: leaving the plateau, with SGD and Adam, and what saturates first."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

import matplotlib
import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from experiments.claims.plateau import at_the_earliest, leaving
from experiments.networks import PAPER_DEPTH, NetworkSpec
from experiments.report.figures.common import (
    AMBER,
    BLACK,
    GREEN,
    NAVY,
    SKY,
    VERMILION,
    FigureSpec,
    name_set,
    new_figure,
    plain_log,
    stack,
    title_of,
)
from experiments.report.figures.errors import courses
from experiments.report.figures.marks import (
    NEUTRAL,
    OVER_SEEDS,
    WITH_INTERVAL,
    explain,
)
from experiments.report.figures.times import BAND, dress_time, spread
from experiments.results.queries import dataset_of, final_percent, layers, needed, network, of
from experiments.results.schema import find_group
from glorot_jax.activations import ACTIVATIONS
from glorot_jax.colours import contrast
from glorot_jax.confidence import mean_interval
from glorot_jax.initialization import uniform_variances
from glorot_jax.plotting import layer_colours, legend_below
from glorot_jax.theory import meanfield

THOUSAND = 1000.0
MAP = "viridis_r"
INKS = ("#fefefe", "#010101")  # of the numbers in cells; neither is a colour that pages know
BIAS_COLOURS = (BLACK, NAVY, SKY, AMBER)
OPTIMIZER_COLOURS = {"sgd": NAVY, "adam": VERMILION}
OPTIMIZER_NAMES = {"sgd": "SGD", "adam": "Adam"}
START_NAMES = {"pytorch": "PyTorch's"}
LINE_POINTS = 80  # of the critical line


@dataclass(frozen=True)
class Grid:
    """Updates to leave the plateau over the scales of kernels and biases.

    Attributes:
      kernels: [n] n Var[W], ascending.
      biases: [m] Var[b], ascending.
      earliest: [m, n, seed] updates, the end of the run for those that stayed.
      stayed: [m, n] how many seeds are still there at the end.
    """

    kernels: np.ndarray
    biases: np.ndarray
    earliest: np.ndarray
    stayed: np.ndarray


def grid_of(study: xr.Dataset) -> Grid | None:
    """The whole grid of ``uniform`` schemes, None if the study doesn't hold one."""
    variances = {spec: uniform_variances(spec.scheme) for spec in _learned(study)}
    found = {both: spec for spec, both in variances.items() if both is not None}
    kernels, biases = (sorted({both[i] for both in found}) for i in (0, 1))
    if not found or len(found) < len(kernels) * len(biases):
        return None
    nets = [[network(study, found[k, b]) for k in kernels] for b in biases]
    return Grid(
        np.array(kernels),
        np.array(biases),
        np.array([[at_the_earliest(net) for net in row] for row in nets]),
        np.array([[np.isnan(leaving(net)).sum() for net in row] for row in nets]),
    )


def _learned(study: xr.Dataset | None) -> list[NetworkSpec]:
    return [course.spec for course in courses(study)]


def geometric(times: np.ndarray, /) -> tuple[float, float, float]:
    """Geometric mean of ``times`` [seed] and the ends of its 95% t interval, on a log scale."""
    logs = mean_interval(np.log(np.maximum(times, 1.0)), axis=0)
    half = np.nan_to_num(logs.half)
    mean, low, high = (float(np.exp(x)) for x in (logs.mean, logs.mean - half, logs.mean + half))
    return mean, low, high


def plateau(results: xr.DataTree) -> Figure:
    """Updates to leave the plateau by n Var[W] and Var[b], with mean field's critical line."""
    study = needed(results, "plateau")
    grid = grid_of(study)
    figure = new_figure(4.2 if grid is None else 8.6)
    name_set(figure, dataset_of(study))
    *above, axes = stack(figure, 1 if grid is None else 2, sharex=False)
    if grid is not None:
        _draw_map(above[0], grid)
    marks: dict[str, Artist] = {
        "geometric mean over seeds": WITH_INTERVAL["mean over seeds"],
        "its 95% interval": WITH_INTERVAL["its 95% interval"],
    }
    end = float(study["update"].values[-1]) / THOUSAND
    axes.axhline(end, color=NEUTRAL, ls=":", lw=1.2)
    marks["end of the run"] = Line2D([], [], color=NEUTRAL, ls=":", lw=1.2)
    if grid is not None:
        for row, colour in zip(range(len(grid.biases)), BIAS_COLOURS * 3, strict=False):
            _draw_times(
                axes, grid.kernels, grid.earliest[row], colour, f"Var[b] = {grid.biases[row]:g}"
            )
    for spec in (s for s in _learned(study) if uniform_variances(s.scheme) is None):
        times = at_the_earliest(network(study, spec))
        _draw_times(axes, np.array([1 / 3]), times[None], GREEN, _start(spec), marker="*")
    axes.set(xlabel="n Var[W]", ylabel="updates to leave (thousands)")
    for which in ("x", "y"):
        plain_log(axes, which)
    if grid is not None:
        _kernel_ticks(axes, grid.kernels)
    explain(axes, marks)
    legend_below(figure, [*above, axes], columns=3)
    return figure


def _draw_map(axes: Axes, grid: Grid) -> None:
    """A cell for each pair of scales, its number the updates in thousands."""
    means = np.array([[geometric(times)[0] for times in row] for row in grid.earliest]) / THOUSAND
    edges = _edges(np.log(grid.kernels))
    rows = np.arange(len(grid.biases) + 1) - 0.5
    norm = LogNorm(means.min() / 1.3, means.max() * 1.3)
    axes.pcolormesh(np.exp(edges), rows, means, cmap=MAP, norm=norm)
    for (row, column), mean in np.ndenumerate(means):
        stays = grid.stayed[row, column]
        text = f">{mean:.2g}" if stays else f"{mean:.2g}"
        cell = to_hex(matplotlib.colormaps[MAP](norm(mean)))
        # On the cell's colour, so that the line doesn't cross the number.
        axes.text(
            float(grid.kernels[column]),
            row,
            text,
            ha="center",
            va="center",
            fontsize=10,
            color=max(INKS, key=partial(contrast, cell)),
            bbox={"fc": cell, "lw": 0, "pad": 1.5},
            zorder=3,
        )
    kernels, height = _critical(grid.biases)
    axes.plot(kernels, height, color=VERMILION, lw=2.5, label="critical line of mean field")
    axes.set_xscale("log")
    axes.set(xlim=np.exp(edges[[0, -1]]), ylim=rows[[0, -1]])
    axes.set(title="thousands of updates to leave the plateau", ylabel="Var[b]")
    axes.set_yticks(range(len(grid.biases)), [f"{bias:g}" for bias in grid.biases])
    _kernel_ticks(axes, grid.kernels)
    axes.grid(visible=False)
    for words, x, side in (("ordered", 0.02, "left"), ("chaotic", 0.98, "right")):
        axes.text(x, 1.0, words, transform=axes.transAxes, ha=side, va="bottom", fontsize=9)


def _edges(places: np.ndarray) -> np.ndarray:
    """Half way between the places, and as far beyond the ends."""
    if len(places) < 2:
        return np.array([places[0] - 0.5, places[0] + 0.5])
    middle = (places[1:] + places[:-1]) / 2
    return np.concatenate([[2 * places[0] - middle[0]], middle, [2 * places[-1] - middle[-1]]])


def _critical(biases: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """n Var[W] that is critical for tanh, and how high among the rows of ``biases`` it lies.

    Rows are equally far apart: a row of Var[b] = 0 by the part of the next one's, others by the
    logarithm.
    """
    height = np.linspace(0, len(biases) - 1, LINE_POINTS)
    logs = np.log(np.maximum(biases, 1e-12))
    along = np.exp(np.interp(height, np.arange(len(biases)), logs))
    if biases[0] == 0 and len(biases) > 1:
        along = np.where(height < 1, height * biases[1], along)
    return meanfield.critical_line(ACTIVATIONS["tanh"], along), height


def _kernel_ticks(axes: Axes, kernels: np.ndarray) -> None:
    axes.set_xticks(kernels, [_number(value) for value in kernels])
    axes.set_xticks([], minor=True)


def _number(value: float) -> str:
    """1/3 where Python would write 0.333."""
    part = Fraction(value).limit_denominator(6)
    exact = part.denominator in (3, 6) and np.isclose(float(part), value, atol=0)
    return str(part) if exact else f"{value:.2g}"


def _draw_times(
    axes: Axes, x: np.ndarray, times: np.ndarray, colour: str, label: str, *, marker: str = "o"
) -> None:
    """Geometric means and intervals of ``times`` [x, seed], in thousands."""
    mean, low, high = np.array([geometric(row) for row in times]).T / THOUSAND
    size = 11 if marker == "*" else 5
    bars = _bars(mean, low, high)
    axes.errorbar(x, mean, yerr=bars, color=colour, marker=marker, ms=size, label=label)


def _bars(mean: np.ndarray, low: np.ndarray, high: np.ndarray) -> list[list[float]]:
    """Lists, because the oldest Matplotlib takes one number in an array for a mistake."""
    return [(mean - low).tolist(), (high - mean).tolist()]


def _start(spec: NetworkSpec) -> str:
    """How a network starts, in words that fit beside an axis."""
    variances = uniform_variances(spec.scheme)
    deep = "" if spec.depth == PAPER_DEPTH else f", {spec.depth} layers"
    if variances is None:
        return START_NAMES.get(spec.scheme, spec.scheme.rsplit(":")[-1]) + deep
    kernels, biases = variances
    return f"n Var[W] {_number(kernels)}, Var[b] {biases:g}{deep}"


def adam(results: xr.DataTree) -> Figure:
    """Updates to leave the plateau, and final test error, by start and optimiser."""
    study = needed(results, "adam")
    specs = _learned(study)
    starts = list(dict.fromkeys((spec.depth, spec.scheme) for spec in specs))
    optimizers = list(dict.fromkeys(spec.optimizer for spec in specs))
    names = [_start(NetworkSpec("tanh", scheme, depth)) for depth, scheme in starts]
    figure = new_figure(0.8 * len(starts) + 3.6)
    name_set(figure, dataset_of(study))
    panels = stack(figure, 2, sharex=False)
    measures: tuple[tuple[str, Callable[[NetworkSpec], tuple[float, float, float]]], ...] = (
        ("updates to leave the plateau (thousands)", lambda spec: _left(study, spec)),
        ("test error at the end (%)", lambda spec: _final(study, spec)),
    )
    for axes, (label, measure) in zip(panels, measures, strict=True):
        for i, optimizer in enumerate(optimizers):
            mine = [spec for spec in specs if spec.optimizer == optimizer]
            mean, low, high = np.array([measure(spec) for spec in mine]).T
            middle = 0.5 * (i - (len(optimizers) - 1) / 2) / len(optimizers)
            axes.errorbar(
                mean,
                [starts.index((spec.depth, spec.scheme)) + middle for spec in mine],
                xerr=_bars(mean, low, high),
                fmt="o",
                ms=5,
                color=OPTIMIZER_COLOURS.get(optimizer, GREEN),
                label=OPTIMIZER_NAMES.get(optimizer, optimizer),
            )
        axes.set_yticks(range(len(starts)), names)
        axes.set_ylim(len(starts) - 0.5, -0.5)
        axes.set_xlabel(label)
    plain_log(panels[0], "x")
    explain(panels[-1], WITH_INTERVAL)
    legend_below(figure, panels, columns=3)
    return figure


def _left(study: xr.Dataset, spec: NetworkSpec) -> tuple[float, float, float]:
    mean, low, high = geometric(at_the_earliest(network(study, spec)))
    return mean / THOUSAND, low / THOUSAND, high / THOUSAND


def _final(study: xr.Dataset, spec: NetworkSpec) -> tuple[float, float, float]:
    errors = final_percent(network(study, spec))
    half = float(np.nan_to_num(errors.half))
    return float(errors.mean), float(errors.mean) - half, float(errors.mean) + half


def first_layer(results: xr.DataTree) -> Figure:
    """Saturated fraction of each layer over training, a panel for each kind of layer 1."""
    study = needed(results, "first_layer")
    specs = _learned(study)
    figure = new_figure(2.3 * len(specs) + 1.8)
    name_set(figure, dataset_of(study))
    panels = stack(figure, len(specs), sharey=True)
    updates = dress_time(panels, study["update"])
    colours = layer_colours(len(layers(study)))
    for axes, spec in zip(panels, specs, strict=True):
        saturated = 100 * of(study, "activation_saturated", spec)
        for i in range(spec.depth):
            mean = mean_interval(saturated[..., i], axis=0).mean
            axes.plot(updates, mean, color=colours[i], label=str(i + 1))
            axes.fill_between(
                updates, *spread(saturated[..., i]), color=colours[i], alpha=BAND, lw=0
            )
        axes.set(title=title_of(_changed(spec)), ylabel="saturated (%)")
    panels[0].set_ylim(bottom=0)
    explain(panels[-1], OVER_SEEDS)
    legend_below(figure, panels, columns=len(layers(study)), title="hidden layer")
    return figure


def _changed(spec: NetworkSpec) -> str:
    """What is done to layer 1."""
    name = spec.name
    return f"{name}, as the paper has it" if spec.plain else name


def _spec(name: str, caption: str, draw: Callable[[xr.DataTree], Figure]) -> FigureSpec:
    """The entry of the figure of the study ``name``."""

    def sets(results: xr.DataTree) -> Sequence[str]:
        return [dataset_of(needed(results, name))]

    def drawable(results: xr.DataTree) -> bool:
        return bool(_learned(find_group(results, name)))

    return FigureSpec(f"{caption} A question of ours; not in the paper.", drawable, draw, sets)


FIGURES = {
    "plateau": _spec(
        "plateau",
        "Updates until tanh nets of 5 layers leave the plateau, on which their test error is that "
        "of guessing: until it is a tenth lower. Kernels and biases are uniform, n Var[W] and "
        "Var[b] the same in every layer; the standard initialisation is n Var[W] = 1/3 and no "
        "biases, PyTorch's default the same kernels with Var[b] = 1 / (3 n). Above, > marks cells "
        "in which a seed is still on the plateau at the end of the run, which then counts; the "
        "line is where mean field has chi = 1 at the fixed point.",
        plateau,
    ),
    "adam": _spec(
        "adam",
        "Tanh nets of 5 layers, unless said, by initialisation, with SGD and with Adam, each at "
        "the learning rate of least validation error. Above, updates until the test error is a "
        "tenth below guessing's, geometric mean over seeds with its 95% t interval; below, test "
        "error at the end, mean with its 95% t interval.",
        adam,
    ),
    "first_layer": _spec(
        "first_layer",
        "Fraction of units and examples of each hidden layer whose slope is below 5% of the "
        "steepest, over training: a tanh net as in Fig. 3, then with layer 1 as it was drawn, with "
        "layer 1's learning rate times its units over its inputs, and with inputs that are "
        "whitened and as large as before.",
        first_layer,
    ),
}
