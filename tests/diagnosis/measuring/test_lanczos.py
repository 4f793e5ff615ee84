"""Lanczos spectra against NumPy's decompositions and the laws that random matrices obey."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glorot_jax.diagnosis.measuring import lanczos

RANDOM = np.random.default_rng(0)
SIDE = 24


@partial(jax.jit, static_argnames=("matvecs", "num_vectors"))
def _spectrum(matrix, key=None, *, matvecs=SIDE, num_vectors=16):
    key = jax.random.key(0) if key is None else key
    # Frobenius' norm of small entries, whose squares underflow.
    largest = jnp.maximum(jnp.max(jnp.abs(matrix)), 1e-37)
    rms = largest * jnp.linalg.norm(matrix / largest) / np.sqrt(min(matrix.shape))
    return lanczos.singular_values(
        lambda v: matrix @ v, matrix[0], key, matvecs=matvecs, num_vectors=num_vectors, rms=rms
    )


def _float32(matrix):
    return jnp.asarray(matrix, jnp.float32)


def _normal(rows, columns):
    return RANDOM.normal(size=(rows, columns))


MATRICES = {
    "zero": np.zeros((SIDE, SIDE)),
    "identity": np.eye(SIDE),
    "orthogonal": np.linalg.qr(_normal(SIDE, SIDE))[0],
    "rank one": _normal(SIDE, 1) @ _normal(1, SIDE),
    "two values": np.diag([1.0] * 10 + [3.0] * (SIDE - 10)),
    "ones": np.ones((SIDE, SIDE)),
    "relu": (np.arange(SIDE) < SIDE // 2)[:, None] * _normal(SIDE, SIDE),
    "dead inputs": (np.arange(SIDE) < 5) * _normal(SIDE, SIDE),
    "vanishing": 1e-30 * _normal(SIDE, SIDE),
    "wide": _normal(6, SIDE),
    "tall": _normal(SIDE, 6),
}


@pytest.mark.parametrize("name", MATRICES)
def test_any_rank_and_any_shape(name):
    matrix = MATRICES[name]
    exact = np.linalg.svd(matrix, compute_uv=False)
    found = _spectrum(_float32(matrix))
    assert not any(np.isnan(values).any() for values in found)
    scale = exact[0]
    assert found.maximum == pytest.approx(exact[0], rel=1e-4)
    assert found.minimum == pytest.approx(exact[-1], abs=2e-4 * scale)
    assert abs(found.mean - exact.mean()) <= 4 * found.mean_error + 1e-5 * scale
    assert found.mean_error <= 0.1 * exact.mean()
    assert found.mean_square == pytest.approx((exact**2).mean(), rel=1e-4)
    assert jnp.sum(found.density * jnp.diff(found.edges)) == pytest.approx(1, rel=1e-5)
    deficient = np.linalg.matrix_rank(matrix) < min(matrix.shape)
    assert np.isinf(found.condition) == deficient


def test_zeros_and_isolated_values_stay_points_of_the_density():
    found = _spectrum(_float32(np.diag([0.0] * 6 + [1.0] * 12 + [4.0] * 6)))
    shares = found.density * jnp.diff(found.edges)
    expected = np.zeros(len(shares))
    expected[[0, 12, -1]] = 0.25, 0.5, 0.25  # 1 of 4 is a quarter up the 50 bins
    np.testing.assert_allclose(shares, expected, atol=1e-4)


@settings(max_examples=20)
@given(
    shape=st.sampled_from([(1, 1), (5, 1), (4, 6)]),
    rank=st.integers(0, 4),
    exponent=st.integers(-33, 15),
    seed=st.integers(0, 1000),
)
def test_never_nan(shape, rank, exponent, seed):
    random = np.random.default_rng(seed)
    factors = random.normal(size=(shape[0], rank)), random.normal(size=(rank, shape[1]))
    matrix = 10.0**exponent * factors[0] @ factors[1]
    exact = np.linalg.svd(matrix, compute_uv=False)
    found = _spectrum(_float32(matrix), num_vectors=4)
    assert not any(np.isnan(values).any() for values in found)
    # Lanczos finds no value outside the spectrum, and at full depth its ends.
    assert found.maximum == pytest.approx(exact[0], rel=1e-3)
    assert found.minimum >= exact[-1] * (1 - 1e-3) - 2e-5 * exact[0]


MANY = np.random.default_rng(1)
SPECTRA = {
    "half normal": np.abs(MANY.normal(size=1100)),
    "two far out": np.r_[100.0, 50.0, np.abs(MANY.normal(size=1098))],  # found after a few steps
    "two values": np.r_[np.ones(500), np.full(600, 0.5)],
    "half of them 0": np.r_[np.zeros(600), MANY.uniform(1, 2, 500)],
}


@pytest.mark.parametrize("name", SPECTRA)
def test_among_many_directions_vectors_needn_t_be_held_orthogonal(name, monkeypatch):
    values = SPECTRA[name]
    sides = [np.linalg.qr(MANY.normal(size=(1100, 1100)))[0] for _ in range(2)]
    matrix = _float32(sides[0] * values @ sides[1].T)
    assert not lanczos.held_orthogonal(len(values), lanczos.MATVECS)
    found = _spectrum(matrix, matvecs=lanczos.MATVECS)
    assert abs(found.mean - values.mean()) <= 4 * found.mean_error + 1e-5 * values.max()
    assert found.mean_error <= 0.02 * values.mean()
    short = 4 * float(found.maximum_error) + 1e-3
    assert float(found.maximum) == pytest.approx(values.max(), abs=short)
    assert found.minimum >= values.min() - 1e-4
    monkeypatch.setattr(lanczos, "FEW", len(values))
    held = _spectrum.__wrapped__(matrix, matvecs=lanczos.MATVECS)
    assert abs(found.mean - held.mean) <= held.mean_error + 1e-6
    assert found.mean_error <= 1.5 * held.mean_error + 1e-5  # as of a few steps less


def test_the_rules_bracket_the_mean():
    """For a diagonal matrix v'f(A)v is the trace of f(A), whatever the signs of v."""
    diagonal = RANDOM.uniform(0, 1, 200) ** 2
    matrix = _float32(diagonal)
    widths = []
    for matvecs in (5, 10):
        steps = partial(lanczos.bidiagonal, lambda v: matrix * v, matrix, matvecs=matvecs)
        found = jax.jit(lambda key, steps=steps: lanczos.ritz(steps(key)))(jax.random.key(1))
        above, below = jnp.sum(found.weights * found.values), found.mean_below
        assert below <= diagonal.mean() <= above
        widths.append(above - below)
    assert widths[0] > 2 * widths[1] > 0


