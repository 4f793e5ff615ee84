"""Spectra from the input and from every site to the logits against JAX's own Jacobians."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from glorot_jax.diagnosis import trace
from glorot_jax.diagnosis.measuring.end_to_end import end_to_end
from tests.diagnosis.jacobians import exact_values, papers_net
from tests.diagnosis.models import CLASSES, traced


@cache
def _up_to_logits(name, **how):
    model, found = traced(name)
    return found, end_to_end(found, **how)(model.params, model.x, np.random.default_rng(0))


_UP = ["activation_with_its_own_gradient", "linen_cnn_with_attention", "recurrent"]


@pytest.mark.parametrize("name", _UP)
def test_input_to_logits(name):
    model, _ = traced(name)
    _, measured = _up_to_logits(name)
    values = exact_values(partial(model.apply, model.params), model.x)
    assert measured["exact"]
    assert measured["sigma_mean"] == pytest.approx(values.mean(), rel=1e-4)
    assert measured["sigma_max"] == pytest.approx(values[:, 0].mean(), rel=1e-4)
    assert measured["sigma_min"] == pytest.approx(values[:, -1].mean(), rel=1e-3)


def test_every_row_to_the_logits():
    """Products of the layers above, the last of them the logits; two nets by one program."""
    found, params, x, _ = papers_net()
    run = jax.jit(found.run)
    for net in (params, jax.tree.map(lambda leaf: 1.5 * leaf, params)):
        ours = end_to_end(found)(net, x, np.random.default_rng(0))
        signals = run(net, x)
        product = np.eye(CLASSES)[None]
        for row in reversed(range(len(found.sites))):
            values = np.linalg.svd(product, compute_uv=False)
            assert ours["s_sigma_mean"][row] == pytest.approx(values.mean(), rel=1e-4)
            assert ours["s_sigma_max"][row] == pytest.approx(values[:, 0].mean(), rel=1e-4)
            product = product @ np.asarray(signals.kernels[row], np.float64).T[None]
            if row:
                s = np.asarray(signals.s[row - 1], np.float64)
                product = product * (1 - np.tanh(s) ** 2)[:, None]
        values = np.linalg.svd(product, compute_uv=False)
        assert ours["sigma_mean"] == pytest.approx(values.mean(), rel=1e-4)


def test_lanczos_up_to_the_logits():
    name = "activation_with_its_own_gradient"
    _, exact = _up_to_logits(name)
    _, measured = _up_to_logits(name, exact_up_to=0, num_vectors=16)
    assert not measured["exact"]
    for kept in ("sigma_max", "sigma_min", "s_sigma_max"):
        np.testing.assert_allclose(measured[kept], exact[kept], rtol=1e-3)
    assert abs(measured["sigma_mean"] - exact["sigma_mean"]) <= 3 * measured["sigma_mean_error"]


def test_the_input_of_tokens_is_what_is_looked_up():
    found, measured = _up_to_logits("embedding")
    table = [row.kind for row in found.rows()].index("embedding")
    assert measured["sigma_mean"] == pytest.approx(measured["s_sigma_mean"][table])
    pixels = jnp.asarray(np.random.default_rng(0).integers(255, size=(3, 6), dtype=np.uint8))
    w = jnp.ones((6, 2))
    cast = trace(lambda w, x: x.astype(jnp.float32) @ w, w, pixels)
    assert np.isnan(end_to_end(cast)(w, pixels, np.random.default_rng(0))["sigma_mean"])


def test_a_branch_not_taken_is_nan():
    found, measured = _up_to_logits("cond")
    nan = np.isnan(measured["s_sigma_mean"])
    assert [found.rows()[row].name for row in np.flatnonzero(nan)] == ["middle/right"]


def test_random_cotangents_know_the_mean_squares():
    """Within four standard errors, which the spread over so few outputs can't exceed."""
    name, count = "linen_cnn_with_attention", 400
    _, exact = _up_to_logits(name)
    found, measured = _up_to_logits(name, exact_up_to=0, cotangents=count)
    error = 4 * np.sqrt(2 / (count * found.n))
    for name in ("sigma_mean_square", "s_sigma_mean_square"):
        np.testing.assert_allclose(measured[name], exact[name], rtol=error)
    for name in ("sigma_mean", "sigma_max", "s_sigma_mean"):
        assert np.isnan(measured[name]).all()


@pytest.mark.parametrize("how", [{}, {"exact_up_to": 0}, {"exact_up_to": 0, "cotangents": 2}])
def test_on_an_accelerator_arrays_stay_there(how, monkeypatch):
    _, here = _up_to_logits("recurrent", **how)
    monkeypatch.setattr(jax, "default_backend", lambda: "an accelerator")
    _, there = _up_to_logits.__wrapped__("recurrent", **how)
    for name, values in here.items():
        assert isinstance(there[name], np.ndarray)
        if name != "density":
            np.testing.assert_allclose(there[name], values, rtol=1e-2, atol=1e-2, err_msg=name)
