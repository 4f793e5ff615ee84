"""Figures say what their marks are, show the paper's own values, scaled to what they show."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.legend import Legend

from experiments.claims.paper import TABLE_1
from experiments.report.figures import FIGURES, draw
from experiments.report.figures.errors import coinciding
from experiments.report.figures.marks import LINE, explain, paper_levels
from experiments.report.figures.surface import plateau_of
from glorot_jax.colours import DARK, LEAST_CONTRAST, LIGHT, contrast, on_dark
from tests.experiments import made_up

EXPLAINED = {
    "fig02": {"mean over seeds", "one standard deviation"},
    "fig03": {"98th percentile", "standard deviation", "least to greatest seed"},
    "fig04": {"mean over seeds", "the paper: softsign's mass"},
    "fig05": {"plateau of this net"},
    "fig06": {"measured", "mean field"},
    "fig09": {"mean over seeds", "least to greatest seed"},
    "fig11": {"mean over seeds", "least to greatest seed", "the paper's final error"},
    "fig12": {"mean over seeds", "least to greatest seed", "the paper's final error"},
    "eq17": {"mean over seeds", "its 95% interval", "the paper, of its colour", "measured"},
    "variances": {"mean over seeds", "its 95% interval", "95% of such means"},
    "phase": {"critical", "a factor e in 3 layers", "a factor e in 10 layers"},
    "pretraining": {"mean over seeds", "least to greatest seed"},
    "selection": {"its 95% interval", "the paper's depth (4: sigmoid)"},
    "section5": {"mean over seeds", "least to greatest seed"},
    "costs": {"mean over seeds", "least to greatest seed"},
    "gaussians": {"its 95% interval", "95% interval of a line"},
    "modern": {"mean over seeds", "its 95% interval"},
    "baseline": {"least to greatest seed", "the paper, on 100 000 examples"},
}


@pytest.fixture(scope="module")
def whole():
    return made_up.results()


@pytest.fixture(scope="module")
def drawn(whole):
    return {key: draw(whole, key) for key in FIGURES}


def _faint(axes):
    """The paper's values, as lines across or up: a name with an underscore, and thick."""
    return [line for line in axes.lines if line.get_linewidth() == 3.5]


def _levels(axes):
    return sorted(float(line.get_ydata()[0]) for line in _faint(axes))


@pytest.mark.parametrize("key", EXPLAINED)
def test_legends_say_what_marks_are(drawn, key):
    legends = drawn[key].findobj(Legend)
    texts = {text.get_text() for legend in legends for text in legend.get_texts()}
    assert EXPLAINED[key] <= texts


def test_a_key_lies_beneath_its_axes_and_gets_room():
    figure = Figure(layout="constrained")
    axes = figure.subplots()
    axes.set_xlabel("x")
    explain(axes, {"mean over seeds": LINE})
    figure.draw_without_rendering()
    box = axes.findobj(Legend)[0].get_window_extent()
    assert box.y0 >= 0
    assert box.y1 <= axes.xaxis.label.get_window_extent().y0


@pytest.mark.parametrize("key", FIGURES)
def test_what_a_legend_names_is_seen_on_white_and_on_a_dark_page(drawn, key):
    for axes in drawn[key].axes:
        for line in axes.lines:
            if not line.get_label().startswith("_") and line.get_alpha() is None:
                alone = line.get_linestyle() == "None"  # a marker without a line
                colour = to_hex(line.get_markeredgecolor() if alone else line.get_color())
                assert contrast(colour, LIGHT) >= LEAST_CONTRAST
                assert contrast(on_dark(colour), DARK) >= LEAST_CONTRAST


# The paper's values


def test_final_errors_of_table_1_are_in_figs_11_and_12(drawn):
    names = ("Softsign", "Softsign N", "Tanh", "Tanh N", "Sigmoid")
    for axes, name in ((drawn["fig11"].axes[0], "shapeset"), (drawn["fig12"].axes[0], "mnist")):
        np.testing.assert_allclose(_levels(axes), sorted(100 * TABLE_1[name][n] for n in names))


def test_a_set_that_the_paper_lacks_has_none_of_its_values():
    results = made_up.results(digits=made_up.training_part("digits"))
    assert not _faint(draw(results, "fig12").axes[0])


def test_other_values_of_the_paper_are_there(drawn):
    assert _levels(drawn["eq17"].axes[0]) == [0.5, 0.8]
    np.testing.assert_allclose(_levels(drawn["baseline"].axes[0]), [50.47, 59.47])
    depths = [line.get_xdata()[0] for line in _faint(drawn["selection"].axes[0])]
    assert depths == [4, 5]
    shaded = [patch.get_extents() for patch in drawn["fig04"].axes[1].patches if patch.get_fill()]
    assert len(shaded) == 2
    (left,) = _faint(drawn["fig02"].axes[0])
    assert left.get_xdata()[0] == 2.0  # million updates, epoch 100
    assert not _faint(drawn["fig02"].axes[1])


def _axes(low, high, *, scale="linear"):
    axes = Figure().subplots()
    axes.plot([0, 1], [low, high])
    axes.set_yscale(scale)
    axes.set_ylim(low, high)
    return axes


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_values_in_reach_widen_the_axis_and_those_beyond_are_named(scale):
    axes = _axes(60.0, 90.0, scale=scale)
    paper_levels(axes, {"a": (55.0, "black"), "b": (2.0, "black"), "c": (1.0, "black")})
    assert _levels(axes) == [55.0]
    low, high = axes.get_ylim()
    assert 50 < low < 55
    assert high == pytest.approx(90)
    (note,) = axes.texts
    assert note.get_text() == "↓ the paper ends at 1.00 to 2.00"
    line = axes.transData.transform((0.0, 55.0))[1]
    assert note.get_window_extent().y1 < line - 2, "the note lies on the line of the value above it"


