"""Fig. 1: examples of the data that is learned."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.data.registry import DATA_SETS, SHAPESET
from experiments.report.figures.common import FigureSpec, new_figure, title_of
from experiments.report.figures.vector import PHOTOGRAPH
from experiments.results.queries import needed
from experiments.results.schema import find_group

GROUP = "examples"
COLUMNS = 5
ROWS = 2  # of each block
NAME_WIDTH = 15  # characters a line
SIZES = (64, 32)
ROW_HEIGHT = 1.85  # inches


@dataclass(frozen=True)
class Block:
    """Examples drawn together; ``images`` [example, row, column(, channel)] from 0 to 1."""

    title: str
    images: np.ndarray
    names: Sequence[str]

    @property
    def rows(self) -> int:
        """How many rows of images it takes."""
        return -(-len(self.names) // COLUMNS)


def _block(examples: xr.Dataset, title: str, which: str, classes: str) -> Block:
    labels = examples[f"label_{which}"].values[: COLUMNS * ROWS]
    names = [str(examples[classes].values[int(label)]) for label in labels]
    return Block(title, np.asarray(examples[f"image_{which}"].values[: len(names)]), names)


def _blocks(examples: xr.Dataset) -> list[Block]:
    """Shapeset in both sizes, then every other set that there are examples of."""
    title = DATA_SETS[SHAPESET].title
    shapes = [
        _block(examples, f"{title}, {size} x {size} pixels", str(size), "class_name")
        for size in SIZES
    ]
    others = [name for name in DATA_SETS if f"image_{name}" in examples.variables]
    return [replace(block, images=(block.images + 1) / 2) for block in shapes] + [
        _block(examples, _title(name), name, f"class_name_{name}") for name in others
    ]


def _title(name: str) -> str:
    info = DATA_SETS[name]
    if not info.stands_in_for:
        return info.title
    plain = info.title.partition(" (not")[0]
    return f"{plain}, stand-in for {DATA_SETS[info.stands_in_for].title}"


def _draw_example(axes: Axes, image: np.ndarray, name: str, *, gid: str) -> None:
    """One image under its class name."""
    # Of one channel it is [row, column], whatever the set has.
    shown = image[..., 0] if image.shape[-1] == 1 else image
    picture = axes.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    picture.set_gid(gid)
    axes.set_title(textwrap.fill(name, NAME_WIDTH), fontsize=9, pad=3)
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)


def fig01(results: xr.DataTree) -> Figure:
    """Fig. 1: Shapeset-3x2 at 64 x 64 and 32 x 32, and below it the other sets."""
    blocks = _blocks(needed(results, GROUP))
    heights = [ROW_HEIGHT * block.rows + 0.35 for block in blocks]
    figure = new_figure(sum(heights))
    grid = figure.add_gridspec(len(blocks), 1, height_ratios=heights)
    for place, block in enumerate(blocks):
        panel = figure.add_subfigure(grid[place])
        panel.suptitle(title_of(block.title), fontsize="medium")
        for i, (image, name) in enumerate(zip(block.images, block.names, strict=True)):
            axes = panel.add_subplot(block.rows, min(COLUMNS, len(block.names)), i + 1)
            _draw_example(axes, image, name, gid=f"{PHOTOGRAPH}_{place}_{i}")
    return figure


FIGURES = {
    "fig01": FigureSpec(
        "Random images of one or two shapes with the name of their class, as in the left half of "
        "the paper's figure (64 x 64), and at the 32 x 32 that the networks learn from; below "
        "them, examples of the other sets as their networks see them. The right half of the "
        "paper's figure shows Small-ImageNet.",
        lambda results: find_group(results, GROUP) is not None,
        fig01,
    ),
}
