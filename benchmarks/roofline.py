"""What an update must compute and move, and the rates this machine has for both."""

import itertools
import time
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec

from benchmarks.jax_updates import BATCH, CLASSES, DEPTH, INPUTS
from glorot_jax.training.ensemble import AXIS, map_members, member_mesh

FLOAT = 4  # bytes


class Work(NamedTuple):
    """One update of one member."""

    operations: int
    bytes: int


class Rates(NamedTuple):
    """All devices together: operations a second of a large product, bytes a second of a copy."""

    operations: float
    bytes: float


def work(width: int) -> Work:
    """Three products a layer, two at the first, which passes no gradient down.

    Every weight is read by the forward and by the backward product and written once: what any
    program must move when the ensemble does not fit in the cache.
    """
    sizes = [INPUTS, *[width] * DEPTH, CLASSES]
    weights = [fan_in * fan_out for fan_in, fan_out in itertools.pairwise(sizes)]
    products = 3 * sum(weights) - weights[0]
    return Work(2 * BATCH * products, 3 * FLOAT * (sum(weights) + sum(sizes[1:])))


def measure_rates(width: int, members: int, *, repeats: int) -> Rates:
    """Copies as many bytes as the ensemble has, and multiplies large square matrices."""
    mesh = member_mesh()
    over = map_members(mesh.devices.flat[0].platform)
    n = 2048 if jax.default_backend() == "cpu" else 8192

    def everywhere(function, shape):
        spec = PartitionSpec(AXIS)
        sharded = jax.shard_map(
            over(function), mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False
        )
        stack = jax.device_put(jnp.ones((mesh.size, *shape)), NamedSharding(mesh, spec))
        return jax.jit(sharded, donate_argnums=0), stack

    length = max(1, members * work(width).bytes // (3 * FLOAT * mesh.size))
    copies = 10
    seconds = _fastest(
        *everywhere(lambda a: jax.lax.fori_loop(0, copies, lambda _, b: -b, a), (length,)), repeats
    )
    products = _fastest(*everywhere(lambda a: a @ a / n, (n, n)), repeats)
    return Rates(
        operations=mesh.size * 2 * n**3 / products,
        bytes=copies * mesh.size * length * FLOAT * 2 / seconds,
    )


def lines(width: int, found: Rates, rate: float) -> str:
    """How near ``rate`` (members x updates a second) comes to what the machine could do."""
    need = work(width)
    compute, move = found.operations / need.operations, found.bytes / need.bytes
    flops, moved = found.operations / 1e9, found.bytes / 1e9
    return "\n".join(
        [
            f"W = {width}: an update of a member computes {need.operations / 1e6:.1f} Mflop and "
            f"moves at least {need.bytes / 1e6:.1f} MB (weights read twice, written once).",
            f"- product of large matrices: {flops:,.0f} Gflop/s, so at most {compute:,.0f} "
            f"updates/s; this project reaches {rate / compute:.0%} of it.",
            f"- copy of as many bytes as the ensemble's weights: {moved:,.1f} GB/s, read and "
            f"written, so at most {move:,.0f} updates/s; this project reaches {rate / move:.0%}.",
            f"- one after the other, without overlap: {rate * (1 / compute + 1 / move):.0%}.",
        ]
    )


def _fastest(program, state, repeats: int) -> float:
    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        state = jax.block_until_ready(program(state))
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:])  # the first compiles
