"""The rule from numbers to a verdict."""

import json
import math

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from experiments.claims.final_errors import as_in_the_paper
from experiments.claims.reductions import central_fraction, density, over_time
from experiments.claims.verdict import (
    NotTested,
    clean,
    decide,
    decide_all,
    interval,
    on,
    seeds_needed,
)
from experiments.results.queries import NotMeasured, at_chosen_rate, condition
from tests.experiments import made_up

laws = settings(max_examples=50, deadline=None, derandomize=True)
numbers = st.floats(-1e3, 1e3).map(lambda value: round(value, 3))
seeds = st.lists(numbers, min_size=2, max_size=8).map(np.array)


def test_interval_of_a_known_case():
    # t(0.975, 2) = 4.3027; the standard error of 1, 2, 3 is 1 / sqrt(3).
    found = interval(np.array([1.0, 2.0, 3.0]))
    assert found.mean == 2
    assert found.high - found.mean == pytest.approx(4.3027 / math.sqrt(3), rel=1e-4)
    assert decide(np.array([1.0, 2.0, 3.0]), what="x").numbers["x"]["n"] == 3


@given(values=seeds, shuffle=st.randoms(use_true_random=False))
@laws
def test_order_of_seeds_does_not_matter(values, shuffle):
    other = list(values)
    shuffle.shuffle(other)
    np.testing.assert_allclose(interval(np.array(other)), interval(values), rtol=1e-9, atol=1e-9)


@given(values=seeds, shift=numbers, scale=st.floats(0.1, 10))
@laws
def test_interval_follows_units(values, shift, scale):
    before, after = interval(values), interval(scale * values + shift)
    for bound in ("mean", "low", "high"):
        expected = scale * getattr(before, bound) + shift
        assert getattr(after, bound) == pytest.approx(expected, abs=1e-6)


@given(values=seeds, times=st.integers(2, 4))
@laws
def test_more_seeds_of_the_same_spread_narrow_it(values, times):
    before, after = interval(values), interval(np.tile(values, times))
    assert after.high - after.low <= before.high - before.low + 1e-9


@given(values=seeds, bound=numbers)
@laws
def test_one_side_holds_only_if_the_other_does_not(values, bound):
    above = decide(values, what="x", above=bound)
    below = decide(values, what="x", below=bound)
    assert not above.status == below.status == "holds"
    assert decide(-values, what="x", below=-bound).status == above.status
    if above.status == "holds":
        assert values.mean() > bound
        assert "contradicted" in below.reason


@given(values=seeds, bound=numbers, more=st.floats(0, 100))
@laws
def test_a_stricter_bound_never_turns_a_failure_into_holding(values, bound, more):
    strict = decide(values, what="x", above=bound + more).status
    loose = decide(values, what="x", above=bound).status
    assert loose == "holds" or strict != "holds"


def test_contradicted_is_told_from_undecided():
    assert decide(np.array([-1.0, -1.1]), what="x", above=0.0).status == "contradicted"
    undecided = decide(np.array([-1.0, 1.1]), what="x", above=0.0)
    assert undecided.status == "undecided"
    assert "needs more than 1000 seeds" in undecided.reason
    fewer = decide(np.array([-0.2, 1.1, 0.6]), what="x", above=0.0)
    assert f"needs about {fewer.numbers['seeds needed']} seeds" in fewer.reason


@given(deviation=st.floats(0.1, 10), distance=st.floats(0.3, 10), remaining=st.floats(0, 0.1))
@laws
def test_the_seeds_needed_are_the_fewest_that_decide(deviation, distance, remaining):
    def reach(count: int) -> float:
        return stats.t.ppf(0.975, count - 1) * math.sqrt(deviation**2 / count + remaining)

    needed = seeds_needed(deviation**2, distance, confidence=0.95, remaining=remaining)
    if needed is None:
        assert reach(1000) >= distance
    else:
        assert reach(needed) < distance
        assert needed == 2 or reach(needed - 1) >= distance


@given(values=seeds, bound=numbers)
@laws
def test_p_is_that_of_a_t_test_against_the_bound(values, bound):
    if np.ptp(values) > 1e-2:
        expected = stats.ttest_1samp(values, bound).pvalue
        assert decide(values, what="x", above=bound).p == pytest.approx(expected, rel=1e-6)


def test_a_test_set_that_the_seeds_share_widens_the_interval():
    """One net has learned half of the examples better, the other one the other half."""
    random = np.random.default_rng(0)
    better = np.where(np.arange(200) < 104, 0.3, -0.3)
    wrong = {sign: random.uniform(size=(5, 200)) < 0.5 + sign * better for sign in (-1, 1)}
    gap = wrong[1].astype(float) - wrong[-1]
    alone, shared = interval(gap.mean(axis=1)), interval(gap)
    assert shared.mean == pytest.approx(alone.mean)
    assert shared.high - shared.low > alone.high - alone.low
    verdict = decide(gap - gap.mean() + 1e-4, what="x", above=0.0)
    assert verdict.status == "undecided"
    assert verdict.numbers["x"]["n"] == 5
    assert verdict.reason.endswith("needs more than 1000 seeds or a larger test set")


