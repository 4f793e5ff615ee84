"""The page of a run: all in one file, every number of the slider that of the data."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import xarray as xr

from glorot_jax.diagnosis.reporting import run_figure
from tests.diagnosis.trained import run


class _Outside(HTMLParser):
    """What a browser would fetch from elsewhere."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in ("src", "href", "xlink:href") and not value.startswith(("#", "data:")):
                self.found.append((tag, value))


def _page(name="relu dying"):
    one = run(name)
    return one.watch.page(one.history, name="A net <b>that died</b>")


def test_it_is_one_file_that_loads_nothing(tmp_path):
    path = _page().save(tmp_path / "watch.html")
    html = path.read_text(encoding="utf-8")
    outside = _Outside()
    outside.feed(html)
    assert outside.found == []
    assert "A net &lt;b&gt;that died&lt;/b&gt;" in html
    assert "hidden_03/w dies from update" in html
    assert "Verdict:</b> dead units" in html
    # An image of each statistic, and the cost as curves.
    titles = re.findall(r"<summary>(.*?)</summary>", html)
    assert titles[:4] == ["Cost", "std of s", "std of dC/ds", "|update| / |w|"]
    assert html.count("data:image/png;base64") >= len(titles) - 1


def test_the_slider_has_the_numbers_of_the_run():
    page = _page()
    text = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.html, re.S)
    data = json.loads(text[1])
    assert data["sites"][-1] == "output/w"
    assert data["updates"] == page.data["update"].values.tolist()
    by_name = {one["name"]: one for one in data["statistics"]}
    np.testing.assert_allclose(by_name["std of s"]["values"], page.data["s_std"], rtol=1e-3)
    assert by_name["std of s"]["log"]
    assert not by_name["Dead"]["log"]
    # Nothing follows the logits, and relu doesn't saturate.
    assert by_name["Dead"]["values"][0][-1] is None
    assert "Saturated" not in by_name


def test_a_healthy_run_and_one_that_is_not_finite_have_pages_too():
    assert "✓ Verdict:</b> nothing to find fault with" in _page("relu").html
    assert "not finite" in _page("relu diverging").html


def test_it_prints_and_keeps_its_data(tmp_path):
    page = _page("relu")
    assert str(page).splitlines()[1:] == [
        "5 sites, 40 measurements, update 0 to 390",
        "Verdict: nothing to find fault with",
    ]
    page.save(tmp_path / "watch.nc")
    with xr.open_dataset(tmp_path / "watch.nc", engine="h5netcdf") as read:
        np.testing.assert_array_equal(read["step"], page.data["step"])
    with pytest.raises(ValueError, match=r"ends in neither \.html nor \.nc$"):
        page.save(tmp_path / "watch.txt")


def test_images_are_logarithmic_where_sizes_differ_and_of_one_sign():
    assert run_figure.is_wide(np.geomspace(1, 100, 50))
    assert not run_figure.is_wide(np.linspace(1, 2, 50))
    assert not run_figure.is_wide(np.linspace(-100, 100, 50))
    assert not run_figure.is_wide(np.zeros(5))
