"""Spectra of sites against NumPy's decompositions of JAX's own Jacobians."""

from collections import OrderedDict
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from glorot_jax.diagnosis import trace
from glorot_jax.diagnosis.measuring import site_jacobians
from glorot_jax.diagnosis.tracing import programs
from tests.diagnosis.jacobians import KEY, exact_values, papers_net
from tests.diagnosis.models import CLASSES, N, traced


@cache
def _spectra(name, **how):
    model, found = traced(name)
    return found, _measured(found, model.params, model.x, **how)


def _measured(found, params, x, **how):
    return site_jacobians.site_spectra(found, **how)(params, x, np.random.default_rng(0))


def test_small_layers_are_those_of_the_probes():
    found, params, x, exact = papers_net()
    measured = _measured(found, params, x, exact_up_to=1000, bins=8)
    assert measured["exact"].all()
    for row, values in enumerate(exact):
        expected = {
            "sigma_mean": values.mean(),
            "sigma_mean_square": (values**2).mean(),
            "sigma_max": values[:, 0].mean(),
            "sigma_min": values[:, -1].mean(),
            "sigma_mean_error": 0,
            "sigma_max_error": 0,
        }
        for name, value in expected.items():
            assert measured[name][row] == pytest.approx(value, rel=1e-4), name
        edges = np.asarray(measured["edges"][row], np.float64)
        assert edges[-1] == pytest.approx(values.max(), rel=1e-5)
        edges[-1] += 1e-3
        shares = measured["density"][row] * np.diff(measured["edges"][row])
        expected = np.histogram(values, edges)[0] / values.size
        np.testing.assert_allclose(shares, expected, atol=2e-4)


