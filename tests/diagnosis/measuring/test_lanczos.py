"""Lanczos spectra against NumPy's decompositions and the laws that random matrices obey."""

from functools import cache

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glorot_jax.diagnosis.measuring import lanczos, spectra

RANDOM = np.random.default_rng(0)
SIDE = 24


def _operator(matrix):
    single = np.asarray(matrix, np.float32)
    return lanczos.Operator(
        lambda v: v @ single.T, lambda u: u @ single, single.shape[1], single.shape[0]
    )


def _ritz(operator, random, *, matvecs, num_vectors):
    start = lanczos.signs(random, (num_vectors, min(operator.inputs, operator.outputs)))
    steps = lanczos.bidiagonal(operator, start, matvecs=matvecs)
    return spectra.ritz(steps._replace(diagonal=steps.diagonal[None], above=steps.above[None]))


def _spectrum(matrix, seed=0, *, matvecs=SIDE, num_vectors=16):
    """Of one matrix, as a single operator of which each vector says something."""
    every = _ritz(
        _operator(matrix), np.random.default_rng(seed), matvecs=matvecs, num_vectors=num_vectors
    )
    rms = np.linalg.norm(matrix) / np.sqrt(min(matrix.shape))
    return spectra.summary(every, np.array([rms]))


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
    found = _spectrum(matrix)
    assert not any(np.isnan(values).any() for values in found)
    scale = exact[0]
    assert found.maximum == pytest.approx(exact[0], rel=1e-4)
    assert found.minimum == pytest.approx(exact[-1], abs=2e-4 * scale)
    assert abs(found.mean - exact.mean()) <= 4 * found.mean_error + 1e-5 * scale
    assert found.mean_error <= 0.1 * exact.mean()
    assert found.mean_square == pytest.approx((exact**2).mean(), rel=1e-4)
    assert np.sum(found.density * np.diff(found.edges)) == pytest.approx(1, rel=1e-5)
    deficient = np.linalg.matrix_rank(matrix) < min(matrix.shape)
    assert np.isinf(found.condition) == deficient


def test_zeros_and_isolated_values_stay_points_of_the_density():
    found = _spectrum(np.diag([0.0] * 6 + [1.0] * 12 + [4.0] * 6))
    shares = found.density * np.diff(found.edges)
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
    found = _spectrum(matrix, num_vectors=4)
    assert not any(np.isnan(values).any() for values in found)
    # Lanczos finds no value outside the spectrum, and at full depth its ends.
    assert found.maximum == pytest.approx(exact[0], rel=1e-3)
    assert found.minimum >= exact[-1] * (1 - 1e-3) - 2e-5 * exact[0]


@settings(max_examples=30)
@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 60)),
    rank=st.integers(0, 12),
    exponent=st.integers(-38, 30),
    turned=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_all_singular_values_are_those_of_an_svd(shape, rank, exponent, turned, seed):
    random = np.random.default_rng(seed)
    factors = random.normal(size=(2, shape[0], rank)), random.normal(size=(2, rank, shape[1]))
    single = np.float32(10.0**exponent * factors[0] @ factors[1])
    matrices = single.swapaxes(1, 2) if turned else single
    exact = np.linalg.svd(matrices.astype(np.float64), compute_uv=False)
    found = spectra.singular_values_of(matrices)
    np.testing.assert_allclose(found, exact, rtol=1e-6, atol=1e-7 * exact.max())


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
    matrix = sides[0] * values @ sides[1].T
    assert not lanczos.held_orthogonal(len(values), lanczos.MATVECS)
    found = _spectrum(matrix, matvecs=lanczos.MATVECS)
    assert abs(found.mean - values.mean()) <= 4 * found.mean_error + 1e-5 * values.max()
    assert found.mean_error <= 0.02 * values.mean()
    short = 4 * float(found.maximum_error) + 1e-3
    assert float(found.maximum) == pytest.approx(values.max(), abs=short)
    assert found.minimum >= values.min() - 1e-4
    monkeypatch.setattr(lanczos, "FEW", len(values))
    held = _spectrum(matrix, matvecs=lanczos.MATVECS)
    assert abs(found.mean - held.mean) <= held.mean_error + 1e-6
    assert found.mean_error <= 1.5 * held.mean_error + 1e-5  # as of a few steps less


