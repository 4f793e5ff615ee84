"""Optimisers besides SGD: section 5's rates by parameter, Adam, another rate in layer 1."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from glorot_jax.data.stream import Batch
from glorot_jax.network import MLP, Params, layer_names
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


def adam(learning_rate: jax.Array) -> optax.GradientTransformation:
    """optax's Adam (Kingma & Ba 2015), also where JAX promotes no types by itself."""
    inner = optax.adam(learning_rate)

    def update(gradient: PyTree, state: PyTree, params: PyTree = None) -> tuple[PyTree, PyTree]:
        # It raises its decay to the number of updates, a float to an integer.
        with jax.numpy_dtype_promotion("standard"):
            return inner.update(gradient, state, params)

    return optax.GradientTransformation(inner.init, update)


def first_frozen(learning_rate: jax.Array) -> optax.GradientTransformation:
    """SGD of all layers but the first, which stays as it was drawn."""
    return optax.chain(optax.sgd(learning_rate), _first_layer(lambda _: 0.0))


def first_slow(learning_rate: jax.Array) -> optax.GradientTransformation:
    """SGD, layer 1's rate times its units over its inputs.

    A kernel's step changes s by its rate times the sum of its inputs' squares. So layer 1 moves its
    s as if it had no more inputs than the layers above it.
    """
    return optax.chain(optax.sgd(learning_rate), _first_layer(lambda shape: shape[1] / shape[0]))


def _first_layer(factor: Callable[[tuple[int, ...]], float]) -> optax.GradientTransformation:
    """Multiplies layer 1's step by ``factor`` of the shape of its kernel [inputs, units]."""
    (first, _) = layer_names(1)

    def changed(step: Params, params: Params | None) -> Params:
        del params
        times = factor(step[first]["kernel"].shape)
        # A gradient that nothing depends on isn't computed.
        change = (lambda leaf: times * leaf) if times else jnp.zeros_like
        return {**step, first: jax.tree.map(change, step[first])}

    return optax.stateless(changed)


OPTIMIZERS: dict[str, Optimizer] = {
    "sgd": Optimizer(optax.sgd),
    "adam": Optimizer(adam),
    "first_frozen": Optimizer(first_frozen),
    "first_slow": Optimizer(first_slow),
    "hessian_diagonal": Optimizer(hessian_diagonal, _curvature),
    "gradient_variance": Optimizer(gradient_variance),
}


def make_train(optimizer: str, model: MLP, loss: Loss) -> Train:
    """How a member is trained by ``OPTIMIZERS[optimizer]``; SGD the faster way for its width."""
    if optimizer == "sgd":
        return make_sgd(model, loss)
    method = OPTIMIZERS[optimizer]
    return one_by_one(make_update(model, loss, method.make, method.extra))
