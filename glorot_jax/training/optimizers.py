"""Per-parameter learning rates (section 5), as optax transformations of the gradient."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from glorot_jax.data.stream import Batch
from glorot_jax.network import MLP, Params
from glorot_jax.training.blocked import make_sgd
from glorot_jax.training.curvature import gauss_newton_diagonal
from glorot_jax.training.update import Extra, MakeOptimizer, Train, make_update, one_by_one
from glorot_jax.typing import Loss, PyTree


@dataclass(frozen=True)
class Optimizer:
    """How a member is updated.

    ``make(learning_rate)`` is the optax transformation; ``extra(model, loss, params, batch)`` the
    keyword arguments that its ``update`` takes besides the gradient, None where it takes none.
    """

    make: MakeOptimizer
    extra: Extra | None = None


class CurvatureState(NamedTuple):
    """Exponentially weighted ``sum`` of the curvatures seen, and the sum of their weights."""

    weight: jax.Array
    sum: PyTree


def scale_by_curvature(
    decay: float = 0.99, damping: float = 0.1
) -> optax.GradientTransformationExtraArgs:
    """Divides the gradient by its curvature over the mean curvature of all parameters.

    LeCun, Bottou, Orr & Mueller, "Efficient BackProp" (1998), section 9.1: the stochastic diagonal
    Levenberg-Marquardt method, with the running average corrected for its start, so that the first
    is the first mini-batch's own curvature. A parameter of average h among parameters of mean H has
    its step multiplied by H / (h + ``damping`` H): at most 1 / damping, and near 1 for an h like
    the others'. So a learning rate is as large as SGD's, and damping means the same for every
    network; an absolute one far above all curvatures is SGD at another rate. ``update`` takes
    ``curvature``, a tree like params.
    """

    def init(params: PyTree) -> CurvatureState:
        return CurvatureState(jnp.zeros((), jnp.float32), optax.tree.zeros_like(params))

    def update(
        gradient: PyTree,
        state: CurvatureState,
        params: PyTree = None,
        *,
        curvature: PyTree,
        **_: PyTree,
    ) -> tuple[PyTree, CurvatureState]:
        seen = CurvatureState(jnp.ones((), jnp.float32), curvature)
        state = jax.tree.map(lambda old, new: decay * old + (1 - decay) * new, state, seen)
        average = jax.tree.map(lambda h: h / state.weight, state.sum)
        mean = optax.tree.sum(average) / optax.tree.size(average)

        def step(g: jax.Array, h: jax.Array) -> jax.Array:
            relative = h / jnp.where(mean > 0, mean, 1.0)
            return g / (jnp.where(mean > 0, relative, 1.0) + damping)  # SGD's without any curvature

        return jax.tree.map(step, gradient, average), state

    return optax.GradientTransformationExtraArgs(init, update)


def scale_by_gradient_variance(
    decay: float = 0.99, eps: float = 1e-8
) -> optax.GradientTransformation:
    """Divides the gradient by sqrt(variance + eps), its variance over recent mini-batches.

    optax's ``scale_by_stddev`` with a variance that starts at 1, so that the first steps are those
    of SGD at the same rate. Corrected for its start instead, the variance of the one gradient seen
    would be 0. ``eps`` is below the variances met, which are of order 1e-6: with a larger one this
    is SGD at another rate.
    """
    return optax.scale_by_stddev(decay, eps, initial_scale=1.0)


def hessian_diagonal(learning_rate: jax.Array) -> optax.GradientTransformationExtraArgs:
    """SGD with ``learning_rate`` over each parameter's curvature; see ``scale_by_curvature``."""
    return optax.chain(scale_by_curvature(), optax.scale_by_learning_rate(learning_rate))


def gradient_variance(learning_rate: jax.Array) -> optax.GradientTransformation:
    """SGD with ``learning_rate`` over each gradient's spread, ``scale_by_gradient_variance``."""
    return optax.chain(scale_by_gradient_variance(), optax.scale_by_learning_rate(learning_rate))


def _curvature(model: MLP, loss: Loss, params: Params, batch: Batch) -> dict[str, Params]:
    return {"curvature": gauss_newton_diagonal(model, loss, params, batch)}


OPTIMIZERS: dict[str, Optimizer] = {
    "sgd": Optimizer(optax.sgd),
    "hessian_diagonal": Optimizer(hessian_diagonal, _curvature),
    "gradient_variance": Optimizer(gradient_variance),
}


def make_train(optimizer: str, model: MLP, loss: Loss) -> Train:
    """How a member is trained by ``OPTIMIZERS[optimizer]``; SGD the faster way for its width."""
    if optimizer == "sgd":
        return make_sgd(model, loss)
    method = OPTIMIZERS[optimizer]
    return one_by_one(make_update(model, loss, method.make, method.extra))
