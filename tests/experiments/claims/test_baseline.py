"""The claims on the SVM and the net, on made-up results."""

import pytest
import xarray as xr

from experiments.claims.baseline import CLAIMS
from experiments.claims.verdict import Verdict
from tests.experiments import made_up
from tests.experiments.made_up_baseline import baseline_part

BY_ID = {claim.id: claim for claim in CLAIMS}
BEATS, SVM, NET = "baseline-net-beats-svm", "baseline-svm-value", "baseline-net-value"


def judged(claim_id: str, **knobs: object) -> Verdict:
    return BY_ID[claim_id].test(made_up.results(baseline=baseline_part(**knobs)))


def test_all_claims_are_here():
    assert list(BY_ID) == [BEATS, SVM, NET]


@pytest.mark.parametrize("claim_id", BY_ID)
def test_the_papers_own_numbers_hold(claim_id):
    verdict = judged(claim_id)
    assert verdict.status == "holds", verdict.reason


@pytest.mark.parametrize(
    ("net", "svm", "status"), [(0.59, 0.50, "contradicted"), (0.55, 0.55, "undecided")]
)
def test_a_net_that_does_not_beat_the_svm(net, svm, status):
    verdict = judged(BEATS, net=net, svm=svm)
    assert verdict.status == status


@pytest.mark.parametrize(("claim_id", "name"), [(SVM, "svm"), (NET, "net")])
@pytest.mark.parametrize("off", [-0.05, 0.05])
def test_another_value_fails(claim_id, name, off):
    paper = {"svm": 0.5947, "net": 0.5047}[name]
    verdict = judged(claim_id, **{name: paper + off})
    assert verdict.status == "contradicted"
    assert verdict.numbers["paper"] == paper


@pytest.mark.parametrize(
    ("claim_id", "knobs"),
    [
        (SVM, {"training_examples": 4000}),
        (SVM, {"training_examples": 200_000}),
        (NET, {"training_examples": 4000}),
        (NET, {"width": 100}),
    ],
)
def test_another_size_shows_its_numbers_and_decides_no_value(claim_id, knobs):
    verdict = judged(claim_id, **knobs)
    assert verdict.status == "not tested"
    assert str(*knobs.values()) in verdict.reason
    assert verdict.numbers["test error"]["n"] == 3


def test_the_width_of_the_net_is_nothing_to_the_svm():
    assert judged(SVM, width=100).status == "holds"


def test_the_comparison_is_made_at_any_width_and_shows_the_papers():
    verdict = judged(BEATS, width=100)
    assert verdict.status == "holds"
    numbers = verdict.numbers
    assert (numbers["paper's svm"], numbers["paper's net"]) == (0.5947, 0.5047)


def test_fewer_examples_show_their_numbers_and_decide_nothing():
    verdict = judged(BEATS, training_examples=4000)
    assert verdict.status == "not tested"
    assert "4000" in verdict.reason
    assert verdict.numbers["svm"]["n"] == 3


def test_nothing_is_compared_before_anything_is_learned():
    verdict = judged(BEATS, net=0.80, svm=0.82)
    assert verdict.status == "not tested"
    assert "0.80" in verdict.reason


@pytest.mark.parametrize("claim_id", BY_ID)
def test_one_seed_or_no_part_decides_nothing(claim_id):
    assert judged(claim_id, seeds=1).status == "not tested"
    assert BY_ID[claim_id].test(xr.DataTree()).status == "not tested"
