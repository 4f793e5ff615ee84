"""Back-propagated gradients dC/ds and weight gradients dC/dw, layer by layer (Figs. 7, 8, 9)."""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

from glorot_jax.data.stream import Batch
from glorot_jax.losses import Loss, cross_entropy
from glorot_jax.network import MLP, Params, Signals, kernels, signals
from glorot_jax.probes.histogram import histogram
from glorot_jax.probes.layers import by_layer

RANGE_IN_STD = 5.0


class Gradients(NamedTuple):
    """Every gradient of one backward pass over n examples.

    ``ds``: depth + 1 arrays, ds[i] [n, units] = dC/ds^i of each example's own cost; the last
    belongs to the logits. ``dw``: depth + 1 arrays, dw[i] [n_in, n_out] of the mean cost.
    """

    flow: Signals
    ds: tuple[jax.Array, ...]
    dw: tuple[jax.Array, ...]


def gradients(model: MLP, params: Params, batch: Batch, loss: Loss, /) -> Gradients:
    """dC/ds^i per example and dC/dW^i of the mean cost, for every layer."""
    shapes = jax.eval_shape(lambda: signals(model, params, batch.x)).s
    offsets = [jnp.zeros(shape.shape, shape.dtype) for shape in shapes]

    def total_cost(offsets: list[jax.Array]) -> tuple[jax.Array, Signals]:
        flow = signals(model, params, batch.x, offsets)
        return jnp.sum(loss(flow.logits, batch.y)), flow

    ds, flow = jax.grad(total_cost, has_aux=True)(offsets)
    n = batch.y.shape[0]
    dw = tuple(z.T @ d / n for z, d in zip(flow.z, ds, strict=True))
    return Gradients(flow, tuple(ds), dw)


def backprop_statistics(
    model: MLP, params: Params, batch: Batch, /, *, loss: Loss = cross_entropy, bins: int = 200
) -> Mapping[str, jax.Array]:
    """Statistics of dC/ds of each hidden layer over units and examples.

    C is each example's own cost. Returns arrays whose first axis is the hidden layer:
      std, mean_square: [depth].
      output_mean_square: [depth], the mean square of dC/ds at the logits, the same for each
        layer: the reference of eq. 6.
      histogram: [depth, bins], fractions in equal bins of +-5 x ``unit``; unit: [depth], the
        standard deviation of the top hidden layer, the same for each layer.
    """
    return _backprop(gradients(model, params, batch, loss), bins)


def weight_gradient_statistics(
    model: MLP, params: Params, batch: Batch, /, *, loss: Loss = cross_entropy, bins: int = 200
) -> Mapping[str, jax.Array]:
    """Statistics of dC/dw of the kernel below each hidden layer.

    Returns arrays whose first axis is the hidden layer:
      std: [depth], over the kernel's entries, of the gradient of the cost averaged over the batch.
      mean_square: [depth], over entries and examples, of each example's own gradient: what
        eqs. 7 and 14 predict.
      ratio: [depth], std of the gradient over std of the kernel.
      histogram, unit: as in ``backprop_statistics``.
    """
    return _weight_gradients(gradients(model, params, batch, loss), params, bins)


def gradient_statistics(
    model: MLP, params: Params, batch: Batch, /, *, loss: Loss = cross_entropy, bins: int = 200
) -> dict[str, Mapping[str, jax.Array]]:
    """Both of the above from one backward pass, under ``backprop`` and ``weight_gradient``."""
    found = gradients(model, params, batch, loss)
    return {
        "backprop": _backprop(found, bins),
        "weight_gradient": _weight_gradients(found, params, bins),
    }


def _backprop(found: Gradients, bins: int) -> Mapping[str, jax.Array]:
    unit = jnp.std(found.ds[-2])
    reach = RANGE_IN_STD * unit
    output = jnp.mean(jnp.square(found.ds[-1]))

    def one_layer(ds: jax.Array) -> dict[str, jax.Array]:
        return {
            "std": jnp.std(ds),
            "mean_square": jnp.mean(jnp.square(ds)),
            "output_mean_square": output,
            "unit": unit,
            "histogram": histogram(ds, -reach, reach, bins),
        }

    return by_layer(one_layer, [(ds,) for ds in found.ds[:-1]])


def _weight_gradients(found: Gradients, params: Params, bins: int) -> Mapping[str, jax.Array]:
    unit = jnp.std(found.dw[-2])
    reach = RANGE_IN_STD * unit

    def one_layer(
        z: jax.Array, ds: jax.Array, dw: jax.Array, kernel: jax.Array
    ) -> dict[str, jax.Array]:
        # An example's gradient is the outer product z ds, so the mean of its squared entries is
        # the product of the two mean squares.
        per_example = jnp.mean(jnp.square(z), axis=1) * jnp.mean(jnp.square(ds), axis=1)
        return {
            "std": jnp.std(dw),
            "mean_square": jnp.mean(per_example),
            "ratio": jnp.std(dw) / jnp.std(kernel),
            "unit": unit,
            "histogram": histogram(dw, -reach, reach, bins),
        }

    layers = zip(found.flow.z, found.ds, found.dw, kernels(params), strict=True)
    return by_layer(one_layer, list(layers)[:-1])
