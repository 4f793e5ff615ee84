"""Plain SGD that writes the first layer's kernel once in several updates, exactly.

The examples of the next mini-batches are known, so what the first layer makes of all of them is one
product with its kernel W as it is now. An update then needs X (W - rate sum_u X_u^T D_u) over the
updates u since then, D_u the mean cost's gradient in s: that product less rate (X X_u^T) D_u, which
sums over a few mini-batches and not over all inputs. W is written at the end. It is the same update
but for rounding.
"""

import jax
import jax.numpy as jnp
import optax

from glorot_jax.data.stream import Batch
from glorot_jax.network import MLP, Params, layer_names
from glorot_jax.training.update import Member, Train, make_update, one_by_one
from glorot_jax.typing import Loss

AT_ONCE = 10  # updates between two writes of the kernel
WIDE = 600  # units of a layer from which on that is faster; see benchmarks/README.md


def make_sgd(model: MLP, loss: Loss) -> Train:
    """``(member, minibatches) -> member`` by plain SGD, the faster way for the model's width."""
    if model.widths[0] >= WIDE:
        return late_first_kernel(model, loss)
    return one_by_one(make_update(model, loss, optax.sgd))


def late_first_kernel(model: MLP, loss: Loss, *, at_once: int = AT_ONCE) -> Train:
    """``(member, minibatches) -> member`` by one update of plain SGD a mini-batch.

    ``minibatches``: x [updates, batch, inputs], y [updates, batch]. The member's ``opt_state``,
    that of ``optax.sgd`` without momentum, stays as it is.

    Args:
      at_once: most updates between two writes of the kernel; so many of them as divide the updates.
    """

    def train(member: Member, minibatches: Batch) -> Member:
        updates = minibatches.y.shape[0]
        together = max(k for k in range(1, at_once + 1) if updates % k == 0)
        blocks = jax.tree.map(
            lambda leaf: leaf.reshape(updates // together, together, *leaf.shape[1:]), minibatches
        )

        def one(member: Member, block: Batch) -> tuple[Member, None]:
            return member._replace(params=_after(model, loss, member, block)), None

        return jax.lax.scan(one, member, blocks)[0]

    return train


def _after(model: MLP, loss: Loss, member: Member, block: Batch) -> Params:
    """Parameters after the updates of ``block``, x [updates, batch, inputs]."""
    together, size = block.y.shape
    names, rate = layer_names(len(model.widths)), member.learning_rate
    first, *above = names
    kernel = member.params[first]["kernel"]
    x = block.x.reshape(together * size, -1)
    begun = (x @ kernel).reshape(together, size, -1)
    alike = (x @ x.T).reshape(together, size, -1)

    def cost(kept: Params, s: jax.Array, y: jax.Array) -> jax.Array:
        s = s + kept[first]["bias"][None]
        for name in above:
            s = model.activation(s) @ kept[name]["kernel"] + kept[name]["bias"][None]
        return jnp.mean(loss(s, y))

    def update(
        carry: tuple[Params, jax.Array], given: tuple[jax.Array, ...]
    ) -> tuple[tuple[Params, jax.Array], None]:
        (kept, gradients), (place, s, alike, y) = carry, given
        s = s - rate * (alike @ gradients)
        step, gradient = jax.grad(cost, argnums=(0, 1))(kept, s, y)
        kept = jax.tree.map(lambda leaf, g: leaf - rate * g, kept, step)
        gradients = jax.lax.dynamic_update_slice_in_dim(gradients, gradient, place * size, axis=0)
        return (kept, gradients), None

    kept = {**member.params, first: {"bias": member.params[first]["bias"]}}
    # dC/ds of every example of the block, 0 where it is still to come.
    gradients = jnp.zeros((together * size, kernel.shape[1]))
    (kept, gradients), _ = jax.lax.scan(
        update, (kept, gradients), (jnp.arange(together), begun, alike, block.y), unroll=2
    )
    return {**kept, first: {**kept[first], "kernel": kernel - rate * (x.T @ gradients)}}
