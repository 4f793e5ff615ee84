"""Many members at once on any set of devices.

The ensemble is an axis sharded over a device mesh. Inside a device, members run under ``vmap`` on
an accelerator and under ``lax.map`` on a CPU, where a batched small matrix product is slower than
the same products one after another (see ``benchmarks/``).
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
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
_SHARDED, _EVERYWHERE = PartitionSpec(AXIS), PartitionSpec()
Probe: TypeAlias = Callable[[PyTree, PyTree], PyTree]  # (params of a member, held_out)
MapMembers: TypeAlias = Callable[[Callable[..., PyTree]], Callable[..., PyTree]]


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
    program = _on_each_device(mapped, mesh, _SHARDED)
    padded = jax.tree.map(lambda leaf: leaf[padded_indices], stack)
    sharded = processes.place(padded, NamedSharding(mesh, _SHARDED))
    return jax.tree.map(lambda leaf: leaf[:count], processes.on_host(jax.jit(program)(sharded)))


def _on_each_device(
    function: Callable[..., PyTree], mesh: jax.sharding.Mesh, *inputs: PartitionSpec
) -> Callable[..., PyTree]:
    """``function`` of what each device of ``mesh`` has of its arguments; results are sharded."""
    return jax.shard_map(function, mesh=mesh, in_specs=inputs, out_specs=_SHARDED, check_vma=False)


def on_every_device(tree: PyTree, mesh: jax.sharding.Mesh) -> PyTree:
    """``tree``, which every process has, on each device of ``mesh``."""
    return processes.place(tree, NamedSharding(mesh, _EVERYWHERE))


def map_members(platform: str) -> MapMembers:
    """How a function of one member is applied to a stack of them on ``platform``."""
    return _one_after_another if platform == "cpu" else jax.vmap


def _one_after_another(function: Callable[[PyTree], PyTree]) -> Callable[[PyTree], PyTree]:
    return lambda stack: jax.lax.map(function, stack)


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
    distinct = np.array(list(dict.fromkeys(seeds)))
    started = _start_streams(stream.init, key, distinct)
    return place(Ensemble(jax.tree.map(_stack, *members), started), seeds, mesh=mesh)


def shapes(
    member: Member, seeds: Sequence[int], *, stream: Stream, mesh: jax.sharding.Mesh
) -> Ensemble:
    """What ``create`` makes of members shaped like ``member``, without values: to ``compile``."""
    padded, sharding = _padded_indices(seeds, mesh.size), NamedSharding(mesh, _SHARDED)

    def stacked(tree: PyTree, count: int) -> PyTree:
        return jax.tree.map(lambda leaf: _shape(leaf, sharding, count), tree)

    started = jax.eval_shape(stream.init, jax.random.key(0))
    return Ensemble(stacked(member, len(padded.member)), stacked(started, len(padded.stream_seed)))


def shapes_on_every_device(tree: PyTree, mesh: jax.sharding.Mesh) -> PyTree:
    """What ``on_every_device`` makes, without values."""
    sharding = NamedSharding(mesh, _EVERYWHERE)
    return jax.tree.map(
        lambda leaf: _shape(leaf, sharding), jax.eval_shape(lambda tree: tree, tree)
    )


def _shape(
    leaf: jax.ShapeDtypeStruct, sharding: NamedSharding, *stacked: int
) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((*stacked, *leaf.shape), leaf.dtype, sharding=sharding)


@partial(jax.jit, static_argnums=0)
def _start_streams(init: Callable[[jax.Array], PyTree], key: jax.Array, seeds: jax.Array) -> PyTree:
    return jax.vmap(lambda seed: init(named(key, "stream", seed)))(seeds)


def _stack(*leaves: jax.Array) -> np.ndarray | jax.Array:
    """On the host, where nothing is compiled for their shape; but random keys stay JAX's."""
    is_key = jnp.issubdtype(leaves[0].dtype, jax.dtypes.prng_key)
    return jnp.stack(leaves) if is_key else np.stack(leaves)


def place(ensemble: Ensemble, seeds: Sequence[int], *, mesh: jax.sharding.Mesh) -> Ensemble:
    """What ``without_padding`` made, or any ensemble of that form, placed on ``mesh``."""
    indices, distinct = _padded_indices(seeds, mesh.size), list(dict.fromkeys(seeds))
    streams = np.array([distinct.index(seed) for seed in indices.stream_seed])
    members = jax.tree.map(lambda leaf: leaf[indices.member], ensemble.members)
    placed = Ensemble(
        members._replace(stream=jnp.asarray(indices.stream, jnp.int32)),
        jax.tree.map(lambda leaf: leaf[streams], ensemble.streams),
    )
    return processes.place(placed, NamedSharding(mesh, _SHARDED))


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


