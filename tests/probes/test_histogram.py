"""Counts on the device against ``numpy.histogram``."""

import chex
import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from glorot_jax.probes.histogram import histogram

BINS = 16
fractions = jax.jit(histogram, static_argnums=3)
# Multiples of 1/64 in bins of 1/8: every value, edge and quotient is exact in float32.
ON_A_GRID = arrays(np.float32, (4, 10), elements=st.integers(-64, 64).map(lambda i: i / 64))


@given(values=ON_A_GRID)
def test_is_that_of_numpy_edges_included(values):
    expected, _ = np.histogram(values, BINS, (-1, 1))
    found = np.asarray(fractions(values, -1.0, 1.0, BINS))
    np.testing.assert_allclose(found * values.size, expected, rtol=1e-6)


@given(
    values=arrays(np.float32, (50,), elements=st.floats(-(2.0**100), 2.0**100, width=32)),
    low=st.floats(-10, 10, width=32),
    width=st.floats(0.125, 100, width=32),
)
def test_whatever_the_values_the_fractions_sum_to_one(values, low, width):
    found = fractions(values, np.float32(low), np.float32(low) + np.float32(width), BINS)
    assert (np.asarray(found) >= 0).all()
    np.testing.assert_allclose(found.sum(), 1, rtol=1e-6)


def test_what_lies_outside_is_in_the_outermost_bins():
    values = np.array([-np.inf, -3e38, -5, -0.9, 0.1, 0.9, 7, 3e38, np.inf, np.inf], np.float32)
    np.testing.assert_allclose(fractions(values, -1.0, 1.0, 4), [0.4, 0, 0.1, 0.5], rtol=1e-6)


def test_nan_is_counted_nowhere():
    values = np.array([np.nan, -0.5, 0.5, np.nan], np.float32)
    np.testing.assert_array_equal(fractions(values, -1.0, 1.0, 4), [0, 0.25, 0, 0.25])


@pytest.mark.parametrize(
    ("low", "high"), [(0, 0), (1, 1), (np.nan, np.nan), (-np.inf, np.inf)], ids=str
)
def test_a_range_without_width_or_end_holds_nothing(low, high):
    found = fractions(np.zeros(5, np.float32), np.float32(low), np.float32(high), 4)
    np.testing.assert_array_equal(found, np.zeros(4))


def test_vmap_and_one_trace():
    values = np.random.default_rng(0).normal(size=(3, 5, 7)).astype(np.float32)
    once = chex.assert_max_traces(lambda v, reach: histogram(v, -reach, reach, BINS), n=1)
    counted = jax.jit(jax.vmap(once))
    reach = np.array([0.5, 1, 2], np.float32)
    for _ in range(2):
        found = counted(values, reach)
    for row in range(3):
        np.testing.assert_allclose(
            found[row], fractions(values[row], -reach[row], reach[row], BINS)
        )
