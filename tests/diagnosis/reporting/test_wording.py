"""Sentences of a report, of data made for each."""

import json

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from glorot_jax.diagnosis.judging.finding import NOTE, SEVERE, WARNING, Finding
from glorot_jax.diagnosis.reporting import wording
from glorot_jax.diagnosis.reporting.names import names_of

SITES = ["net/first", "net/last"]
NAMES = names_of(SITES)


def _finding(severity, value=np.nan, source=""):
    return Finding("kind", severity, ("net/first",), "text.", "", value, 0.5, source)


def _drawn(gap, noise, *, units=1000, seeds=1, sites=SITES):
    """E[s^2] a ``gap`` above what theory expects, each draw varied by ``noise``."""
    values = np.ones((seeds, len(sites)))
    variables = {
        "s_mean_square": (1 + gap) * values,
        "s_mean_square_predicted": values,
        "s_mean_square_noise": noise * values,
    }
    return xr.Dataset(
        {name: (("seed", "site"), value) for name, value in variables.items()},
        coords={"site": list(sites), "units": ("site", [units] * len(sites))},
        attrs={"examples": 8},
    )


def test_what_was_seen_and_what_was_not():
    unseen = ["b: 99% of its gradient comes by ways not seen"]
    data = xr.Dataset(attrs={"seen": "sees 1 of 2 kernels", "unseen": json.dumps(unseen)})
    assert wording.seen(data) == ["sees 1 of 2 kernels", *unseen]
    assert wording.seen(xr.Dataset()) == []


def test_sizes_are_singular_and_plural():
    assert wording.sizes(_drawn(0, 1)) == "2 sites, 8 examples, 1 net"
    one_site = _drawn(0, 1, seeds=3, sites=["only"])
    assert wording.sizes(one_site) == "1 site, 8 examples, means of 3 nets"


@pytest.mark.parametrize(
    ("severities", "seen", "sentence"),
    [
        ((SEVERE, SEVERE, NOTE), "", "it won't train as it is (2 severe)"),
        ((SEVERE, WARNING), "", "it won't train as it is (1 severe, 1 warning)"),
        ((WARNING, WARNING), "", "it trains, more slowly than it could (2 warnings)"),
        ((NOTE,), "", "nothing to find fault with"),
        ((), "1 of 3 kernels seen: no verdict", "none, too little of the model is seen"),
    ],
)
def test_the_verdict_counts_what_is_wrong(severities, seen, sentence):
    data = xr.Dataset(attrs={"seen": seen})
    assert wording.verdict(data, [_finding(severity) for severity in severities]) == sentence


def test_a_severity_says_what_it_means():
    assert wording.severity_in_words(_finding(SEVERE)) == "severe (won't train)"
    assert wording.severity_in_words(_finding(NOTE)) == "note"


def test_a_limit_is_shown_beside_a_number_that_is_one():
    said = wording.measured(_finding(WARNING, 0.93, "our convention"))
    assert said == "0.93, where the limit is 0.5: our convention"
    for value in (np.nan, np.inf, 0.0):
        assert wording.measured(_finding(WARNING, value, "our convention")) == "our convention"
    assert wording.measured(_finding(WARNING, 0.93)) == ""


@pytest.mark.parametrize("seeds", [1, 9])
def test_chance_explains_what_is_within_what_a_draw_varies(seeds):
    """The two-sided p of a t of 999 degrees, times two sites, against one in a thousand."""
    limit = stats.t.isf(1e-3 / 2 / 2, df=999) * 0.01 / np.sqrt(seeds)
    near = wording.against_theory(_drawn(0.97 * limit, 0.01, seeds=seeds), NAMES)
    far = wording.against_theory(_drawn(-1.03 * limit, 0.01, seeds=seeds), NAMES)
    assert near.startswith("Theory: the mean square of s at first is ")
    assert "above" in near
    assert near.endswith("chance explains that.")
    assert "below" in far
    assert far.endswith("these are not random weights.")


def test_few_units_and_dependent_weights_are_not_compared_with_theory():
    assert wording.against_theory(_drawn(9, 0.01, units=63), NAMES) == ""
    assert wording.against_theory(_drawn(9, np.nan), NAMES) == ""
    assert wording.against_theory(_drawn(9, 0.0), NAMES) == ""


@pytest.mark.parametrize(("units", "directions"), [(64, 2), (64, 20), (256, 1)])
def test_the_chance_is_that_of_draws(units, directions):
    """Mean squares of s over z that lie in a few directions, as behind a relu: 30 sites a report.

    One in a thousand reports is wrong where the law is Gaussian; four times as many are allowed,
    for that of few directions has a long tail.
    """
    reports, sites = 300, 30
    rng = np.random.default_rng(units + directions)
    squares = rng.chisquare(directions, size=(reports, sites, units)) / directions
    q, error = squares.mean(axis=2), squares.std(axis=2, ddof=1) / np.sqrt(units)
    labels = [f"site_{index}" for index in range(sites)]
    wrong = 0
    for means, errors in zip(q, error, strict=True):
        data = _drawn(0, 1, units=units, sites=labels)
        data["s_mean_square"].values[:] = means
        data["s_mean_square_noise"].values[:] = errors / means
        wrong += "not random" in wording.against_theory(data, names_of(labels))
    assert wrong <= stats.binom.isf(0.01, reports, 4e-3)


@pytest.mark.parametrize(
    ("condition", "exact", "end"),
    [
        (50.0, True, "the smallest is 50 times smaller."),
        (50.0, False, "the smallest is at least 50 times smaller."),
        (np.inf, True, "some directions of x don't reach the output."),
    ],
)
def test_the_whole_jacobian_in_a_line(condition, exact, end):
    data = _whole(0.5, 2.0, condition, exact=exact)
    line = wording.through(data)
    assert "mean 0.5 and largest 2; " in line
    assert line.endswith(end)
    assert wording.through(data * np.nan) == wording.through(xr.Dataset()) == ""


def _whole(mean, largest, condition, *, exact=True):
    return xr.Dataset(
        {
            "whole_sigma_mean": ("seed", [mean]),
            "whole_sigma_max": ("seed", [largest]),
            "whole_sigma_condition": ("seed", [condition]),
            "whole_sigma_exact": ("seed", [exact]),
        }
    )


def test_a_jacobian_without_a_spread_is_told_as_such():
    """Of a single output, an isometry, and one that a stopped gradient makes 0."""
    alike = wording.through(_whole(0.3871, 0.3871, 1.0))
    assert alike.endswith("are alike, 0.387 on average.")
    assert wording.through(_whole(0.0, 0.0, np.inf)).endswith("no gradient leads back to x.")


def test_of_many_sites_the_furthest_is_told_to_be_that():
    one, two = (
        wording.against_theory(_drawn(0.01, 0.01, sites=sites), names_of(sites))
        for sites in (["first"], ["first", "second"])
    )
    assert "furthest" not in one
    assert "it is the furthest of 2 sites, and chance" in two


def test_what_was_left_out_is_a_sentence():
    data = xr.Dataset(attrs={"spectra": "singular values: 2 of 8 examples"})
    assert wording.left_out(data) == "Singular values: 2 of 8 examples."
    assert wording.left_out(xr.Dataset()) == ""