@pytest.mark.parametrize(
    ("activation", "memory"), [("tanh", site_jacobians.MEMORY), ("relu", 12 * 4 * 24 * 180)]
)
def test_matrix_free_layers_agree_with_exact_ones(activation, memory):
    """Wide, tall and, by relu, of half the rank; all examples at once and a third of them."""
    found, params, x, exact = papers_net(activation)
    measured = _measured(found, params, x, num_vectors=4, memory=memory)
    assert measured["exact"].tolist() == [False] * 3 + [True]
    assert not any(np.isnan(values).any() for values in measured.values())
    for row, values in enumerate(exact):
        error = abs(measured["sigma_mean"][row] - values.mean())
        assert error <= 2 * measured["sigma_mean_error"][row] <= 0.03 * values.mean()
        assert measured["sigma_mean_square"][row] == pytest.approx((values**2).mean(), rel=1e-4)
        largest = values[:, 0].mean()
        assert 0.99 * largest <= measured["sigma_max"][row] <= largest * (1 + 1e-5)
        assert measured["sigma_min"][row] >= values[:, -1].mean() * (1 - 1e-3) - 1e-6
        if activation == "relu":  # half of the units are off
            assert measured["sigma_min"][row] == 0
            assert np.isinf(measured["condition"][row])
        else:
            median = np.sort(values[:, 0] / values[:, -1])[(len(x) - 1) // 2]
            assert 1 <= measured["condition"][row] <= median * (1 + 1e-3)


@pytest.mark.parametrize("name", ["linen_cnn_with_attention", "vmapped_experts"])
def test_any_site_is_the_jacobian_of_its_own_function(name):
    model, found = traced(name)
    signals = jax.jit(found.run)(model.params, model.x)
    _, measured = _spectra(name)
    for row, (site, z, s, kernel) in enumerate(
        zip(found.sites, signals.z, signals.s, signals.kernels, strict=True)
    ):
        follow = site.activation or (lambda s: s)
        bias = s - site.contract(z, kernel)
        values = exact_values(
            lambda z, site=site, f=follow, kernel=kernel, b=bias: f(site.contract(z, kernel) + b), z
        )
        assert measured["sigma_mean"][row] == pytest.approx(values.mean(), rel=1e-4), site.name
        assert measured["sigma_max"][row] == pytest.approx(values[:, 0].mean(), rel=1e-4)


def test_lanczos_of_a_convolution():
    def apply_conv(w, x):
        axes = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(x, w, (2, 1), "SAME", dimension_numbers=axes)

    def apply(params, x):
        h = jax.nn.gelu(apply_conv(params["w"], x))
        return jnp.mean(h, axis=(1, 2)) @ params["out"]

    random = np.random.default_rng(0)
    shapes = {"w": (3, 3, 2, 3), "out": (3, CLASSES)}
    params = {k: jnp.asarray(random.normal(size=v), jnp.float32) for k, v in shapes.items()}
    x = jnp.asarray(random.normal(size=(N, 8, 5, 2)), jnp.float32)
    found = trace(apply, params, x)
    measured = _measured(found, params, x, exact_up_to=50, num_vectors=4)
    assert measured["exact"].tolist() == [False, True]
    values = exact_values(lambda x: jax.nn.gelu(apply_conv(params["w"], x)), x)
    assert measured["sigma_mean_square"][0] == pytest.approx((values**2).mean(), rel=1e-4)
    assert measured["sigma_max"][0] == pytest.approx(values[:, 0].mean(), rel=1e-3)
    assert abs(measured["sigma_mean"][0] - values.mean()) <= 3 * measured["sigma_mean_error"][0]


def test_steps_of_a_scan_are_rows():
    model, found = traced("scanned")
    measured = _spectra("scanned")[1]
    s = np.asarray(jax.jit(found.run)(model.params, model.x).s[1], np.float64)
    kernels = np.asarray(model.params["middle"]["w"], np.float64)
    jacobians_of_steps = kernels[:, None] * (1 - np.tanh(s) ** 2)[:, :, None, :]
    values = np.linalg.svd(jacobians_of_steps, compute_uv=False)
    rows = [row for row, place in enumerate(found.rows()) if place.step]
    np.testing.assert_allclose(
        measured["sigma_mean"][np.array(rows)], values.mean((1, 2)), rtol=1e-4
    )


def test_what_has_no_jacobian_is_nan():
    for name, missing in (("embedding", "table"), ("cond", "middle/right")):
        found, measured = _spectra(name)
        for row, place in enumerate(found.rows()):
            for values in (measured["sigma_mean"], measured["density"], measured["condition"]):
                assert np.isnan(values[row]).all() == (place.name == missing)


def test_half_precision_is_measured_in_single():
    w = jax.random.normal(KEY, (6, 4), jnp.bfloat16)
    x = jnp.ones((3, 6), jnp.bfloat16)
    found = trace(lambda w, x: x @ w, w, x)
    measured = _measured(found, w, x)
    values = np.linalg.svd(np.asarray(w, np.float64), compute_uv=False)
    assert measured["sigma_mean"][0] == pytest.approx(values.mean(), rel=1e-5)


@pytest.mark.parametrize("exact_up_to", [64, 0])
def test_complex_values_count_as_two(exact_up_to):
    """Each singular value of a complex matrix is there twice of the real one."""
    random = np.random.default_rng(0)
    w = (random.normal(size=(12, 8)) + 1j * random.normal(size=(12, 8))).astype(np.complex64)
    x = jnp.asarray(random.normal(size=(5, 12)), jnp.complex64)
    measured = _measured(trace(lambda w, x: x @ w, w, x), w, x, exact_up_to=exact_up_to)
    values = np.linalg.svd(w, compute_uv=False)
    assert measured["exact"] == (exact_up_to > 0)
    assert measured["sigma_mean"][0] == pytest.approx(values.mean(), rel=1e-2)
    assert measured["sigma_mean_square"][0] == pytest.approx((values**2).mean(), rel=1e-4)
    assert measured["sigma_max"][0] == pytest.approx(values.max(), rel=1e-3)


def test_on_an_accelerator_arrays_stay_there(monkeypatch):
    found, params, x, _ = papers_net()
    here = _measured(found, params, x)
    monkeypatch.setattr(jax, "default_backend", lambda: "an accelerator")
    there = _measured(found, params, x)
    for name, values in here.items():
        assert isinstance(there[name], np.ndarray)
        np.testing.assert_allclose(there[name], values, rtol=1e-2, atol=1e-2, err_msg=name)


def test_nets_of_one_shape_share_what_is_compiled(monkeypatch):
    found, params, x, _ = papers_net(widths=(80,))
    kept = OrderedDict()
    monkeypatch.setattr(programs, "_kept", kept)
    counts = []
    for scale in (1, 1.5):
        net = jax.tree.map(lambda leaf, scale=scale: scale * leaf, params)
        measured = _measured(found, net, x, num_vectors=4)
        counts.append(len(kept))
        w = scale * np.asarray(params["hidden_01"]["kernel"], np.float64)
        s = np.asarray(x, np.float64) @ w
        values = np.linalg.svd(w[None] * (1 - np.tanh(s) ** 2)[:, None], compute_uv=False)
        error = abs(measured["sigma_mean"][0] - values.mean())
        assert error <= 2 * measured["sigma_mean_error"][0]
        assert measured["sigma_max"][0] == pytest.approx(values[:, 0].mean(), rel=1e-2)
    assert 0 < counts[0] == counts[1]


def test_a_reshape_that_mixes_examples_after_the_product_leaves_nan():
    def apply(params, x):
        product = x @ params["w"]
        flat = product.reshape(-1)  # examples and units on one axis, then apart again
        s = flat.reshape(product.shape) + params["b"][None]
        return jnp.tanh(s) @ params["out"]

    params = {"w": jnp.ones((3, 4)), "b": jnp.ones(4), "out": jnp.ones((4, 2))}
    x = jnp.asarray(np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32))
    found = _measured(trace(apply, params, x), params, x)
    assert np.isnan(found["sigma_mean"]).tolist() == [True, False]


def test_fewer_examples_and_sites():
    """The first examples of the sites asked for, as if there were no others."""
    found, params, x, exact = papers_net()
    measured = _measured(found, params, x, exact_up_to=1000, examples=3, sites=(0, 2))
    for row, values in enumerate(exact):
        expected = values[:3].mean() if row in (0, 2) else np.nan
        assert measured["sigma_mean"][row] == pytest.approx(expected, rel=1e-4, nan_ok=True)
