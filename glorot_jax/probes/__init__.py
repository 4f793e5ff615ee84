"""What is measured: pure functions of (model, params, data), one entry per layer first.

Fix the model (``functools.partial(activation_statistics, model)``) and a probe is a function of
(params, batch) that goes through ``jit``, ``vmap`` over seeds and ``lax.map`` over members.
"""

from glorot_jax.probes.activations import QUANTILES, activation_statistics
from glorot_jax.probes.gradients import (
    backprop_statistics,
    gradient_statistics,
    gradients,
    weight_gradient_statistics,
)
from glorot_jax.probes.jacobian import layer_jacobians, singular_values
from glorot_jax.probes.output import output_statistics

__all__ = [
    "QUANTILES",
    "activation_statistics",
    "backprop_statistics",
    "gradient_statistics",
    "gradients",
    "layer_jacobians",
    "output_statistics",
    "singular_values",
    "weight_gradient_statistics",
]
