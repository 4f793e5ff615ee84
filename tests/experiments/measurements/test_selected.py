"""Model selection: the least validation error, by how much, and never a net that diverged."""

import numpy as np
import xarray as xr

from experiments.measurements.selected import at_the_end, choose_depth, select


def test_the_rate_of_least_mean_error_is_chosen_with_its_margin():
    error = np.array([[[0.5, 0.7], [0.3, 0.3], [0.4, 0.3]]])
    found = select(error, np.zeros_like(error, bool))
    np.testing.assert_allclose(found.error, [[0.6, 0.3, 0.35]])
    assert found.chosen.tolist() == [1]
    np.testing.assert_allclose(found.margin, [0.05])


def test_a_rate_at_which_a_seed_diverged_or_that_was_not_tried_is_not_chosen():
    error = np.array([[[0.1, 0.1], [0.2, 0.2], [np.nan, np.nan]]])
    diverged = np.zeros_like(error, bool)
    diverged[0, 0, 1] = True
    found = select(error, diverged)
    assert found.chosen.tolist() == [1]
    assert np.isnan(found.error).tolist() == [[True, False, True]]
    assert np.isnan(found.margin).all(), "there is no other rate to compare with"


def test_where_nothing_is_learned_the_largest_rate_that_converged_is_chosen():
    error = np.array([[[0.80], [0.79], [0.81], [0.78]], [[0.80], [0.60], [0.79], [0.78]]])
    diverged = np.zeros_like(error, bool)
    diverged[0, 3] = True
    assert select(error, diverged, guessing=0.83).chosen.tolist() == [2, 1]


def test_the_end_of_a_run_is_its_last_tenth():
    error = np.array([[0.9, 0.5, 0.3, 0.1]])
    np.testing.assert_allclose(at_the_end(error, np.array([0, 50, 90, 100])), [0.2])
    np.testing.assert_allclose(at_the_end(error, np.array([0, 50, 60, 100])), [0.1])


def test_without_a_rate_that_converged_none_is_chosen():
    found = select(np.full((1, 2, 2), 0.5), np.ones((1, 2, 2), bool))
    assert found.chosen.tolist() == [-1]
    assert np.isnan(found.margin).all()


def _trained(errors: dict[tuple[str, int], list[float]]) -> xr.Dataset:
    """A tanh net a key (initialiser, depth), with an error a learning rate; two seeds alike."""
    rows = np.array(list(errors.values()))
    final = np.where(np.isnan(rows).all(axis=1), np.nan, np.nanmin(np.nan_to_num(rows, nan=9), 1))
    return xr.Dataset(
        {
            "selection_error": (("condition", "learning_rate"), rows),
            "final_test_error": (("condition", "seed"), np.stack([final, final + 0.02], axis=1)),
        },
        {
            "activation": ("condition", ["tanh"] * len(errors)),
            "initializer": ("condition", [initializer for initializer, _ in errors]),
            "depth": ("condition", [depth for _, depth in errors]),
        },
    )


def test_the_depth_of_least_error_at_its_own_best_rate_is_chosen():
    found = choose_depth(
        _trained(
            {
                ("standard", 1): [0.5, 0.4],
                ("standard", 2): [0.3, np.nan],
                ("normalized", 1): [0.2, 0.6],
                ("normalized", 2): [np.nan, 0.25],
            }
        )
    )
    assert found["model"].values.tolist() == ["Tanh", "Tanh N"]
    np.testing.assert_allclose(found["depth_error"], [[0.4, 0.3], [0.2, 0.25]])
    assert found["chosen_depth"].values.tolist() == [2, 1]
    np.testing.assert_allclose(found["depth_margin"], [0.1, 0.05])
    np.testing.assert_allclose(found["chosen_test_error"], [[0.3, 0.32], [0.2, 0.22]])
    for name in ("depth_error", "chosen_depth", "depth_margin", "chosen_test_error"):
        assert found[name].attrs["units"]


def test_where_nothing_is_learned_a_rate_that_blew_up_is_not_the_largest_that_converged():
    error = np.full((2, 3, 1), 0.9)
    blown_up = np.array([[[False], [False], [True]], [[True], [True], [True]]])
    selection = select(error, np.zeros_like(blown_up), guessing=0.9, blown_up=blown_up)
    # Where all did, one of them has to stand for the network.
    assert selection.chosen.tolist() == [1, 2]


def test_a_model_that_diverged_at_every_depth_has_no_depth():
    found = choose_depth(_trained({("standard", 1): [np.nan], ("standard", 2): [np.nan]}))
    assert np.isnan(found["chosen_depth"].values).all()
    assert np.isnan(found["chosen_test_error"].values).all()
