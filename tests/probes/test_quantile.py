"""Quantiles by counting are those of NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from glorot_jax.probes.quantile import quantile

SIZES = (1, 2, 7, 50)
PROBABILITIES = (0.0, 0.02, 0.5, 0.98, 1.0)
_quantile = jax.jit(lambda values: quantile(values, PROBABILITIES))


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(SIZES).flatmap(
        lambda n: hnp.arrays(
            np.float32, n, elements=st.floats(-(2.0**60), 2.0**60, width=32, allow_subnormal=False)
        )
    )
)
def test_they_are_numpys(values):
    expected = np.quantile(values.astype(np.float64), PROBABILITIES)
    found = _quantile(values)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6 * np.abs(values).max())


def test_many_values_of_any_shape_and_repeated_ones():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(30, 40, 3)).astype(np.float32)
    values[::2] = 0.25
    expected = np.quantile(values, PROBABILITIES)
    np.testing.assert_allclose(_quantile(jnp.asarray(values)), expected, rtol=1e-6)


def test_infinities_are_ordered_and_nan_spoils_all():
    assert np.isposinf(_quantile(jnp.array([1.0, jnp.inf, jnp.inf]))[2:]).all()
    assert np.isneginf(_quantile(jnp.array([1.0, -jnp.inf, -jnp.inf]))[:3]).all()
    assert np.isnan(_quantile(jnp.array([1.0, jnp.nan, 2.0]))).all()
