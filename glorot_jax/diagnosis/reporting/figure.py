"""A report as a figure: profiles over depth, with theory, then spectra and histograms by site."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.style import context
from matplotlib.ticker import MaxNLocator

from glorot_jax.confidence import mean_interval
from glorot_jax.diagnosis.measuring.moments import HISTOGRAM_REACH
from glorot_jax.plotting import STYLE, WIDTH, layer_colours, legend_below, shortened, widen

FORWARD, BACKWARD, THIRD = "#0072b2", "#d55e00", "#009e73"
MOST_CURVES = 8
PANEL = 2.3  # inches
LEAST_DENSITY = 1e-3  # of the highest, the bottom of a logarithmic axis


def draw(data: xr.Dataset) -> Figure:
    """All panels that ``data`` has anything for, one under the other."""
    panels = [panel for panel in _PANELS if panel[0](data)]
    with context(STYLE):
        figure = Figure(figsize=(WIDTH, PANEL * len(panels) + 1.4), layout="constrained")
        rows = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
        for axes, (_, paint) in zip(rows, panels, strict=True):
            paint(axes, data)
        curves = [axes for axes in rows if axes.get_title().startswith(("Histogram", "Spectrum"))]
        if curves:
            legend_below(figure, curves, columns=2, title="site")
    return figure


def _places(axes: Axes, data: xr.Dataset) -> np.ndarray:
    """Numbers sites from 1 and names them where there is room."""
    places = np.arange(data.sizes["site"]) + 1
    axes.set_xlim(0.5, len(places) + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=min(len(places), 10)))
    return places


def _curve(
    axes: Axes, data: xr.Dataset, values: np.ndarray, colour: str, label: str, *, marker: str = "o"
) -> None:
    """Mean over seeds of [seed, site] with its 95% interval."""
    mean, half = mean_interval(values, axis=0)
    places = _places(axes, data)
    axes.plot(places, mean, f"{marker}-", color=colour, ms=3.5, label=label)
    axes.fill_between(places, mean - half, mean + half, color=colour, alpha=0.2, lw=0)


def _predicted(axes: Axes, data: xr.Dataset, name: str, colour: str) -> None:
    mean = mean_interval(np.sqrt(data[name].values), axis=0).mean
    if np.isfinite(mean).any():
        axes.plot(_places(axes, data), mean, "--", color=colour, lw=1.2, label="mean field")


def _forward(axes: Axes, data: xr.Dataset) -> None:
    _curve(axes, data, np.sqrt(data.s_mean_square.values), FORWARD, "pre-activation s")
    _predicted(axes, data, "s_mean_square_predicted", "black")
    _curve(axes, data, np.sqrt(data.z_mean_square.values), THIRD, "input z", marker="s")
    _finish(axes, "Forward: rms of the signal", "rms", log=True)


def _backward(axes: Axes, data: xr.Dataset) -> None:
    _curve(axes, data, np.sqrt(data.ds_mean_square.values), BACKWARD, r"$\partial C/\partial s$")
    _predicted(axes, data, "ds_mean_square_predicted", "black")
    _finish(axes, "Backward: rms of the gradient", "rms", log=True)


def _weight_gradients(axes: Axes, data: xr.Dataset) -> None:
    label = r"norm of $\partial C/\partial w$ over norm of $w$"
    _curve(axes, data, data.dw_ratio.values, BACKWARD, label)
    _finish(axes, "Weight gradients, relative", "ratio", log=True)


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
    _finish(axes, "Saturated, dead, alike", "fraction or cosine", log=False)


def _singular_values(axes: Axes, data: xr.Dataset) -> None:
    for name, colour, label in (
        ("sigma_max", BACKWARD, "largest"),
        ("sigma_mean", FORWARD, "mean"),
        ("to_output_sigma_mean", THIRD, r"mean of $\partial$ logits$/\partial s$"),
    ):
        _curve(axes, data, data[name].values, colour, label)
    expected = data.sigma_mean_predicted.values
    if np.isfinite(expected).any():
        places = _places(axes, data)
        axes.plot(places, expected, "--", color="black", lw=1.2, label="mean, free probability")
    axes.axhline(1, color="#999999", lw=0.8)
    _finish(axes, "Singular values of each site's Jacobian", "singular value", log=True)


def _finish(axes: Axes, title: str, ylabel: str, *, log: bool) -> None:
    axes.set(title=title, ylabel=ylabel, xlabel="site, in the order of the program")
    if log:
        axes.set_yscale("log")
        widen(axes)
    axes.legend(frameon=False, fontsize=9, ncols=2)


def _shown(data: xr.Dataset) -> list[int]:
    """Evenly chosen sites, no more than a legend can name."""
    count = data.sizes["site"]
    return sorted(set(np.linspace(0, count - 1, min(count, MOST_CURVES)).round().astype(int)))


def _spectra(axes: Axes, data: xr.Dataset) -> None:
    density = mean_interval(data.sigma_density.values, axis=0).mean
    edges = mean_interval(data.sigma_edges.values, axis=0).mean
    shown = _shown(data)
    for index, colour in zip(shown, layer_colours(len(shown)), strict=True):
        if np.isfinite(density[index]).any():
            label = shortened(str(data.site.values[index]))
            axes.stairs(density[index], edges[index], color=colour, lw=1.3, label=label)
    axes.set(title="Spectrum of each site's Jacobian", xlabel="singular value", ylabel="density")


def _histograms(axes: Axes, data: xr.Dataset) -> None:
    """In standard deviations, so that only the shape differs."""
    fractions = mean_interval(data.s_histogram.values, axis=0).mean
    edges = np.linspace(-HISTOGRAM_REACH, HISTOGRAM_REACH, fractions.shape[-1] + 1)
    shown = _shown(data)
    for index, colour in zip(shown, layer_colours(len(shown)), strict=True):
        density = fractions[index] / np.diff(edges)
        label = shortened(str(data.site.values[index]))
        axes.stairs(density, edges, color=colour, lw=1.3, baseline=None, label=label)
    axes.plot(edges, np.exp(-(edges**2) / 2) / np.sqrt(2 * np.pi), "--", color="black", lw=1)
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


_PANELS = (
    (_always, _forward),
    (_always, _backward),
    (_always, _weight_gradients),
    (_always, _fractions),
    (_has_spectra, _singular_values),
    (_has_spectra, _spectra),
    (_always, _histograms),
)
