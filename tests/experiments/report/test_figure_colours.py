"""Colours of figures are seen on both grounds, by those who don't see green too."""

import itertools

import numpy as np
import pytest

from experiments.report.figures import baseline, common, studies, vector
from experiments.report.figures.common import COLOURS, OTHER_COLOURS
from experiments.report.states import STATES
from glorot_jax.colours import DARK, LEAST_CONTRAST, LIGHT, contrast, linear, oklab, on_dark
from glorot_jax.plotting import layer_colours

# G. Machado, M. Oliveira and L. Fernandes (2009), deuteranomaly of severity 1: linear sRGB.
DEUTERANOPE = np.array(
    [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ]
)
APART = 0.08  # in OKLab, where 0.02 is just seen beside each other
LEAST_OF_TEXT = 4.5  # WCAG 2.2, criterion 1.4.3
PAPER = [colour for kind, colour in COLOURS.items() if kind != ("sigmoid", "normalized")]
EVERY = {*COLOURS.values(), *OTHER_COLOURS, *studies.OPTION_COLOURS.values(), baseline.SVM_COLOUR}
EVERY |= {*studies.UNIT_COLOURS.values()}


def _on_both(colours):
    return list(colours), [on_dark(colour) for colour in colours]


@pytest.mark.parametrize("colour", sorted(EVERY))
def test_every_colour_is_seen_on_both_grounds(colour):
    assert contrast(colour, LIGHT) >= LEAST_CONTRAST
    assert contrast(on_dark(colour), DARK) >= LEAST_CONTRAST


def _least_distance(colours, seen):
    places = [oklab(np.clip(seen @ linear(colour), 0, 1)) for colour in colours]
    return min(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(places, 2))


@pytest.mark.parametrize(
    "colours",
    [
        PAPER,
        layer_colours(5),
        [common.VERMILION, common.AMBER, common.GREEN, common.PURPLE],  # section 5, above
        list(studies.UNIT_COLOURS.values()),
    ],
    ids=["networks", "layers", "section 5", "units"],
)
@pytest.mark.parametrize("seen", [np.eye(3), DEUTERANOPE], ids=["all", "deuteranope"])
def test_colours_are_told_apart(colours, seen):
    for shown in _on_both(colours):
        assert _least_distance(shown, seen) > APART


def test_the_palette_before_would_not_do():
    """Okabe and Ito's amber and sky are too light for white: what the test above is for."""
    assert contrast("#e69f00", LIGHT) < LEAST_CONTRAST
    assert _least_distance(["#d55e00", "#7f8000"], DEUTERANOPE) < APART


def test_states_are_read_on_both_grounds():
    for state in STATES.values():
        assert contrast(state.light, LIGHT) >= LEAST_OF_TEXT
        assert contrast(state.dark, DARK) >= LEAST_OF_TEXT


SVG = """<svg xmlns="http://www.w3.org/2000/svg">
 <defs>
 </defs>
 <path style="fill: #ffffff"/><path style="fill: none; stroke: #9e2a00"/>
</svg>"""


def test_a_figure_has_a_colour_for_the_dark_for_each_of_its_own():
    made = vector.following(SVG, title="a < b")
    assert vector.title(made) == "a < b"
    assert f'[style*="fill: #ffffff"] {{ fill: {DARK} !important; }}' in made
    assert f'[style*="stroke: #9e2a00"] {{ stroke: {on_dark("#9e2a00")} !important; }}' in made
    assert '[style*="fill: #9e2a00"]' not in made
    assert made.endswith(SVG.partition("<defs>")[2])  # what is drawn stays as it was
