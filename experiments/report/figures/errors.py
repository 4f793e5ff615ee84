"""Figures of test errors over training: 11 and 12, and how every other one draws its curves."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.report.figures.common import (
    ONLINE,
    SET_NAMES,
    FigureSpec,
    Row,
    condition_colours,
    dash,
    first_set,
    name_set,
    needed,
    new_figure,
    of,
    plain_log,
    rows,
    stack,
    title_of,
)
from experiments.report.figures.times import BAND, dress_time, mark_epochs, spread
from experiments.results.schema import DATA_SETS, part
from glorot_jax.confidence import mean_interval
from glorot_jax.plotting import legend_below

FINITE = tuple(name for name in DATA_SETS if name != ONLINE)

LineStyle = str | tuple[float, tuple[float, ...]]  # a name, or lengths on and off
Style = Callable[[Row], tuple[str, LineStyle]]  # colour and line style


class Course(NamedTuple):
    """A condition and its test error in %, [seed, update], at its chosen learning rate."""

    row: Row
    errors: np.ndarray


def at_chosen_rate(trained: xr.Dataset, name: str, row: Row) -> np.ndarray | None:
    """``name`` [seed, update] of a condition at its chosen learning rate; None if it has none."""
    rate = float(trained["chosen_learning_rate"].values[row.place])
    if not np.isfinite(rate):
        return None
    place = int(np.argmin(np.abs(np.asarray(trained["learning_rate"].values) - rate)))
    return of(trained, name, row)[place]


def courses(trained: xr.Dataset | None) -> list[Course]:
    """The conditions that have a chosen learning rate; the others diverged at every rate."""
    if trained is None:
        return []
    found = ((row, at_chosen_rate(trained, "test_error", row)) for row in rows(trained))
    return [
        Course(row, 100 * errors)
        for row, errors in found
        if errors is not None and np.isfinite(errors).any()
    ]


def by_kind(found: Iterable[Row]) -> Style:
    """A colour for each kind of network, a line style for each initialiser and depth."""
    found = list(found)
    colours = condition_colours(found)
    deepest = max(row.depth for row in found)
    return lambda row: (colours[row.kind], dash(row, deepest=deepest))


def draw_courses(axes: Axes, x: np.ndarray, found: Sequence[Course], style: Style) -> None:
    """Test error of each condition, mean and range over seeds."""
    for row, errors in found:
        colour, line = style(row)
        mean = mean_interval(errors, axis=0).mean
        axes.plot(x, mean, color=colour, ls=line, label=row.label)
        axes.fill_between(x, *spread(errors), color=colour, alpha=BAND, lw=0)
    axes.set_ylabel("test error (%)")


def _shown_set(results: xr.Dataset) -> list[str]:
    name = first_set(results, courses)
    return [] if name is None else [name]


def fig11(results: xr.Dataset) -> Figure:
    """Fig. 11: test error against the number of examples seen."""
    (name,) = _shown_set(results)
    trained = needed(results, name)
    found = courses(trained)
    batch = float(trained.attrs.get("batch_size", 10))
    examples = np.asarray(trained["update"].values, np.float64) * batch
    scale, word = (1e6, "millions") if examples[-1] >= 1e6 else (1e3, "thousands")
    figure = new_figure(5.6)
    name_set(figure, name)
    axes = figure.subplots()
    draw_courses(axes, examples / scale, found, by_kind(course.row for course in found))
    axes.set_xlabel(f"examples seen ({word})")
    axes.set_xlim(min(examples[0] / scale, 0.0), examples[-1] / scale)
    axes.set_ylim(bottom=0)
    mark_epochs(axes, updates_per_unit=scale / batch)
    legend_below(figure, [axes], columns=3)
    return figure


def _finite_sets(results: xr.Dataset) -> list[str]:
    return [name for name in FINITE if courses(part(results, name))]


def fig12(results: xr.Dataset) -> Figure:
    """Fig. 12: test error over training, a panel for each finite set that was trained on."""
    sets = [(name, needed(results, name)) for name in _finite_sets(results)]
    found = [courses(trained) for _, trained in sets]
    style = by_kind(course.row for panel in found for course in panel)
    figure = new_figure(3.9 * len(sets) + 1.3)
    panels = stack(figure, len(sets), sharex=False)
    for axes, (name, trained), shown in zip(panels, sets, found, strict=True):
        draw_courses(axes, dress_time([axes], trained["update"]), shown, style)
        axes.set_title(title_of(SET_NAMES[name]))
        plain_log(axes, "y")
    legend_below(figure, panels, columns=3)
    return figure


FIGURES = {
    "fig11": FigureSpec(
        "Fig. 11: test error, learned online",
        "Test error against the number of examples seen, each network at the learning rate of "
        "least validation error. Lines are means over seeds, bands the range over seeds. What "
        "must be seen: the final order of Table 1, and the network fine-tuned after "
        "denoising-autoencoder pre-training, where it is there, ending lowest.",
        DATA_SETS,
        lambda results: bool(_shown_set(results)),
        fig11,
        _shown_set,
    ),
    "fig12": FigureSpec(
        "Fig. 12: test error on finite data sets",
        "Test error over training, on a logarithmic axis, each network at the learning rate of "
        "least validation error. Lines are means over seeds, bands the range over seeds. The "
        "paper shows MNIST and CIFAR-10; the titles say which sets these are.",
        FINITE,
        lambda results: bool(_finite_sets(results)),
        fig12,
        _finite_sets,
    ),
}
