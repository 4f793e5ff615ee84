"""Figures of the studies: depth and rate chosen, section 5, costs, Gaussians, today's starts."""

from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from matplotlib.lines import Line2D

from experiments.data.registry import SHAPESET
from experiments.networks import NetworkSpec, read
from experiments.report.figures.common import (
    BLACK,
    COLOURS,
    DASHES,
    GREEN,
    NAVY,
    OTHER_COLOURS,
    OTHER_DASH,
    PURPLE,
    SKY,
    VERMILION,
    FigureSpec,
    name_set,
    new_figure,
    plain_log,
)
from experiments.report.figures.errors import (
    Course,
    LineStyle,
    Style,
    by_kind,
    courses,
    draw_courses,
)
from experiments.report.figures.marks import (
    FAINT,
    NEUTRAL,
    OVER_SEEDS,
    PAPER,
    STRETCH,
    WITH_INTERVAL,
    explain,
)
from experiments.report.figures.times import BAND, dress_time
from experiments.results.queries import (
    at_chosen_rate,
    chosen_rate,
    dataset_of,
    final_percent,
    needed,
    network,
)
from experiments.results.schema import find_group
from glorot_jax.confidence import Interval, mean_interval
from glorot_jax.plotting import legend_below, shortened

OPTION_COLOURS = {
    ("hessian_diagonal", "equal"): GREEN,
    ("gradient_variance", "equal"): PURPLE,
    ("sgd", "growing"): NAVY,
    ("sgd", "shrinking"): SKY,
}
LOSS_DASHES: dict[str, LineStyle] = {"cross_entropy": "-", "quadratic": (0, (3, 1.5))}
UNIT_COLOURS = {"tanh": VERMILION, "softsign": NAVY, "sigmoid": BLACK, "relu": GREEN}
PAPER_DEPTHS = (4, 5)  # section 2.3: 5 is the best on Shapeset, 4 for sigmoid
GAUSSIAN = "gaussian"
PLAIN_GAUSSIAN = 0.01  # the standard deviation of the initialiser without a scale
DODGE = 0.06  # of a depth, between the models of the selection
LOG_FROM = 4.0  # ratio of the greatest to the least number from which an axis is logarithmic


# The selection of depth and learning rate


def at_depth(selection: xr.Dataset, model: int, depth: int) -> NetworkSpec | None:
    """The network that is that model with that depth, None if it wasn't trained."""
    kind = tuple(str(selection[f"model_{n}"].values[model]) for n in ("activation", "initializer"))
    return next(
        (spec for spec in read(selection) if spec.kind == kind and spec.depth == depth), None
    )


def candidate_depths(selection: xr.Dataset) -> list[int]:
    """The depths that every model was trained with."""
    if "candidate_depth" in selection.variables:
        return [int(depth) for depth in selection["candidate_depth"].values]
    return [i + 1 for i in range(selection.sizes["candidate_depth"])]


def _depth_interval(selection: xr.Dataset, model: int, depth: int) -> Interval:
    """Final validation error in % of a model with that depth, at its best rate, over seeds."""
    spec = at_depth(selection, model, depth)
    measured = None if spec is None else network(selection, spec)
    if measured is None or chosen_rate(measured) is None:
        return mean_interval(np.full(1, np.nan), axis=0)
    return mean_interval(100 * at_chosen_rate(measured, "validation_error")[:, -1], axis=0)


def selection(results: xr.DataTree) -> Figure:
    """Validation error of each model against its depth, the chosen depth marked."""
    chosen = needed(results, "selection")
    depths = candidate_depths(chosen)
    names = [str(name) for name in chosen["model"].values]
    kinds = [
        NetworkSpec(str(activation), str(scheme), max(depths))
        for activation, scheme in zip(
            chosen["model_activation"].values, chosen["model_initializer"].values, strict=True
        )
    ]
    style = by_kind(kinds)
    figure = new_figure(5.8)
    name_set(figure, dataset_of(chosen))
    axes = figure.subplots()
    for i, (name, spec) in enumerate(zip(names, kinds, strict=True)):
        colour, line = style(spec)
        x = np.array(depths) + DODGE * (i - (len(names) - 1) / 2)
        mean = 100 * np.asarray(chosen["depth_error"].values[i], np.float64)
        half = np.array([_depth_interval(chosen, i, depth).half for depth in depths])
        axes.errorbar(
            x, mean, np.nan_to_num(half), color=colour, ls=line, marker="o", ms=3.5, label=name
        )
        best = np.asarray(depths) == chosen["chosen_depth"].values[i]
        axes.plot(x[best], mean[best], "o", ms=11, mfc="none", color=colour)
    axes.plot([], [], "o", ms=11, mfc="none", color="#555555", label="chosen depth")
    axes.set(xlabel="hidden layers", ylabel="validation error (%)", xticks=depths)
    explain(axes, WITH_INTERVAL | _paper_depths(axes, chosen, depths))
    legend_below(figure, [axes], columns=3)
    return figure


