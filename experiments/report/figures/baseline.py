"""The baseline of section 5: an RBF SVM and a network on the same fixed examples."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from experiments.claims.baseline import PAPER as PAPER_ERRORS
from experiments.report.figures.common import COLOURS, PURPLE, FigureSpec, new_figure
from experiments.report.figures.marks import (
    FAINT,
    NEUTRAL,
    OVER_SEEDS,
    PAPER,
    explain,
    paper_levels,
)
from experiments.report.figures.times import BAND, dress_time, spread
from experiments.results.queries import nearest, needed, values
from experiments.results.schema import find_group
from glorot_jax.confidence import mean_interval
from glorot_jax.plotting import legend_below

GROUP = "baseline"
PAPER_SVM, PAPER_NET = (100 * PAPER_ERRORS[name] for name in ("svm", "net"))  # %
SVM_COLOUR = PURPLE


def net_course(group: xr.Dataset) -> np.ndarray:
    """Test error [seed, update] of each seed's network at the learning rate chosen for it."""
    rates = values(group, "learning_rate", "learning_rate")
    chosen = values(group, "net_chosen_learning_rate", "seed")
    courses = values(group, "net_test_error_course", "seed", "learning_rate", "update")
    places = [nearest(rates, rate) for rate in chosen]
    return np.stack([course[place] for course, place in zip(courses, places, strict=True)])


def baseline(results: xr.DataTree) -> Figure:
    """The network's test error over its training, with the SVM's as a level."""
    group = needed(results, GROUP)
    figure = new_figure(5.0)
    axes = figure.subplots()
    errors = 100 * net_course(group)
    x = dress_time([axes], group["update"])
    colour = COLOURS[("tanh", "normalized")]
    axes.plot(x, mean_interval(errors, axis=0).mean, color=colour, label="Tanh N")
    axes.fill_between(x, *spread(errors), color=colour, alpha=BAND, lw=0)
    stopped = np.asarray(group["net_chosen_update"].values, np.float64) * x[-1]
    axes.plot(
        stopped / float(group["update"].values[-1]),
        100 * np.asarray(group["net_test_error"].values, np.float64),
        "o",
        mfc="none",
        color=colour,
        clip_on=False,
        label="where each seed stopped",
    )
    svm = 100 * np.asarray(group["svm_test_error"].values, np.float64)
    axes.axhline(float(svm.mean()), color=SVM_COLOUR, label="RBF SVM")
    axes.axhspan(svm.min(), svm.max(), color=SVM_COLOUR, alpha=BAND, lw=0)
    axes.set_ylabel("test error (%)")
    paper_levels(axes, {"Tanh N": (PAPER_NET, colour), "RBF SVM": (PAPER_SVM, SVM_COLOUR)})
    marks = {**OVER_SEEDS, f"{PAPER}, on 100 000 examples": Line2D([], [], color=NEUTRAL, **FAINT)}
    explain(axes, marks)
    legend_below(figure, [axes], columns=3)
    return figure


FIGURES = {
    "baseline": FigureSpec(
        "Test error of the 5-layer tanh network with normalized initialisation over its training "
        "on a fixed sample, and the level of an RBF SVM trained on the same examples. Faint: the "
        "paper's, which has 100 000 examples. Circles: where validation error stopped each seed's "
        "network. What must be seen: the network ends below the SVM, in the paper 50.47% against "
        "59.47%.",
        lambda results: find_group(results, GROUP) is not None,
        baseline,
        lambda results: ["shapeset"],
    ),
}