def test_values_inside_leave_the_axis_alone():
    axes = _axes(10.0, 90.0)
    paper_levels(axes, {"a": (50.0, "black"), "b": (300.0, "black")})
    assert axes.get_ylim() == (10.0, 90.0)
    assert [text.get_text() for text in axes.texts] == ["↑ the paper ends at 300.00"]


# Scales


def test_the_axis_of_fig_11_begins_where_the_errors_do():
    part = made_up.training_part("shapeset", final_error=dict.fromkeys(made_up.CONDITIONS, 0.6))
    axes = draw(made_up.results(shapeset=part), "fig11").axes[0]
    assert 35 < axes.get_ylim()[0] < 60


def test_panels_of_fig_9_are_about_what_they_show_and_of_one_length():
    part = made_up.training_part("shapeset").copy(deep=True)
    names = list(part["condition"].values)
    part["weight_gradient_std"].values[names.index("Tanh N")] *= 1000
    tanh, normalized = draw(made_up.results(shapeset=part), "fig09").axes
    ratios = [axes.get_ylim()[1] / axes.get_ylim()[0] for axes in (tanh, normalized)]
    assert ratios[0] == pytest.approx(ratios[1])
    for axes, name in ((tanh, "Tanh"), (normalized, "Tanh N")):
        shown = part["weight_gradient_std"].values[names.index(name)]
        low, high = axes.get_ylim()
        assert low < np.nanmin(shown)
        assert np.nanmax(shown) < high
        assert np.sqrt(low * high) == pytest.approx(np.sqrt(shown.min() * shown.max()), rel=0.2)
    shown = part["weight_gradient_std"].values[names.index("Tanh")]
    assert ratios[0] < 2 * shown.max() / shown.min()  # no longer than the longer one needs


def test_fig_12_counts_passes_over_the_set(whole, drawn):
    axes = drawn["fig12"].axes[0]
    updates = whole["mnist/update"].values
    np.testing.assert_allclose(axes.lines[0].get_xdata(), updates * 10 / 50_000)
    assert axes.get_xlabel() == "passes over the 50 000 training examples"


def test_the_size_that_results_hold_goes_before_the_known_one():
    part = made_up.training_part("mnist").assign_attrs(training_examples=1000)
    axes = draw(made_up.results(mnist=part), "fig12").axes[0]
    np.testing.assert_allclose(axes.lines[0].get_xdata(), part["update"].values * 10 / 1000)


def test_fig_5_is_side_by_side_on_one_scale(drawn):
    left, right, bar = drawn["fig05"].axes
    assert left.get_position().y0 == pytest.approx(right.get_position().y0)
    assert left.get_ylim() == right.get_ylim()
    maps = [axes.collections[0] for axes in (left, right)]
    assert [shown.get_clim() for shown in maps] == [(0, 1), (0, 1)]
    assert [(shown.get_array().min(), shown.get_array().max()) for shown in maps] == [(0, 1)] * 2
    assert "least" in bar.get_xlabel()


def test_a_plateau_is_where_much_is_left_and_the_slope_is_small():
    """On cost = w the slope is 1: less than a tenth of what is left to gain from 10 on."""
    part = made_up.surface_part(points=41)
    weights = np.linspace(0, 20, 41)
    part["first_weight"] = weights
    part["cross_entropy"].values[:] = weights[:, None]
    np.testing.assert_array_equal(
        plateau_of(part, "cross_entropy"), np.broadcast_to(weights[:, None] > 10, (41, 41))
    )


# Curves that lie on each other


def test_coinciding_curves_are_grouped():
    flat, other, falling = np.full(10, 80.0), np.full(10, 80.3), np.linspace(80, 20, 10)
    assert coinciding([flat, falling, other]) == [[0, 2]]
    assert coinciding([flat, falling]) == []
    assert coinciding([]) == []
    apart_at_the_start = np.concatenate([[95.0], other[1:]])
    assert coinciding([flat, apart_at_the_start, falling]) == [[0, 1]]


def test_small_errors_are_apart_on_a_logarithmic_axis():
    assert coinciding([np.full(4, 90.0), np.full(4, 2.0), np.full(4, 1.5)]) == []


def test_fig_11_says_which_curves_coincide():
    errors = {"Sigmoid": 0.8333, "Sigmoid 4": 0.8333, "Tanh": 0.3, "Tanh N": 0.2}
    part = made_up.training_part("shapeset", final_error=errors)
    axes = draw(made_up.results(shapeset=part), "fig11").axes[0]
    notes = [text.get_text() for text in axes.texts if "coincide" in text.get_text()]
    assert any("Sigmoid, depth 4" in note and "Sigmoid" in note for note in notes)
    lines = {line.get_label(): line for line in axes.lines}
    patterns = [lines[name]._unscaled_dash_pattern for name in ("Sigmoid", "Sigmoid, depth 4")]
    (first, on_off), (second, other) = patterns
    assert first != second  # one is drawn where the other is not
    assert on_off == other
