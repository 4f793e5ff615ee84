"""A check over widths as the field draws it: sizes against width, a line a step."""

import base64
import io
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.style import context
from matplotlib.ticker import NullFormatter, NullLocator

from glorot_jax.confidence import mean_interval
from glorot_jax.diagnosis.reporting.coordinate_text import site_names
from glorot_jax.diagnosis.reporting.names import shortened
from glorot_jax.files import write_text
from glorot_jax.plotting import STYLE, WIDTH, as_it_stands, layer_colours, legend_below, widen

MOST_SITES = 16
_PANEL, _NAME_WIDTH = 1.6, 22  # inches; characters


def draw(data: xr.Dataset) -> Figure:
    """std of s on the left, of its change on the right; of many sites some, evenly, and the last.

    Geometric means over seeds with their 95% t intervals.
    """
    count = data.sizes["site"]
    chosen = sorted({*np.linspace(0, count - 1, min(count, MOST_SITES)).round().astype(int)})
    names = site_names(data)
    with context(STYLE):
        figure = Figure(figsize=(WIDTH, _PANEL * len(chosen) + 1.3), layout="constrained")
        panels = figure.subplots(len(chosen), 2, squeeze=False, sharex=True)
        for (left, right), row in zip(panels, chosen, strict=True):
            name = shortened(names.cut(str(data.site.values[row])), _NAME_WIDTH)
            _lines(left, data, data.s_std.isel(site=row))
            _lines(right, data, data.change_std.isel(site=row))
            left.set_ylabel(as_it_stands(name), fontsize=8)
        panels[0, 0].set_title("std of s")
        panels[0, 1].set_title("std of its change")
        for axes in panels[-1]:
            axes.set_xlabel("width")
        legend_below(figure, [panels[0, 0]], columns=6, title="after updates")
    return figure


def _lines(axes: Axes, data: xr.Dataset, sizes: xr.DataArray) -> None:
    widths = data.width.values
    colours = layer_colours(data.sizes["step"])
    for step, colour in enumerate(colours):
        with np.errstate(divide="ignore"):
            logs = np.log(sizes.isel(step=step).transpose("seed", "width").values)
        mean, half = mean_interval(logs, axis=0)
        known = np.isfinite(mean)
        if not known.any():
            axes.plot([], [], "o-", color=colour, ms=3, label=str(step))
            continue
        low, high = (
            np.exp(np.where(np.isfinite(half), mean + way * half, mean)) for way in (-1, 1)
        )
        axes.plot(widths[known], np.exp(mean[known]), "o-", color=colour, ms=3, label=str(step))
        axes.fill_between(widths[known], low[known], high[known], color=colour, alpha=0.15, lw=0)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(widths, [str(width) for width in widths], rotation=90, fontsize=8)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_formatter(NullFormatter())
    widen(axes)


def write(data: xr.Dataset, fragment: str, path: Path) -> Path:
    """One HTML file: the text of ``fragment``, then the figure.

    Raises:
      OSError: it can't be written.
    """
    buffer = io.BytesIO()
    draw(data).savefig(buffer, format="png", dpi=150)
    picture = base64.b64encode(buffer.getvalue()).decode()
    return write_text(
        path,
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<title>Across widths</title></head>\n"
        f"<body>\n{fragment}\n"
        f'<p><img alt="sizes against width" style="max-width: 100%" '
        f'src="data:image/png;base64,{picture}"></p>\n</body></html>\n',
    )
