"""The project's training loop and the other executors at hand, ready to be timed."""

import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import optax
from jax.sharding import PartitionSpec

from glorot_jax.data.stream import Batch, Stream
from glorot_jax.keys import named
from glorot_jax.losses import cross_entropy
from glorot_jax.network import MLP, init
from glorot_jax.training.blocked import make_sgd
from glorot_jax.training.ensemble import (
    AXIS,
    Ensemble,
    create,
    fresh_member,
    make_advance,
    member_mesh,
)
from glorot_jax.training.update import Train, make_update, one_by_one

INPUTS, CLASSES, DEPTH, BATCH = 1024, 9, 5, 10
LEARNING_RATE = 0.01
PROJECT = "this project"
MAP = "JAX, `lax.map`"
VMAP = "JAX, `vmap`"
SHARDED_VMAP = "JAX, `vmap` in a `shard_map`"


def fixed_stream(block_size: int) -> Stream:
    """A stream that repeats one block, its state: data that costs nothing to make."""

    def init(key: jax.Array) -> Batch:
        pixels, labels = jax.random.split(key)
        return Batch(
            jax.random.uniform(pixels, (block_size, INPUTS), minval=-1),
            jax.random.randint(labels, (block_size,), 0, CLASSES),
        )

    return Stream(init, lambda arrays, block: (block, block), block_size)


def fresh_ensemble(
    width: int, members: int, stream: Stream, *, seeds: int | None = None, depth: int = DEPTH
) -> Ensemble:
    """Members over all devices, as many of one seed after another; a seed each unless told."""
    per_seed = members // (seeds or members)
    key, of_seed = jax.random.key(0), [i // per_seed for i in range(members)]
    model = _model(width, depth)
    params = {seed: init(model, named(key, "weights", seed), INPUTS) for seed in set(of_seed)}
    return create(
        [fresh_member(params[seed], LEARNING_RATE, optax.sgd) for seed in of_seed],
        of_seed,
        stream=stream,
        key=key,
        mesh=member_mesh(),
    )


def project(
    width: int, stream: Stream, *, depth: int = DEPTH, train: Train | None = None
) -> Callable[[Ensemble, int], Ensemble]:
    """``(ensemble, blocks) -> ensemble`` by the project's own program, without measurements."""
    advance = make_advance(
        train=train or make_sgd(_model(width, depth), cross_entropy),
        probe=lambda params, held_out: (),
        stream=stream,
        batch_size=BATCH,
        mesh=member_mesh(),
    )
    return lambda ensemble, blocks: advance(ensemble, stream.arrays, (), blocks, False)[0]


def executors(width: int, updates: int) -> dict[str, Callable[[Ensemble], Ensemble]]:
    """Programs that train every member of an ensemble on its block, each by another executor."""
    update = make_update(_model(width), cross_entropy, optax.sgd)
    advance = project(width, fixed_stream(updates * BATCH))

    def train(ensemble: Ensemble) -> Ensemble:
        batches = jax.tree.map(
            lambda leaf: leaf.reshape(updates, BATCH, *leaf.shape[1:]), ensemble.streams
        )
        return ensemble._replace(members=one_by_one(update)(ensemble.members, batches))

    def over_devices(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        spec = PartitionSpec(AXIS)
        return jax.shard_map(
            function, mesh=member_mesh(), in_specs=spec, out_specs=spec, check_vma=False
        )

    def mapped(ensemble: Ensemble) -> Ensemble:
        return jax.lax.map(train, ensemble)

    programs = {PROJECT: lambda ensemble: advance(ensemble, 1)}
    programs[MAP] = jax.jit(mapped, donate_argnums=0)
    programs[VMAP] = jax.jit(jax.vmap(train), donate_argnums=0)
    if jax.device_count() > 1:
        programs[SHARDED_VMAP] = jax.jit(over_devices(jax.vmap(train)), donate_argnums=0)
    return programs


def timed(program: Callable[[Any], Any], state: Any) -> Callable[[int], float]:
    """A contender for ``benchmarks.timing`` that carries ``state`` from call to call."""

    def run(calls: int) -> float:
        nonlocal state
        start = time.perf_counter()
        for _ in range(calls):
            state = program(state)
        jax.block_until_ready(state)
        return time.perf_counter() - start

    return run


def placed(name: str, ensemble: Ensemble) -> Ensemble:
    """A copy of ``ensemble`` where executor ``name`` wants it: one device, or over all."""
    host = jax.tree.map(np.array, ensemble)
    everywhere = name in (PROJECT, SHARDED_VMAP)
    sharding = jax.sharding.NamedSharding(member_mesh(), PartitionSpec(AXIS))
    return jax.device_put(host, sharding if everywhere else jax.devices()[0])


def named_arrays(ensemble: Ensemble) -> dict[str, np.ndarray]:
    """Parameters and data by name, for another framework: ``hidden_01/kernel``, ..., x and y."""
    arrays = {
        f"{layer}/{kind}": np.array(array)
        for layer, both in ensemble.members.params.items()
        for kind, array in both.items()
    }
    return arrays | {"x": np.array(ensemble.streams.x), "y": np.array(ensemble.streams.y)}


def _model(width: int, depth: int = DEPTH) -> MLP:
    return MLP((width,) * depth, CLASSES)
