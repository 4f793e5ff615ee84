"""One update of one member."""

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import optax

from glorot_jax.data.stream import Batch
from glorot_jax.network import MLP, Params, logits
from glorot_jax.typing import Loss, PyTree

MakeOptimizer = Callable[[jax.Array], optax.GradientTransformation]
# (model, loss, params, batch) -> what an optimiser's update takes besides the gradient, by keyword.
Extra = Callable[[MLP, Loss, Params, Batch], Mapping[str, PyTree]]


Update: TypeAlias = Callable[["Member", PyTree], "Member"]
# (member, minibatches) -> member, each leaf of the minibatches [updates, ..].
Train: TypeAlias = Callable[["Member", PyTree], "Member"]


class Member(NamedTuple):
    """What one network carries through training.

    ``stream`` is the index of the example stream it reads: members of one seed see the same
    examples in the same order, which halves the noise between conditions and draws each image once.
    """

    params: PyTree
    opt_state: PyTree
    learning_rate: jax.Array
    stream: jax.Array


def mean_cost(model: MLP, loss: Loss, params: Params, batch: Batch) -> jax.Array:
    """Cost averaged over a mini-batch, a scalar (section 2.3)."""
    return jnp.mean(loss(logits(model, params, batch.x), batch.y))


def one_by_one(update: Update) -> Train:
    """``(member, minibatches) -> member`` by ``update`` with one mini-batch after the other."""

    def train(member: Member, minibatches: PyTree) -> Member:
        # Two updates a turn: with one, XLA on a CPU copies almost every kernel at each update.
        return jax.lax.scan(lambda m, b: (update(m, b), None), member, minibatches, unroll=2)[0]

    return train


def make_update(
    model: MLP, loss: Loss, make_optimizer: MakeOptimizer, extra: Extra | None = None
) -> Callable[[Member, Batch], Member]:
    """The pure function ``(member, batch) -> member`` of one update.

    ``make_optimizer`` gets the member's own learning rate, a traced scalar, so that one program
    serves every rate. ``extra`` is for an optimiser that wants more than the gradient, such as
    those of ``optimizers.OPTIMIZERS``.
    """

    def update(member: Member, batch: Batch) -> Member:
        gradient = jax.grad(mean_cost, argnums=2)(model, loss, member.params, batch)
        optimizer = optax.with_extra_args_support(make_optimizer(member.learning_rate))
        more = extra(model, loss, member.params, batch) if extra else {}
        step, opt_state = optimizer.update(gradient, member.opt_state, member.params, **more)
        return member._replace(params=optax.apply_updates(member.params, step), opt_state=opt_state)

    return update