def _paper_depths(axes: Axes, chosen: xr.Dataset, depths: list[int]) -> dict[str, Artist]:
    """The depths that the paper found best on Shapeset, faint; what a legend needs to say so."""
    shown = [depth for depth in depths if depth in PAPER_DEPTHS]
    if dataset_of(chosen) != SHAPESET or not shown:
        return {}
    for depth in shown:
        axes.axvline(depth, color=NEUTRAL, **FAINT)
    return {f"{PAPER}'s depth (4: sigmoid)": Line2D([], [], color=NEUTRAL, **FAINT)}


# Courses of test error


def _draw_study(figure: FigureBase, study: xr.Dataset, shown: list[Course], style: Style) -> Axes:
    """Test errors of those conditions over training, with their own legend below."""
    axes = figure.subplots()
    draw_courses(axes, dress_time([axes], study["update"]), shown, style)
    explain(axes, OVER_SEEDS)
    legend_below(figure, [axes], columns=2)
    return axes


def _section5_style(spec: NetworkSpec) -> tuple[str, LineStyle]:
    """The paper's networks as everywhere, a colour for every other optimizer or shape."""
    option = OPTION_COLOURS.get((spec.optimizer, spec.shape))
    colour = option or COLOURS.get(spec.kind, OTHER_COLOURS[0])
    return colour, DASHES.get(spec.scheme, OTHER_DASH)


def section5(results: xr.DataTree) -> Figure:
    """Section 5: per-parameter learning rates above, widths that change with depth below."""
    study = needed(results, "section5")
    shown = courses(study)
    usual = [course for course in shown if course.spec.plain]
    panels = [
        (title, others)
        for title, others in (
            ("learning rates by parameter", [c for c in shown if c.spec.optimizer != "sgd"]),
            ("widths that change with depth", [c for c in shown if c.spec.shape != "equal"]),
        )
        if others
    ] or [("", [])]
    figure = new_figure(5.4 * len(panels) + 0.3)
    name_set(figure, dataset_of(study))
    places = figure.subfigures(len(panels), 1, squeeze=False)[:, 0]
    for place, (title, others) in zip(places, panels, strict=True):
        axes = _draw_study(place, study, [*usual, *others], _section5_style)
        axes.set_title(title)
    return figure


def costs(results: xr.DataTree) -> Figure:
    """Section 4.1: networks trained on the quadratic cost beside those on the cross-entropy."""
    study = needed(results, "costs")
    shown = courses(study)
    colours = by_kind(course.spec for course in shown)
    figure = new_figure(6.0)
    name_set(figure, dataset_of(study))

    def style(spec: NetworkSpec) -> tuple[str, LineStyle]:
        return colours(spec)[0], LOSS_DASHES.get(spec.loss, OTHER_DASH)

    _draw_study(figure, study, shown, style)
    return figure


def gaussian_scale(initializer: str) -> float | None:
    """The standard deviation in the name of a Gaussian start, None of any other start."""
    name, _, scale = initializer.partition("(")
    if name != GAUSSIAN:
        return None
    return float(scale.removesuffix(")")) if scale else PLAIN_GAUSSIAN


def _final_error(study: xr.Dataset, spec: NetworkSpec) -> Interval:
    return final_percent(network(study, spec))


def gaussians(results: xr.DataTree) -> Figure:
    """Final test error against the scale of a Gaussian start, beside the paper's two starts."""
    study = needed(results, "gaussians")
    learned = [course.spec for course in courses(study)]
    scales = {spec: gaussian_scale(spec.scheme) for spec in learned}
    drawn = sorted(
        ((scale, spec) for spec, scale in scales.items() if scale is not None),
        key=lambda pair: pair[0],
    )
    figure = new_figure(5.5)
    name_set(figure, dataset_of(study))
    axes = figure.subplots()
    for unit in dict.fromkeys(spec.activation for _, spec in drawn):
        mine = [(scale, spec) for scale, spec in drawn if spec.activation == unit]
        errors = [_final_error(study, spec) for _, spec in mine]
        axes.errorbar(
            [scale for scale, _ in mine],
            [float(one.mean) for one in errors],
            np.nan_to_num([float(one.half) for one in errors]),
            fmt="o-",
            color=COLOURS.get((unit, GAUSSIAN), UNIT_COLOURS.get(unit, OTHER_COLOURS[0])),
            label=f"{unit}, Gaussian",
        )
    style = by_kind(learned)
    for spec in (spec for spec, scale in scales.items() if scale is None):
        colour, line = style(spec)
        mean, half = (float(number) for number in _final_error(study, spec))
        axes.axhline(mean, color=colour, ls=line, label=spec.name)
        axes.axhspan(
            mean - np.nan_to_num(half), mean + np.nan_to_num(half), color=colour, alpha=BAND, lw=0
        )
    axes.set(xlabel="standard deviation of every weight", ylabel="test error (%)")
    if drawn:
        axes.set_xscale("log")
    explain(axes, {**WITH_INTERVAL, "95% interval of a line": STRETCH})
    legend_below(figure, [axes], columns=3)
    return figure


