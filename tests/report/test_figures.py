"""Every figure draws from made-up results, shows something everywhere and writes readable files."""

import itertools
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba
from PIL import Image

from glorot_jax.report import figures
from glorot_jax.report.figures import FIGURES, available, draw, save_figures
from tests import made_up

TRAINING = ("fig02", "fig03", "fig04", "fig09", "fig10", "fig11")


@pytest.fixture(scope="module")
def whole():
    """Results with every part; the sets of Fig. 12 are both there."""
    return made_up.results(
        examples=made_up.examples_part(),
        surface=made_up.surface_part(),
        initial=made_up.initial_part(),
        shapeset=made_up.training_part("shapeset"),
        mnist=made_up.training_part("mnist"),
        digits=made_up.training_part("digits"),
    )


@pytest.fixture(scope="module")
def drawn(whole):
    """Every figure, drawn once."""
    found = {key: draw(whole, key) for key in FIGURES}
    for figure in found.values():
        FigureCanvasAgg(figure).draw()
    return found


def _axes(figure):
    """All axes, the secondary ones too."""
    return [*figure.axes, *(child for axes in figure.axes for child in axes.child_axes)]


def _labels(figure):
    """Every text that is seen, with the box it takes."""
    renderer = figure.canvas.get_renderer()
    texts = []
    for axes in _axes(figure):
        texts += [axes.title, axes.xaxis.label, axes.yaxis.label, *axes.texts]
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
            inside = [tick for tick in ticks if low <= tick.get_loc() <= high]
            texts += [label for tick in inside for label in (tick.label1, tick.label2)]
        texts += axes.get_legend().get_texts() if axes.get_legend() else []
    for legend in figure.legends:
        texts += [legend.get_title(), *legend.get_texts()]
    seen = [text for text in texts if text.get_visible() and text.get_text().strip()]
    return [(text.get_text(), text.get_window_extent(renderer)) for text in seen]


def _overlap(one, other):
    """Whether two boxes share more than a pixel each way."""
    return (
        min(one.x1, other.x1) - max(one.x0, other.x0) > 1
        and min(one.y1, other.y1) - max(one.y0, other.y0) > 1
    )


def test_the_papers_figures_are_all_there(whole):
    assert available(whole) == list(FIGURES)
    assert {f"fig{i:02d}" for i in range(1, 13)} | {"eq17", "variances"} == set(FIGURES)


@pytest.mark.parametrize("key", FIGURES)
def test_no_panel_is_empty(drawn, key):
    assert drawn[key].axes
    for axes in drawn[key].axes:
        artists = [*axes.lines, *axes.collections, *axes.patches, *axes.images]
        assert artists, axes.get_title()


@pytest.mark.parametrize("key", [key for key in FIGURES if key != "fig05"])
def test_labels_do_not_overlap(drawn, key):
    """Not asked of Fig. 5, whose labels in three dimensions have no upright boxes."""
    pairs = itertools.combinations(_labels(drawn[key]), 2)
    clashes = [(a, b) for (a, first), (b, second) in pairs if _overlap(first, second)]
    assert not clashes


@pytest.mark.parametrize("key", FIGURES)
def test_labels_are_inside_and_large_enough(drawn, key):
    figure = drawn[key]
    assert figure.get_figwidth() <= 8
    for text, box in _labels(figure):
        if key != "fig05":
            assert box.x0 >= -1, text
            assert box.x1 <= figure.bbox.x1 + 1, text
            assert box.y0 >= -1, text
            assert box.y1 <= figure.bbox.y1 + 1, text
    sizes = [text.get_fontsize() for axes in _axes(figure) for text in (axes.title, *axes.texts)]
    assert min(sizes) >= 9


def test_files_are_valid(whole, tmp_path):
    small = made_up.results(
        surface=made_up.surface_part(), shapeset=made_up.training_part("shapeset")
    )
    files = save_figures(small, tmp_path / "figures")
    assert list(files) == available(small)
    for found in files.values():
        with Image.open(found.png) as image:
            image.verify()
        assert ElementTree.parse(found.svg).getroot().tag.endswith("svg")
    assert len(list((tmp_path / "figures").iterdir())) == 2 * len(files)


@pytest.mark.parametrize(
    ("part", "keys"),
    [
        ("examples", {"fig01"}),
        ("surface", {"fig05"}),
        ("initial", {"fig06", "fig07", "fig08", "eq17", "variances"}),
        ("shapeset", set(TRAINING)),
        ("mnist", {"fig12"}),
    ],
)
def test_a_part_gives_its_figures_and_no_others(part, keys):
    makers = {
        "examples": made_up.examples_part,
        "surface": made_up.surface_part,
        "initial": made_up.initial_part,
    }
    made = makers.get(part, lambda: made_up.training_part(part))()
    assert set(available(made_up.results(**{part: made}))) == keys


