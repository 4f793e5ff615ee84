"""The slope of a profile, beside SciPy's."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import theilslopes

from glorot_jax.diagnosis.judging.rules.profiles import _median_slope


@given(st.lists(st.floats(-50, 50), min_size=2, max_size=12))
def test_the_median_slope_is_theil_and_sen_s(y):
    np.testing.assert_allclose(_median_slope(np.array(y)), theilslopes(y)[0], atol=1e-12)
