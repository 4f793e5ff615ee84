"""What theory expects beside what is measured: closed forms, NumPy quadrature, many draws."""

import itertools
from dataclasses import replace
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from glorot_jax.diagnosis import trace
from glorot_jax.diagnosis.arrays import stacked
from glorot_jax.diagnosis.judging import prediction
from glorot_jax.theory import spectrum, spread_over_seeds
from tests.diagnosis.examined import examining

N, INPUTS, WIDTH, CLASSES = 20, 30, 50, 4
SEEDS = 300
DEPTH = 4


def _labels():
    return jnp.asarray(np.random.default_rng(1).integers(CLASSES, size=N, dtype=np.int32))


def _examples(*shape):
    values = np.random.default_rng(0).normal(size=(N, *shape))
    # Examples of different sizes.
    sizes = np.linspace(0.3, 2, N).reshape(N, *(1 for _ in shape))
    return jnp.asarray((values * sizes).astype(np.float32))


def _mlp(activation, params, x):
    for kernel in params[:-1]:
        x = activation(x @ kernel)
    return x @ params[-1]


def _dense_kernels(seed, scale):
    rng = np.random.default_rng(seed)
    sizes = [INPUTS, *[WIDTH] * DEPTH, CLASSES]
    return [
        (rng.normal(size=(n, m)) * np.sqrt(scale / n)).astype(np.float32)
        for n, m in itertools.pairwise(sizes)
    ]


def _measure(apply, kernels, x):
    """Rows that are fixed, and details [seed, row, ..] of every seed."""
    nets = [jax.tree.map(jnp.asarray, net) for net in kernels]
    traced = trace(apply, nets[0], x)
    rows = examining(traced)
    found = stacked([rows(net, x, _labels()) for net in nets])
    fans = np.array([row.fan_out for row in traced.rows()])
    return prediction.row_constants(traced), found, fans


def _predict(rows, details, fans, seed):
    one = {name: values[seed] for name, values in details.items()}
    return prediction.predict(rows, one)


@cache
def _relu():
    kernels = [_dense_kernels(seed, 1.7) for seed in range(SEEDS)]
    return _measure(partial(_mlp, jax.nn.relu), kernels, _examples(INPUTS))


@cache
def _linear():
    kernels = [_dense_kernels(seed, 1.0) for seed in range(SEEDS)]
    return _measure(partial(_mlp, lambda s: s * 1.0 + 0 * s**2), kernels, _examples(INPUTS))


def test_relu_has_the_closed_form():
    """E[relu^2] = q / 2 and E[relu'^2] = 1 / 2, so every layer multiplies by n Var[W] / 2."""
    rows, details, fans = _relu()
    expected, _ = _predict(rows, details, fans, 0)
    x2 = details["z_example"][0, 0].mean()
    weight = details["kernel_mean_square"][0]
    fan_in = np.array([INPUTS, *[WIDTH] * DEPTH])
    q = x2 * fan_in[0] * weight[0] * np.cumprod([1, *(fan_in * weight)[1:] / 2])
    np.testing.assert_allclose(expected["s_mean_square"], q, rtol=1e-5)
    np.testing.assert_allclose(expected["z_mean_square"][1:], q[:-1] / 2, rtol=1e-5)
    np.testing.assert_allclose(
        expected["jacobian_mean_square"][:-1], (fan_in * weight)[:-1] / 2, rtol=1e-4
    )
    last = details["ds_example"][0, -1].mean()
    above = (fans * weight)[1:] / 2
    ds = last * np.cumprod(above[::-1])[::-1]
    np.testing.assert_allclose(expected["ds_mean_square"][:-1], ds, rtol=1e-4)
    assert np.isnan(expected["ds_mean_square"][-1])
    assert np.isnan(expected["z_mean_square"][0])


def test_many_draws_average_to_it():
    rows, details, fans = _relu()
    every = [_predict(rows, details, fans, seed)[0] for seed in range(SEEDS)]
    for name in ("s_mean_square", "ds_mean_square"):
        expected = np.array([one[name] for one in every])
        ratio = details[name] / expected
        error = ratio.std(axis=0, ddof=1) / np.sqrt(SEEDS)
        # Width 50 leaves a bias of order 1 / width beside the error of the mean.
        known = np.isfinite(error)
        assert (np.abs(ratio.mean(axis=0) - 1) < 4 * error + 1 / WIDTH)[known].all(), name
        assert known.sum() >= DEPTH


def test_the_noise_is_what_draws_vary_by():
    """In a linear net the spread over seeds is known exactly."""
    rows, details, fans = _linear()
    noise = np.array([_predict(rows, details, fans, seed)[1] for seed in range(SEEDS)])
    measured = details["s_mean_square"].std(axis=0, ddof=1) / details["s_mean_square"].mean(axis=0)
    exact = spread_over_seeds(np.asarray(_examples(INPUTS)), [*[WIDTH] * DEPTH, CLASSES],
                              excess_kurtosis=0.0)  # fmt: skip
    np.testing.assert_allclose(measured, exact, rtol=0.25)  # 300 draws, the law has long tails
    np.testing.assert_allclose(np.sqrt((noise**2).mean(axis=0)), exact, rtol=0.25)


