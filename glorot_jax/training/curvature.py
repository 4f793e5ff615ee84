"""Second derivatives of the cost: an estimate of their diagonal in one pass, and the exact one."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from glorot_jax.activations import slope
from glorot_jax.data.stream import Batch
from glorot_jax.losses import cross_entropy, quadratic
from glorot_jax.network import MLP, Params, kernels, layer_names, signals
from glorot_jax.typing import Loss
from glorot_jax.typing import Params as AnyParams

Curvature = Callable[[jax.Array], jax.Array]


def _cross_entropy(logits: jax.Array) -> jax.Array:
    """p (1 - p): the exact diagonal, whatever the label."""
    p = jax.nn.softmax(logits)
    return p * (1 - p)


def _quadratic(logits: jax.Array) -> jax.Array:
    """Of 2 J^T J, J = diag(p) - p p^T the Jacobian of the softmax: Gauss-Newton's.

    The exact one has a term in the residual besides, which can make it negative.
    """
    p = jax.nn.softmax(logits)
    return 2 * p**2 * (1 - 2 * p + jnp.sum(p**2, axis=-1, keepdims=True))


# Diagonal of the (Gauss-Newton) Hessian of an example's cost in its logits, [n, classes] both.
LOGIT_CURVATURES: dict[Loss, Curvature] = {cross_entropy: _cross_entropy, quadratic: _quadratic}


def gauss_newton_diagonal(model: MLP, loss: Loss, params: Params, batch: Batch) -> Params:
    """Estimated d2C/dw2 of every parameter for the mini-batch's mean cost, in the shape of params.

    LeCun, Bottou, Orr & Mueller, "Efficient BackProp" (1998), section 7.2, whose notation is ours
    but for h(v) = d2C/dv2: from the logits down, h(z_j) = sum_k W_jk^2 h(s_k) and
    h(s) = f'(s)^2 h(z); of the weights h(W_ij) = z_i^2 h(s_j), of the biases h(b_j) = h(s_j). Each
    is averaged over the examples. Terms off the diagonal and those in f'' are left out, so no
    element is negative; at the output layer nothing is left out. It costs about one more backward
    pass.

    Raises:
      ValueError: ``loss`` has no entry in ``LOGIT_CURVATURES``.
    """
    if loss not in LOGIT_CURVATURES:
        known = ", ".join(known.__name__ for known in LOGIT_CURVATURES)
        raise ValueError(f"loss: {loss} is not one of those of known curvature, {known}")
    flow = signals(model, params, batch.x)
    h = [LOGIT_CURVATURES[loss](flow.logits)]
    for kernel, s in zip(kernels(params)[:0:-1], flow.s[-2::-1], strict=True):
        h.insert(0, slope(model.activation, s) ** 2 * (h[0] @ (kernel**2).T))
    n = batch.y.shape[0]
    names = layer_names(len(model.widths))
    return {
        name: {"kernel": (z**2).T @ h_s / n, "bias": jnp.mean(h_s, axis=0)}
        for name, z, h_s in zip(names, flow.z, h, strict=True)
    }


def hessian_diagonal(cost: Callable[[AnyParams], jax.Array], params: AnyParams) -> AnyParams:
    """The exact diagonal of the Hessian of ``cost(params)``, in the shape of ``params``.

    One Hessian-vector product a parameter: for small networks.
    """
    flat, unravel = ravel_pytree(params)
    gradient = jax.grad(lambda flat: cost(unravel(flat)))

    def element(index: jax.Array) -> jax.Array:
        direction = jax.nn.one_hot(index, flat.size, dtype=flat.dtype)
        return jax.jvp(gradient, (flat,), (direction,))[1][index]

    return unravel(jax.lax.map(element, jnp.arange(flat.size)))
