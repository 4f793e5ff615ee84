"""A whole report: over seeds, in text, as a figure and a page, and in words where it can't be."""

import json
import re
from dataclasses import asdict
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import glorot_jax as gj
from glorot_jax.diagnosis import site_statistics, trace
from glorot_jax.diagnosis.judging.finding import WARNING, Finding
from tests.diagnosis import models

KEY = jax.random.key(3)
SEEDS = 3


def _init(key, scale=1.0):
    model, _ = models.traced("plain_mlp")
    leaves, structure = jax.tree.flatten(model.params)
    keys = jax.random.split(key, len(leaves))
    drawn = [scale * jax.random.normal(k, leaf.shape) for k, leaf in zip(keys, leaves, strict=True)]
    return jax.tree.unflatten(structure, drawn)


def _diagnose(params, **how):
    model, _ = models.traced("plain_mlp")
    return gj.diagnose(model.apply, params, model.x, models.labels(), **how)


@cache
def _over_seeds():
    return _diagnose(_init, seeds=SEEDS, key=KEY)


@cache
def _sick():
    """Kernels and biases twenty times too large, and a parameter that nothing uses."""
    model, _ = models.traced("plain_mlp")
    params = {**jax.tree.map(lambda leaf: 20 * leaf, model.params), "spare": jnp.ones(2)}
    return _diagnose(params, spectra=False)


def test_seeds_are_measured_as_each_alone():
    model, found = models.traced("plain_mlp")
    data = _over_seeds().to_dataset()
    alone = jax.jit(partial(site_statistics, found))
    for seed, key in enumerate(jax.random.split(KEY, SEEDS)):
        expected = alone(_init(key), model.x, models.labels())
        for name, values in expected.items():
            np.testing.assert_allclose(data[name][seed], values, rtol=1e-4, atol=1e-6, err_msg=name)


def test_stacked_parameters_are_the_seeds_of_an_init():
    stacked = jax.vmap(_init)(jax.random.split(KEY, SEEDS))
    theirs = _diagnose(stacked, seeds=SEEDS, key=KEY).to_dataset()
    xr.testing.assert_allclose(theirs, _over_seeds().to_dataset(), rtol=1e-4, atol=1e-6)


def test_every_number_is_labelled():
    data = _over_seeds().to_dataset()
    assert list(data.site.values) == ["first/w", "middle/w", "last/w"]
    assert data.sizes["seed"] == SEEDS
    for name, variable in data.data_vars.items():
        assert variable.attrs["long_name"] != name
        assert name.startswith("whole_") or "site" in variable.dims


def test_gains_are_ratios_of_neighbours():
    data = _over_seeds().to_dataset()
    rms = np.sqrt(data.s_mean_square.values)
    np.testing.assert_allclose(data.gain_forward[:, 1:], rms[:, 1:] / rms[:, :-1], rtol=1e-6)
    rms = np.sqrt(data.ds_mean_square.values)
    np.testing.assert_allclose(data.gain_backward[:, :-1], rms[:, :-1] / rms[:, 1:], rtol=1e-6)
    assert np.isnan(data.gain_forward[:, 0]).all()
    assert np.isnan(data.gain_backward[:, -1]).all()


def test_the_table_starts_with_the_worst_site():
    lines = str(_sick()).splitlines()
    rows = [line for line in lines if "/w" in line and "  " in line.strip()][:3]
    assert [row.split()[0] for row in rows][:2] == ["!!", "!!"]
    assert "saturated" in str(_sick())
    assert "spare is never used" in str(_sick())


def test_the_order_is_that_of_the_program_or_the_worst_first():
    report = _over_seeds()
    for order in ("depth", "worst"):
        lines = report.table(order=order, width=100).splitlines()
        rows = [word for line in lines for word in line.split() if word.endswith("/w")]
        assert sorted(rows) == ["first/w", "last/w", "middle/w"]
        assert order == "worst" or rows == ["first/w", "middle/w", "last/w"]
    with pytest.raises(ValueError, match=r'^order: "width" is neither "depth" nor "worst"$'):
        report.table(order="width")


@pytest.mark.parametrize("width", [60, 100, 140])
def test_no_line_is_longer_than_there_is_room(width):
    for report in (_sick(), _over_seeds()):
        assert max(map(len, report.to_text(width=width).splitlines())) <= width


def test_a_notebook_shows_the_verdict_and_a_table():
    cell = _sick()._repr_html_()
    for text in ("Verdict", "severe (won&#39;t train)", "<table", "middle/w"):
        assert text in cell
    assert "<script" not in cell


