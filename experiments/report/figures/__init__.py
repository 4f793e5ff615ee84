"""Every figure by name: a function of the results, drawn only where its data was measured."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import xarray as xr
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from experiments.data.registry import DATA_SETS, SHAPESET
from experiments.exhibits import EXHIBITS
from experiments.report.figures import (
    baseline,
    errors,
    gallery,
    initial,
    question,
    spectra,
    studies,
    surface,
    theory,
    training,
    vector,
)
from experiments.report.figures.common import FigureSpec
from experiments.report.figures.described import described
from glorot_jax.files import write_atomically, write_text
from glorot_jax.plotting import STYLE

_ROOMS = (
    *(gallery, initial, spectra, theory, surface, training),
    *(errors, studies, baseline, question),
)
TABLES = frozenset({"table1", "fashion_mnist"})  # exhibits that have tables only


def in_order(drawn: Mapping[str, FigureSpec], /) -> dict[str, FigureSpec]:
    """How every figure of ``EXHIBITS`` is drawn, in the order there.

    Raises:
      ValueError: a figure is no exhibit, or an exhibit is neither drawn nor a table.
    """
    unlisted, missing = set(drawn) - set(EXHIBITS), set(EXHIBITS) - set(drawn) - TABLES
    if unlisted:
        raise ValueError(f"figures: {', '.join(sorted(unlisted))} not in EXHIBITS")
    if missing:
        raise ValueError(f"exhibits: {', '.join(sorted(missing))} neither drawn nor in TABLES")
    return {key: drawn[key] for key in EXHIBITS if key in drawn}


FIGURES: Mapping[str, FigureSpec] = in_order(
    {key: spec for room in _ROOMS for key, spec in room.FIGURES.items()}
)

RESOLUTION = 150  # dots an inch

__all__ = [
    "FIGURES",
    "FigureFiles",
    "FigureSpec",
    "available",
    "caption",
    "draw",
    "save_figures",
    "seen_in",
]


@dataclass(frozen=True)
class FigureFiles:
    """One figure on disk, twice."""

    png: Path
    svg: Path


def available(results: xr.DataTree) -> list[str]:
    """Names of the figures that ``results`` holds the data of, in the paper's order."""
    return [key for key, spec in FIGURES.items() if spec.drawable(results)]


def caption(results: xr.DataTree, key: str) -> str:
    """The caption of the figure ``key``, which names its data set where that isn't Shapeset."""
    spec = FIGURES[key]
    others = [DATA_SETS[name].title for name in spec.sets(results) if name != SHAPESET]
    return f"{spec.caption} Data: {'; '.join(others)}." if others else spec.caption


def draw(results: xr.DataTree, key: str) -> Figure:
    """The figure ``key`` in the common style."""
    with matplotlib.rc_context(STYLE):
        return FIGURES[key].draw(results)


def save_figures(results: xr.DataTree, folder: Path | str) -> dict[str, FigureFiles]:
    """Writes every available figure as PNG and SVG into ``folder``, each atomically.

    The SVG follows a dark page, and says in words what it shows; the PNG is always on white.

    Raises:
      OSError: the folder can't be written or the disk is full.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return {key: _save(draw(results, key), folder, key) for key in available(results)}


def seen_in(path: Path) -> str:
    """What a saved SVG shows, in words, as ``save_figures`` wrote it; "" where there is none."""
    return vector.title(path.read_text(encoding="utf-8")) if path.is_file() else ""


def _save(figure: Figure, folder: Path, key: str) -> FigureFiles:
    figure.set_dpi(RESOLUTION)
    with matplotlib.rc_context(STYLE):
        # Not by ``savefig``, which draws everything twice, the first time for the places alone.
        png = write_atomically(folder / f"{key}.png", FigureCanvasAgg(figure).print_png)
        figure.set_layout_engine("none")  # laid out once; the second file has the same places
        text = io.StringIO()
        FigureCanvasSVG(figure).print_svg(text, metadata={"Date": None})
    seen = f"{EXHIBITS[key].title}. {described(figure)}"
    svg = write_text(folder / f"{key}.svg", vector.following(text.getvalue(), title=seen))
    return FigureFiles(png, svg)
