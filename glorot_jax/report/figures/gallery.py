"""Fig. 1: examples of the data that is learned."""

import textwrap

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from glorot_jax.report.figures.common import FigureSpec, needed, new_figure
from glorot_jax.results import part

PART = "examples"
COLUMNS = 5
ROWS = 2  # of each size
NAME_WIDTH = 15  # characters a line
SIZES = (64, 32)


def _draw_example(axes: Axes, image: np.ndarray, name: str) -> None:
    """One image under its class name, grey levels from -1 to 1."""
    axes.imshow(image, cmap="gray", vmin=-1, vmax=1, interpolation="nearest")
    axes.set_title(textwrap.fill(name, NAME_WIDTH), fontsize=9, pad=3)
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)


def fig01(results: xr.Dataset) -> Figure:
    """Fig. 1: Shapeset-3x2 examples at 64 x 64 and at the 32 x 32 that networks see."""
    examples = needed(results, PART)
    names = [str(name) for name in examples["class_name"].values]
    shown = min(COLUMNS * ROWS, examples.sizes["example"])
    rows = -(-shown // COLUMNS)
    figure = new_figure(1.85 * rows * len(SIZES) + 0.7)
    grid = figure.add_gridspec(len(SIZES), 1)
    for place, size in enumerate(SIZES):
        half = figure.add_subfigure(grid[place])
        half.suptitle(f"{size} x {size} pixels", fontsize="medium")
        images = examples[f"image_{size}"].values
        labels = examples[f"label_{size}"].values
        for i in range(shown):
            axes = half.add_subplot(rows, min(COLUMNS, shown), i + 1)
            _draw_example(axes, images[i], names[int(labels[i])])
    return figure


FIGURES = {
    "fig01": FigureSpec(
        "Fig. 1: Shapeset-3x2 examples",
        "Random images of one or two shapes with the name of their class, as in the left half of "
        "the paper's figure (64 x 64), and at the 32 x 32 that the networks learn from.",
        (PART,),
        lambda results: part(results, PART) is not None,
        fig01,
    ),
}
