"""Images a second drawn by Shapeset-3x2 alone, at 32 x 32, on one and on two CPU devices.

    python benchmarks/shapeset.py

Each device draws its own blocks in a scan, as a training loop would, and only sums the pixels. On
Linux every device is held to one core.
"""

import argparse
import multiprocessing
import os
import statistics
import time

BLOCK_SIZES = (10, 100, 1000)


def images_per_second(devices: int, block_size: int, images: int, repeats: int) -> float:
    """The median rate over ``repeats`` runs of ``images`` images on each of ``devices`` devices."""
    import jax
    import jax.numpy as jnp

    from glorot_jax.data import shapeset

    stream = shapeset.stream(block_size=block_size)
    mesh = jax.make_mesh((devices,), ("device",))
    spec = jax.sharding.PartitionSpec("device")

    def draw(state, _):
        state, block = stream.next(stream.arrays, state)
        return state, block.x.sum()

    def walk(keys):
        _, sums = jax.lax.scan(draw, stream.init(keys[0]), length=images // block_size)
        return sums.sum()[None]

    keys = jax.device_put(
        jax.random.split(jax.random.key(0), devices), jax.NamedSharding(mesh, spec)
    )
    walk_all = jax.jit(
        jax.shard_map(walk, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False)
    )
    assert jnp.isfinite(walk_all(keys)).all()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        walk_all(keys).block_until_ready()
        seconds.append(time.perf_counter() - start)
    return devices * (images // block_size) * block_size / statistics.median(seconds)


def measure(devices: int, images: int, repeats: int) -> None:
    """Prints one line for each block size; runs in a process of its own."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:devices])
    os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ["JAX_NUM_CPU_DEVICES"] = str(devices)
    for block_size in BLOCK_SIZES:
        rate = images_per_second(devices, block_size, images, repeats)
        print(f"{devices:7d} {block_size:6d} {rate:10,.0f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=40_000, help="images a device and run")
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    print("devices  block   images/s")
    for devices in (1, 2):
        process = multiprocessing.get_context("spawn").Process(
            target=measure, args=(devices, options.images, options.repeats)
        )
        process.start()
        process.join()


if __name__ == "__main__":
    main()
