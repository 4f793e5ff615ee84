"""Many members at once on any set of devices.

The ensemble is an axis sharded over a device mesh. Inside a device, members run under ``vmap`` on
an accelerator and under ``lax.map`` on a CPU, where a batched small matrix product is slower than
the same products one after another (see ``benchmarks/``).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from glorot_jax import processes
from glorot_jax.data.stream import Stream
from glorot_jax.keys import named
from glorot_jax.training.update import MakeOptimizer, Member, Train
from glorot_jax.typing import PyTree

AXIS = "member"
Probe: TypeAlias = Callable[[Member, PyTree], PyTree]


class Ensemble(NamedTuple):
    """Members and example streams, each a pytree stacked on axis 0 and sharded along it."""

    members: Member
    streams: PyTree


def member_mesh(devices: Sequence[jax.Device] | None = None) -> jax.sharding.Mesh:
    """A one-dimensional mesh over ``devices``, those of all processes unless told."""
    devices = jax.devices() if devices is None else devices
    return jax.sharding.Mesh(np.array(devices), (AXIS,))


def over_devices(mapped: Callable[[PyTree], PyTree], stack: PyTree) -> PyTree:
    """``mapped(stack)`` for a ``stack`` of members on axis 0, sharded over all devices.

    ``mapped`` maps over a stack of any length, as ``jax.vmap(function)`` does. Every process has
    the whole ``stack`` and gets the whole result, on the host.
    """
    mesh = member_mesh()
    count = jax.tree.leaves(stack)[0].shape[0]
    padded_indices = np.minimum(np.arange(count + -count % mesh.size), count - 1)
    spec = PartitionSpec(AXIS)
    program = jax.shard_map(mapped, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False)
    padded = jax.tree.map(lambda leaf: leaf[padded_indices], stack)
    sharded = processes.place(padded, NamedSharding(mesh, spec))
    return jax.tree.map(lambda leaf: leaf[:count], processes.on_host(jax.jit(program)(sharded)))


def on_every_device(tree: PyTree, mesh: jax.sharding.Mesh) -> PyTree:
    """``tree``, which every process has, on each device of ``mesh``."""
    return processes.place(tree, NamedSharding(mesh, PartitionSpec()))


def map_members(platform: str) -> Callable[[Callable[..., PyTree]], Callable[..., PyTree]]:
    """How a function of one member is applied to a stack of them on ``platform``."""
    if platform == "cpu":
        return lambda function: lambda stack: jax.lax.map(function, stack)
    return jax.vmap


def fresh_member(params: PyTree, learning_rate: float, make_optimizer: MakeOptimizer) -> Member:
    """A member that starts from ``params``; ``create`` gives it its stream."""
    rate = jnp.asarray(learning_rate, jnp.float32)
    return Member(params, make_optimizer(rate).init(params), rate, jnp.zeros((), jnp.int32))


def create(
    members: Sequence[Member],
    seeds: Sequence[int],
    *,
    stream: Stream,
    key: jax.Array,
    mesh: jax.sharding.Mesh,
) -> Ensemble:
    """``members``, in their order, placed on ``mesh``, each with the example stream of its seed.

    Members of one seed share their stream. Where the devices don't divide the members the last one
    is repeated: the first ``len(members)`` rows of any result are the real ones.
    """
    distinct = jnp.asarray(list(dict.fromkeys(seeds)))

    def start_stream(seed: jax.Array) -> PyTree:
        return stream.init(named(key, "stream", seed))

    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *members)
    return place(Ensemble(stacked, jax.jit(jax.vmap(start_stream))(distinct)), seeds, mesh=mesh)


def place(ensemble: Ensemble, seeds: Sequence[int], *, mesh: jax.sharding.Mesh) -> Ensemble:
    """What ``without_padding`` made, or any ensemble of that form, placed on ``mesh``."""
    indices, distinct = _padded_indices(seeds, mesh.size), list(dict.fromkeys(seeds))
    streams = np.array([distinct.index(seed) for seed in indices.stream_seed])
    members = jax.tree.map(lambda leaf: leaf[indices.member], ensemble.members)
    placed = Ensemble(
        members._replace(stream=jnp.asarray(indices.stream, jnp.int32)),
        jax.tree.map(lambda leaf: leaf[streams], ensemble.streams),
    )
    return processes.place(placed, NamedSharding(mesh, PartitionSpec(AXIS)))


def without_padding(
    ensemble: Ensemble, seeds: Sequence[int], *, mesh: jax.sharding.Mesh
) -> Ensemble:
    """``ensemble``, which is placed on ``mesh``, as it is whatever the devices.

    Args:
      ensemble: of members with ``seeds``, in their order; copied to the host, that of every
        process.

    Returns:
      Each member once, and once a stream for each of the seeds in the order in which they come.
    """
    stream_seeds = _padded_indices(seeds, mesh.size).stream_seed.tolist()
    distinct = dict.fromkeys(seeds)
    streams = np.array([stream_seeds.index(seed) for seed in distinct])
    position = {seed: index for index, seed in enumerate(distinct)}
    whole = processes.on_host(ensemble)
    members = jax.tree.map(lambda leaf: leaf[: len(seeds)], whole.members)
    return Ensemble(
        members._replace(stream=np.array([position[seed] for seed in seeds], np.int32)),
        jax.tree.map(lambda leaf: leaf[streams], whole.streams),
    )


@dataclass(frozen=True)
class _PaddedIndices:
    """Which member each row of a padded ensemble is, and where its stream is.

    Attributes:
      member: [devices * per_device] among the members.
      stream: [devices * per_device] each member's stream among its own device's.
      stream_seed: [devices * streams_per_device] the seed of each stream.
    """

    member: np.ndarray
    stream: np.ndarray
    stream_seed: np.ndarray


def _padded_indices(seeds: Sequence[int], devices: int) -> _PaddedIndices:
    """Members with ``seeds``, padded so that the devices divide them, and the streams they need."""
    per_device = -(-len(seeds) // devices)
    member = np.minimum(np.arange(devices * per_device), len(seeds) - 1)
    rows = np.asarray(seeds)[member].reshape(devices, per_device)
    needed = [list(dict.fromkeys(row.tolist())) for row in rows]
    most = max(len(row) for row in needed)
    stream = [
        need.index(seed) for need, row in zip(needed, rows.tolist(), strict=True) for seed in row
    ]
    stream_seed = [seed for need in needed for seed in need + need[-1:] * (most - len(need))]
    return _PaddedIndices(member, np.array(stream), np.array(stream_seed))


def make_advance(
    *,
    train: Train,
    probe: Probe,
    stream: Stream,
    batch_size: int,
    mesh: jax.sharding.Mesh,
) -> Callable[..., tuple[Ensemble, PyTree]]:
    """The one compiled program of a training run.

    ``advance(ensemble, arrays, held_out, blocks, measure=True)`` trains every member on ``blocks``
    blocks of its stream (``stream.block_size / batch_size`` updates each, by ``train``) and then
    measures it:
    ``probe(member, held_out)``. With ``blocks`` 0 it only measures, and without ``measure`` it only
    trains. The ensemble is donated. Returns the new ensemble and the measurements, stacked on axis
    0, which are zeros where nothing is measured.

    Raises:
      ValueError: the mini-batch does not divide the stream's block.
    """
    if stream.block_size % batch_size:
        raise ValueError(
            f"batch_size: {batch_size} does not divide the block of {stream.block_size} examples"
        )
    over = map_members(mesh.devices.flat[0].platform)
    updates = stream.block_size // batch_size

    def one_block(arrays: PyTree, ensemble: Ensemble) -> Ensemble:
        streams, blocks = over(partial(stream.next, arrays))(ensemble.streams)

        def train_one(member: Member) -> Member:
            minibatches = jax.tree.map(
                lambda leaf: leaf[member.stream].reshape(updates, batch_size, *leaf.shape[2:]),
                blocks,
            )
            return train(member, minibatches)

        return Ensemble(over(train_one)(ensemble.members), streams)

    @jax.jit  # so that it is traced once, for its shapes too
    def measured(held_out: PyTree, members: Member) -> PyTree:
        return over(lambda member: probe(member, held_out))(members)

    def not_measured(held_out: PyTree, members: Member) -> PyTree:
        shapes = jax.eval_shape(measured, held_out, members)
        return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)

    def on_device(
        ensemble: Ensemble, arrays: PyTree, held_out: PyTree, blocks: jax.Array, measure: jax.Array
    ) -> tuple[Ensemble, PyTree]:
        ensemble = jax.lax.fori_loop(0, blocks, lambda _, e: one_block(arrays, e), ensemble)
        return ensemble, jax.lax.cond(measure, measured, not_measured, held_out, ensemble.members)

    sharded, everywhere = PartitionSpec(AXIS), PartitionSpec()
    program = jax.shard_map(
        on_device,
        mesh=mesh,
        in_specs=(sharded, everywhere, everywhere, everywhere, everywhere),
        out_specs=(sharded, sharded),
        check_vma=False,
    )

    @partial(jax.jit, donate_argnums=0)
    def advance(
        ensemble: Ensemble,
        arrays: PyTree,
        held_out: PyTree,
        blocks: jax.Array,
        measure: jax.Array | bool = True,
    ) -> tuple[Ensemble, PyTree]:
        return program(ensemble, arrays, held_out, blocks, jnp.asarray(measure))

    return advance
