"""Weight initialisers: the paper's two, the plain Gaussian, and today's.

Every entry is a factory that returns a ``jax.nn.initializers`` function
``(key, shape, dtype) -> Array``; for a kernel of shape [n_in, n_out]. The paper's factories return
the same function every time, so that programs compiled for one are found again.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
from jax.nn import initializers as jax_initializers

Initializer = jax_initializers.Initializer


@cache
def standard() -> Initializer:
    """U[-1/sqrt(n_in), 1/sqrt(n_in)], so n_in Var[W] = 1/3 (eqs. 1 and 15).

    PyTorch's ``nn.Linear`` still starts its kernels this way.
    """
    return jax_initializers.variance_scaling(1 / 3, "fan_in", "uniform")


@cache
def normalized() -> Initializer:
    """U[-sqrt(6/(n_in+n_out)), +sqrt(6/(n_in+n_out))], so Var[W] = 2/(n_in+n_out) (eqs. 12, 16)."""
    return jax_initializers.variance_scaling(1.0, "fan_avg", "uniform")


@cache
def gaussian(stddev: float = 0.01) -> Initializer:
    """N(0, stddev^2) whatever the layer's size.

    Raises:
      ValueError: ``stddev`` is not positive.
    """
    if not stddev > 0:
        raise ValueError(f"stddev: {stddev} is not a positive number")
    return jax_initializers.normal(stddev)


@cache
def orthogonal() -> Initializer:
    """Orthonormal columns or rows (Saxe et al. 2014), of any float type.

    Types narrower than float32 are drawn as float32: there is no QR decomposition of them.
    """
    draw = jax_initializers.orthogonal()

    def drawn(
        key: jax.Array, shape: Sequence[int], dtype: Any = jnp.float32, out_sharding: Any = None
    ) -> jax.Array:
        wide = jnp.float32 if jnp.finfo(dtype).bits < 32 else dtype
        return draw(key, shape, wide, out_sharding).astype(dtype)

    return drawn


INITIALIZERS: dict[str, Callable[[], Initializer]] = {
    "standard": standard,
    "normalized": normalized,
    "gaussian": gaussian,
    "lecun_normal": jax_initializers.lecun_normal,
    "he_normal": jax_initializers.he_normal,
    "orthogonal": orthogonal,
}
