"""Table 1's bold: paired t-tests against the best, with Holm's correction."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from experiments.claims.significance import against_best, column
from experiments.claims.table1 import different
from tests.experiments import made_up

laws = settings(max_examples=50, deadline=None, derandomize=True)
errors = st.lists(
    st.lists(st.integers(0, 10_000).map(lambda wrong: wrong / 10_000), min_size=4, max_size=4),
    min_size=1,
    max_size=6,
).map(lambda rows: {f"net {i}": np.array(row) for i, row in enumerate(rows)})


def test_p_by_hand():
    # Differences 0.1, 0.2, 0.3: t = 0.2 / (0.1 / sqrt(3)), 2 degrees of freedom.
    found = against_best({"good": np.array([0.1, 0.1, 0.1]), "bad": np.array([0.2, 0.3, 0.4])})
    t = 0.2 / (0.1 / np.sqrt(3))
    assert found["bad"].p == pytest.approx(1 - t / np.sqrt(2 + t**2))  # Student's t, 2 degrees
    assert found["good"].best
    assert not found["bad"].best
    assert found["good"].bold
    assert found["bad"].bold  # p = 0.07


def test_holm_by_hand():
    base = np.zeros(5)
    noise = np.array([-2.0, -1.0, 0.0, 1.0, 2.0]) / 100
    shifts = {"a": 0.5, "b": 0.04, "c": 0.02}
    found = against_best({"best": base, **{n: shift + noise for n, shift in shifts.items()}})
    p = [stats.ttest_1samp(shift + noise, 0).pvalue for shift in shifts.values()]
    assert p == sorted(p)
    assert found["a"].p == pytest.approx(3 * p[0])
    assert found["b"].p == pytest.approx(max(3 * p[0], 2 * p[1]))
    assert found["c"].p == pytest.approx(max(2 * p[1], p[2]))
    assert [found[name].bold for name in ("best", "a", "b", "c")] == [True, False, True, True]


@pytest.mark.parametrize("spread", [0.001, 0.01, 0.03, 0.1])
def test_a_claim_of_difference_agrees_with_the_bold(spread):
    part = made_up.training_part("shapeset")
    noise = np.random.default_rng(0).normal(size=part["final_test_error"].shape)
    part["final_test_error"] = part["final_test_error"] + spread * noise
    compared = against_best(column(part))
    best = next(name for name, entry in compared.items() if entry.best)
    for name in set(compared) - {best}:
        status = different(part, worse=name, better=best).status
        assert (status == "holds") == (not compared[name].bold), name


def test_correction_can_take_a_difference_away():
    noise = np.array([-2.0, -1.0, 0.0, 1.0, 2.0]) / 100
    pair = {"best": np.zeros(5), "worse": 0.045 + noise}
    assert not against_best(pair)["worse"].bold
    more = {f"other {i}": 0.045 + np.roll(noise, i + 1) for i in range(3)}
    assert against_best({**pair, **more})["worse"].bold


def test_what_cannot_be_tested_is_not_called_different():
    one = against_best({"good": np.array([0.1]), "bad": np.array([0.9])})
    assert np.isnan(one["bad"].p)
    assert one["bad"].bold
    same = against_best({"a": np.array([0.1, 0.2]), "b": np.array([0.1, 0.2])})
    assert [same[name].best for name in "ab"] == [True, False]
    assert np.isnan(same["b"].p)
    assert same["b"].bold


def test_a_seed_without_an_error_takes_its_net_out():
    found = against_best({"lost": np.array([0.0, np.nan]), "kept": np.array([0.5, 0.6])})
    assert np.isnan(found["lost"].mean)
    assert not found["lost"].bold
    assert found["kept"].best
    assert not any(entry.best for entry in against_best({"lost": np.array([np.nan])}).values())
    assert against_best({}) == {}


def test_other_seeds_are_no_pairs():
    with pytest.raises(ValueError, match=r"\[2, 3\] seeds"):
        against_best({"a": np.zeros(2), "b": np.zeros(3)})


@given(errors=errors, order=st.randoms(use_true_random=False))
@laws
def test_laws(errors, order):
    found = against_best(errors)
    assert sum(entry.best for entry in found.values()) == 1
    best = next(entry for entry in found.values() if entry.best)
    assert best.mean == min(entry.mean for entry in found.values())
    for entry in found.values():
        assert entry.bold or entry.p < 0.005
        assert np.isnan(entry.p) or 0 <= entry.p <= 1
    # The order of seeds is nothing to a paired test.
    shuffled = list(range(4))
    order.shuffle(shuffled)
    again = against_best({name: error[shuffled] for name, error in errors.items()})
    for name, entry in found.items():
        np.testing.assert_allclose(again[name].p, entry.p, rtol=1e-6)


@given(errors=errors)
@laws
def test_another_comparison_never_makes_p_smaller(errors):
    best = min(errors, key=lambda name: errors[name].mean())
    whole = against_best(errors)
    for name in errors:
        if name != best:
            pair = against_best({best: errors[best], name: errors[name]})
            assert not pair[name].p > whole[name].p + 1e-12


def test_column_holds_the_nets_of_table_1():
    part = made_up.training_part("shapeset")
    found = column(part)
    assert list(found) == ["Softsign", "Softsign N", "Tanh", "Tanh N", "Sigmoid"]
    sigmoid_5 = part["final_test_error"].sel(condition="Sigmoid").values
    np.testing.assert_array_equal(found["Sigmoid"], sigmoid_5)
    compared = against_best(found)
    assert compared["Tanh N"].best
    assert not compared["Sigmoid"].bold
