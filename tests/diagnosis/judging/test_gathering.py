"""Facts that the equations alone don't tell."""

import jax
import jax.numpy as jnp
import pytest

import glorot_jax as gj

N, WIDTH, CLASSES = 24, 8, 3
KEY = jax.random.key(0)
X, Y = jax.random.normal(KEY, (N, WIDTH)), jnp.arange(N) % CLASSES


def _params(**zeros):
    w = jax.random.normal(KEY, (WIDTH, WIDTH)) / WIDTH**0.5
    return {"w": w, "last": w[:, :CLASSES], **zeros}


def _sliced_away(params, x):
    h = jnp.tanh(x @ params["w"])
    return jnp.concatenate([h @ params["last"], h @ params["more"]], axis=1)[:, :CLASSES]


def _behind_another_zero(params, x):
    h = jnp.tanh(x @ params["w"])
    return h @ params["last"] + jax.nn.relu(jax.nn.relu(h @ params["a"]) @ params["b"])


def _sliced_away_later(params, x):
    h = jnp.tanh(x @ params["w"])
    more = jnp.tanh(h @ params["before"]) @ params["more"]
    return jnp.concatenate([h @ params["last"], more], axis=1)[:, :CLASSES]


def _below_the_bend(params, x):
    h = jnp.tanh(x @ params["w"])
    return h @ params["last"] + jax.nn.relu(h @ params["before"] - 1e4) @ params["more"]


def test_what_only_leads_to_what_is_sliced_away_is_unused_too():
    before = jax.random.normal(KEY, (WIDTH, 4))
    params = _params(before=before, more=jnp.zeros((4, 2)))
    report = gj.diagnose(_sliced_away_later, params, X, Y, spectra=False)
    assert [finding.kind for finding in report.findings] == ["unused"]
    assert set(report.findings[0].sites) == {"before", "more"}
    assert report.healthy


def _normalised_alone(params, x):
    """What is of one unit is 0 after its mean is taken away."""
    h = jnp.tanh(x @ params["w"])
    one = h @ params["one"]
    return h @ params["last"] + (one - one.mean(axis=1, keepdims=True)) @ params["more"]


def test_a_unit_that_is_normalised_away_is_a_fault():
    params = _params(one=jax.random.normal(KEY, (WIDTH, 1)), more=jnp.ones((1, CLASSES)))
    report = gj.diagnose(_normalised_alone, params, X, Y, spectra=False)
    assert "unused" not in [finding.kind for finding in report.findings]
    assert not report.healthy


def test_kernels_whose_units_are_dead_are_not_called_unused():
    params = _params(
        before=jax.random.normal(KEY, (WIDTH, 4)), more=jax.random.normal(KEY, (4, CLASSES))
    )
    report = gj.diagnose(_below_the_bend, params, X, Y, spectra=False)
    assert "unused" not in [finding.kind for finding in report.findings]
    assert not report.healthy


@pytest.mark.parametrize(
    ("apply_fn", "zeros", "kind"),
    [
        (_sliced_away, {"more": jnp.zeros((WIDTH, 2))}, "unused"),
        (
            _behind_another_zero,
            {"a": jnp.zeros((WIDTH, 5)), "b": jnp.zeros((5, CLASSES))},
            "zero kernel that stays closed",
        ),
    ],
)
def test_a_kernel_of_zeros_that_no_output_depends_on_is_no_fault(apply_fn, zeros, kind):
    report = gj.diagnose(apply_fn, _params(**zeros), X, Y, spectra=False)
    assert [finding.kind for finding in report.findings] == [kind]
    assert report.healthy == (kind == "unused")
    assert all(name in report.findings[0].text for name in zeros)
