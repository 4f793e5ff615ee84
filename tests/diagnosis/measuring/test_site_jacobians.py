"""Spectra of sites and up to the logits against NumPy's decompositions of JAX's own Jacobians."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from glorot_jax import probes
from glorot_jax.activations import ACTIVATIONS
from glorot_jax.diagnosis import trace
from glorot_jax.diagnosis.measuring import site_jacobians
from glorot_jax.network import MLP, init, logits
from tests.diagnosis.models import CLASSES, N, traced

KEY = jax.random.key(0)


@cache
def _net(activation="tanh", widths=(100, 80, 100), inputs=80, n=9):
    """The paper's net, with its trace and the exact singular values of its hidden layers."""
    model = MLP(widths, CLASSES, ACTIVATIONS[activation])
    params = init(model, KEY, inputs)
    x = jax.random.normal(jax.random.key(1), (n, inputs))
    found = trace(partial(logits, model), params, x)
    exact = jax.jit(partial(probes.singular_values, model))(params, x)
    return found, params, x, [np.asarray(v)[:, ~np.isnan(v[0])] for v in exact]


@cache
def _spectra(name, **how):
    model, found = traced(name)
    spectra = partial(site_jacobians.site_spectra, found, **how)
    return found, jax.jit(spectra)(model.params, model.x, KEY)


@cache
def _up_to_logits(name, **how):
    model, found = traced(name)
    spectra = partial(site_jacobians.end_to_end, found, **how)
    return found, jax.jit(spectra)(model.params, model.x, KEY)


def test_small_layers_are_those_of_the_probes():
    found, params, x, exact = _net()
    spectra = partial(site_jacobians.site_spectra, found, exact_up_to=1000, bins=8)
    measured = jax.jit(spectra)(params, x, KEY)
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
    ("activation", "memory"), [("tanh", site_jacobians.MEMORY), ("relu", 3 * 4 * 4 * 20 * 180 * 4)]
)
def test_matrix_free_layers_agree_with_exact_ones(activation, memory):
    """Wide, tall and, by relu, of half the rank; all examples at once and three at a time."""
    found, params, x, exact = _net(activation)
    spectra = jax.jit(partial(site_jacobians.site_spectra, found, probes=4, memory=memory))
    measured = spectra(params, x, KEY)
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


