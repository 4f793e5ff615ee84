"""Training a case, and when its outcome shows the truth."""

import math

import jax.numpy as jnp
import pytest

from benchmarks.clinic import evidence, kit

Outcome = evidence.Outcome
X = jnp.asarray([[1.0], [2.0], [3.0], [4.0]])


def _case(**known) -> kit.Case:
    defaults = dict.fromkeys(("words", "site", "twin", "about", "room"), "")
    return kit.Case(
        "case", lambda: None, **{**defaults, "training": kit.Training(), "source": "paper", **known}
    )


@pytest.mark.parametrize(
    ("outcome", "twin", "expected"),
    [
        (Outcome(2.0, 1.0), Outcome(2.0, 0.1), True),
        (Outcome(2.0, math.nan), Outcome(2.0, 0.1), True),
        (Outcome(2.0, 0.11), Outcome(2.0, 0.1), False),
        (Outcome(2.0, 1.0), Outcome(2.0, math.nan), False),
        (Outcome(2.0, 9.0), Outcome(2.0, 3.0), False),
    ],
)
def test_a_sick_case_must_train_worse_than_a_twin_that_trains(outcome, twin, expected):
    assert evidence.shown(_case(truth="fever"), outcome, twin) is expected


@pytest.mark.parametrize(
    ("goal", "end", "expected"),
    [(None, 1.3, True), (None, 1.5, False), (0.5, 0.6, False), (0.5, 0.4, True)],
)
def test_a_healthy_case_must_reach_its_goal(goal, end, expected):
    case = _case(truth="healthy", training=kit.Training(goal=goal))
    assert evidence.shown(case, Outcome(2.0, end), None) is expected


@pytest.mark.parametrize("seeds", [None, 2])
def test_training_lowers_the_loss_of_the_worst_net(seeds):
    params = jnp.zeros((1, 1)) if seeds is None else jnp.asarray([[[2.0]], [[0.0]]])
    model = kit.Model(
        lambda w, x: x @ w, params, X, 2 * X, lambda out, y: jnp.square(out - y)[:, 0], seeds
    )
    outcome = evidence.trained(model, kit.Training("sgd", 0.05, 20))
    assert outcome.start == 4 * 7.5  # mean of (2x)^2 at w = 0
    assert outcome.end < 1e-3
