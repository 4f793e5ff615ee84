"""What every case declares, and that a few of each library run."""

import jax
import jax.numpy as jnp
import pytest

from benchmarks.clinic.cases import all_cases, chosen_cases

CASES = all_cases()
BUILT = (
    "tanh_14_small",
    "relu_10_he",
    "logits_plain",
    "targets_standardised",
    "time_stamp_column",
    "router_best_two",
    "mean_and_variance",
    "contrastive_two_towers",
    "ensemble_one_of_eight_dead",
)


@pytest.fixture
def usual_promotion():
    """Cases are models as people write them, who leave promotion at its default."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


def test_there_are_sick_and_healthy_cases_enough():
    healthy = sum(case.healthy for case in CASES)
    assert len(CASES) >= 76
    assert 0.4 <= healthy / len(CASES) <= 0.6


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_says_what_is_known_of_it(case):
    assert len(case.about.split()) >= 5
    assert case.healthy == (case.twin is None) == (not case.words)
    assert len(case.name) <= 40


@pytest.mark.parametrize("name", BUILT)
def test_a_case_gives_a_cost_an_example(name, usual_promotion):
    (case,) = chosen_cases([name])
    model = case.build()
    run = model.apply_fn if model.seeds is None else jax.vmap(model.apply_fn, (0, None))
    costs = jax.eval_shape(
        lambda params, x, y: (
            model.loss(run(params, x), y)
            if model.seeds is None
            else jax.vmap(model.loss, (0, None))(run(params, x), y)
        ),
        model.params,
        model.x,
        model.y,
    )
    size = len(jax.tree.leaves(model.x)[0])
    assert costs.shape == ((size,) if model.seeds is None else (model.seeds, size))
    assert jnp.issubdtype(costs.dtype, jnp.floating)


def test_an_unknown_case_is_named():
    with pytest.raises(ValueError, match="no case is named sniffles"):
        chosen_cases(["logits_plain", "sniffles"])