def test_marchenko_and_pastur():
    """Square Gaussian matrices: mean 8 / (3 pi), maximum 2, density sqrt(4 - x^2) / pi."""
    side = 500
    matrix = _normal(side, side) / np.sqrt(side)
    found = _spectrum(_float32(matrix), matvecs=lanczos.MATVECS, num_vectors=8)
    exact = np.linalg.svd(matrix, compute_uv=False)
    assert abs(found.mean - exact.mean()) <= 3 * found.mean_error <= 0.03 * exact.mean()
    # Of a Gaussian matrix traces spread by less than 1 / side (Bai and Silverstein).
    assert abs(found.mean - 8 / (3 * np.pi)) <= 3 * found.mean_error + 2 / side
    assert exact[0] * 0.99 <= found.maximum <= exact[0] * (1 + 1e-5)
    assert exact[0] - found.maximum <= 2 * found.maximum_error
    edges = np.minimum(found.edges, 2)
    reached = (edges * np.sqrt(4 - edges**2) / 2 + 2 * np.arcsin(edges / 2)) / np.pi
    shares = found.density * jnp.diff(found.edges)
    assert np.abs(shares - np.diff(reached)).sum() < 0.1


@cache
def _truths():
    """Kinds of spectra that differ at 0: hard edge, a peak, a gap, dead inputs, few values."""
    k = 48
    kinds = {
        "square": _normal(k, k),
        "product": _normal(k, k) @ _normal(k, k) @ _normal(k, k),
        "gap": _normal(k, k) + 20 * np.eye(k),
        "dead inputs": (np.arange(k) < k / 3) * _normal(k, k),
    }
    return {name: (m, np.linalg.svd(m, compute_uv=False).mean()) for name, m in kinds.items()}


def test_the_error_covers_the_truth():
    repeats = 100
    keys = jax.random.split(jax.random.key(7), repeats)
    many = jax.jit(jax.vmap(partial(_spectrum, matvecs=8, num_vectors=2), in_axes=(None, 0)))
    for name, (matrix, mean) in _truths().items():
        found = many(_float32(matrix), keys)
        missed = int(jnp.sum(jnp.abs(found.mean - mean) > 2 * found.mean_error))
        # 1 in 20, and 3 standard deviations of a binomial above it.
        assert missed <= repeats / 20 + 3 * np.sqrt(repeats / 20), name
        # Nor is it so wide that it says nothing.
        assert np.std(found.mean) > 0.25 * np.median(found.mean_error), name


def test_exact_values_are_summarised_alike():
    values = np.sort(RANDOM.uniform(0, 3, (4, 10)), axis=1)[:, ::-1]
    found = jax.jit(partial(lanczos.exact_summary, bins=7))(_float32(values.copy()))
    assert found.mean == pytest.approx(values.mean(), rel=1e-5)
    assert found.mean_square == pytest.approx((values**2).mean(), rel=1e-5)
    assert found.maximum == pytest.approx(values[:, 0].mean(), rel=1e-5)
    assert found.condition == pytest.approx(np.sort(values[:, 0] / values[:, -1])[1], rel=1e-4)
    expected, _ = np.histogram(values, bins=np.asarray(found.edges, np.float64), density=True)
    np.testing.assert_allclose(found.density[:-1], expected[:-1], rtol=1e-4)
    assert found.mean_error == 0
    assert found.exact
