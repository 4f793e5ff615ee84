"""Tables give the numbers of the results, next to the paper's."""

import re

import numpy as np
import pytest
from scipy import stats

from experiments.report import tables
from glorot_jax.confidence import mean_interval
from tests.experiments import made_up


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


def _by_name(table):
    return {row[0]: row for row in table.rows}


def test_a_sets_networks_by_hand():
    results = made_up.results(shapeset=made_up.training_part("shapeset"))
    table = tables.of_group(results, "shapeset")
    names = [str(name) for name in results["shapeset/condition"].values]
    errors = 100 * results["shapeset/final_test_error"].values[names.index("Tanh N")]
    half = stats.t.ppf(0.975, 2) * errors.std(ddof=1) / np.sqrt(3)
    selection = 100 * results["shapeset/selection_error"].values[names.index("Tanh N"), 1]
    expected = ("Tanh N", f"{errors.mean():.2f} ± {half:.2f}", "0.1", f"{selection:.2f}", "0 of 6")
    assert _by_name(table)["Tanh N"] == expected
    assert len(table.header) == len(expected)
    assert table.rows[-1][:2] == ("always one class", "83.3")


def test_a_diverged_condition_has_no_numbers():
    part = made_up.training_part("shapeset").copy(deep=True)
    part["diverged_at"].values[2] = 7.0
    for name in ("chosen_learning_rate", "final_test_error", "selection_error"):
        part[name].values[2] = np.nan
    results = made_up.results(shapeset=part)
    assert tables.of_group(results, "shapeset").rows[2] == ("Tanh", "-", "-", "-", "6 of 6")
    assert _by_name(tables.table_1(results))["Tanh"] == ("Tanh", "- (27.15)")


def test_rates_that_were_not_tried_are_not_counted():
    part = made_up.section5_part().copy(deep=True)
    for name in ("validation_error", "test_error"):
        part[name].values[0, 0] = np.nan
    rows = tables.of_group(made_up.results(section5=part), "section5").rows
    assert [row[-1] for row in rows] == ["0 of 3"] + ["0 of 6"] * (len(rows) - 1)


def test_table_1_has_a_column_for_each_set_and_the_papers_value():
    results = made_up.results(
        shapeset=made_up.training_part("shapeset"), digits=made_up.training_part("digits")
    )
    table = tables.table_1(results)
    assert table.header == ("network", "Shapeset-3x2", "digits of 8 x 8 pixels (not MNIST)")
    rows = _by_name(table)
    assert list(rows)[:5] == ["Softsign", "Softsign N", "Tanh", "Tanh N", "Sigmoid"]
    assert rows["Tanh N"][1].endswith(" (15.60)")
    assert "(" not in rows["Tanh N"][2]
    assert rows["Sigmoid, depth 4"][2] == "-"


def test_table_1_is_bold_where_nothing_is_shown_to_differ():
    """Three networks alike but for noise, one clearly worse, one that differs in one seed only."""
    part = made_up.training_part("shapeset", seeds=6).copy(deep=True)
    names = [str(name) for name in part["condition"].values]
    random = np.random.default_rng(0)
    errors = part["final_test_error"].values
    for name, mean in (("Softsign", 0.2), ("Softsign N", 0.2), ("Tanh", 0.5), ("Tanh N", 0.2)):
        errors[names.index(name)] = mean + 0.01 * random.standard_normal(6)
    errors[names.index("Sigmoid")] = 0.2 + np.array([0, 0, 0.6, 0, 0, 0.01])
    results = made_up.results(shapeset=part)
    table = tables.table_1(results)
    places = {row[0]: (i, 1) for i, row in enumerate(table.rows)}
    bold = {name for name, place in places.items() if place in table.bold}
    assert bold == {"Softsign", "Softsign N", "Tanh N", "Sigmoid"}
    assert "No bold" not in table.note
    p = {row[0]: row[1] for row in tables.table_1_p(results).rows}
    assert "best" in p.values()
    best = next(name for name, value in p.items() if value == "best")
    alone = stats.ttest_rel(errors[names.index("Tanh")], errors[names.index(best)]).pvalue
    assert 4 * alone < 1e-4
    assert p["Tanh"] == "< 0.0001"


