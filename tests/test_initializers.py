"""Every initialiser keeps one contract and has the law that its docstring states."""

import math
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from glorot_jax.initializers import INITIALIZERS, gaussian, normalized, standard

SHAPES = [(300, 200), (100, 400)]
SIGMAS = 5  # a right initialiser fails such a bound once in 1.7 million draws


class Law(NamedTuple):
    """Variance of an entry of a [n_in, n_out] kernel and the kurtosis E[w^4] / E[w^2]^2."""

    variance: object
    kurtosis: float


UNIFORM, NORMAL = 9 / 5, 3.0
LAWS = {
    "standard": Law(lambda n_in, n_out: 1 / (3 * n_in), UNIFORM),
    "normalized": Law(lambda n_in, n_out: 2 / (n_in + n_out), UNIFORM),
    "gaussian": Law(lambda n_in, n_out: 0.01**2, NORMAL),
    # Cut at two standard deviations, so a little less than a normal's.
    "lecun_normal": Law(lambda n_in, n_out: 1 / n_in, NORMAL),
    "he_normal": Law(lambda n_in, n_out: 2 / n_in, NORMAL),
    # Orthonormal columns or rows: the mean square is a constant.
    "orthogonal": Law(lambda n_in, n_out: 1 / max(n_in, n_out), 1.0),
}
BOUNDS = {
    "standard": (standard, lambda n_in, n_out: 1 / math.sqrt(n_in)),
    "normalized": (normalized, lambda n_in, n_out: math.sqrt(6 / (n_in + n_out))),
}


def test_every_initializer_has_a_law():
    assert LAWS.keys() == INITIALIZERS.keys()


@pytest.mark.parametrize("name", INITIALIZERS)
def test_contract(name):
    initializer, shape, key = INITIALIZERS[name](), (12, 7), jax.random.key(3)
    kernel = initializer(key, shape, jnp.float32)
    chex.assert_shape(kernel, shape)
    chex.assert_type(kernel, jnp.float32)
    chex.assert_tree_all_finite(kernel)
    half = jax.eval_shape(lambda key: initializer(key, shape, jnp.bfloat16), key)
    chex.assert_type(half, jnp.bfloat16)
    np.testing.assert_array_equal(kernel, initializer(key, shape, jnp.float32))
    keys = jax.random.split(key, 3)
    alone = [initializer(k, shape, jnp.float32) for k in keys]
    assert not np.allclose(alone[0], alone[1])
    # Compiled and batched programs may round differently, by a few units in the last place.
    draws = jax.jit(jax.vmap(lambda key: initializer(key, shape, jnp.float32)))(keys)
    np.testing.assert_allclose(draws, np.stack(alone), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES[:1], ids=str)
@pytest.mark.parametrize("name", INITIALIZERS)
def test_mean_and_variance(name, shape):
    kernel = np.asarray(INITIALIZERS[name]()(jax.random.key(0), shape, jnp.float32), np.float64)
    variance = LAWS[name].variance(*shape)
    # N draws: the mean has standard deviation sqrt(v / N), the mean square v sqrt((k - 1) / N).
    assert abs(kernel.mean()) < SIGMAS * math.sqrt(variance / kernel.size)
    spread = math.sqrt((LAWS[name].kurtosis - 1) / kernel.size)
    assert np.mean(kernel**2) == pytest.approx(variance, rel=SIGMAS * spread + 1e-6)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_standard_has_n_var_one_third(shape):
    kernel = np.asarray(standard()(jax.random.key(1), shape, jnp.float32), np.float64)
    spread = math.sqrt((UNIFORM - 1) / kernel.size)
    assert shape[0] * kernel.var() == pytest.approx(1 / 3, rel=SIGMAS * spread)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", BOUNDS)
