"""Cures tried before they are offered, and scales that are refused."""

import jax
import jax.numpy as jnp
import numpy as np

import glorot_jax as gj
from glorot_jax.diagnosis.mending.trial import scaled_by
from glorot_jax.diagnosis.tracing.sites import trace

N, WIDTH, DEPTH = 40, 24, 8
X = jax.random.normal(jax.random.key(0), (N, WIDTH))
Y = jnp.arange(N) % 4


def _net(params, x):
    for w in params["hidden"]:
        x = jnp.tanh(x @ w)
    return x @ params["last"]


def _params(gain, last=1.0):
    *hidden, out = jax.random.split(jax.random.key(1), DEPTH + 1)
    scale = gain / WIDTH**0.5
    return {
        "hidden": [scale * jax.random.normal(key, (WIDTH, WIDTH)) for key in hidden],
        "last": last / WIDTH**0.5 * jax.random.normal(out, (WIDTH, 4)),
    }


def test_a_cure_says_what_it_did():
    report = gj.diagnose(_net, _params(0.4), X, Y, spectra=False)
    (finding,) = report.findings
    assert finding.kind == "vanishing forward"
    assert "Tried: it is gone" in finding.cure
    cured = scaled_by(trace(_net, _params(0.4), X), _params(0.4), X, dict(finding.factors))
    assert gj.diagnose(_net, cured, X, Y, spectra=False).findings == ()


def test_outputs_that_are_too_large_are_scaled_by_one_factor():
    (finding,) = gj.diagnose(_net, _params(1.2, last=40.0), X, Y, spectra=False).findings
    assert finding.kind == "first cost"
    ((label, factor),) = finding.factors
    assert label == "last"
    assert f"{factor:.2g}" in finding.cure
    assert "Tried: it is gone" in finding.cure


def test_scales_multiply_the_rows_that_they_name():
    params = _params(1.0)
    scaled = scaled_by(trace(_net, params, X), params, X, {"hidden/2": 3.0, "last": 0.5})
    for index, (old, new) in enumerate(zip(params["hidden"], scaled["hidden"], strict=True)):
        np.testing.assert_allclose(new, old * (3.0 if index == 2 else 1.0), rtol=1e-6)
    np.testing.assert_allclose(scaled["last"], 0.5 * params["last"], rtol=1e-6)


def test_calibration_refuses_what_makes_the_cost_worse():
    """Trained to almost nothing by a last kernel that a wider signal would throw off."""
    params = {"w": 0.01 * jnp.eye(WIDTH), "v": 100.0 * jnp.eye(WIDTH)[:, :4]}

    def net(params, x):
        return jnp.sinh(x @ params["w"]) @ params["v"]

    def square(outputs, y):
        return jnp.sum(jnp.square(outputs - y), axis=-1)

    made = gj.calibrate(net, params, X, X[:, :4], mode="forward", target=8.0, loss=square)
    assert made.refused.startswith("mode forward would take the cost from")
    assert made.params is params
    assert set(made.factors.values()) == {1.0}