def test_nothing_is_bold_where_no_difference_is_shown():
    part = made_up.training_part("shapeset", seeds=3).copy(deep=True)
    errors = part["final_test_error"]
    noise = np.random.default_rng(0).normal(size=errors.shape)
    errors.values[:] = 0.3 + 0.01 * noise
    table = tables.table_1(made_up.results(shapeset=part))
    assert not table.bold
    words = re.search(r"No bold on .*: 3 seeds show no difference.* about (\d+)", table.note)
    assert int(words[1]) > 3


def test_one_seed_gives_no_bold_and_no_p():
    results = made_up.results(shapeset=made_up.training_part("shapeset", seeds=1))
    assert not tables.table_1(results).bold
    assert tables.table_1_p(results) is None


def test_results_without_networks_have_no_tables():
    results = made_up.results(surface=made_up.surface_part())
    assert tables.every(results) == []


def test_every_table_has_its_own_key_and_rows_of_one_length():
    made = tables.every(made_up.results())
    assert len({table.key for table in made}) == len(made)
    for table in made:
        assert {len(row) for row in table.rows} == {len(table.header)}
        assert all(i < len(table.rows) and j < len(table.header) for i, j in table.bold)
    keys = {"table1", "table1_p", "selection_table", "section5_table", "baseline_table"}
    assert keys <= {table.key for table in made}


def test_digits_have_no_paper_value():
    table = tables.of_group(made_up.results(digits=made_up.training_part("digits")), "digits")
    assert "not MNIST" in table.title


def test_selection_by_hand():
    part = made_up.selection_part()
    row = _by_name(tables.selection(made_up.results(selection=part)))["Sigmoid"]
    place = [str(name) for name in part["model"].values].index("Sigmoid")
    first, second = np.sort(100 * part["depth_error"].values[place])[:2]
    assert row[1] == "4"
    assert row[3:5] == (f"{first:.2f}", f"{second - first:.2f}")


def test_a_model_that_always_diverged_has_no_depth():
    part = made_up.selection_part()
    part["chosen_depth"] = part["chosen_depth"].astype(float).where(np.arange(5) > 0)
    assert set(tables.selection(made_up.results(selection=part)).rows[0][1:]) == {"-"}


def test_baseline_by_hand():
    part = made_up.baseline_part()
    svm, net, difference = tables.baseline(made_up.results(baseline=part)).rows
    errors = {name: 100 * part[f"{name}_test_error"].values for name in ("svm", "net")}
    assert svm[1].startswith(f"{errors['svm'].mean():.2f} ± ")
    gap = errors["svm"] - errors["net"]
    half = stats.t.ppf(0.975, 2) * gap.std(ddof=1) / np.sqrt(3)
    assert difference[1] == f"{gap.mean():.2f} ± {half:.2f}"
    assert (svm[2], net[2]) == ("59.47", "50.47")
    assert svm[3] == "C 10; gamma 1"


def test_singular_values_by_hand():
    results = made_up.results(initial=made_up.initial_part())
    table = tables.singular_values(results)
    per_seed = results["initial/singular_value"].values[0].reshape(3, -1).mean(axis=1)
    assert table.rows[0][0] == "Tanh"
    assert table.rows[0][1].split(" ± ")[0] == f"{per_seed.mean():.3f}"
    assert table.rows[0][2:] == ("0.490", "about 0.5")
    assert table.rows[1][2:] == ("0.849", "about 0.8")


def test_variances_by_hand():
    results = made_up.results(initial=made_up.initial_part())
    table = tables.variances(results)
    ratio = results["initial/backprop_mean_square"] / results["initial/predicted_backprop"]
    expected = ratio.values[0, :, 1].mean()
    assert table.header[2] == "Tanh: ∂C/∂s"
    assert table.rows[1][0] == "2"
    assert float(table.rows[1][2].split(" ± ")[0]) == pytest.approx(expected, abs=5e-4)


def test_markdown():
    cells = (("x|y", "two\nlines"),)
    table = tables.Table("t", "title", ("a", "b"), cells, "A note.", frozenset({(0, 1)}))
    assert tables.to_markdown(table) == (
        "| a | b |\n| --- | --- |\n| x\\|y | **two lines** |\n\nA note.\n"
    )
