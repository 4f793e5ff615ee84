"""What a softmax decides by: its biases, or what the hidden layers say (section 3.1)."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from glorot_jax.data.stream import Batch
from glorot_jax.network import MLP, Params, logits


def output_statistics(model: MLP, params: Params, batch: Batch, /) -> Mapping[str, jax.Array]:
    """The two parts of the logits b + z W, in nats.

    Returns scalars:
      bias_std: standard deviation over classes of b, the same for every example. What all classes
        share changes no softmax.
      signal_std: root mean square over examples and classes of what z W does from one example to
        another, its mean over the examples taken off.
    """
    bias = params["output"]["bias"]
    signal = logits(model, params, batch.x) - bias[None]
    signal -= jnp.mean(signal, axis=1, keepdims=True)
    by_example = signal - jnp.mean(signal, axis=0, keepdims=True)
    return {
        "bias_std": jnp.std(bias),
        "signal_std": jnp.sqrt(jnp.mean(jnp.square(by_example))),
    }