@dataclass(frozen=True)
class Advance:
    """The three compiled programs of a training run, each over the members of an ensemble.

    Apart, they are compiled no more often than they differ: networks that read one stream share
    what draws it, and optimisers share what measures their networks.

    Attributes:
      draw: ``(arrays, streams) -> (streams, blocks)``, the next block of every stream; the streams
        are donated.
      train: ``(members, blocks) -> members``, each trained on its stream's block; the members are
        donated.
      measure: ``(params, held_out) -> measurements``, stacked on axis 0.
      mesh: the devices.
    """

    draw: jax.stages.Wrapped
    train: jax.stages.Wrapped
    measure: jax.stages.Wrapped
    mesh: jax.sharding.Mesh

    def __call__(
        self,
        ensemble: Ensemble,
        arrays: PyTree,
        held_out: PyTree,
        blocks: int,
        measure: bool = True,
    ) -> tuple[Ensemble, PyTree]:
        """Trains every member on ``blocks`` blocks of its stream, and then measures it.

        With ``blocks`` 0 it only measures; with more the ensemble is donated. Returns the new
        ensemble and the measurements, None without ``measure``.
        """
        for _ in range(blocks):
            streams, drawn = self.draw(arrays, ensemble.streams)
            ensemble = Ensemble(self.train(ensemble.members, drawn), streams)
        found = self.measure(ensemble.members.params, held_out) if measure else None
        return ensemble, found

    def compile(self, ensemble: Ensemble, arrays: PyTree, held_out: PyTree) -> None:
        """Compiles what a call with these arguments or shapes runs, side by side; runs nothing."""
        sharding = NamedSharding(self.mesh, _SHARDED)
        _, drawn = jax.eval_shape(self.draw, arrays, ensemble.streams)
        drawn = jax.tree.map(lambda leaf: _shape(leaf, sharding), drawn)
        lowered = [
            self.draw.lower(arrays, ensemble.streams),
            self.train.lower(ensemble.members, drawn),
            self.measure.lower(ensemble.members.params, held_out),
        ]
        with ThreadPoolExecutor() as threads:
            list(threads.map(lambda program: program.compile(), lowered))


def make_advance(
    *,
    train: Train,
    probe: Probe,
    stream: Stream,
    batch_size: int,
    mesh: jax.sharding.Mesh,
) -> Advance:
    """The compiled programs of a training run on ``mesh``.

    A block is ``stream.block_size / batch_size`` updates by ``train``; a member is measured by
    ``probe(params, held_out)``.

    Raises:
      ValueError: the mini-batch does not divide the stream's block.
    """
    if stream.block_size % batch_size:
        raise ValueError(
            f"batch_size: {batch_size} does not divide the block of {stream.block_size} examples"
        )
    over = map_members(mesh.devices.flat[0].platform)
    updates = stream.block_size // batch_size

    def train_all(members: Member, blocks: PyTree) -> Member:
        def train_one(member: Member) -> Member:
            minibatches = jax.tree.map(
                lambda leaf: leaf[member.stream].reshape(updates, batch_size, *leaf.shape[2:]),
                blocks,
            )
            return train(member, minibatches)

        return over(train_one)(members)

    return Advance(
        _draw_program(stream.next, over, mesh),
        jax.jit(_on_each_device(train_all, mesh, _SHARDED, _SHARDED), donate_argnums=0),
        _measure_program(probe, over, mesh),
        mesh,
    )


@cache
def _draw_program(
    next_block: Callable, over: MapMembers, mesh: jax.sharding.Mesh
) -> jax.stages.Wrapped:
    def draw(arrays: PyTree, streams: PyTree) -> tuple[PyTree, PyTree]:
        return over(partial(next_block, arrays))(streams)

    return jax.jit(_on_each_device(draw, mesh, _EVERYWHERE, _SHARDED), donate_argnums=1)


@cache
def _measure_program(probe: Probe, over: MapMembers, mesh: jax.sharding.Mesh) -> jax.stages.Wrapped:
    def measure(params: PyTree, held_out: PyTree) -> PyTree:
        return over(lambda of_one: probe(of_one, held_out))(params)

    return jax.jit(_on_each_device(measure, mesh, _SHARDED, _EVERYWHERE))
