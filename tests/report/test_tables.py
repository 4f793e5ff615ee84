"""Tables give the numbers of the results, next to the paper's."""

import numpy as np
import pytest
from scipy import stats

from glorot_jax.claims import judge
from glorot_jax.report import tables
from glorot_jax.report.statistics import mean_interval
from tests import made_up


def test_mean_interval_is_students():
    values = np.array([[1.0, 2.0, 4.0], [3.0, 5.0, np.nan]])
    found = mean_interval(values, axis=1)
    np.testing.assert_allclose(found.mean, [7 / 3, 4.0])
    for row, half in ((values[0], found.half[0]), (values[1][:2], found.half[1])):
        low, high = stats.t.interval(0.95, len(row) - 1, row.mean(), stats.sem(row))
        np.testing.assert_allclose(half, (high - low) / 2)


def test_mean_interval_of_one_and_of_nothing():
    found = mean_interval(np.array([[1.0, np.nan], [np.nan, np.nan]]), axis=1)
    np.testing.assert_array_equal(found.mean, [1.0, np.nan])
    assert np.isnan(found.half).all()


def test_table_1_by_hand():
    results = made_up.results(shapeset=made_up.training_part("shapeset"))
    table = tables.table_1(results)
    names = [str(name) for name in results["shapeset_condition"].values]
    rows = {row[0]: row for row in table.rows}
    errors = 100 * results["shapeset_final_test_error"].values[names.index("Tanh N")]
    half = stats.t.ppf(0.975, 2) * errors.std(ddof=1) / np.sqrt(3)
    selection = 100 * results["shapeset_selection_error"].values[names.index("Tanh N"), 1]
    expected = ("Tanh N", f"{errors.mean():.2f} ± {half:.2f}", "15.60", "0.1", f"{selection:.2f}")
    assert rows["Tanh N"] == (*expected, "0 of 6")
    assert len(table.header) == len(expected) + 1
    assert rows["Sigmoid, depth 4"][2] == "-"
    assert table.rows[-1][:2] == ("always one class", "83.3")


def test_table_1_of_a_diverged_condition():
    part = made_up.training_part("shapeset").copy(deep=True)
    part["diverged_at"].values[2] = 7.0
    for name in ("chosen_learning_rate", "final_test_error", "selection_error"):
        part[name].values[2] = np.nan
    row = tables.table_1(made_up.results(shapeset=part)).rows[2]
    assert row == ("Tanh", "-", "27.15", "-", "-", "6 of 6")


def test_table_1_is_absent_without_its_part():
    results = made_up.results(surface=made_up.surface_part())
    assert tables.table_1(results) is None
    assert tables.singular_values(results) is None
    assert tables.variances(results) is None


def test_digits_have_no_paper_value():
    table = tables.table_1(made_up.results(digits=made_up.training_part("digits")), "digits")
    assert "not MNIST" in table.title
    assert {row[2] for row in table.rows} == {"-"}


def test_singular_values_by_hand():
    results = made_up.results(initial=made_up.initial_part())
    table = tables.singular_values(results)
    per_seed = results["initial_singular_value"].values[0].reshape(3, -1).mean(axis=1)
    assert table.rows[0][0] == "Tanh"
    assert table.rows[0][1].split(" ± ")[0] == f"{per_seed.mean():.3f}"
    assert table.rows[0][2:] == ("0.490", "about 0.5")
    assert table.rows[1][2:] == ("0.849", "about 0.8")


def test_variances_by_hand():
    results = made_up.results(initial=made_up.initial_part())
    table = tables.variances(results)
    ratio = results["initial_backprop_mean_square"] / results["initial_predicted_backprop"]
    expected = ratio.values[0, :, 1].mean()
    assert table.header[2] == "Tanh: ∂C/∂s"
    assert table.rows[1][0] == "2"
    assert float(table.rows[1][2].split(" ± ")[0]) == pytest.approx(expected, abs=5e-4)


def test_claims_that_fail_come_first():
    judgements = judge(made_up.results(initial=made_up.initial_part(singular={"standard": 0.9})))
    statuses = [row[0] for row in tables.claims(judgements).rows]
    places = [tables.STATUS_ORDER.index(status) for status in statuses]
    assert places == sorted(places)
    assert "fails" in statuses
    assert len(statuses) == len(judgements)


def test_markdown():
    table = tables.Table("t", "title", ("a", "b"), (("x|y", "two\nlines"),), "A note.")
    assert tables.to_markdown(table) == (
        "| a | b |\n| --- | --- |\n| x\\|y | two lines |\n\nA note.\n"
    )
