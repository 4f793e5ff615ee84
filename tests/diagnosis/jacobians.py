"""The paper's net with exact singular values, and those of any function's Jacobians."""

from functools import cache, partial

import jax
import numpy as np

from glorot_jax import probes
from glorot_jax.activations import ACTIVATIONS
from glorot_jax.diagnosis import trace
from glorot_jax.network import MLP, init, logits
from tests.diagnosis.models import CLASSES, N

KEY = jax.random.key(0)


@cache
def papers_net(activation="tanh", widths=(100, 80, 100), inputs=80, n=9):
    """The paper's net, with its trace and the exact singular values of its hidden layers."""
    model = MLP(widths, CLASSES, ACTIVATIONS[activation])
    params = init(model, KEY, inputs)
    x = jax.random.normal(jax.random.key(1), (n, inputs))
    found = trace(partial(logits, model), params, x)
    exact = jax.jit(partial(probes.singular_values, model))(params, x)
    return found, params, x, [np.asarray(v)[:, ~np.isnan(v[0])] for v in exact]


def exact_values(function, z):
    """Singular values of each example's Jacobian [n, k]; no example sees another."""
    jacobian = np.asarray(jax.jit(jax.jacrev(function))(z), np.float64)
    outputs = jacobian.shape[: -z.ndim]
    # No other axis of these models is as long as that of the examples.
    jacobian = np.moveaxis(jacobian, (outputs.index(N), len(outputs) + z.shape.index(N)), (0, 1))
    own = [block.reshape(-1, z.size // N) for block in jacobian[np.arange(N), np.arange(N)]]
    return np.linalg.svd(np.stack(own), compute_uv=False)
