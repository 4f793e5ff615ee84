"""Every figure by name: a function of the results, drawn only where its data was measured."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import xarray as xr
from matplotlib.figure import Figure

from experiments.report.figures import (
    baseline,
    errors,
    gallery,
    initial,
    spectra,
    studies,
    surface,
    theory,
    training,
)
from experiments.report.figures.common import SET_NAMES, FigureSpec
from experiments.results.queries import SHAPESET
from glorot_jax.files import write_atomically
from glorot_jax.plotting import STYLE

ORDER = (
    *("fig01", "fig02", "fig03", "fig04", "fig05", "fig06", "fig07", "fig08"),
    *("eq17", "variances", "phase", "fig09", "fig10", "fig11", "fig12"),
    *("pretraining", "selection", "section5", "costs", "gaussians", "modern", "baseline"),
)
_ROOMS = (gallery, initial, spectra, theory, surface, training, errors, studies, baseline)
_ALL = {key: spec for room in _ROOMS for key, spec in room.FIGURES.items()}
FIGURES: dict[str, FigureSpec] = {key: _ALL[key] for key in ORDER}

RESOLUTION = 150  # dots an inch

__all__ = [
    "FIGURES",
    "FigureFiles",
    "FigureSpec",
    "available",
    "caption",
    "draw",
    "save_figures",
]


@dataclass(frozen=True)
class FigureFiles:
    """One figure on disk, twice."""

    png: Path
    svg: Path


def available(results: xr.DataTree) -> list[str]:
    """Names of the figures that ``results`` holds the data of, in the paper's order."""
    names = set(results.children)
    return [
        key
        for key, spec in FIGURES.items()
        if names.intersection(spec.groups) and spec.drawable(results)
    ]


def caption(results: xr.DataTree, key: str) -> str:
    """The caption of the figure ``key``, which names its data set where that isn't Shapeset."""
    spec = FIGURES[key]
    others = [SET_NAMES.get(name, name) for name in spec.sets(results) if name != SHAPESET]
    return f"{spec.caption} Data: {'; '.join(others)}." if others else spec.caption


def draw(results: xr.DataTree, key: str) -> Figure:
    """The figure ``key`` in the common style."""
    with matplotlib.rc_context(STYLE):
        return FIGURES[key].draw(results)


def save_figures(results: xr.DataTree, folder: Path | str) -> dict[str, FigureFiles]:
    """Writes every available figure as PNG and SVG into ``folder``, each atomically.

    Raises:
      OSError: the folder can't be written or the disk is full.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return {key: _save(draw(results, key), folder, key) for key in available(results)}


def _save(figure: Figure, folder: Path, key: str) -> FigureFiles:
    def write(suffix: str, **options: Any) -> Path:
        return write_atomically(
            folder / f"{key}.{suffix}",
            lambda path: figure.savefig(path, format=suffix, dpi=RESOLUTION, **options),
        )

    with matplotlib.rc_context(STYLE):
        png = write("png")
        figure.set_layout_engine("none")  # found once; the second file has the same places
        return FigureFiles(png, write("svg", metadata={"Date": None}))
