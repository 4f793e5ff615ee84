"""From exponents to faults and to the power of width that mends them."""

import numpy as np
import pytest

from glorot_jax.diagnosis.judging.scaling import (
    Exponent,
    SiteGrowth,
    find_faults,
    response_of,
    role_of,
    wanted_start,
)

WIDTHS = (32, 64, 256)
LEVEL = Exponent(0.0, 0.05)
NONE = Exponent(np.nan, np.nan)


def _site(
    role="hidden", *, gain=0.0, update=0.0, change=0.0, half=0.05, step=1, least=0.0, fed=0.0
):
    """``fed``: how what the site is fed with grows at the start."""
    wanted = wanted_start(role, (4, 4, 4), WIDTHS)
    start, one, own, last = (Exponent(value, half) for value in (gain + fed, gain, update, change))
    return SiteGrowth(role, role, start, one, own, step, last, (), wanted, least)


def _said(sites, response="invariant"):
    return [(fault.site, fault.kind, fault.power) for fault in find_faults(sites, response)]


@pytest.mark.parametrize(
    ("fans_in", "fans_out", "role"),
    [
        ((8, 8, 8), WIDTHS, "input"),
        (WIDTHS, tuple(4 * n for n in WIDTHS), "hidden"),
        (WIDTHS, (10, 10, 10), "output"),
        ((8, 8, 8), (3, 3, 3), "fixed"),
    ],
)
def test_a_kernels_role_is_which_fans_grow(fans_in, fans_out, role):
    assert role_of(fans_in, fans_out, WIDTHS) == role


@pytest.mark.parametrize(
    ("scores", "wanted"), [((72, 72, 72), -0.5), (tuple(9 * n for n in WIDTHS), 0.0)]
)
def test_scores_of_wider_heads_start_small_and_those_of_more_heads_do_not(scores, wanted):
    assert wanted_start("scores", scores, WIDTHS) == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("measured", "response"),
    [([1.0, 1.02], "proportional"), ([1e-4, 0.0], "invariant"), ([0.5, 0.4], ""), ([np.nan], "")],
)
def test_an_optimizers_response(measured, response):
    assert response_of(np.array(measured)) == response


def test_nothing_is_said_of_what_is_level():
    readout = _site("output", gain=-0.5)
    assert _said([_site("input"), _site(), readout, _site("outputs", gain=-0.5)]) == []


def test_a_readout_that_starts_at_zero_or_far_too_small_is_no_fault():
    assert _said([_site("output", gain=np.nan)]) == []
    assert _said([_site("output", gain=-1.0)]) == []


@pytest.mark.parametrize(
    ("update", "cure"),
    [
        (1.04, "divide its learning rate by width"),
        (0.48, "divide its learning rate by sqrt(width)"),
        (-0.96, "multiply its learning rate by width"),
        (1.5, "divide its learning rate by width^1.5"),
    ],
)
def test_a_learning_rate_is_mended_by_the_nearest_half(update, cure):
    (fault,) = find_faults([_site(update=update)], "invariant")
    assert fault.cure == cure
    assert fault.power == -round(2 * update) / 2


def test_an_initial_scale_is_mended_for_hidden_layers_and_readouts():
    sites = [_site(gain=0.5), _site("output", gain=0.02)]
    assert _said(sites) == [
        ("hidden", "initial scale", -0.5),
        ("output", "initial scale", -0.5),
    ]


def test_the_rates_below_a_readout_know_that_it_will_start_smaller():
    """Standard parametrisation with gradient descent, of which Tensor Programs V says the rest."""
    sites = [_site("input", update=-0.5), _site(update=0.5), _site("output", update=1.0)]
    assert _said(sites, "proportional") == [
        ("input", "learning rate", 1.0),
        ("hidden", "learning rate", 0.0),
        ("output", "initial scale", -0.5),
        ("output", "learning rate", -1.0),
    ]
    assert "it will, once output starts smaller" in str(find_faults(sites, "proportional")[1])
    assert ("input", "learning rate", 0.5) in _said(sites, "invariant")


