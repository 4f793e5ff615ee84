"""The register of cases."""

import jax.numpy as jnp
import pytest

from benchmarks.clinic import kit


def _model() -> kit.Model:
    return kit.Model(lambda p, x: x @ p, jnp.ones((2, 3)), jnp.ones((4, 2)), jnp.zeros(4, int))


@pytest.fixture
def register(monkeypatch):
    monkeypatch.setattr(kit, "CASES", {})
    return kit.CASES


def test_a_sick_case_is_registered_with_its_truth(register):
    @kit.sick("exploding", ("grow",), _model, source="paper", site="w")
    def too_large():
        """Kernels too large.
        Scale them."""
        return _model()

    case = register["too_large"]
    assert (case.truth, case.words, case.site, case.source) == (
        "exploding",
        ("grow",),
        "w",
        "paper",
    )
    assert case.about == "Kernels too large. Scale them."
    assert case.twin is _model
    assert not case.healthy
    assert too_large is case.build


def test_a_healthy_case_has_no_twin(register):
    @kit.healthy(source="paper")
    def fine():
        """As published."""
        return _model()

    assert register["fine"].healthy
    assert register["fine"].twin is None


@pytest.mark.parametrize(
    ("source", "about", "message"),
    [("hearsay", "Fine.", "hearsay"), ("paper", "", "docstring"), ("paper", "Fine.", "another")],
)
def test_a_case_that_cannot_be_registered(register, source, about, message):
    def twice():
        return _model()

    twice.__doc__ = about
    if message == "another":
        kit.healthy(source=source)(twice)
    with pytest.raises(ValueError, match=message):
        kit.healthy(source=source)(twice)


def test_losses_give_one_cost_an_example():
    logits, tokens = jnp.zeros((5, 3, 4)), jnp.zeros((5, 3), int)
    assert jnp.allclose(kit.cross_entropy(logits, tokens), jnp.log(4.0) * jnp.ones(5))
    assert kit.squared_error(jnp.ones((5, 2, 3)), jnp.zeros((5, 2, 3))).tolist() == [6.0] * 5
    labels = jnp.asarray([0, 1, 0, 1, 0])
    assert jnp.allclose(kit.binary_entropy(jnp.zeros((5, 1)), labels), jnp.log(2.0) * jnp.ones(5))
