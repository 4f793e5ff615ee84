"""Networks pre-trained with denoising autoencoders, layer after layer (Fig. 11)."""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import numpy as np
import optax
from ml_collections import ConfigDict

from experiments.checkpoint import Place
from experiments.training import Schedule, schedule, train
from glorot_jax import processes
from glorot_jax.data.stream import Task
from glorot_jax.initialization import draw
from glorot_jax.keys import named
from glorot_jax.network import MLP, Params
from glorot_jax.training import ensemble as ensembles
from glorot_jax.training import loop
from glorot_jax.training.pretraining import begin_layer, make_layer_probe, make_layer_update
from glorot_jax.training.update import one_by_one

COST = "reconstruction_cost"
FIRST_SCHEME = "normalized"  # what the layers are drawn by before they are pre-trained


@dataclass(frozen=True)
class Pretrained:
    """Parameters, one a seed, and ``reconstruction_cost`` [seed, layer, point] on the way."""

    params: Sequence[Params]
    reconstruction_cost: np.ndarray


def schedule_of(settings: ConfigDict, task: Task, batch_size: int) -> Schedule:
    """When each layer's training is measured."""
    return schedule(
        updates=settings.updates,
        points=settings.points,
        block_size=task.train.block_size,
        batch_size=batch_size,
    )


def pretrain(
    model: MLP,
    settings: ConfigDict,
    task: Task,
    sets: loop.HeldOut,
    *,
    keys: Sequence[jax.Array],
    stream_key: jax.Array,
    title: str,
    checkpoints: Place,
    batch_size: int,
) -> Pretrained:
    """A network for each of ``keys``, seeds 0, 1, ..; all of them at once, layer after layer.

    ``keys`` start the networks and draw the noise; ``stream_key`` draws the examples.

    ``settings``: learning_rate, corruption, and of each layer updates and points. Checkpoints go to
    ``checkpoints/layer-<number>``.
    """
    networks = [draw(FIRST_SCHEME, model, key, task.validation.x) for key in keys]
    mesh = ensembles.member_mesh()
    costs = []
    for layer in range(1, len(model.widths) + 1):
        members = [
            begin_layer(network, layer, named(key, "noise", layer), settings.learning_rate)
            for network, key in zip(networks, keys, strict=True)
        ]
        seeds = list(range(len(keys)))
        advance = ensembles.make_advance(
            train=one_by_one(
                make_layer_update(
                    model,
                    layer,
                    corruption=settings.corruption,
                    pixel_range=task.pixel_range,
                    make_optimizer=optax.sgd,
                )
            ),
            probe=make_layer_probe(model, layer, pixel_range=task.pixel_range),
            stream=task.train,
            batch_size=batch_size,
            mesh=mesh,
        )
        trained, measured = train(
            f"{title}, pre-training of layer {layer}",
            advance,
            ensembles.create(
                members,
                seeds,
                stream=task.train,
                key=named(stream_key, "layer", layer),
                mesh=mesh,
            ),
            seeds=seeds,
            mesh=mesh,
            arrays=task.train.arrays,
            sets=sets,
            schedule=schedule_of(settings, task, batch_size),
            checkpoints=checkpoints.inside(f"layer-{layer}", seeds=seeds),
        )
        costs.append(measured[COST].T)
        network = processes.on_host(trained.members.params["network"])
        networks = [jax.tree.map(lambda leaf, seed=seed: leaf[seed], network) for seed in seeds]
    return Pretrained(networks, np.stack(costs, axis=1))
