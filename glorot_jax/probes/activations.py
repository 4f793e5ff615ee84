"""How activations are distributed in each hidden layer (sections 3 and 4, Figs. 2-4, 6, 10)."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from glorot_jax.activations import SATURATED_SLOPE, slope
from glorot_jax.data.stream import Batch
from glorot_jax.network import MLP, Params, signals
from glorot_jax.probes.histogram import histogram
from glorot_jax.probes.layers import by_layer
from glorot_jax.probes.quantile import quantile

QUANTILES = (0.02, 0.5, 0.98)
ACTIVATION_RANGE = (-1.0, 1.0)


def activation_statistics(
    model: MLP, params: Params, batch: Batch, /, *, bins: int = 200
) -> Mapping[str, jax.Array]:
    """Statistics of the activations z of each hidden layer over units and examples.

    Returns arrays whose first axis is the hidden layer, from the input upwards:
      mean, std, mean_square: [depth], of z.
      quantile: [depth, 3], the 2nd, 50th and 98th percentile of z.
      saturated: [depth], fraction of units x examples whose slope f'(s) is below 5% of the
        slope at 0; always 0 where the slope at 0 is 0, as JAX says of relu.
      histogram: [depth, bins], fraction of z in equal bins of [-1, 1]; what lies outside is
        counted in the outermost bin.
    """
    flow = signals(model, params, batch.x)
    full_slope = slope(model.activation, jnp.zeros(()))

    def one_layer(s: jax.Array, z: jax.Array) -> dict[str, jax.Array]:
        return {
            "mean": jnp.mean(z),
            "std": jnp.std(z),
            "mean_square": jnp.mean(jnp.square(z)),
            "quantile": quantile(z, QUANTILES),
            "saturated": jnp.mean(slope(model.activation, s) < SATURATED_SLOPE * full_slope),
            "histogram": histogram(z, *ACTIVATION_RANGE, bins),
        }

    return by_layer(one_layer, list(zip(flow.s[:-1], flow.z[1:], strict=True)))
