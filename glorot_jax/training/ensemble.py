"""Many members at once on any set of devices.

The ensemble is an axis sharded over a device mesh. Inside a device, members run under ``vmap`` on
an accelerator and under ``lax.map`` on a CPU, where a batched small matrix product is slower than
the same products one after another (see ``benchmarks/``).
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from glorot_jax.data.stream import Stream
from glorot_jax.initializers import Initializer
from glorot_jax.keys import named
from glorot_jax.network import MLP, init
from glorot_jax.training.update import MakeOptimizer, Member

AXIS = "member"
Update = Callable[[Member, Any], Member]
Probe = Callable[[Member, Any], Any]


class Variant(NamedTuple):
    """What sets one member of an ensemble apart from the others of its program."""

    seed: int
    learning_rate: float
    initializer: Initializer


class Ensemble(NamedTuple):
    """Members and example streams, each a pytree stacked on axis 0 and sharded along it."""

    members: Member
    streams: Any


def member_mesh(devices: Sequence[jax.Device] | None = None) -> jax.sharding.Mesh:
    """A one-dimensional mesh over ``devices``, all of them unless told."""
    devices = jax.devices() if devices is None else devices
    return jax.sharding.Mesh(np.array(devices), (AXIS,))


def over_devices(mapped: Callable[[Any], Any], stack: Any) -> Any:
    """``mapped(stack)`` for a ``stack`` of members on axis 0, dealt out to all devices.

    ``mapped`` maps over a stack of any length, as ``jax.vmap(function)`` does.
    """
    mesh = member_mesh()
    count = jax.tree.leaves(stack)[0].shape[0]
    seats = np.minimum(np.arange(count + -count % mesh.size), count - 1)
    spec = PartitionSpec(AXIS)
    program = jax.shard_map(mapped, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False)
    dealt = jax.device_put(jax.tree.map(lambda leaf: leaf[seats], stack), NamedSharding(mesh, spec))
    return jax.tree.map(lambda leaf: leaf[:count], jax.jit(program)(dealt))


def map_members(platform: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """How a function of one member is applied to a stack of them on ``platform``."""
    if platform == "cpu":
        return lambda function: lambda stack: jax.lax.map(function, stack)
    return jax.vmap


def create(
    variants: Sequence[Variant],
    *,
    model: MLP,
    inputs: int,
    make_optimizer: MakeOptimizer,
    stream: Stream,
    key: jax.Array,
    mesh: jax.sharding.Mesh,
) -> Ensemble:
    """Fresh members for ``variants``, in their order, placed on ``mesh``; see ``gather``.

    Variants of one seed share, initialiser for initialiser, their weights' random numbers.
    """

    def member(variant: Variant) -> Member:
        # The activation has no part in drawing weights: one program serves every one of them.
        shape_only = MLP(tuple(model.widths), model.classes, kernel_init=variant.initializer)
        params = draw_params(shape_only, named(key, "weights", variant.seed), inputs)
        return fresh_member(params, variant.learning_rate, make_optimizer)

    seeds = [variant.seed for variant in variants]
    return gather(list(map(member, variants)), seeds, stream=stream, key=key, mesh=mesh)


def fresh_member(params: Any, learning_rate: float, make_optimizer: MakeOptimizer) -> Member:
    """A member that starts from ``params``; ``gather`` gives it its stream."""
    rate = jnp.asarray(learning_rate, jnp.float32)
    return Member(params, make_optimizer(rate).init(params), rate, jnp.zeros((), jnp.int32))


def gather(
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

    def start_stream(seed: jax.Array) -> Any:
        return stream.init(jax.random.fold_in(jax.random.fold_in(key, seed), 1))

    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *members)
    return place(Ensemble(stacked, jax.jit(jax.vmap(start_stream))(distinct)), seeds, mesh=mesh)


def place(ensemble: Ensemble, seeds: Sequence[int], *, mesh: jax.sharding.Mesh) -> Ensemble:
    """What ``without_padding`` made, or any ensemble of that form, placed on ``mesh``."""
    seats, distinct = _seats(seeds, mesh.size), list(dict.fromkeys(seeds))
    streams = np.array([distinct.index(seed) for seed in seats.stream_seed])
    members = jax.tree.map(lambda leaf: leaf[seats.member], ensemble.members)
    placed = Ensemble(
        members._replace(stream=jnp.asarray(seats.stream, jnp.int32)),
        jax.tree.map(lambda leaf: leaf[streams], ensemble.streams),
    )
    return jax.device_put(placed, NamedSharding(mesh, PartitionSpec(AXIS)))


def without_padding(
    ensemble: Ensemble, seeds: Sequence[int], *, mesh: jax.sharding.Mesh
) -> Ensemble:
    """``ensemble``, which is placed on ``mesh``, as it is whatever the devices.

    Args:
      ensemble: of members with ``seeds``, in their order; copied to the host.

    Returns:
      Each member once, and once a stream for each of the seeds in the order in which they come.
    """
    stream_seeds, distinct = _seats(seeds, mesh.size).stream_seed.tolist(), dict.fromkeys(seeds)
    streams = np.array([stream_seeds.index(seed) for seed in distinct])
    position = {seed: index for index, seed in enumerate(distinct)}
    members = _rows(ensemble.members, np.arange(len(seeds)))
    return Ensemble(
        members._replace(stream=np.array([position[seed] for seed in seeds], np.int32)),
        _rows(ensemble.streams, streams),
    )


def _rows(stack: Any, rows: np.ndarray) -> Any:
    def of_leaf(leaf: jax.Array) -> Any:
        # NumPy has no typed keys.
        is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        return leaf[rows] if is_key else np.asarray(leaf)[rows]

    return jax.tree.map(of_leaf, stack)


# An eager init could alias arrays that are donated later; a jitted one does not.
draw_params = jax.jit(init, static_argnums=(0, 2))


class _Seats(NamedTuple):
    member: np.ndarray
    stream: np.ndarray
    stream_seed: np.ndarray


def _seats(seeds: Sequence[int], devices: int) -> _Seats:
    """Who sits on which device: members padded, and for each device the streams it needs.

    ``member`` [devices * per_device] indexes the variants; ``stream`` likewise is each member's
    stream among its own device's; ``stream_seed`` [devices * streams_per_device].
    """
    per_device = -(-len(seeds) // devices)
    member = np.minimum(np.arange(devices * per_device), len(seeds) - 1)
    rows = np.asarray(seeds)[member].reshape(devices, per_device)
    needed = [list(dict.fromkeys(row.tolist())) for row in rows]
    most = max(len(row) for row in needed)
    stream = [
        need.index(seed) for need, row in zip(needed, rows.tolist(), strict=True) for seed in row
    ]
    stream_seed = [seed for need in needed for seed in need + need[-1:] * (most - len(need))]
    return _Seats(member, np.array(stream), np.array(stream_seed))


def make_advance(
    *,
    update: Update,
    probe: Probe,
    stream: Stream,
    batch_size: int,
    mesh: jax.sharding.Mesh,
) -> Callable[..., tuple[Ensemble, Any]]:
    """The one compiled program of a training run.

    ``advance(ensemble, arrays, held_out, blocks, measure=True)`` trains every member on ``blocks``
    blocks of its stream (``stream.block_size / batch_size`` updates each) and then measures it:
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

    def one_block(arrays: Any, ensemble: Ensemble) -> Ensemble:
        streams, blocks = over(partial(stream.next, arrays))(ensemble.streams)

        def train(member: Member) -> Member:
            minibatches = jax.tree.map(
                lambda leaf: leaf[member.stream].reshape(updates, batch_size, *leaf.shape[2:]),
                blocks,
            )
            # Two updates a turn: with one, XLA on a CPU copies almost every kernel at each update.
            return jax.lax.scan(lambda m, b: (update(m, b), None), member, minibatches, unroll=2)[0]

        return Ensemble(over(train)(ensemble.members), streams)

    @jax.jit  # so that it is traced once, for its shapes too
    def measured(held_out: Any, members: Member) -> Any:
        return over(lambda member: probe(member, held_out))(members)

    def not_measured(held_out: Any, members: Member) -> Any:
        shapes = jax.eval_shape(measured, held_out, members)
        return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)

    def on_device(
        ensemble: Ensemble, arrays: Any, held_out: Any, blocks: jax.Array, measure: jax.Array
    ) -> tuple[Ensemble, Any]:
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
        ensemble: Ensemble, arrays: Any, held_out: Any, blocks: jax.Array, measure: Any = True
    ) -> tuple[Ensemble, Any]:
        return program(ensemble, arrays, held_out, blocks, jnp.asarray(measure))

    return advance