def test_a_figure_without_its_part_says_so():
    results = made_up.results(surface=made_up.surface_part())
    with pytest.raises(KeyError, match="shapeset"):
        draw(results, "fig02")


def test_test_error_is_drawn_as_measured(whole, drawn):
    axes = drawn["fig11"].axes[0]
    measured = 100 * whole["shapeset_test_error"].sel(shapeset_learning_rate=0.1)
    mean = measured.mean("shapeset_seed").values
    updates = whole["shapeset_update"].values
    assert [line.get_label() for line in axes.lines][3] == "Tanh N"
    for line, expected in zip(axes.lines, mean, strict=True):
        np.testing.assert_allclose(line.get_ydata(), expected)
        np.testing.assert_allclose(line.get_xdata(), updates * 10 / 1e6)


def test_weight_gradients_are_drawn_as_measured(whole, drawn):
    names = [str(name) for name in whole["shapeset_condition"].values]
    for axes, name in zip(drawn["fig09"].axes, ("Tanh", "Tanh N"), strict=True):
        assert axes.get_title() == name
        measured = whole["shapeset_weight_gradient_std"].values[names.index(name)].mean(axis=0)
        for layer, line in enumerate(axes.lines):
            np.testing.assert_allclose(line.get_ydata(), measured[:, layer])


def test_gradients_are_drawn_in_their_own_units(whole, drawn):
    """The area under each curve is 1, less what the two outermost bins hold."""
    axes = drawn["fig07"].axes[0]
    row = 0
    assert whole["initial_activation"].values[row] == "tanh"
    assert whole["initial_initializer"].values[row] == "standard"
    fractions = whole["initial_backprop_histogram"].values[row].mean(axis=0)[:, 1:-1]
    unit = whole["initial_backprop_unit"].values[row, :, 0].mean()
    for layer, stairs in enumerate(axes.patches):
        values, edges, _ = stairs.get_data()
        np.testing.assert_allclose(values * np.diff(edges), fractions[layer])
        np.testing.assert_allclose(edges[0], whole["initial_gradient_bin_edge"].values[1] * unit)


def test_a_layer_keeps_its_colour_across_figures(drawn):
    first, second = (drawn[key].axes[0].lines[0].get_color() for key in ("fig03", "fig10"))
    assert to_rgba(first) == to_rgba(second)


def _with_a_diverged_condition(lost):
    """A part of which every member of the conditions ``lost`` left the finite numbers."""
    made = made_up.training_part("shapeset").copy(deep=True)
    for name in made.data_vars:
        if made[name].dims[:1] == ("condition",):
            values = made[name].values.astype(float)
            values[[list(made["condition"].values).index(label) for label in lost]] = np.nan
            made[name] = (made[name].dims, values)
    return made_up.results(shapeset=made)


def test_a_diverged_condition_is_left_out():
    results = _with_a_diverged_condition(["Softsign"])
    assert set(available(results)) == set(TRAINING)
    for key in TRAINING:
        figure = draw(results, key)
        FigureCanvasAgg(figure).draw()
        titles = [axes.get_title() for axes in figure.axes]
        assert "Softsign" not in titles
    labels = [line.get_label() for line in draw(results, "fig11").axes[0].lines]
    assert labels == ["Softsign N", "Tanh", "Tanh N", "Sigmoid", "Sigmoid, depth 4"]


def test_a_figure_whose_conditions_all_diverged_is_not_made():
    results = _with_a_diverged_condition(["Tanh N", "Sigmoid", "Sigmoid 4"])
    assert {"fig02", "fig10"}.isdisjoint(available(results))


def test_one_seed_draws_without_intervals():
    results = made_up.results(
        initial=made_up.initial_part(seeds=1), shapeset=made_up.training_part("shapeset", seeds=1)
    )
    for key in available(results):
        FigureCanvasAgg(draw(results, key)).draw()


def test_a_shallow_net_has_no_fifth_layer(drawn):
    shallow, deep = drawn["fig02"].axes
    assert (shallow.get_title(), deep.get_title()) == ("Sigmoid, depth 4", "Sigmoid")
    assert (len(shallow.lines), len(deep.lines)) == (4, 5)


def test_fig_12_says_which_set_it_is():
    results = made_up.results(digits=made_up.training_part("digits"))
    assert "not MNIST" in draw(results, "fig12").axes[0].get_title()


def test_a_full_disk_leaves_no_part_of_a_figure(whole, tmp_path, monkeypatch):
    def full(self, *args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(figures.Figure, "savefig", full)
    with pytest.raises(OSError, match="No space left"):
        save_figures(whole, tmp_path)
    assert not list(tmp_path.iterdir())
