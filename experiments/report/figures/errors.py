"""Figures of test errors over training: 11 and 12, and how every other one draws its curves."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.data.registry import DATA_SETS, FINITE
from experiments.networks import NetworkSpec, read
from experiments.report.figures.common import (
    FigureSpec,
    condition_colours,
    dash,
    name_set,
    new_figure,
    plain_log,
    stack,
    title_of,
)
from experiments.report.figures.times import BAND, dress_time, mark_epochs, spread
from experiments.results.queries import (
    at_chosen_rate,
    chosen_rate,
    first_set,
    needed,
    network,
)
from experiments.results.schema import find_group
from glorot_jax.confidence import mean_interval
from glorot_jax.plotting import legend_below

LineStyle = str | tuple[float, tuple[float, ...]]  # a name, or lengths on and off
Style = Callable[[NetworkSpec], tuple[str, LineStyle]]  # colour and line style


@dataclass(frozen=True)
class Course:
    """A network and its test error in %, [seed, update], at its chosen learning rate."""

    spec: NetworkSpec
    errors: np.ndarray


def courses(trained: xr.Dataset | None) -> list[Course]:
    """The networks that have a chosen learning rate; the others diverged at every rate."""
    if trained is None:
        return []
    learned = ((spec, network(trained, spec)) for spec in read(trained))
    shown = [
        Course(spec, 100 * at_chosen_rate(measured, "test_error"))
        for spec, measured in learned
        if chosen_rate(measured) is not None
    ]
    return [course for course in shown if np.isfinite(course.errors).any()]


def by_kind(specs: Iterable[NetworkSpec]) -> Style:
    """A colour for each kind of network, a line style for each initialiser and depth."""
    specs = list(specs)
    colours = condition_colours(specs)
    deepest = max(spec.depth for spec in specs)
    return lambda spec: (colours[spec.kind], dash(spec, deepest=deepest))


def draw_courses(axes: Axes, x: np.ndarray, shown: Sequence[Course], style: Style) -> None:
    """Test error of each network, mean and range over seeds."""
    for course in shown:
        colour, line = style(course.spec)
        mean = mean_interval(course.errors, axis=0).mean
        axes.plot(x, mean, color=colour, ls=line, label=course.spec.name)
        axes.fill_between(x, *spread(course.errors), color=colour, alpha=BAND, lw=0)
    axes.set_ylabel("test error (%)")


def _shown_set(results: xr.DataTree) -> list[str]:
    name = first_set(results, courses)
    return [] if name is None else [name]


def fig11(results: xr.DataTree) -> Figure:
    """Fig. 11: test error against the number of examples seen."""
    (name,) = _shown_set(results)
    trained = needed(results, name)
    shown = courses(trained)
    batch = float(trained.attrs.get("batch_size", 10))
    examples = np.asarray(trained["update"].values, np.float64) * batch
    scale, word = (1e6, "millions") if examples[-1] >= 1e6 else (1e3, "thousands")
    figure = new_figure(5.6)
    name_set(figure, name)
    axes = figure.subplots()
    draw_courses(axes, examples / scale, shown, by_kind(course.spec for course in shown))
    axes.set_xlabel(f"examples seen ({word})")
    axes.set_xlim(min(examples[0] / scale, 0.0), examples[-1] / scale)
    axes.set_ylim(bottom=0)
    mark_epochs(axes, updates_per_unit=scale / batch)
    legend_below(figure, [axes], columns=3)
    return figure


def _finite_sets(results: xr.DataTree) -> list[str]:
    return [name for name in FINITE if courses(find_group(results, name))]


def fig12(results: xr.DataTree) -> Figure:
    """Fig. 12: test error over training, a panel for each finite set that was trained on."""
    sets = [(name, needed(results, name)) for name in _finite_sets(results)]
    shown = [courses(trained) for _, trained in sets]
    style = by_kind(course.spec for panel in shown for course in panel)
    figure = new_figure(3.9 * len(sets) + 1.3)
    panels = stack(figure, len(sets), sharex=False)
    for axes, (name, trained), panel in zip(panels, sets, shown, strict=True):
        draw_courses(axes, dress_time([axes], trained["update"]), panel, style)
        axes.set_title(title_of(DATA_SETS[name].title))
        plain_log(axes, "y")
    legend_below(figure, panels, columns=3)
    return figure


FIGURES = {
    "fig11": FigureSpec(
        "Test error against the number of examples seen, each network at the learning rate of "
        "least validation error. Lines are means over seeds, bands the range over seeds. What "
        "must be seen: the final order of Table 1, and the network fine-tuned after "
        "denoising-autoencoder pre-training, where it is there, ending lowest.",
        lambda results: bool(_shown_set(results)),
        fig11,
        _shown_set,
    ),
    "fig12": FigureSpec(
        "Test error over training, on a logarithmic axis, each network at the learning rate of "
        "least validation error. Lines are means over seeds, bands the range over seeds. The "
        "paper shows MNIST and CIFAR-10; the titles say which sets these are.",
        lambda results: bool(_finite_sets(results)),
        fig12,
        _finite_sets,
    ),
}
