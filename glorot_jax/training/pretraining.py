"""Greedy layer-wise pre-training with denoising autoencoders (Fig. 11).

Vincent, Larochelle, Bengio & Manzagol, "Extracting and composing robust features with denoising
autoencoders" (2008). Each hidden layer in turn, the first first, learns to reconstruct its input z
from a corrupted one: h = f(corrupted W + b), reconstruction from h W^T + c. Then the network is
fine-tuned as any other.

A layer is trained in the same loop as a network, as a ``Member`` with
  params: ``{"network": the whole network's, "visible_bias": c [n_in of the layer]}``,
  opt_state: a ``PretrainingState``.
Layers count from 1, as their names do.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from glorot_jax.data.stream import Batch
from glorot_jax.network import MLP, Params, layer_names, signals
from glorot_jax.training.loop import HeldOut
from glorot_jax.training.update import MakeOptimizer, Member
from glorot_jax.typing import PyTree

# (s of the reconstruction, what is reconstructed), [n, n_in] both -> cost of each example [n].
Reconstruction = Callable[[jax.Array, jax.Array], jax.Array]


class PretrainingState(NamedTuple):
    """The optimiser's state, and the key that the noise to come is drawn from."""

    optimizer: PyTree
    noise: jax.Array


class _Autoencoder(NamedTuple):
    """What is trained of a layer: kernel [n_in, units], its bias, the reconstruction's bias."""

    kernel: jax.Array
    bias: jax.Array
    visible_bias: jax.Array


def cross_entropy(s: jax.Array, z: jax.Array, /) -> jax.Array:
    """Summed over components, of the reconstruction sigmoid(s) of z in [0, 1], in nats."""
    return jnp.sum(optax.losses.sigmoid_binary_cross_entropy(s, z), axis=-1)


def squared_error(s: jax.Array, z: jax.Array, /) -> jax.Array:
    """Summed over components, of the linear reconstruction s of any z."""
    return jnp.sum(jnp.square(s - z), axis=-1)


def reconstruction(model: MLP, layer: int, pixel_range: tuple[float, float]) -> Reconstruction:
    """The cost of reconstructing the input of hidden ``layer``, chosen by that input's range.

    Values within [0, 1], pixels or sigmoid units, are taken for probabilities: cross-entropy of a
    sigmoid. All others are real numbers: squared error of a linear reconstruction (Vincent et al.,
    "Stacked denoising autoencoders", 2010, section 2.2), which no activation's range restricts.

    Raises:
      ValueError: there is no hidden layer ``layer``.
    """
    _name(len(model.widths), layer)  # refuses a layer that isn't there
    values = pixel_range if layer == 1 else model.activation(jnp.linspace(-100.0, 100.0, 1001))
    within = np.min(values) >= 0 and np.max(values) <= 1
    return cross_entropy if within else squared_error


def mask(key: jax.Array, z: jax.Array, corruption: float) -> jax.Array:
    """``z`` with each value set to 0 with probability ``corruption``, independently.

    (The paper masks a fixed number of each example's values, drawn at random.)
    """
    return jnp.where(jax.random.bernoulli(key, corruption, z.shape), 0, z)


def begin_layer(
    network: Params,
    layer: int,
    key: jax.Array,
    learning_rate: jax.Array | float,
    *,
    make_optimizer: MakeOptimizer = optax.sgd,
) -> Member:
    """A member about to pre-train hidden ``layer`` of ``network``; ``key`` draws its noise.

    The reconstruction's bias starts at 0; ``ensemble.gather`` gives the member its stream. Pure,
    and can be mapped over members.

    Raises:
      ValueError: there is no hidden layer ``layer``.
    """
    kernel = network[_name(len(network) - 1, layer)]["kernel"]
    params = {"network": network, "visible_bias": jnp.zeros(kernel.shape[0], kernel.dtype)}
    rate = jnp.asarray(learning_rate, jnp.float32)
    state = PretrainingState(make_optimizer(rate).init(_autoencoder(params, layer)), key)
    return Member(params, state, rate, jnp.zeros((), jnp.int32))