def test_the_papers_number_is_that_of_one_more_run():
    seeds = 0.2 + 0.02 * np.array([-1.0, 1.0] * 20)
    of_seeds, of_a_test_set = np.var(seeds, ddof=1) * (1 + 1 / 40), 0.2 * 0.8 / 10_000
    degrees = 39 * (1 + of_a_test_set / of_seeds) ** 2
    reach = stats.t.ppf(0.9975, degrees) * math.sqrt(of_seeds + of_a_test_set)

    def status(paper: float, error: np.ndarray) -> str:
        return as_in_the_paper(error, paper, what="x").status

    # The paper's own number gives the sampling, so the ends lie a little off.
    assert status(0.2 + 1.1 * reach, seeds) == "contradicted"
    assert status(0.2 + 0.9 * reach, seeds) == "undecided"  # reaches too far to tell
    near = 0.2 + 0.001 * np.array([-1.0, 1.0] * 20)
    assert status(0.205, near) == "holds"
    assert status(0.22, near) == "contradicted"


def test_all_of_several_hold_only_if_each_does():
    clear, noisy = np.array([1.0, 1.1, 0.9]), np.array([1.0, -0.9, 0.5])
    assert decide_all({"a": clear, "b": clear + 1}, what="x").status == "holds"
    one = decide_all({"a": clear, "b": noisy}, what="x")
    assert one.status == "undecided"
    assert "x, b" in one.reason
    against = decide_all({"a": clear, "b": noisy, "c": -clear}, what="x")
    assert against.status == "contradicted"
    assert "x, c" in against.reason


def test_one_of_many_contradicts_only_beyond_what_chance_gives_one_of_many():
    # t = -4.6: p = 0.044 alone, which is nothing strange among ten.
    below = np.array([-1.0, -0.6, -0.5])
    many = {str(i): np.array([1.0, 1.1, 0.9]) for i in range(9)}
    assert decide(below, what="x", above=0.0).status == "contradicted"
    assert decide_all({"a": below, **many}, what="x").status == "undecided"


@pytest.mark.parametrize("values", [[], [1.0], [1.0, math.nan], [1.0, math.inf]])
def test_no_interval(values):
    with pytest.raises(NotTested):
        interval(np.array(values))


def test_clean_leaves_only_what_json_holds():
    odd = {1: np.float32(2), "b": (np.nan, np.int64(3)), "c": np.array([True]), "d": None}
    assert json.loads(json.dumps(clean(odd))) == {"1": 2, "b": [None, 3], "c": [True], "d": None}


def test_on_passes_options_and_missing_parts():
    seen = on("surface", lambda part, /, *, bound: decide(part["x"].values, what="x", above=bound))
    assert seen(xr.DataTree()).status == "not tested"


def test_condition_takes_the_deepest_and_its_own_layers():
    part = made_up.training_part()
    assert int(condition(part, "sigmoid", "standard")["depth"]) == 5
    assert condition(part, "sigmoid", "standard", depth=4).sizes["layer"] == 4
    with pytest.raises(NotMeasured, match="relu"):
        condition(part, "relu", "standard")


def test_condition_is_trained_as_usual_unless_told_otherwise():
    part = made_up.section5_part().isel(condition=slice(None, None, -1))
    usual = condition(part, "tanh", "standard")
    assert usual["condition"].item() == "Tanh"
    other = condition(part, "tanh", "standard", optimizer="hessian_diagonal")
    assert other["condition"].item() == "Tanh, Hessian rates"
    with pytest.raises(NotMeasured, match="loss quadratic"):
        condition(part, "tanh", "standard", loss="quadratic")


def test_results_without_the_coordinates_are_as_usual():
    names = ["optimizer", "shape", "loss", "pixels"]
    old = made_up.training_part().drop_vars(names)
    assert condition(old, "tanh", "standard")["condition"].item() == "Tanh"
    with pytest.raises(NotMeasured):
        condition(old, "tanh", "standard", shape="growing")
    quadratic = old.assign_attrs(loss="quadratic")
    with pytest.raises(NotMeasured):
        condition(quadratic, "tanh", "standard")
    assert condition(quadratic, "tanh", "standard", loss="quadratic").sizes["layer"] == 5


def test_the_chosen_rate_is_the_one_that_is_read():
    part = made_up.training_part()
    found = condition(part, "tanh", "standard")
    np.testing.assert_array_equal(
        at_chosen_rate(found, "test_error")[:, -1], found["final_test_error"]
    )
    diverged = found.assign(chosen_learning_rate=np.nan)
    with pytest.raises(NotMeasured, match="every learning rate of Tanh diverged"):
        at_chosen_rate(diverged, "test_error")


def test_over_time_weighs_by_updates():
    done = np.array([0.0, 1.0, 10.0])
    np.testing.assert_allclose(over_time(np.array([[0.0, 1.0, 1.0]]), done), [0.95])


@given(values=seeds, bound=numbers)
@laws
def test_more_confidence_never_makes_a_claim_hold(values, bound):
    strict = decide(values, what="x", above=bound, confidence=0.995)
    loose = decide(values, what="x", above=bound)
    assert loose.status == "holds" or strict.status != "holds"


@given(values=seeds)
@laws
def test_an_interval_leaves_out_0_where_a_t_test_rejects_it(values):
    if np.ptp(values) < 1e-2:
        return  # no spread to test with
    p = stats.ttest_1samp(values, 0).pvalue
    found = interval(values, confidence=0.995)
    if abs(p - 0.005) > 1e-9:
        assert (found.low > 0 or found.high < 0) == (p < 0.005)


def test_zones_of_a_histogram():
    flat = np.full(40, 1 / 40)
    assert central_fraction(flat, -1.0, 1.0, 0.05) == pytest.approx(0.05)
    assert density(flat, 0.6, 0.8) == pytest.approx(1 / 40)
    with pytest.raises(NotTested):
        central_fraction(np.full(4, 0.25), -1.0, 1.0, 0.05)
