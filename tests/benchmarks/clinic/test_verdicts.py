"""A few of the clinic's models, sick and healthy twins, through the whole diagnosis.

All of them run by ``make clinic``.
"""

import jax
import pytest

from benchmarks.clinic.cases import chosen_cases
from benchmarks.clinic.score import examine

TWINS = (
    "logits_behind_relu",
    "logits_plain",
    "softmax_before_the_loss",
    "targets_of_500",
    "targets_standardised",
    "wine_as_measured",
    "wine_standardised",
    "router_sends_all_to_one",
    "router_best_two",
    "head_of_zeros",
    "linear_probe",
)


@pytest.mark.parametrize("name", TWINS)
def test_the_cause_is_named_first_and_the_healthy_are_left_alone(name):
    (case,) = chosen_cases([name])
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        score = examine(case)
    assert score.verdict == ("quiet" if case.healthy else "named first"), score.first
    assert case.healthy or score.strict