def make_layer_update(
    model: MLP,
    layer: int,
    *,
    corruption: float,
    pixel_range: tuple[float, float],
    make_optimizer: MakeOptimizer = optax.sgd,
) -> Callable[[Member, Batch], Member]:
    """The pure function ``(member, batch) -> member`` of one update of hidden ``layer``.

    Only the layer's kernel and bias and the reconstruction's bias change; the labels are not
    looked at. ``pixel_range`` is the range of the examples' values.

    The curvature of a squared error grows with the number of units: on Shapeset in [-1, 1],
    learning rates of 0.001 and 0.003 train layers of 1000, 0.01 diverges; it trains layers of 100.

    Raises:
      ValueError: there is no such layer, or ``corruption`` is not in [0, 1).
    """
    if not 0 <= corruption < 1:
        raise ValueError(f"corruption: {corruption} is not in [0, 1)")
    cost = reconstruction(model, layer, pixel_range)

    def mean_cost(trained: _Autoencoder, corrupted: jax.Array, z: jax.Array) -> jax.Array:
        return jnp.mean(cost(_decode(model, trained, corrupted), z))

    def update(member: Member, batch: Batch) -> Member:
        key, now = jax.random.split(member.opt_state.noise)
        z = signals(model, member.params["network"], batch.x).z[layer - 1]
        trained = _autoencoder(member.params, layer)
        gradient = jax.grad(mean_cost)(trained, mask(now, z, corruption), z)
        optimizer = make_optimizer(member.learning_rate)
        step, state = optimizer.update(gradient, member.opt_state.optimizer, trained)
        params = _with(member.params, layer, optax.apply_updates(trained, step))
        return member._replace(params=params, opt_state=PretrainingState(state, key))

    return update


def make_layer_probe(
    model: MLP, layer: int, *, pixel_range: tuple[float, float]
) -> Callable[[PyTree, HeldOut], dict[str, jax.Array]]:
    """The pure function that measures a member's ``params`` while ``layer`` is pre-trained.

    Returns ``reconstruction_cost``: of the uncorrupted validation examples, summed over the
    layer's inputs and averaged over examples.

    Raises:
      ValueError: there is no such layer.
    """
    cost = reconstruction(model, layer, pixel_range)

    def probe(params: PyTree, sets: HeldOut) -> dict[str, jax.Array]:
        z = signals(model, params["network"], sets.validation.x).z[layer - 1]
        s = _decode(model, _autoencoder(params, layer), z)
        return {"reconstruction_cost": jnp.mean(cost(s, z))}

    return probe


def _decode(model: MLP, trained: _Autoencoder, z: jax.Array) -> jax.Array:
    """h W^T + c of z [n, n_in]."""
    hidden = model.activation(z @ trained.kernel + trained.bias[None])
    return hidden @ trained.kernel.T + trained.visible_bias[None]


def _name(depth: int, layer: int) -> str:
    """What hidden ``layer`` of ``depth`` is called; a ValueError where there is none."""
    if not 1 <= layer <= depth:
        raise ValueError(f"layer: {layer} is not in 1..{depth}, the hidden layers")
    return layer_names(depth)[layer - 1]


def _autoencoder(params: PyTree, layer: int) -> _Autoencoder:
    network = params["network"]
    return _Autoencoder(
        **network[_name(len(network) - 1, layer)], visible_bias=params["visible_bias"]
    )


def _with(params: PyTree, layer: int, trained: _Autoencoder) -> PyTree:
    """``params`` with what was trained in its place."""
    network = params["network"]
    own = {"kernel": trained.kernel, "bias": trained.bias}
    return {
        "network": {**network, _name(len(network) - 1, layer): own},
        "visible_bias": trained.visible_bias,
    }
