"""Jacobians J^i = dz^{i+1}/dz^i of each layer and their singular values (section 4.2.1, eq. 17)."""

import jax
import jax.numpy as jnp

from glorot_jax.activations import slope
from glorot_jax.network import MLP, Params, kernels, signals


def layer_jacobians(model: MLP, params: Params, x: jax.Array, /) -> tuple[jax.Array, ...]:
    """J of each hidden layer at each example of x [n, inputs].

    Returns depth arrays [n, n_in, n_out]: entry [e, j, k] is dz_out[k] / dz_in[j] of example e,
    W[j, k] f'(s[k]).
    """
    flow = signals(model, params, x)
    return tuple(
        kernel[None] * slope(model.activation, s)[:, None, :]
        for kernel, s in zip(kernels(params)[:-1], flow.s[:-1], strict=True)
    )


def singular_values(model: MLP, params: Params, x: jax.Array, /) -> jax.Array:
    """Exact singular values of every hidden layer's Jacobian at each example of x [n, inputs].

    Returns [depth, n, k], descending, k the largest of min(n_in, n_out) over the layers; a layer
    with fewer singular values is padded with NaN. One example's matrix is decomposed at a time,
    so memory is bounded by one layer's Jacobians of all n examples.
    """
    found = [
        jax.lax.map(lambda j: jnp.linalg.svd(j, compute_uv=False), jacobians)
        for jacobians in layer_jacobians(model, params, x)
    ]
    k = max(values.shape[-1] for values in found)
    return jnp.stack(
        [jnp.pad(v, ((0, 0), (0, k - v.shape[-1])), constant_values=jnp.nan) for v in found]
    )
