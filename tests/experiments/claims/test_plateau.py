"""When a net leaves its plateau, on made-up curves whose answer is known."""

import numpy as np
import pytest

from experiments.claims.plateau import PLATEAU, at_the_earliest, leaving, left_at
from experiments.results.queries import condition
from tests.experiments import made_up

DONE = np.array([0.0, 100.0, 300.0, 700.0, 1500.0])


def _curve(*errors):
    return left_at(np.array([errors]), DONE[: len(errors)], 0.75)[0]


def test_between_two_measurements_the_error_falls_in_a_straight_line():
    # 0.83 to 0.71: two thirds of the way from 300 to 700.
    assert _curve(0.83, 0.83, 0.83, 0.71, 0.6) == pytest.approx(300 + 400 * 2 / 3)


@pytest.mark.parametrize(
    ("errors", "when"),
    [
        ((0.83, 0.83, 0.83, 0.83, 0.83), np.nan),  # never leaves
        ((0.83, 0.83, 0.83, 0.83, 0.75), np.nan),  # reaches, and isn't below
        ((0.7, 0.6, 0.5, 0.4, 0.3), 0.0),  # begins below
        ((0.83, 0.74, 0.76, 0.7, 0.6), 100 * 0.08 / 0.09),  # the first time counts
        ((np.nan, np.nan, np.nan, np.nan, np.nan), np.nan),
    ],
)
def test_the_first_time_below_counts(errors, when):
    np.testing.assert_allclose(_curve(*errors), when)


def test_of_many_courses_each_has_its_own_time():
    errors = np.array([[[0.8, 0.7, 0.6]], [[0.8, 0.8, 0.7]]])
    found = left_at(errors, DONE[:3], 0.75)
    np.testing.assert_allclose(found, [[50.0], [200.0]])


def test_the_plateau_of_shapeset_is_left_at_three_quarters():
    """An exponential fall from 5/6 to 0.65 crosses 0.75 at a time that can be written down."""
    net = made_up.CONDITIONS["Tanh"]
    part = made_up.training_part(
        "plateau", conditions={"Tanh": net}, final_error={"Tanh": 0.65},
        time_constant={"Tanh": 0.1}, updates=20_000, checkpoints=200, noise=0.0,
    )  # fmt: skip
    expected = 20_000 * 0.1 * np.log((PLATEAU - 0.65) / (0.75 - 0.65))
    found = leaving(condition(part, "tanh", "standard"))
    np.testing.assert_allclose(found, np.full(3, expected), rtol=0.01)


def test_who_stays_counts_as_leaving_at_the_end_and_is_known_to_stay():
    part = made_up.plateau_part(final_error={"Tanh uniform(1/3,0)": 0.82})
    net = condition(part, "tanh", "uniform(1/3,0)")
    assert np.isnan(leaving(net)).all()
    np.testing.assert_array_equal(at_the_earliest(net), np.full(3, 20_000))


def test_another_set_s_plateau_is_its_own():
    """Ten classes of one size: guessing errs in 90%, and 81% is a tenth less."""
    part = made_up.training_part(
        "mnist", time_constant={"Tanh": 0.1}, final_error={"Tanh": 0.0}, checkpoints=200,
        noise=0.0, updates=1000,
    )  # fmt: skip
    found = leaving(condition(part, "tanh", "standard"))
    np.testing.assert_allclose(found, np.full(3, 1000 * 0.1 * np.log(0.9 / 0.81)), rtol=0.02)
