"""A run as figures: the cost over the updates, and each statistic as an image, site by update."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.style import context

from glorot_jax.diagnosis.reporting.figure import COLOURS, FORWARD, evenly, short_names
from glorot_jax.plotting import STYLE, WIDTH

HEIGHT, OF_A_SITE, MOST = 2.0, 0.16, 5.5  # inches
MOST_NAMES = 24
WIDE = 20.0  # ratio of the 99th to the 1st percentile, from which on colours are logarithmic


class Statistic(NamedTuple):
    """``name``: of the variable; ``title``: above its image; ``fraction``: whether it is 0 to 1."""

    name: str
    title: str
    fraction: bool = False


STATISTICS = (
    Statistic("s_std", "std of s"),
    Statistic("ds_std", "std of dC/ds"),
    Statistic("step", "|update| / |w|"),
    Statistic("saturated", "Saturated", fraction=True),
    Statistic("dead", "Dead", fraction=True),
    Statistic("attention_entropy", "Entropy of attention, of ln n", fraction=True),
    Statistic("unmoved", "Entries that can't move", fraction=True),
    Statistic("parameter_norm", "Norm of the kernel's parameters"),
    Statistic("s_cosine", "Cosine between examples"),
)


def shown(data: xr.Dataset) -> Iterator[tuple[Statistic, np.ndarray]]:
    """Statistics of which anything is known and isn't 0 throughout, [update, site]."""
    for statistic in STATISTICS:
        if statistic.name not in data:
            continue
        values = data[statistic.name]
        if statistic.name == "saturated" and "two_sided" in data:
            values = values.where(data.two_sided > 0)
        array = np.asarray(values.values, np.float64)
        if np.isfinite(array).any() and np.nanmax(np.abs(array)) > 0:
            yield statistic, array


def is_wide(values: np.ndarray) -> bool:
    """Whether values are of many sizes and one sign; those of 0 have no place on a logarithm."""
    known = values[np.isfinite(values)]
    positive = known[known > 0]
    if not positive.size or (known < 0).any():
        return False
    low, high = np.quantile(positive, (0.01, 0.99))
    return bool(high > WIDE * low)


def panels(data: xr.Dataset) -> list[tuple[str, Figure]]:
    """Title and figure of each panel that ``data`` has anything for."""
    made = [("Cost", _cost(data))] if "net_loss" in data else []
    return made + [(one.title, _image(data, one, values)) for one, values in shown(data)]


def _cost(data: xr.Dataset) -> Figure:
    with context([STYLE, COLOURS]):
        figure = Figure(figsize=(WIDTH, HEIGHT + 0.6), layout="constrained")
        axes = figure.subplots()
        updates = data["update"].values
        for name, label, style in (
            ("net_loss_max", "largest between", {"color": "#999999", "lw": 1.0}),
            ("net_loss_mean", "mean between", {"color": FORWARD}),
            ("net_loss", "measured", {"color": "#d55e00", "lw": 0, "marker": "o", "ms": 2.5}),
        ):
            values = data.get(name)
            if values is not None and np.isfinite(values).any():
                finite = np.where(np.isfinite(values), values, np.nan)
                axes.plot(updates, finite, label=label, **style)
        axes.set(xlabel="updates", ylabel="cost")
        curves = [np.asarray(line.get_ydata(), np.float64) for line in axes.get_lines()]
        if curves:
            figure.legend(loc="outside upper center", frameon=False, fontsize=9, ncols=3)
            if is_wide(np.concatenate(curves)):
                axes.set_yscale("log")
    return figure


def _image(data: xr.Dataset, statistic: Statistic, values: np.ndarray) -> Figure:
    with context([STYLE, COLOURS]):
        height = min(HEIGHT + OF_A_SITE * data.sizes["site"], MOST)
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        axes = figure.subplots()
        norm = _norm(statistic, values)
        drawn = axes.pcolormesh(
            _edges(data["update"].values),
            np.arange(data.sizes["site"] + 1) - 0.5,
            np.ma.masked_where(_without_colour(values, norm), values).T,
            norm=norm,
            cmap="viridis",
            rasterized=True,
        )
        _name_sites(axes, data)
        axes.set_xlabel("updates")
        figure.colorbar(drawn, ax=axes, pad=0.02)
    return figure


def _without_colour(values: np.ndarray, norm: Normalize) -> np.ndarray:
    hidden = ~np.isfinite(values)
    return hidden | (values <= 0) if isinstance(norm, LogNorm) else hidden


def _norm(statistic: Statistic, values: np.ndarray) -> Normalize:
    if statistic.fraction:
        return Normalize(0, 1)
    known = values[np.isfinite(values)]
    if is_wide(values):
        return LogNorm(*np.quantile(known[known > 0], (0.005, 0.995)))
    return Normalize(*np.quantile(known, (0.005, 0.995)))


def _edges(updates: np.ndarray) -> np.ndarray:
    """Each measurement reaches from halfway to the one before to halfway to the next."""
    places = np.asarray(updates, np.float64)
    if len(places) == 1:
        return places[0] + np.array([-0.5, 0.5])
    middles = (places[1:] + places[:-1]) / 2
    ends = 2 * places[0] - middles[0], 2 * places[-1] - middles[-1]
    return np.concatenate([ends[:1], middles, ends[1:]])


def _name_sites(axes: Axes, data: xr.Dataset) -> None:
    """Input at the top."""
    chosen = evenly(data.sizes["site"], MOST_NAMES)
    names = short_names(data)
    axes.set_yticks(chosen, [names[index] for index in chosen], fontsize=8)
    axes.invert_yaxis()
    axes.grid(visible=False)
