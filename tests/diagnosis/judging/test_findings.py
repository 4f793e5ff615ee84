"""Findings on made-up numbers: each is made when it should be, and says what it rests on."""

import numpy as np
import pytest
import xarray as xr

from glorot_jax.diagnosis.judging import findings

SITES = 6
LAST = SITES - 1  # the logits


def data(**given):
    """A healthy net of two seeds, with other values given for each site, or for all."""
    healthy = {
        "s_mean_square": 1.0,
        "ds_mean_square": 1.0,
        "ds_norm": 1.0,
        "dw_norm": 1.0,
        "dw_ratio": 0.01,
        "saturated": 0.02,
        "dead": 0.0,
        "z_cosine": 0.3,
        "s_cosine": 0.3,
        "critical_gain": 1.7,
    }
    values = {
        name: np.broadcast_to(given.get(name, usual), (2, SITES)).astype(float)
        for name, usual in healthy.items()
    }
    return xr.Dataset(
        {name: (("seed", "site"), array) for name, array in values.items()},
        coords={
            "site": [f"layer_{i}" for i in range(SITES)],
            "kind": ("site", ["dense"] * SITES),
            "two_sided": ("site", np.broadcast_to(given.get("two_sided", True), SITES)),
        },
    )


def found(**given):
    return {finding.kind: finding for finding in findings.find(data(**given))}


def by_layer(first, last):
    """Values of the hidden sites in equal ratios, and 1 at the logits."""
    return np.append(np.geomspace(first, last, LAST), 1.0)


def test_a_healthy_net_has_none():
    assert findings.find(data()) == ()


@pytest.mark.parametrize(
    ("name", "values", "kind", "severity"),
    [
        ("s_mean_square", by_layer(1, 0.1**2), "vanishing forward", "warning"),
        ("s_mean_square", by_layer(1, 0.001**2), "vanishing forward", "severe"),
        ("s_mean_square", by_layer(1, 10.0**2), "exploding forward", "warning"),
        ("s_mean_square", by_layer(1, 1000.0**2), "exploding forward", "severe"),
        ("ds_mean_square", by_layer(0.1**2, 1), "vanishing backward", "warning"),
        ("ds_mean_square", by_layer(0.001**2, 1), "vanishing backward", "severe"),
        ("ds_mean_square", by_layer(1000.0**2, 1), "exploding backward", "severe"),
        ("s_mean_square", by_layer(1, 0.3**2), None, None),
        ("ds_mean_square", by_layer(3.0**2, 1), None, None),
    ],
)
def test_signals_that_vanish_or_explode(name, values, kind, severity):
    made = found(**{name: values})
    if kind is None:
        assert not made
        return
    assert {k: finding.severity for k, finding in made.items()} == {kind: severity}
    finding = made[kind]
    ends = np.sqrt(values[[0, LAST - 1]])
    change = ends[1] / ends[0] if name == "s_mean_square" else ends[0] / ends[1]
    assert finding.value == pytest.approx(change)
    # The worst site is the one that the signal reaches last.
    assert finding.sites[0] == ("layer_4" if name == "s_mean_square" else "layer_0")
    assert "by 1.7:" in finding.cure


def test_the_rate_and_the_depth_are_those_of_the_profile():
    finding = found(s_mean_square=by_layer(1, 0.01**2))["vanishing forward"]
    rate = 0.01 ** (1 / (LAST - 1))
    assert f"by a factor of {rate:.3g} a site" in finding.text
    assert f"after {np.log(2.0**-8) / np.log(rate):.3g} sites" in finding.text


def test_a_signal_that_stops_is_no_rate():
    made = found(ds_mean_square=np.array([0, 0, 1, 1, 1, 1.0]))
    assert made["no gradient"].sites == ("layer_0", "layer_1")
    assert made["no gradient"].severity == "severe"


def test_one_seed_that_overflows_is_enough():
    values = np.ones((2, SITES))
    values[1, 3:] = np.inf
    finding = found(s_mean_square=values)["not finite"]
    assert finding.sites == ("layer_3", "layer_4", "layer_5")
    assert finding.severity == "severe"


@pytest.mark.parametrize(
    ("fraction", "severity"), [(0.09, None), (0.2, "warning"), (0.6, "severe")]
)
@pytest.mark.parametrize(("name", "kind"), [("saturated", "saturation"), ("dead", "dead units")])
def test_saturated_and_dead(name, kind, fraction, severity):
    values = np.zeros(SITES)
    values[2] = fraction
    made = found(**{name: values})
    assert (made[kind].severity if made else None) == severity
    if made:
        assert made[kind].sites == ("layer_2",)
        assert f"{fraction:.0%}" in made[kind].text


def test_one_sided_functions_do_not_saturate():
    assert not found(saturated=0.9, two_sided=False)


def test_uneven_gradients_name_the_two_ends():
    values = np.full(SITES, 0.01)
    values[[1, 4]] = 0.001, 0.05
    finding = found(dw_ratio=values)["uneven gradients"]
    assert finding.sites == ("layer_1", "layer_4")
    assert finding.value == pytest.approx(50)
    assert finding.severity == "warning"
    values[1] = 1e-5
    assert found(dw_ratio=values)["uneven gradients"].severity == "severe"


def test_rank_collapse_is_of_distances():
    alike = np.array([0.3, 0.9, 0.99, 0.999, 0.9999, 0.9999])
    finding = found(s_cosine=alike)["rank collapse"]
    assert finding.value == pytest.approx(np.sqrt((1 - 0.9999) / (1 - 0.3)))
    assert finding.severity == "warning"
    # Examples that came alike and stay as they are have not collapsed.
    assert not found(s_cosine=0.9999, z_cosine=0.9999)


def test_a_kernel_without_gradient():
    values = np.ones(SITES)
    values[3] = 0
    finding = found(dw_norm=values)["no weight gradient"]
    assert finding.sites == ("layer_3",)


def test_severe_ones_come_first_and_each_is_one_line():
    made = findings.find(data(s_mean_square=by_layer(1, 0.1**2), dead=0.7))
    assert [finding.severity for finding in made] == ["severe", "warning"]
    for finding in made:
        assert "\n" not in str(finding)
        assert f"{finding.threshold:.3g}: {finding.source}" in str(finding)