def test_after_a_sum_of_branches_it_starts_from_what_is_measured():
    def residual(params, x):
        h = jnp.tanh(x @ params[0])
        for kernel in params[1:-1]:
            h = h + jnp.tanh(h @ kernel)
        return h @ params[-1]

    rows, details, fans = _measure(residual, [_dense_kernels(0, 1.0)], _examples(INPUTS))
    expected, _ = _predict(rows, details, fans, 0)
    # Only the second layer's input is f(s) of the row before; it goes on beside the branch too.
    assert np.isfinite(expected["z_mean_square"]).tolist() == [False, True, *[False] * (DEPTH - 1)]
    assert np.isnan(expected["ds_mean_square"]).all()
    weight = WIDTH * details["kernel_mean_square"][0, 2:-1]
    own = weight * details["z_mean_square"][0, 2:-1]
    np.testing.assert_allclose(expected["s_mean_square"][2:-1], own, rtol=1e-5)


def test_a_convolution_sees_less_beside_a_border():
    x = _examples(6, 6, 3)

    def apply(params, x):
        s = jax.lax.conv_general_dilated(
            x, params[0], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return jnp.mean(jnp.tanh(s), axis=(1, 2)) @ params[1]

    def kernels(seed):
        rng = np.random.default_rng(seed)
        return [
            (rng.normal(size=(3, 3, 3, 8)) / np.sqrt(27)).astype(np.float32),
            rng.normal(size=(8, CLASSES)).astype(np.float32),
        ]

    rows, details, fans = _measure(apply, [kernels(seed) for seed in range(SEEDS)], x)
    # A corner sees 4 of 9 places, an edge 6: of 6 x 6 places (4 x 4 + 16 x 6 + 16 x 9) / 36.
    assert rows[0].forward == pytest.approx(3 * (4 * 4 + 16 * 6 + 16 * 9) / 36)
    ratio = [
        details["s_mean_square"][seed, 0]
        / _predict(rows, details, fans, seed)[0]["s_mean_square"][0]
        for seed in range(SEEDS)
    ]
    error = np.std(ratio, ddof=1) / np.sqrt(SEEDS)
    # The border's pixels are as large as others here, up to the draw of the images.
    assert abs(np.mean(ratio) - 1) < 4 * error + 0.05


def test_two_sided_functions_are_told_from_one_sided():
    sides = {}
    for activation in (jnp.tanh, jax.nn.sigmoid, jax.nn.relu, jax.nn.gelu, jax.nn.soft_sign):
        traced = trace(
            partial(_mlp, activation), [jnp.asarray(k) for k in _dense_kernels(0, 1.0)],
            _examples(INPUTS),
        )  # fmt: skip
        sides[activation.__name__] = prediction.row_constants(traced)[0].table.two_sided
    assert sides == {
        "tanh": True, "sigmoid": True, "soft_sign": True, "relu": False, "gelu": False,
    }  # fmt: skip


def test_the_gain_brings_the_layer_to_one():
    rows, *_ = _relu()
    q = np.array([0.5, 1.0, 3.0])
    assert prediction.critical_gain(rows[0], q, 1.0) == pytest.approx(np.sqrt(2), rel=1e-5)
    assert prediction.critical_gain(rows[-1], q, 0.25) == pytest.approx(2)  # nothing follows
    traced = trace(
        partial(_mlp, jnp.tanh), [jnp.asarray(k) for k in _dense_kernels(0, 1.0)], _examples(INPUTS)
    )
    tanh = prediction.row_constants(traced)[0]
    gain = prediction.critical_gain(tanh, q, 0.4)
    u = np.linspace(-8, 8, 20_001)
    weights = np.exp(-(u**2) / 2)
    s = gain * np.sqrt(q)[:, None] * u
    slopes = (weights / weights.sum() * (1 - np.tanh(s) ** 2) ** 2).sum(axis=1).mean()
    assert 0.4 * gain**2 * slopes == pytest.approx(1, rel=1e-4)
    assert np.isnan(prediction.critical_gain(tanh, q, 0.0))


def test_mean_singular_value_of_a_linear_row_is_the_quarter_circles():
    rows, *_ = _relu()
    q = np.ones((2, 3))
    found = prediction.mean_singular_values(
        [rows[-1], rows[0]], q, np.array([0.25, np.nan]), [1, 1]
    )
    assert found[0] == pytest.approx(8 / (3 * np.pi) * 0.5, rel=1e-4)
    assert np.isnan(found[1])


def test_many_rows_of_one_function_share_a_curve():
    """Of relu it is flat: half the slopes are 1, whatever q is. Of tanh it is each row's own."""
    rows, *_ = _relu()
    q = np.geomspace(0.01, 10, 60).reshape(30, 2)
    relu = prediction.mean_singular_values([rows[0]] * 30, q, np.ones(30), [1.0] * 30)
    exact = spectrum.mean_singular_value(jax.nn.relu, 1.0, 1.0)
    np.testing.assert_allclose(relu, exact, rtol=1e-3)
    f = np.tanh(prediction.GRID)
    tanh = replace(rows[0], table=prediction.Table(f, 1 - f**2))
    found = prediction.mean_singular_values([tanh] * 30, q, np.ones(30), [1.0] * 30)
    for i in (0, 13, 29):
        each = [spectrum.mean_singular_value(jnp.tanh, float(one), 1.0) for one in q[i]]
        assert found[i] == pytest.approx(np.mean(each), rel=1e-3)


def test_a_signal_too_small_for_the_quadrature_is_followed_along_the_tangent():
    """Of tanh at 0, and of sigmoid, whose z is 1/2 however small s is."""
    table = prediction.Table(np.tanh(prediction.GRID), 0 * prediction.GRID)
    q = np.array([1e-30, 1e-14, 1e-8])
    np.testing.assert_allclose(prediction._moments(table, q).square, q, rtol=1e-4)
    assert prediction._moments(table, q).sensitivity == pytest.approx(1, rel=1e-3)
    half = table._replace(f=0.5 + table.f / 4)
    np.testing.assert_allclose(prediction._moments(half, q).square, 0.25, rtol=1e-4)
