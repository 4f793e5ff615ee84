"""The panel's table against SciPy, random matrices and what theory says today."""

import itertools
import json

import numpy as np
import pytest
from scipy import integrate, special

from experiments.report.panel import TABLE
from experiments.report.panel_table import SHOWN, SIGMA_B2, SIGMA_W2, grid, maps
from glorot_jax.activations import ACTIVATIONS

COMMITTED = json.loads(TABLE.read_text(encoding="utf-8"))


def _gelu(s):
    """The approximation by tanh, which is JAX's default, and its derivative."""
    inner = np.sqrt(2 / np.pi) * (s + 0.044715 * s**3)
    rise = np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * s**2)
    t = np.tanh(inner)
    return s * (1 + t) / 2, (1 + t) / 2 + s * (1 - t**2) * rise / 2


# f(s) and f'(s), in NumPy's float64.
REFERENCE = {
    "sigmoid": lambda s: (special.expit(s), special.expit(s) * special.expit(-s)),
    "tanh": lambda s: (np.tanh(s), 1 - np.tanh(s) ** 2),
    "softsign": lambda s: (s / (1 + np.abs(s)), 1 / (1 + np.abs(s)) ** 2),
    "relu": lambda s: (np.maximum(s, 0), (s > 0).astype(float)),
    "gelu": _gelu,
}
EDGES = np.concatenate([-np.logspace(1.1, -8, 120), [0], np.logspace(-8, 1.1, 120)])


def _mean_square(function, q):
    def integrand(u):
        return function(np.sqrt(q) * u) ** 2 * np.exp(-(u**2) / 2) / np.sqrt(2 * np.pi)

    panels = itertools.pairwise(EDGES)
    return sum(integrate.fixed_quad(integrand, *ends, n=8)[0] for ends in panels)


@pytest.mark.parametrize("name", SHOWN)
def test_the_table_agrees_with_scipy(name):
    table = COMMITTED["activations"][name]
    for i, q in list(enumerate(grid(ACTIVATIONS[name])))[::6]:
        square = _mean_square(lambda s: REFERENCE[name](s)[0], q)
        slopes = _mean_square(lambda s: REFERENCE[name](s)[1], q)
        # 64 nodes see gelu's bend at 0 less well where s is in the hundreds.
        error = 3e-5 if q < 400 else 2.5e-3
        assert table["square"][i] == pytest.approx(np.log(square), abs=3e-6)
        assert table["slope_square"][i] == pytest.approx(np.log(slopes), abs=error)


@pytest.mark.parametrize("name", SHOWN)
def test_singular_values_in_the_table_are_those_of_a_random_matrix(name):
    n, rng = 500, np.random.default_rng(3)
    table = COMMITTED["activations"][name]["singular"]
    q = grid(ACTIVATIONS[name])
    i = int(np.argmin(np.abs(q - 1)))
    _, slopes = REFERENCE[name](np.sqrt(q[i]) * rng.standard_normal(n))
    jacobian = slopes[:, None] * rng.standard_normal((n, n)) / np.sqrt(n)
    measured = np.linalg.svd(jacobian, compute_uv=False).mean()
    # Most of the error: so many units for the law of the slopes; 1 / n where they are all alike.
    error = np.std(slopes**2) / np.mean(slopes**2) / 2 / np.sqrt(n) + 1 / n
    assert np.exp(table[i]) == pytest.approx(measured, rel=4 * error)


@pytest.mark.parametrize("name", SHOWN)
def test_the_committed_table_is_what_theory_says_today(name):
    table, q = COMMITTED["activations"][name], grid(ACTIVATIONS[name])
    again = maps(ACTIVATIONS[name], q[::16])
    for kind in ("square", "slope_square", "singular"):
        assert len(table[kind]) == len(q)
        np.testing.assert_allclose(table[kind][::16], again[kind], atol=2e-5, err_msg=kind)
    critical = np.array([again["critical"], table["critical"]], np.float64)
    np.testing.assert_allclose(*critical, rtol=2e-5)


def test_the_grid_and_the_sliders_of_the_committed_table_are_today_s():
    assert list(COMMITTED["activations"]) == list(SHOWN)
    assert (COMMITTED["sigma_w2"], COMMITTED["sigma_b2"]) == (list(SIGMA_W2), list(SIGMA_B2))
    for name in SHOWN:
        q = grid(ACTIVATIONS[name])
        expected = COMMITTED["start"] + COMMITTED["step"] * np.arange(len(q))
        np.testing.assert_allclose(np.log(q), expected, atol=1e-9)


def test_no_net_of_the_sliders_leaves_the_grid_of_a_bounded_activation():
    largest = SIGMA_W2[1] * 1.0 + SIGMA_B2[-1]
    for name in ("sigmoid", "tanh", "softsign"):
        assert largest < grid(ACTIVATIONS[name])[-2]
