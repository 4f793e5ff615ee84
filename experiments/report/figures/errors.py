"""Figures of test errors over training: 11 and 12, and how every other one draws its curves."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from experiments.claims.paper import TABLE_1
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
from experiments.report.figures.marks import (
    FAINT,
    NEUTRAL,
    ON_CURVES,
    OVER_SEEDS,
    PAPER,
    explain,
    paper_levels,
)
from experiments.report.figures.times import BAND, mark_epochs, spread
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

TURN = 4.0  # line widths that each of several coinciding curves is drawn for
COINCIDE = 0.02  # of what all curves span
# Results from before their size was kept; docs/protocol.md has the sizes.
TRAINING_EXAMPLES = {
    "mnist": 50_000,
    "cifar10": 40_000,
    "small_imagenet": 90_000,
    "fashion_mnist": 50_000,
    "imagenette": 8469,
    "digits": 1283,
}

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
    """Test error of each network, mean and range over seeds.

    Curves that nobody could tell apart take turns, and the panel says that they coincide.
    """
    means = [mean_interval(course.errors, axis=0).mean for course in shown]
    turns = {i: (place, len(group)) for group in coinciding(means) for place, i in enumerate(group)}
    for i, (course, mean) in enumerate(zip(shown, means, strict=True)):
        colour, line = style(course.spec)
        place, count = turns.get(i, (0, 1))
        if count > 1:
            line = (TURN * place, (TURN, TURN * (count - 1)))
        axes.plot(x, mean, color=colour, ls=line, label=course.spec.name)
        axes.fill_between(x, *spread(course.errors), color=colour, alpha=BAND, lw=0)
    for group in coinciding(means):
        names = " and ".join(shown[i].spec.name for i in group)
        end = float(means[group[0]][np.isfinite(means[group[0]])][-1])
        axes.annotate(
            f"{names} coincide",
            (x[-1], end),
            xytext=(0, 6),
            textcoords="offset points",
            ha="right",
            fontsize=9,
            bbox=ON_CURVES,
        )
    axes.set_ylabel("test error (%)")


def coinciding(means: Sequence[np.ndarray]) -> list[list[int]]:
    """Places of curves [update] that lie on each other, from the middle of training to its end.

    They do if they are never further apart than ``COINCIDE`` of what all curves span, and of
    either on a logarithmic axis.
    """
    late = [mean[len(mean) // 2 :] for mean in means]
    known = np.concatenate([values[np.isfinite(values)] for values in means] or [np.zeros(0)])
    most = COINCIDE * float(np.ptp(known)) if known.size else 0.0
    groups: list[list[int]] = []
    for i, curve in enumerate(late):
        for group in groups:
            if all(np.all(np.abs(curve - late[j]) <= _within(late[j], most)) for j in group):
                group.append(i)
                break
        else:
            groups.append([i])
    return [group for group in groups if len(group) > 1]


def _within(curve: np.ndarray, most: float) -> np.ndarray:
    return np.minimum(most, COINCIDE * np.abs(curve))


def draw_paper(axes: Axes, name: str, shown: Sequence[Course], style: Style) -> dict[str, Artist]:
    """The paper's final errors on the set ``name``, faint; what a legend needs to say so."""
    errors = TABLE_1.get(name, {})
    levels = {
        course.spec.name: (100 * errors[course.spec.name], style(course.spec)[0])
        for course in shown
        if course.spec.name in errors
    }
    if not levels:
        return {}
    before = len(axes.lines)
    paper_levels(axes, levels)
    if len(axes.lines) == before:
        return {}
    return {f"{PAPER}'s final error": Line2D([], [], color=NEUTRAL, **FAINT)}


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
    figure = new_figure(6.1)
    name_set(figure, name)
    axes = figure.subplots()
    draw_courses(axes, examples / scale, shown, by_kind(course.spec for course in shown))
    axes.set_xlabel(f"examples seen ({word})")
    axes.set_xlim(min(examples[0] / scale, 0.0), examples[-1] / scale)
    mark_epochs(axes, updates_per_unit=scale / batch)
    paper = draw_paper(axes, name, shown, by_kind(course.spec for course in shown))
    explain(axes, {**OVER_SEEDS, **paper})
    legend_below(figure, [axes], columns=3)
    return figure


def _finite_sets(results: xr.DataTree) -> list[str]:
    return [name for name in FINITE if courses(find_group(results, name))]


def _passes(name: str, trained: xr.Dataset) -> tuple[np.ndarray, str]:
    """Passes over the training set at each checkpoint, and what they are of."""
    size = int(trained.attrs.get("training_examples", TRAINING_EXAMPLES.get(name, 0)))
    updates = np.asarray(trained["update"].values, np.float64)
    if not size:  # a set of one's own, measured before its size was kept
        return updates, "updates"
    passes = updates * float(trained.attrs.get("batch_size", 10)) / size
    thousands = f"{size:,}".replace(",", " ")
    return passes, f"passes over the {thousands} training examples"


def fig12(results: xr.DataTree) -> Figure:
    """Fig. 12: test error over training, a panel for each finite set that was trained on."""
    sets = [(name, needed(results, name)) for name in _finite_sets(results)]
    shown = [courses(trained) for _, trained in sets]
    style = by_kind(course.spec for panel in shown for course in panel)
    figure = new_figure(3.9 * len(sets) + 1.6)
    panels = stack(figure, len(sets), sharex=False)
    paper: dict[str, Artist] = {}
    for axes, (name, trained), panel in zip(panels, sets, shown, strict=True):
        passes, what = _passes(name, trained)
        draw_courses(axes, passes, panel, style)
        axes.set(xlabel=what, xlim=(0, passes[-1]))
        axes.set_title(title_of(DATA_SETS[name].title))
        plain_log(axes, "y")
        paper |= draw_paper(axes, name, panel, style)
    explain(panels[-1], {**OVER_SEEDS, **paper})
    legend_below(figure, panels, columns=3)
    return figure


FIGURES = {
    "fig11": FigureSpec(
        "Test error against the number of examples seen, each network at the learning rate of "
        "least validation error. Faint lines, where they are in reach, are the final errors of "
        "the paper's Table 1. What must be seen: the final order of Table 1, and the network "
        "fine-tuned after denoising-autoencoder pre-training, where it is there, ending lowest.",
        lambda results: bool(_shown_set(results)),
        fig11,
        _shown_set,
    ),
    "fig12": FigureSpec(
        "Test error over passes over the training set, on a logarithmic axis, each network at the "
        "learning rate of least validation error. Faint lines are the final errors of the paper's "
        "Table 1. The paper shows MNIST and CIFAR-10; the titles say which sets these are.",
        lambda results: bool(_finite_sets(results)),
        fig12,
        _finite_sets,
    ),
}
