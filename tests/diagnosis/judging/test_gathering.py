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