def _exact(function, z):
    """Singular values of each example's Jacobian [n, k]; no example sees another."""
    jacobian = np.asarray(jax.jit(jax.jacrev(function))(z), np.float64)
    outputs = jacobian.shape[: -z.ndim]
    # No other axis of these models is as long as that of the examples.
    jacobian = np.moveaxis(jacobian, (outputs.index(N), len(outputs) + z.shape.index(N)), (0, 1))
    own = [block.reshape(-1, z.size // N) for block in jacobian[np.arange(N), np.arange(N)]]
    return np.linalg.svd(np.stack(own), compute_uv=False)


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
        values = _exact(
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
    spectra = partial(site_jacobians.site_spectra, found, exact_up_to=50, probes=4)
    measured = jax.jit(spectra)(params, x, KEY)
    assert measured["exact"].tolist() == [False, True]
    values = _exact(lambda x: jax.nn.gelu(apply_conv(params["w"], x)), x)
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
    found, measured = _up_to_logits("cond")
    nan = np.isnan(measured["s_sigma_mean"])
    assert [found.rows()[row].name for row in np.flatnonzero(nan)] == ["middle/right"]


def test_half_precision_is_measured_in_single():
    w = jax.random.normal(KEY, (6, 4), jnp.bfloat16)
    x = jnp.ones((3, 6), jnp.bfloat16)
    found = trace(lambda w, x: x @ w, w, x)
    measured = jax.jit(partial(site_jacobians.site_spectra, found))(w, x, KEY)
    values = np.linalg.svd(np.asarray(w, np.float64), compute_uv=False)
    assert measured["sigma_mean"][0] == pytest.approx(values.mean(), rel=1e-5)


def _both(params):
    """Two members, stacked."""
    return jax.tree.map(lambda leaf: jnp.stack([leaf, 1.5 * leaf]), params)


def test_seeds_are_measured_by_one_vmap():
    found, params, x, _ = _net(widths=(80,))
    spectra = jax.vmap(
        partial(site_jacobians.site_spectra, found, probes=4), in_axes=(0, None, None)
    )
    measured = jax.jit(spectra)(_both(params), x, KEY)
    for seed, scale in enumerate((1, 1.5)):
        w = scale * np.asarray(params["hidden_01"]["kernel"], np.float64)
        s = np.asarray(x, np.float64) @ w
        values = np.linalg.svd(w[None] * (1 - np.tanh(s) ** 2)[:, None], compute_uv=False)
        error = abs(measured["sigma_mean"][seed, 0] - values.mean())
        assert error <= 2 * measured["sigma_mean_error"][seed, 0]
        assert measured["sigma_max"][seed, 0] == pytest.approx(values[:, 0].mean(), rel=1e-2)


_UP = ["activation_with_its_own_gradient", "linen_cnn_with_attention", "recurrent"]


@pytest.mark.parametrize("name", _UP)
def test_input_to_logits(name):
    model, _ = traced(name)
    _, measured = _up_to_logits(name)
    values = _exact(partial(model.apply, model.params), model.x)
    assert measured["exact"]
    assert measured["sigma_mean"] == pytest.approx(values.mean(), rel=1e-4)
    assert measured["sigma_max"] == pytest.approx(values[:, 0].mean(), rel=1e-4)
    assert measured["sigma_min"] == pytest.approx(values[:, -1].mean(), rel=1e-3)


def test_every_row_to_the_logits():
    """Products of the layers above, the last of them the logits; two members by one vmap."""
    found, params, x, _ = _net()
    members = _both(params)
    spectra = jax.vmap(partial(site_jacobians.end_to_end, found), in_axes=(0, None, None))
    measured = jax.jit(spectra)(members, x, KEY)
    signals = jax.jit(jax.vmap(found.run, in_axes=(0, None)))(members, x)
    for seed in range(2):
        ours = {name: np.asarray(values[seed]) for name, values in measured.items()}
        product = np.eye(CLASSES)[None]
        for row in reversed(range(len(found.sites))):
            values = np.linalg.svd(product, compute_uv=False)
            assert ours["s_sigma_mean"][row] == pytest.approx(values.mean(), rel=1e-4)
            assert ours["s_sigma_max"][row] == pytest.approx(values[:, 0].mean(), rel=1e-4)
            product = product @ np.asarray(signals.kernels[row][seed], np.float64).T[None]
            if row:
                s = np.asarray(signals.s[row - 1][seed], np.float64)
                product = product * (1 - np.tanh(s) ** 2)[:, None]
        values = np.linalg.svd(product, compute_uv=False)
        assert ours["sigma_mean"] == pytest.approx(values.mean(), rel=1e-4)


def test_lanczos_up_to_the_logits():
    name = "activation_with_its_own_gradient"
    _, exact = _up_to_logits(name)
    _, measured = _up_to_logits(name, exact_up_to=0, probes=16)
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
    assert np.isnan(jax.jit(partial(site_jacobians.end_to_end, cast))(w, pixels, KEY)["sigma_mean"])


def test_a_reshape_that_mixes_examples_after_the_product_leaves_nan():
    def apply(params, x):
        product = x @ params["w"]
        flat = product.reshape(-1)  # examples and units on one axis, then apart again
        s = flat.reshape(product.shape) + params["b"][None]
        return jnp.tanh(s) @ params["out"]

    params = {"w": jnp.ones((3, 4)), "b": jnp.ones(4), "out": jnp.ones((4, 2))}
    x = jnp.asarray(np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32))
    found = site_jacobians.site_spectra(trace(apply, params, x), params, x, jax.random.key(0))
    assert np.isnan(found["sigma_mean"]).tolist() == [True, False]
