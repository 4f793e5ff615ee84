"""Contrast by WCAG's definition, and the same contrast on a dark page."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glorot_jax.colours import DARK, LEAST_CONTRAST, LIGHT, contrast, linear, oklab, on_dark
from glorot_jax.plotting import layer_colours

COLOURS = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    # WebAIM's contrast checker.
    [("#000000", "#ffffff", 21.0), ("#777777", "#ffffff", 4.48), ("#ff0000", "#0000ff", 2.15)],
)
def test_contrast_is_wcags(one, other, ratio):
    assert contrast(one, other) == contrast(other, one) == pytest.approx(ratio, abs=0.005)


def test_oklab_is_its_authors():
    """Red in the table of B. Ottosson's article."""
    np.testing.assert_allclose(oklab(linear("#ff0000")), [0.628, 0.225, 0.126], atol=1e-3)


@given(COLOURS)
def test_the_dark_partner_stands_out_as_much(colour):
    wanted = min(contrast(colour, LIGHT), contrast(LIGHT, DARK))
    assert contrast(on_dark(colour), DARK) == pytest.approx(wanted, rel=0.03)


@given(st.integers(0, 255), st.integers(0, 255))
def test_greys_stay_in_order_turned_round(one, other):
    darker, lighter = (f"#{value:02x}{value:02x}{value:02x}" for value in sorted((one, other)))
    turned = [contrast(on_dark(grey), "#000000") for grey in (darker, lighter)]
    assert turned[0] >= turned[1]


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8])
def test_layers_are_seen_on_both_grounds(count):
    colours = layer_colours(count)
    assert len(set(colours)) == count
    for colour in colours:
        assert contrast(colour, LIGHT) >= LEAST_CONTRAST
        assert contrast(on_dark(colour), DARK) >= LEAST_CONTRAST
