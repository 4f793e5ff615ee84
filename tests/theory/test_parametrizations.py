"""Exponents of width against those that are worked out by hand, and the symmetry of the family."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glorot_jax.theory.parametrizations import MUP, NTK, PARAMETRIZATIONS, SP, growth

ROLES = ("input", "hidden", "output")
# std(s) at the start, then what the first update of gradient descent and of Adam adds to s.
BY_HAND = {
    "SP": ((0, 0, 0), (-0.5, 0.5, 1), (0, 1, 1)),
    "NTK": ((0, 0, 0), (-0.5, -0.5, 0), (0, 0.5, 0.5)),
    "muP": ((0, 0, -0.5), (0, 0, 0), (0, 0, 0)),
}


@pytest.mark.parametrize("name", PARAMETRIZATIONS)
def test_exponents_worked_out_by_hand(name):
    starts, proportional, invariant = BY_HAND[name]
    for k, role in enumerate(ROLES):
        one = PARAMETRIZATIONS[name]
        assert growth(one, role, "proportional") == (starts[k], proportional[k])
        assert growth(one, role, "invariant") == (starts[k], invariant[k])


@given(
    st.sampled_from([SP, NTK, MUP]),
    st.sampled_from(ROLES),
    st.sampled_from(["proportional", "invariant"]),
    st.integers(-6, 6).map(lambda n: n / 4),
)
def test_a_scale_may_be_in_the_multiplier_or_in_the_draw(one, role, response, theta):
    """a + theta, b - theta, c - 2 theta (Tensor Programs IV, eq. 5), or c - theta with Adam."""

    def moved(layer):
        return replace(
            layer,
            multiplier=layer.multiplier + theta,
            scale=layer.scale - theta,
            rate=layer.rate - 2 * theta,
            adam_rate=layer.adam_rate - theta,
        )

    other = replace(one, **{name: moved(getattr(one, name)) for name in ROLES})
    assert growth(other, role, response) == growth(one, role, response)