def test_a_gradient_that_came_after_the_readout_moved_is_not_scaled_with_its_start():
    sites = [_site(update=0.5, step=2), _site("output")]
    assert ("hidden", "learning rate", -0.5) in _said(sites, "proportional")


def test_an_update_that_grows_with_what_it_is_fed_with_is_not_mended_twice():
    """As of kernels of one standard deviation at every width, GPT-2's 0.02, with Adam."""
    first, second = _site(gain=0.5, update=1.0), _site("output", gain=0.0, update=1.5, fed=0.5)
    assert _said([first, second]) == [
        ("hidden", "initial scale", -0.5),
        ("hidden", "learning rate", -1.0),
        ("output", "initial scale", -0.5),
        ("output", "learning rate", -1.0),
    ]
    third = _site("output", gain=-0.5, update=0.5, fed=0.5)
    assert _said([first, third])[-1] == ("output", "learning rate", 0.0)
    assert "it will, once what it is fed with starts" in find_faults([first, third], "")[-1].cure
    # What grows for another reason stays.
    assert _said([_site(), third])[-1] == ("output", "learning rate", -0.5)


def test_with_gradient_descent_scales_are_mended_before_rates():
    faults = find_faults([_site(gain=0.5, update=1.0), _site("output", gain=-0.5)], "proportional")
    assert [(fault.kind, np.isnan(fault.power)) for fault in faults] == [
        ("initial scale", False),
        ("learning rate", True),
    ]
    assert faults[1].cure.startswith("check again once the initial scales are mended")


def test_queries_may_begin_slowly_with_gradient_descent():
    assert _said([_site(update=-0.6, change=-0.6, least=-0.5)]) == []
    assert _said([_site(update=-1.0, least=-0.5)]) == [("hidden", "learning rate", 0.5)]
    assert _said([_site(update=0.5, least=-0.5)]) == [("hidden", "learning rate", -0.5)]


def test_scores_over_the_root_of_a_heads_width_are_found():
    (fault,) = find_faults([_site("scores", gain=0.01, update=np.nan)], "invariant")
    assert fault.cure.endswith("by a head's width, in place of its root")
    assert _said([_site("scores", gain=-0.5, update=np.nan)]) == []


def test_what_no_first_update_explains_is_said_of_the_change():
    sites = [_site(), _site("outputs", change=0.7, update=np.nan)]
    ((site, kind, power),) = _said(sites)
    assert (site, kind) == ("outputs", "change")
    assert np.isnan(power)


def test_what_chance_explains_is_not_said():
    assert _said([_site(update=0.5, half=0.6)]) == []
    assert _said([_site(update=0.5, half=np.nan)]) == [("hidden", "learning rate", -0.5)]


def test_a_close_call_is_said_to_be_one():
    near, clear = (find_faults([_site(update=one, half=0.2)], "invariant") for one in (0.4, 0.5))
    assert str(near[0]).endswith("by sqrt(width) (a close call: wider nets or more seeds)")
    assert str(clear[0]).endswith("by sqrt(width)")


@pytest.mark.parametrize(
    ("site", "unclear"),
    [
        (_site(update=0.5, half=0.6), True),
        (_site("output", gain=0.0, half=0.6), True),
        (_site("output", gain=-0.9, half=0.6), False),
        (_site("outputs", gain=-0.5, change=0.4, update=np.nan, half=0.6), True),
        (_site(update=0.5), False),
        (_site(), False),
    ],
)
def test_what_more_seeds_would_tell(site, unclear):
    assert site.unclear == unclear


def test_an_exponent_in_words():
    assert str(Exponent(0.481, 0.024)) == "width^0.48±0.02"
    assert str(Exponent(-0.5, np.nan)) == "width^-0.50"
    assert not NONE.differs(0.0)
