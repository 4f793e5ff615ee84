"""A report as a figure: profiles over depth, with theory, then spectra and histograms by site."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.style import context

from glorot_jax.confidence import mean_interval
from glorot_jax.diagnosis.measuring.moments import HISTOGRAM_REACH
from glorot_jax.diagnosis.reporting.names import names_of, shortened
from glorot_jax.plotting import STYLE, WIDTH, as_it_stands, legend_below, widen

FORWARD, BACKWARD, THIRD = "#0072b2", "#d55e00", "#009e73"
MOST_CURVES = 8
PANEL, NAMES_HEIGHT = 2.3, 1.0  # inches
MOST_NAMES, NAME_WIDTH = 24, 20
# Nearly black and nearly the grid's grey, so that a page finds them and puts its own in place.
INK, RULE = "#1c1e22", "#e4e4e5"
LEAST_DENSITY = 1e-3  # of the highest, the bottom of a logarithmic axis

_TEXT = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color")
COLOURS: Any = {**dict.fromkeys(_TEXT, INK), "grid.color": RULE}


def draw(data: xr.Dataset) -> Figure:
    """All panels that ``data`` has anything for, one under the other."""
    shown = [panel for panel in _PANELS if panel.has(data)]
    profiles = [panel for panel in shown if panel.profile]
    with context([STYLE, COLOURS]):
        height = PANEL * len(shown) + 1.4 + NAMES_HEIGHT
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        rows = figure.subplots(len(shown), 1, squeeze=False)[:, 0]
        for axes, panel in zip(rows, shown, strict=True):
            panel.paint(axes, data)
            if panel.profile and panel is not profiles[-1]:
                axes.tick_params(labelbottom=False)
        curves = [axes for axes, panel in zip(rows, shown, strict=True) if not panel.profile]
        legend_below(figure, curves, columns=2, title="site")
    return figure


def panels(data: xr.Dataset) -> list[tuple[str, Figure]]:
    """Title and figure of each panel that ``data`` has anything for."""
    return [_alone(panel, data) for panel in _PANELS if panel.has(data)]


def _alone(panel: "_Panel", data: xr.Dataset) -> tuple[str, Figure]:
    with context([STYLE, COLOURS]):
        height = PANEL + (NAMES_HEIGHT if panel.profile else 1.4)
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        axes = figure.subplots()
        panel.paint(axes, data)
        title = axes.get_title()
        axes.set_title("")
        if not panel.profile:
            legend_below(figure, [axes], columns=2)
    return title, figure


def _places(axes: Axes, data: xr.Dataset) -> np.ndarray:
    """Sites from 1 on, in the order of the program."""
    places = np.arange(data.sizes["site"]) + 1
    axes.set_xlim(0.5, len(places) + 0.5)
    return places


def _name_places(axes: Axes, data: xr.Dataset) -> None:
    """Writes the names of the sites under the axis, of as many as there is room for."""
    chosen = evenly(data.sizes["site"], MOST_NAMES)
    names = short_names(data)
    ticks = [names[index] for index in chosen]
    axes.set_xticks([index + 1 for index in chosen], ticks, rotation=90, fontsize=8)


def short_names(data: xr.Dataset) -> list[str]:
    """A tick label for each site."""
    labels = [str(site) for site in data.site.values]
    names = names_of(labels)
    return [as_it_stands(shortened(names.cut(label), NAME_WIDTH)) for label in labels]


def _curve(
    axes: Axes, data: xr.Dataset, values: np.ndarray, colour: str, label: str, *, marker: str = "o"
) -> None:
    """Mean over seeds of [seed, site] with its 95% interval."""
    mean, half = mean_interval(values, axis=0)
    known = np.isfinite(mean)
    places, mean, half = (a[known] for a in (_places(axes, data), mean, half))
    axes.plot(places, mean, f"{marker}-", color=colour, ms=3.5, label=label)
    axes.fill_between(places, mean - half, mean + half, color=colour, alpha=0.2, lw=0)


def _predicted(axes: Axes, data: xr.Dataset, name: str, colour: str) -> None:
    mean = mean_interval(np.sqrt(data[name].values), axis=0).mean
    if np.isfinite(mean).any():
        axes.plot(_places(axes, data), mean, "--", color=colour, lw=1.2, label="mean field")


def _forward(axes: Axes, data: xr.Dataset) -> None:
    _curve(axes, data, np.sqrt(data.s_mean_square.values), FORWARD, "pre-activation s")
    _predicted(axes, data, "s_mean_square_predicted", INK)
    _curve(axes, data, np.sqrt(data.z_mean_square.values), THIRD, "input z", marker="s")
    _finish(axes, data, "Forward: rms of the signal", "rms", log=True)


def _backward(axes: Axes, data: xr.Dataset) -> None:
    _curve(axes, data, np.sqrt(data.ds_mean_square.values), BACKWARD, r"$\partial C/\partial s$")
    _predicted(axes, data, "ds_mean_square_predicted", INK)
    _finish(axes, data, "Backward: rms of the gradient", "rms", log=True)


def _weight_gradients(axes: Axes, data: xr.Dataset) -> None:
    label = r"norm of $\partial C/\partial w$ over norm of $w$"
    _curve(axes, data, data.dw_ratio.values, BACKWARD, label)
    _finish(axes, data, "Weight gradients, relative", "ratio", log=True)


def _fractions(axes: Axes, data: xr.Dataset) -> None:
    saturated = data.saturated.where(data.two_sided)
    for values, colour, label in (
        (saturated.values, FORWARD, "saturated"),
        (data.dead.values, BACKWARD, "dead"),
        (data.s_cosine.values, THIRD, "cosine between examples"),
    ):
        if np.isfinite(values).any():
            _curve(axes, data, values, colour, label)
    axes.set_ylim(-0.05, 1.05)
    _finish(axes, data, "Saturated, dead, alike", "fraction or cosine", log=False)


def _singular_values(axes: Axes, data: xr.Dataset) -> None:
    through = np.sqrt(data.to_output_sigma_mean_square.values)
    for values, colour, label in (
        (data.sigma_max.values, BACKWARD, "largest"),
        (data.sigma_mean.values, FORWARD, "mean"),
        (through, THIRD, r"rms of $\partial$ output$/\partial s$"),
    ):
        if np.isfinite(values).any():
            _curve(axes, data, values, colour, label)
    expected = data.sigma_mean_predicted.values
    if np.isfinite(expected).any():
        places = _places(axes, data)
        axes.plot(places, expected, "--", color=INK, lw=1.2, label="mean, free probability")
    axes.axhline(1, color="#999999", lw=0.8)
    _finish(axes, data, "Singular values of each site's Jacobian", "singular value", log=True)


def _finish(axes: Axes, data: xr.Dataset, title: str, ylabel: str, *, log: bool) -> None:
    axes.set(title=title, ylabel=ylabel)
    _name_places(axes, data)
    if log:
        axes.set_yscale("log")
        widen(axes)
    axes.legend(frameon=False, fontsize=9, ncols=2)


def evenly(count: int, most: int) -> list[int]:
    """Indices of no more than ``most`` of ``count``, the first and the last among them."""
    return sorted({int(index) for index in np.linspace(0, count - 1, min(count, most)).round()})


def _some_sites(data: xr.Dataset) -> list[tuple[int, str, Any]]:
    """Index, name and colour of no more sites than a legend can name, from input to output.

    The colours stand out from white and from black.
    """
    chosen = evenly(data.sizes["site"], MOST_CURVES)
    names = short_names(data)
    colours = matplotlib.colormaps["viridis"](np.linspace(0.15, 0.85, len(chosen)))
    return [(index, names[index], colour) for index, colour in zip(chosen, colours, strict=True)]


def _spectra(axes: Axes, data: xr.Dataset) -> None:
    density = mean_interval(data.sigma_density.values, axis=0).mean
    edges = mean_interval(data.sigma_edges.values, axis=0).mean
    for index, label, colour in _some_sites(data):
        if np.isfinite(density[index]).any():
            axes.stairs(density[index], edges[index], color=colour, lw=1.3, label=label)
    axes.set(title="Spectrum of each site's Jacobian", xlabel="singular value", ylabel="density")


def _histograms(axes: Axes, data: xr.Dataset) -> None:
    """In standard deviations, so that only the shape differs."""
    fractions = mean_interval(data.s_histogram.values, axis=0).mean
    edges = np.linspace(-HISTOGRAM_REACH, HISTOGRAM_REACH, fractions.shape[-1] + 1)
    for index, label, colour in _some_sites(data):
        density = fractions[index] / np.diff(edges)
        axes.stairs(density, edges, color=colour, lw=1.3, baseline=None, label=label)
    axes.plot(edges, np.exp(-(edges**2) / 2) / np.sqrt(2 * np.pi), "--", color=INK, lw=1)
    axes.set(
        title="Histogram of s, a Gaussian dashed",
        xlabel="(s - mean) / std",
        ylabel="density",
        yscale="log",
    )
    axes.set_ylim(LEAST_DENSITY, 2)


def _always(data: xr.Dataset) -> bool:
    return True


def _has_spectra(data: xr.Dataset) -> bool:
    return "sigma_mean" in data and bool(np.isfinite(data.sigma_mean).any())


@dataclass(frozen=True)
class _Panel:
    """``has``: whether there is anything to paint; ``profile``: whether sites are along x."""

    has: Callable[[xr.Dataset], bool]
    paint: Callable[[Axes, xr.Dataset], None]
    profile: bool = True


_PANELS = (
    _Panel(_always, _forward),
    _Panel(_always, _backward),
    _Panel(_always, _weight_gradients),
    _Panel(_always, _fractions),
    _Panel(_has_spectra, _singular_values),
    _Panel(_has_spectra, _spectra, profile=False),
    _Panel(_always, _histograms, profile=False),
)