def test_names_are_escaped():
    params = {"<b>w</b>": jnp.ones((5, 3)) * jnp.arange(3.0)[None]}
    x, y = models.examples()[:, :5], models.labels()
    report = gj.diagnose(lambda p, x: x @ p["<b>w</b>"], params, x, y, spectra=False)
    assert "<b>w" not in report._repr_html_()


def test_warnings_stop_ci_where_they_are_asked_to():
    warning = Finding("slow", WARNING, (), "it is slow", "hurry")
    data = _over_seeds().data.assign_attrs(findings=json.dumps([asdict(warning)]))
    report = gj.Report(data)
    report.raise_if_unhealthy()
    with pytest.raises(gj.UnhealthyError, match="it is slow"):
        report.raise_if_unhealthy(warnings=True)


def test_an_unhealthy_net_stops_ci():
    with pytest.raises(gj.UnhealthyError, match=r"^severe: .* of the units of .* are saturated"):
        _sick().raise_if_unhealthy()
    assert not _sick().healthy
    healthy = _over_seeds()
    if healthy.healthy:
        healthy.raise_if_unhealthy()


def test_the_figure_has_no_empty_panel():
    figure = _over_seeds().plot()
    assert len(figure.axes) == 7
    for axes in figure.axes:
        assert axes.lines or axes.patches
        assert axes.get_title()


def test_the_page_holds_everything_and_the_data_come_back(tmp_path):
    report = _sick()
    page = report.save(tmp_path / "report.html").read_text()
    assert "<script" not in page
    assert page.count("<svg") == len(report.plot().axes)
    assert not re.search(r"(src|href)=.(?!#)", page)
    for text in ("middle/w", "severe", "spare"):
        assert text in page
    back = gj.Report(xr.load_dataset(report.save(tmp_path / "report.nc")))
    assert [f.kind for f in back.findings] == [f.kind for f in report.findings]
    assert str(back) == str(report)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["report.html", "report.nc"]


@pytest.mark.parametrize(
    ("params", "how", "message"),
    [
        (_init, {"seeds": 0}, "^seeds: 0 is not a positive number of nets$"),
        ({"w": jnp.ones((2, 5, 3))}, {"seeds": 3}, r"^params: w is \[2, 5, 3\], not \[3, ..\]"),
        ({"w": jnp.ones((5, 3)).at[0, 0].set(jnp.nan)}, {}, "^params: w has values that are not"),
        (
            {"w": jnp.ones((2, 5, 3)).at[1, 0, 0].set(jnp.nan)},
            {"seeds": 2},
            "^params: w of seed 1 has values that are not finite$",
        ),
        (lambda key: {"w": key.nothing}, {"seeds": 2}, "^params: the function fails"),
        ({}, {}, "^params: holds no arrays$"),
        ({"w": jnp.ones((5, 3)), "rate": 0.1}, {}, "^params: rate is not an array but of type"),
    ],
)
def test_what_cannot_be_diagnosed_is_one_sentence(params, how, message):
    x, y = models.examples(), models.labels()
    with pytest.raises(ValueError, match=message) as error:
        gj.diagnose(lambda p, x: x @ p["w"], params, x, y, spectra=False, **how)
    assert "\n" not in str(error.value)


def test_a_path_of_another_kind_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"^path: .*report.pdf ends in neither .html nor .nc$"):
        _sick().save(tmp_path / "report.pdf")


def test_sites_of_a_model_that_is_callable_itself():
    """A pytree may have a __call__; only a bare function is an init."""

    @jax.tree_util.register_pytree_node_class
    class Net:
        def __init__(self, w):
            self.w = w

        def __call__(self, x):
            return x @ self.w

        def tree_flatten(self):
            return (self.w,), None

        @classmethod
        def tree_unflatten(cls, _, children):
            return cls(*children)

    net = Net(models.examples(models.INPUTS, models.CLASSES)[0])
    report = gj.diagnose(
        lambda net, x: net(x), net, models.examples(), models.labels(), spectra=False
    )
    assert report.to_dataset().sizes == {**report.to_dataset().sizes, "site": 1, "seed": 1}


def test_the_logits_of_a_sequence_need_a_loss_of_their_own():
    """A cost for each example is what dC/ds is of."""
    tokens = jnp.zeros((models.N, 4, models.INPUTS))
    params = {"w": jnp.ones((models.INPUTS, models.CLASSES))}
    y = jnp.zeros((models.N, 4), jnp.int32)
    with pytest.raises(
        ValueError, match=r"^loss: returns \[6, 4\], not one cost for each of 6 examples$"
    ):
        gj.diagnose(lambda p, x: x @ p["w"], params, tokens, y, spectra=False)
    assert trace(lambda p, x: x @ p["w"], params, tokens).rows()