def test_uniform_over_its_whole_support(name, shape):
    factory, bound = BOUNDS[name]
    kernel = np.asarray(factory()(jax.random.key(2), shape, jnp.float32), np.float64)
    b = bound(*shape)
    assert np.abs(kernel).max() <= b * (1 + 1e-6)  # float32 rounding of the bound
    # The chance that no draw of N falls in the outer 20/N of either side is below exp(-10).
    assert kernel.max() > b * (1 - 20 / kernel.size)
    assert kernel.min() < -b * (1 - 20 / kernel.size)
    law = scipy.stats.uniform(-b, 2 * b)
    assert scipy.stats.kstest(kernel.ravel(), law.cdf).pvalue > 1e-4
    # The kurtosis estimate from uniforms has variance (E[w^8] - E[w^4]^2) / N at unit variance,
    # (9 - 3.24) / N, before the estimated scale takes some of it away.
    kurtosis = scipy.stats.kurtosis(kernel.ravel(), fisher=False)
    assert kurtosis == pytest.approx(UNIFORM, abs=SIGMAS * math.sqrt(5.76 / kernel.size))


@settings(max_examples=5)  # every shape is compiled anew, fastest with an rbg key
@given(n_in=st.integers(1, 40), n_out=st.integers(1, 40), seed=st.integers(0, 2**32 - 1))
@pytest.mark.parametrize("name", BOUNDS)
def test_support_at_any_fan(name, n_in, n_out, seed):
    factory, bound = BOUNDS[name]
    kernel = np.asarray(
        factory()(jax.random.key(seed, impl="rbg"), (n_in, n_out), jnp.float32), np.float64
    )
    b = bound(n_in, n_out)
    assert np.abs(kernel).max() <= b * (1 + 1e-6)
    # No draw above b/8 has probability 8^-N, so from 16 draws on it doesn't happen.
    assert kernel.size < 16 or np.abs(kernel).max() > b / 8


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_standard_is_the_default_of_torch_linear(shape):
    # kaiming_uniform_(a=sqrt(5)): bound = gain sqrt(3 / fan_in), gain = sqrt(2 / (1 + a^2)).
    torch_bound = math.sqrt(2 / (1 + math.sqrt(5) ** 2)) * math.sqrt(3 / shape[0])
    kernel = np.asarray(standard()(jax.random.key(6), shape, jnp.float32), np.float64)
    assert torch_bound * (1 - 20 / kernel.size) < np.abs(kernel).max() <= torch_bound * (1 + 1e-6)


@pytest.mark.parametrize("stddev", [0.01, 0.3, 2.0])
def test_gaussian_has_its_stddev_whatever_the_size(stddev):
    for shape in (SHAPES[0], (12, 7)):
        kernel = np.asarray(gaussian(stddev)(jax.random.key(4), shape, jnp.float32), np.float64)
        # The standard deviation of N normal draws is known to a relative 1 / sqrt(2 N).
        assert kernel.std() == pytest.approx(stddev, rel=SIGMAS / math.sqrt(2 * kernel.size))
        assert scipy.stats.kstest(kernel.ravel() / stddev, "norm").pvalue > 1e-4


@pytest.mark.parametrize("stddev", [0.0, -0.1, math.nan])
def test_gaussian_refuses_a_stddev_that_is_not_positive(stddev):
    with pytest.raises(ValueError, match=r"^stddev: .* is not a positive number$"):
        gaussian(stddev)


@pytest.mark.parametrize("shape", [(12, 7), (7, 12)], ids=str)
def test_orthogonal_kernel_is_orthonormal(shape):
    kernel = np.asarray(INITIALIZERS["orthogonal"]()(jax.random.key(5), shape, jnp.float32))
    gram = kernel.T @ kernel if shape[0] >= shape[1] else kernel @ kernel.T
    np.testing.assert_allclose(gram, np.eye(min(shape)), atol=1e-5)


def test_orthogonal_draws_types_without_a_decomposition_in_float32():
    narrow, wide = (
        INITIALIZERS["orthogonal"]()(jax.random.key(5), (12, 7), dtype)
        for dtype in (jnp.bfloat16, jnp.float32)
    )
    np.testing.assert_array_equal(narrow, wide.astype(jnp.bfloat16))
