"""Figures of networks over training: 2, 3, 4, 9, 10, 11 and 12."""

from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from glorot_jax.report.figures.common import (
    SET_NAMES,
    FigureSpec,
    Row,
    condition_colours,
    dash,
    layer_colours,
    layers,
    legend_below,
    mark_epochs,
    needed,
    new_figure,
    of,
    rows,
    select,
    stack,
)
from glorot_jax.report.figures.initial import activation_edges
from glorot_jax.report.statistics import mean_interval
from glorot_jax.results import part

ONLINE = "shapeset"
FINITE = ("mnist", "digits")
# From so many updates on, the axis counts them in these units.
UNITS = ((2_000_000, 1e6, "updates (millions)"), (5_000, 1e3, "updates (thousands)"))
MOST_BARS = 12  # vertical bars of Fig. 2 a layer
MOST_MARKERS = 30  # markers of Figs. 3 and 10 a layer
BAND = 0.18
LOWEST_DENSITY = 1e-3  # of the highest, the bottom of the logarithmic axis of a histogram


def _standard(results: xr.Dataset, known: str, *activations: str) -> list[Row]:
    """Standard networks of those units in the online part, deepest of each."""
    found = (select(part(results, ONLINE), unit, known=known) for unit in activations)
    return [rows_of[0] for rows_of in found if rows_of]


def _unit_and_label(trained: xr.Dataset) -> tuple[float, str]:
    """How many updates one step of the x axis is, and what the axis is called."""
    last = int(trained["update"].values[-1])
    return next(((unit, label) for least, unit, label in UNITS if last >= least), (1.0, "updates"))


def _dress_time(panels: Sequence[Axes], trained: xr.Dataset) -> np.ndarray:
    """Names the common x axis of stacked panels; returns the updates in its units."""
    unit, label = _unit_and_label(trained)
    updates = np.asarray(trained["update"].values, np.float64) / unit
    panels[-1].set_xlabel(label)
    panels[0].set_xlim(min(updates[0], 0.0), updates[-1])
    mark_epochs(panels[0], updates_per_unit=unit)
    return updates


def _known_layers(values: np.ndarray) -> list[int]:
    """Which layers ([seed, update, layer]) have any number: those up to the network's depth."""
    return [i for i in range(values.shape[-1]) if np.isfinite(values[..., i]).any()]