def test_the_rules_bracket_the_mean():
    """For a diagonal matrix v'f(A)v is the trace of f(A), whatever the signs of v."""
    diagonal = RANDOM.uniform(0, 1, 200) ** 2
    operator = _operator(np.diag(diagonal))
    widths = []
    for matvecs in (5, 10):
        found = _ritz(operator, np.random.default_rng(1), matvecs=matvecs, num_vectors=1)
        above, below = np.sum(found.weights * found.values), found.mean_below
        assert below <= diagonal.mean() <= above
        widths.append(above - below)
    assert widths[0] > 2 * widths[1] > 0


def test_marchenko_and_pastur():
    """Square Gaussian matrices: mean 8 / (3 pi), maximum 2, density sqrt(4 - x^2) / pi."""
    side = 500
    matrix = _normal(side, side) / np.sqrt(side)
    found = _spectrum(matrix, matvecs=lanczos.MATVECS, num_vectors=8)
    exact = np.linalg.svd(matrix, compute_uv=False)
    assert abs(found.mean - exact.mean()) <= 3 * found.mean_error <= 0.03 * exact.mean()
    # Of a Gaussian matrix traces spread by less than 1 / side (Bai and Silverstein).
    assert abs(found.mean - 8 / (3 * np.pi)) <= 3 * found.mean_error + 2 / side
    assert exact[0] * 0.99 <= found.maximum <= exact[0] * (1 + 1e-5)
    assert exact[0] - found.maximum <= 2 * found.maximum_error
    edges = np.minimum(found.edges, 2)
    reached = (edges * np.sqrt(4 - edges**2) / 2 + 2 * np.arcsin(edges / 2)) / np.pi
    shares = found.density * np.diff(found.edges)
    assert np.abs(shares - np.diff(reached)).sum() < 0.1


@pytest.mark.parametrize("side", [30, 1100])
def test_on_an_accelerator_the_same_steps_are_made_by_jax(side):
    """With the vectors held orthogonal, and without; four steps, before rounding shows."""
    matrix = MANY.normal(size=(side, 30)) @ MANY.normal(size=(30, side + 5))
    operator = _operator(matrix)
    by_jax = operator._replace(
        apply=lambda v: jnp.asarray(operator.apply(np.asarray(v))),
        transpose=lambda u: jnp.asarray(operator.transpose(np.asarray(u))),
    )
    start = lanczos.signs(np.random.default_rng(0), (3, side))
    found, expected = (
        lanczos.bidiagonal(operator, start, matvecs=4),
        lanczos.bidiagonal(by_jax, jnp.asarray(start), matvecs=4),
    )
    for ours, theirs in zip(found[:2], expected[:2], strict=True):
        assert isinstance(theirs, np.ndarray)
        np.testing.assert_allclose(ours, theirs, rtol=1e-4)


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
    for name, (matrix, mean) in _truths().items():
        found = [_spectrum(matrix, seed, matvecs=8, num_vectors=2) for seed in range(repeats)]
        means = np.array([one.mean for one in found])
        errors = np.array([one.mean_error for one in found])
        missed = np.sum(np.abs(means - mean) > 2 * errors)
        # 1 in 20, and 3 standard deviations of a binomial above it.
        assert missed <= repeats / 20 + 3 * np.sqrt(repeats / 20), name
        # Nor is it so wide that it says nothing.
        assert np.std(means) > 0.25 * np.median(errors), name


def test_exact_values_are_summarised_alike():
    values = np.sort(RANDOM.uniform(0, 3, (4, 10)), axis=1)[:, ::-1]
    found = spectra.exact_summary(values, bins=7)
    assert found.mean == pytest.approx(values.mean(), rel=1e-5)
    assert found.mean_square == pytest.approx((values**2).mean(), rel=1e-5)
    assert found.maximum == pytest.approx(values[:, 0].mean(), rel=1e-5)
    assert found.condition == pytest.approx(np.sort(values[:, 0] / values[:, -1])[1], rel=1e-4)
    expected, _ = np.histogram(values, bins=np.asarray(found.edges, np.float64), density=True)
    np.testing.assert_allclose(found.density[:-1], expected[:-1], rtol=1e-4)
    assert found.mean_error == 0
    assert found.exact


def test_what_is_not_finite_is_nan():
    """And does not spoil what is told of another operator."""
    broken = _normal(SIDE, SIDE)
    broken[3, 4] = np.inf
    with np.errstate(invalid="ignore"):
        found = _spectrum(broken, num_vectors=2)
    for name, values in found._asdict().items():
        assert name in ("exact", "density") or np.isnan(values).all(), name
    values = spectra.singular_values_of(np.stack([broken, np.eye(SIDE)]))
    assert np.isnan(values[0]).all()
    np.testing.assert_allclose(values[1], 1)