# Today's starts


def modern(results: xr.DataTree) -> Figure:
    """Final test error of each start, one colour a unit."""
    study = needed(results, "modern")
    learned = [course.spec for course in courses(study)]
    starts = list(dict.fromkeys(spec.scheme for spec in learned))
    units = list(dict.fromkeys(spec.activation for spec in learned))
    others = iter(OTHER_COLOURS * 8)
    colours = {unit: UNIT_COLOURS.get(unit) or next(others) for unit in units}
    figure = new_figure(0.34 * len(starts) + 0.1 * len(units) + 2.4)
    name_set(figure, dataset_of(study))
    axes = figure.subplots()
    seen: list[float] = []
    for i, unit in enumerate(units):
        mine = [spec for spec in learned if spec.activation == unit]
        errors = [_final_error(study, spec) for spec in mine]
        seen += [float(one.mean) for one in errors]
        axes.errorbar(
            [float(one.mean) for one in errors],
            [_height(starts.index(spec.scheme), i, len(units)) for spec in mine],
            xerr=np.nan_to_num([float(one.half) for one in errors]),
            fmt="o",
            ms=5,
            color=colours[unit],
            label=unit.rsplit(":")[-1],
        )
    names = [shortened(start.rsplit(":")[-1].replace("_", " ")) for start in starts]
    axes.set_yticks(range(len(starts)), names)
    axes.set_ylim(len(starts) - 0.5, -0.5)
    axes.set_xlabel("test error (%)")
    if max(seen) > LOG_FROM * min(seen) > 0:
        plain_log(axes, "x")
    explain(axes, WITH_INTERVAL)
    legend_below(figure, [axes], columns=5)
    return figure


def _height(start: int, unit: int, units: int) -> float:
    """Where a unit's point stands, about the line of its start."""
    return start + 0.5 * (unit - (units - 1) / 2) / units


def _spec(name: str, caption: str, draw: Callable[[xr.DataTree], Figure]) -> FigureSpec:
    """The entry of the figure of the study ``name``."""

    def sets(results: xr.DataTree) -> Sequence[str]:
        return [dataset_of(needed(results, name))]

    def drawable(results: xr.DataTree) -> bool:
        return bool(courses(find_group(results, name)))

    return FigureSpec(caption, drawable, draw, sets)


_COURSES = "Test error over training, each network at the learning rate of least validation error."

FIGURES = {
    "selection": _spec(
        "selection",
        "Final validation error against the number of hidden layers, each network at its own best "
        "learning rate; mean over seeds with its 95% t interval, the chosen depth of each model "
        "circled. What must be seen: on Shapeset 5 is best, but 4 for sigmoid.",
        selection,
    ),
    "section5": _spec(
        "section5",
        f"{_COURSES} Hessian rates divide by an estimate of the diagonal of the Hessian, variance "
        "rates by one of the gradient's variance. What must be seen: either helps tanh with the "
        "standard initialisation without reaching the normalized one (N), and helps the latter "
        "further; widths that grow or shrink with depth change none of what N gains.",
        section5,
    ),
    "costs": _spec(
        "costs",
        f"{_COURSES} What must be seen: with the quadratic cost, whose plateaus Fig. 5 shows, "
        "networks learn more slowly or stay behind.",
        costs,
    ),
    "gaussians": _spec(
        "gaussians",
        "Final test error against the standard deviation of the weights, the same in every layer, "
        "beside the paper's standard and normalized initialisations (lines), which take theirs "
        "from the layer's size. Mean over seeds with its 95% t interval. A scale at which every "
        "learning rate diverged isn't shown. Not in the paper.",
        gaussians,
    ),
    "modern": _spec(
        "modern",
        "Final test error by initialiser, one colour a unit, each network at the learning rate of "
        "least validation error; mean over seeds with its 95% t interval. A network that diverged "
        "at every learning rate isn't shown. Not in the paper.",
        modern,
    ),
}