def _spread(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest over seeds, axis 0; NaN where no seed has a number."""
    known = np.isfinite(values)
    low = np.where(known, values, np.inf).min(axis=0)
    high = np.where(known, values, -np.inf).max(axis=0)
    return np.where(np.isfinite(low), low, np.nan), np.where(np.isfinite(high), high, np.nan)


def fig02(results: xr.Dataset) -> Figure:
    """Fig. 2: mean and standard deviation of sigmoid activations by layer over training."""
    trained = needed(results, ONLINE)
    found = sorted(select(trained, "sigmoid", known="activation_mean"), key=lambda row: row.depth)
    figure = new_figure(3.0 * len(found) + 1.3)
    panels = stack(figure, len(found), sharey=True)
    updates = _dress_time(panels, trained)
    colours = layer_colours(len(layers(trained)))
    for axes, row in zip(panels, found, strict=True):
        means, stds = of(trained, "activation_mean", row), of(trained, "activation_std", row)
        for i in _known_layers(means):
            mean = mean_interval(means[..., i], axis=0).mean
            std = mean_interval(stds[..., i], axis=0).mean
            axes.plot(updates, mean, color=colours[i], label=str(i + 1))
            bars = _thin(len(updates), MOST_BARS, i)
            axes.vlines(
                updates[bars], (mean - std)[bars], (mean + std)[bars], color=colours[i], lw=1
            )
        axes.set(title=row.label, ylabel="activation $z$")
    deepest = panels[-1]
    legend_below(figure, deepest, columns=len(colours), title="hidden layer")
    return figure


def _thin(count: int, most: int, offset: int) -> slice:
    """At most about ``most`` of ``count`` places, starting later for a later curve."""
    step = max(1, count // most)
    return slice(offset % step, None, step)


def _saturation(results: xr.Dataset, found: list[Row]) -> Figure:
    """98th percentile (markers) and standard deviation (lines) of activations over training."""
    trained = needed(results, ONLINE)
    figure = new_figure(3.2 * len(found) + 1.3)
    panels = stack(figure, len(found), sharey=True)
    updates = _dress_time(panels, trained)
    colours = layer_colours(len(layers(trained)))
    for axes, row in zip(panels, found, strict=True):
        high = of(trained, "activation_quantile", row)[..., -1]
        stds = of(trained, "activation_std", row)
        for i in _known_layers(stds):
            std = mean_interval(stds[..., i], axis=0).mean
            axes.plot(updates, std, color=colours[i], label=str(i + 1))
            axes.fill_between(updates, *_spread(stds[..., i]), color=colours[i], alpha=BAND, lw=0)
            places = _thin(len(updates), MOST_MARKERS, i)
            percentile = mean_interval(high[..., i], axis=0).mean
            axes.plot(updates[places], percentile[places], "o", ms=3.5, color=colours[i])
        axes.set(title=row.label, ylabel="activation $z$")
        axes.set_ylim(bottom=0)
    legend_below(figure, panels[0], columns=len(colours), title="hidden layer")
    return figure


def fig03(results: xr.Dataset) -> Figure:
    """Fig. 3: saturation over training, tanh above softsign, standard initialisation."""
    return _saturation(results, _standard(results, "activation_std", "tanh", "softsign"))


def fig10(results: xr.Dataset) -> Figure:
    """Fig. 10: as Fig. 3 for tanh with the normalized initialisation."""
    found = select(part(results, ONLINE), "tanh", "normalized", known="activation_std")
    return _saturation(results, found[:1])


def fig04(results: xr.Dataset) -> Figure:
    """Fig. 4: how activations are distributed at the end of training, tanh above softsign."""
    trained = needed(results, ONLINE)
    found = _standard(results, "activation_histogram", "tanh", "softsign")
    figure = new_figure(3.0 * len(found) + 0.9)
    panels = stack(figure, len(found))
    for axes, row in zip(panels, found, strict=True):
        last = of(trained, "activation_histogram", row)[:, -1]
        fractions = mean_interval(last, axis=0).mean
        edges = activation_edges(trained, fractions.shape[-1])
        highest = np.nanmax(fractions / np.diff(edges))
        for i, colour in enumerate(layer_colours(len(fractions))):
            if np.isfinite(fractions[i]).any():
                density = fractions[i] / np.diff(edges)
                axes.stairs(density, edges, color=colour, lw=1.3, baseline=None, label=str(i + 1))
        axes.set(title=row.label, ylabel="density", yscale="log", xlim=(-1, 1))
        axes.set_ylim(highest * LOWEST_DENSITY, highest * 1.5)
    panels[-1].set_xlabel("activation $z$")
    legend_below(figure, panels[0], columns=len(layers(trained)), title="hidden layer")
    return figure


def fig09(results: xr.Dataset) -> Figure:
    """Fig. 9: standard deviation of weight gradients by layer over training, tanh."""
    trained = needed(results, ONLINE)
    found = _tanh_pair(results)
    figure = new_figure(3.0 * len(found) + 1.3)
    panels = stack(figure, len(found), sharey=True)
    updates = _dress_time(panels, trained)
    colours = layer_colours(len(layers(trained)))
    for axes, row in zip(panels, found, strict=True):
        stds = of(trained, "weight_gradient_std", row)
        for i in _known_layers(stds):
            mean = mean_interval(stds[..., i], axis=0).mean
            axes.plot(updates, mean, color=colours[i], label=str(i + 1))
            axes.fill_between(updates, *_spread(stds[..., i]), color=colours[i], alpha=BAND, lw=0)
        axes.set(title=row.label, ylabel=r"std of $\partial C/\partial w$", yscale="log")
    legend_below(figure, panels[0], columns=len(colours), title="hidden layer")
    return figure


def _tanh_pair(results: xr.Dataset) -> list[Row]:
    trained = needed(results, ONLINE)
    pairs = (
        select(trained, "tanh", kind, known="weight_gradient_std")
        for kind in ("standard", "normalized")
    )
    return [found[0] for found in pairs if found]


def chosen_test_error(trained: xr.Dataset, row: Row) -> np.ndarray | None:
    """Test error [seed, update] of a condition at its chosen learning rate; None if it has none."""
    rate = float(trained["chosen_learning_rate"].values[row.place])
    if not np.isfinite(rate):
        return None
    place = int(np.argmin(np.abs(np.asarray(trained["learning_rate"].values) - rate)))
    return of(trained, "test_error", row)[place]


def _learned(trained: xr.Dataset | None) -> list[tuple[Row, np.ndarray]]:
    """Conditions with a chosen learning rate, and their test error in %, [seed, update]."""
    if trained is None:
        return []
    errors = [(row, chosen_test_error(trained, row)) for row in rows(trained)]
    return [
        (row, 100 * error)
        for row, error in errors
        if error is not None and np.isfinite(error).any()
    ]


def _draw_errors(axes: Axes, x: np.ndarray, found: list[tuple[Row, np.ndarray]]) -> None:
    """Test error of each condition, mean and range over seeds."""
    colours = condition_colours([row for row, _ in found])
    deepest = max(row.depth for row, _ in found)
    for row, errors in found:
        colour = colours[row.place]
        axes.plot(
            x,
            mean_interval(errors, axis=0).mean,
            color=colour,
            ls=dash(row, deepest=deepest),
            label=row.label,
        )
        axes.fill_between(x, *_spread(errors), color=colour, alpha=BAND, lw=0)
    axes.set_ylabel("test error (%)")


def fig11(results: xr.Dataset) -> Figure:
    """Fig. 11: test error against the number of Shapeset examples seen, online."""
    trained = needed(results, ONLINE)
    found = _learned(trained)
    batch = float(trained.attrs.get("batch_size", 10))
    examples = np.asarray(trained["update"].values, np.float64) * batch
    scale, word = (1e6, "millions") if examples[-1] >= 1e6 else (1e3, "thousands")
    figure = new_figure(5.4)
    axes = figure.subplots()
    _draw_errors(axes, examples / scale, found)
    axes.set_xlabel(f"examples seen ({word})")
    axes.set_xlim(min(examples[0] / scale, 0.0), examples[-1] / scale)
    axes.set_ylim(bottom=0)
    mark_epochs(axes, updates_per_unit=scale / batch)
    legend_below(figure, axes, columns=3)
    return figure


def fig12(results: xr.Dataset) -> Figure:
    """Fig. 12: test error over training on the finite sets that were trained on."""
    names = [name for name in FINITE if _learned(part(results, name))]
    sets = [(name, needed(results, name)) for name in names]
    figure = new_figure(4.2 * len(sets) + 1.2)
    panels = stack(figure, len(sets), sharex=False)
    for axes, (name, trained) in zip(panels, sets, strict=True):
        updates = _dress_time([axes], trained)
        _draw_errors(axes, updates, _learned(trained))
        axes.set(title=SET_NAMES[name], yscale="log")
        axes.yaxis.set_major_formatter(LogFormatter())
        axes.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(2, 0.5)))
    legend_below(figure, panels[0], columns=3)
    return figure


def _any(find: Callable[[xr.Dataset], Sequence]) -> Callable[[xr.Dataset], bool]:
    return lambda results: bool(find(results))


_SPREAD = "Lines are means over seeds; bands, where seen, span the least and greatest seed."
_SATURATION = (
    "98th percentile (markers) and standard deviation (lines) of the activations of each hidden "
    f"layer on the monitored test examples while Shapeset is learned. {_SPREAD} "
)

FIGURES = {
    "fig02": FigureSpec(
        "Fig. 2: sigmoid activations over training",
        "Mean of the activations of each hidden layer on the monitored test examples, mean over "
        "seeds; a vertical bar is one standard deviation over units and examples either way. "
        "What must be seen: the top layer falls to 0 quickly, which saturates it, and leaves it "
        "only late, in the paper at about epoch 100 with 4 layers and never in its budget with 5.",
        (ONLINE,),
        _any(lambda results: select(part(results, ONLINE), "sigmoid", known="activation_mean")),
        fig02,
    ),
    "fig03": FigureSpec(
        "Fig. 3: saturation over training, tanh and softsign",
        _SATURATION + "What must be seen: with tanh layer 1 saturates first, then layer 2, and "
        "so on; with softsign the layers saturate less, and together.",
        (ONLINE,),
        _any(lambda results: _standard(results, "activation_std", "tanh", "softsign")),
        fig03,
    ),
    "fig04": FigureSpec(
        "Fig. 4: activations at the end of training",
        "Density of the activations of each hidden layer at the end of training, mean over seeds, "
        "on a logarithmic axis. What must be seen: tanh has its mass at -1, 1 and 0; softsign has "
        "it around 0.6 to 0.8 in absolute value, where it bends without being flat.",
        (ONLINE,),
        _any(lambda results: _standard(results, "activation_histogram", "tanh", "softsign")),
        fig04,
    ),
    "fig09": FigureSpec(
        "Fig. 9: weight gradients over training, tanh",
        "Standard deviation of the weight gradients of each layer on the monitored test examples, "
        f"one axis for both initialisations. {_SPREAD} What must be seen: the layers drift apart "
        "with the standard initialisation and stay together with the normalized one.",
        (ONLINE,),
        _any(_tanh_pair),
        fig09,
    ),
    "fig10": FigureSpec(
        "Fig. 10: saturation over training, tanh with normalized initialisation",
        _SATURATION + "What must be seen: unlike tanh in Fig. 3, no layer after the other; the "
        "picture is closer to softsign's.",
        (ONLINE,),
        _any(
            lambda results: select(
                part(results, ONLINE), "tanh", "normalized", known="activation_std"
            )
        ),
        fig10,
    ),
    "fig11": FigureSpec(
        "Fig. 11: test error on Shapeset-3x2, learned online",
        "Test error against the number of examples seen, each network at the learning rate of "
        "least validation error. Lines are means over seeds, bands the range over seeds. What "
        "must be seen: the final order of Table 1. The paper also shows a network fine-tuned "
        "after denoising-autoencoder pre-training, which ends lowest.",
        (ONLINE,),
        _any(lambda results: _learned(part(results, ONLINE))),
        fig11,
    ),
    "fig12": FigureSpec(
        "Fig. 12: test error on a finite data set",
        "Test error over training, on a logarithmic axis, each network at the learning rate of "
        "least validation error. Lines are means over seeds, bands the range over seeds. "
        "The paper shows MNIST and CIFAR-10; the title says which set this is.",
        FINITE,
        _any(lambda results: [n for n in FINITE if _learned(part(results, n))]),
        fig12,
    ),
}
