"""Moments against NumPy's in float64, of arrays of either kind and of any size of value."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from glorot_jax.diagnosis.measuring import moments
from glorot_jax.diagnosis.measuring.fingerprints import fingerprint, input_sources
from glorot_jax.diagnosis.measuring.wide import Wide

SHAPE = (4, 3, 5)
# With float32's digits and none so small beside the rest that its square is lost.
arrays = npst.arrays(
    np.float32,
    SHAPE,
    elements=st.floats(-1, 1, width=32).filter(lambda value: value == 0 or abs(value) > 1e-6),
)
scales = st.sampled_from([1e-30, 1e-12, 1.0, 1e12, 1e30])


@pytest.fixture(params=[np.asarray, jnp.asarray])
def kind(request):
    return request.param


def _close(ours, exact, rtol=1e-5, atol=0.0):
    np.testing.assert_allclose(ours, exact, rtol=rtol, atol=atol)


def _check(kind, values, scale):
    """Norms and standard deviations of values whose squares float32 may not hold."""
    values = (values * np.float32(scale)).astype(np.float32)
    wide, ours = values.astype(np.float64), kind(values)
    size = np.abs(wide).max()
    _close(moments.norm(ours), np.linalg.norm(wide), atol=1e-6 * size)
    _close(moments.std(ours), wide.std(), atol=1e-6 * size)
    _close(moments.centre(ours), [wide.mean()], atol=1e-6 * size)
    for axis in (0, 1):
        by_example = np.moveaxis(wide, axis, 0).reshape(SHAPE[axis], -1)
        _close(moments.example_norms(ours, axis, SHAPE[axis]), np.linalg.norm(by_example, axis=1))
        directions = by_example / np.linalg.norm(by_example, axis=1, keepdims=True).clip(1e-300)
        cosines = directions @ directions.T
        pairs = ~np.eye(len(cosines), dtype=bool) & np.outer(*[by_example.any(axis=1)] * 2)
        if pairs.any():
            found = moments.cosine(moments.directions(ours, axis))
            _close(found, cosines[pairs].mean(), atol=1e-5)


@given(arrays, scales)
def test_they_are_numpy_s_on_the_host(values, scale):
    with np.errstate(all="ignore"):
        _check(np.asarray, values, scale)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_they_are_numpy_s_by_jax(scale):
    values = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    values[1] = 0
    _check(jnp.asarray, values, scale)


def test_positions_of_one_example_have_a_cosine_of_their_own(kind):
    values = np.random.default_rng(0).normal(0.5, 1, SHAPE).astype(np.float32)
    unit = values / np.linalg.norm(values, axis=2, keepdims=True)
    cosines = np.einsum("npd,nqd->npq", unit, unit)
    exact = np.mean(cosines[:, ~np.eye(SHAPE[1], dtype=bool)])
    _close(moments.position_cosine(kind(values), 0), exact)


def test_shares_in_bins_are_numpy_s_histogram(kind):
    values = np.random.default_rng(0).normal(3, 2, 5000).astype(np.float32)
    edges = values.mean() + 4 * values.std() * np.array([-1, 1])
    exact = np.histogram(values.clip(*edges), 20, tuple(edges))[0] / values.size
    found = moments.shape_of(kind(values), 20)
    _close(found, exact, atol=2 / values.size)  # a value on an edge may fall to either side


@pytest.mark.parametrize("spoilt", [np.nan, np.inf])
def test_what_is_not_finite_is_said(kind, spoilt):
    values = np.ones(SHAPE, np.float32)
    values[1, 2, 3] = spoilt
    ours = Wide(kind(values))
    with np.errstate(all="ignore"):
        assert not np.isfinite(moments.norm(ours))
        assert not np.isfinite(moments.mean_square(ours))
        assert not np.isfinite(moments.centre(ours)).all()
        assert not moments.all_nan(ours)
        assert moments.all_nan(kind(np.full(SHAPE, np.nan, np.float32)))


def test_a_fingerprint_is_of_values_and_their_order_and_not_of_their_shape(kind):
    values = np.random.default_rng(0).normal(size=(6, 7, 8)).astype(np.float32)
    shuffled = np.random.default_rng(1).permutation(values.reshape(-1)).reshape(48, 7)
    others = [values.reshape(6, 56), shuffled, values * 1.1]
    first, *rest = (np.asarray(fingerprint(kind(array))) for array in (values, *others))
    found = [input_sources(np.array([first, z]), np.array([first, z]))[1] for z in rest]
    assert [(one.row, one.aligned) for one in found] == [(0, True), (0, False), (None, False)]


def test_a_fingerprint_s_sums_are_by_the_sine_of_the_place(kind):
    values = np.random.default_rng(0).normal(size=(300, 257)).astype(np.float32)
    phase = 2 * np.pi * (np.arange(values.size) * 10433 % 2**16) / 2**16
    exact = [values.reshape(-1) @ wave(phase) for wave in (np.sin, np.cos)]
    _close(fingerprint(kind(values))[-2:], exact, atol=1e-4 * np.linalg.norm(values))
