"""Plain SGD that writes the kernels once in several updates, exactly.

An update adds Z^T S to a kernel W: Z its inputs, S = -rate dC/ds, of one mini-batch. The next one's
s = z (W + Z^T S) is z W + (z Z^T) S, which sums over a few examples and not over all inputs. So a
few updates go by with W as it was, and then it is written once. The first layer's inputs are known
before, so what it makes of all of them is one product. It is the same update but for rounding.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from glorot_jax.data.stream import Batch
from glorot_jax.network import MLP, Params, layer_names
from glorot_jax.training.update import Member, Train, make_update, one_by_one
from glorot_jax.typing import Loss

AT_ONCE = 10  # updates between two writes of the kernels
WIDE = 250  # units of a layer from which on that is faster; see benchmarks/README.md


def make_sgd(model: MLP, loss: Loss) -> Train:
    """``(member, minibatches) -> member`` by plain SGD, the faster way for the model's width."""
    if model.widths[0] >= WIDE:
        return late_kernels(model, loss)
    return one_by_one(make_update(model, loss, optax.sgd))


def late_kernels(model: MLP, loss: Loss, *, at_once: int = AT_ONCE) -> Train:
    """``(member, minibatches) -> member`` by one update of plain SGD a mini-batch.

    ``minibatches``: x [updates, batch, inputs], y [updates, batch]. The member's ``opt_state``,
    that of ``optax.sgd`` without momentum, stays as it is.

    Args:
      at_once: most updates between two writes of the kernels; so many of them as divide the
        updates.
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


class _Late(NamedTuple):
    """A layer as last written, and the updates since then, a row an example of theirs.

    Attributes:
      kernel: [fan_in, fan_out].
      bias: [fan_out], always up to date.
      inputs: [examples, fan_in].
      steps: [examples, fan_out], -rate dC/ds of the mean cost.
    """

    kernel: jax.Array
    bias: jax.Array
    inputs: jax.Array
    steps: jax.Array

    def __call__(self, z: jax.Array) -> jax.Array:
        return z @ self.kernel + (z @ self.inputs.T) @ self.steps + self.bias[None]

    def updated(self, inputs: jax.Array, steps: jax.Array) -> "_Late":
        return self._replace(
            bias=self.bias + jnp.sum(steps, axis=0),
            inputs=jnp.concatenate([self.inputs, inputs]),
            steps=jnp.concatenate([self.steps, steps]),
        )

    def written(self) -> dict[str, jax.Array]:
        return {"kernel": self.kernel + self.inputs.T @ self.steps, "bias": self.bias}


def _late(kernel: jax.Array, bias: jax.Array) -> _Late:
    fan_in, fan_out = kernel.shape
    return _Late(kernel, bias, jnp.zeros((0, fan_in)), jnp.zeros((0, fan_out)))


def _after(model: MLP, loss: Loss, member: Member, block: Batch) -> Params:
    """Parameters after the updates of ``block``, x [updates, batch, inputs]."""
    names = layer_names(len(model.widths))
    layers = [_late(**member.params[name]) for name in names]
    together, size = block.y.shape
    x = block.x.reshape(together * size, -1)
    begun, alike = x @ layers[0].kernel, x @ x.T

    def cost(
        shifts: Sequence[jax.Array], s: jax.Array, above: Sequence[_Late], y: jax.Array
    ) -> tuple[jax.Array, list[jax.Array]]:
        """Mean cost of the first layer's ``s`` with ``shifts`` of all layers' s; inputs above."""
        first, *others = shifts
        s, inputs = s + first, []
        for layer, shift in zip(above, others, strict=True):
            inputs.append(model.activation(s))
            s = layer(inputs[-1]) + shift
        return jnp.mean(loss(s, y)), inputs

    for update, y in enumerate(block.y):
        done = update * size
        now, (first, *above) = slice(done, done + size), layers
        s = begun[now] + alike[now, :done] @ first.steps + first.bias[None]
        none = [jnp.zeros((size, layer.kernel.shape[1])) for layer in layers]
        of_s, inputs = jax.grad(cost, has_aux=True)(none, s, above, y)
        layers = [
            layer.updated(z, -member.learning_rate * gradient)
            for layer, z, gradient in zip(layers, [x[now], *inputs], of_s, strict=True)
        ]
    return {name: layer.written() for name, layer in zip(names, layers, strict=True)}
