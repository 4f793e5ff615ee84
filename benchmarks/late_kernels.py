"""Plain SGD that writes its kernels late beside the plain update, by width.

    python -m benchmarks.late_kernels --widths 100 300 1000

8 members of 5 layers on a fixed block, over all cores: how many updates a second, and how many
times as many where the kernels are written once in K updates.
"""

import argparse
import os
from collections.abc import Callable

import jax
import optax

from benchmarks.jax_updates import (
    BATCH,
    CLASSES,
    DEPTH,
    fixed_stream,
    fresh_ensemble,
    project,
    timed,
)
from benchmarks.timing import interleaved, markdown
from glorot_jax.losses import cross_entropy
from glorot_jax.network import MLP
from glorot_jax.training.blocked import late_kernels
from glorot_jax.training.update import Train, make_update, one_by_one

MEMBERS, UPDATES = 8, 100
PLAIN = "plain, updates/s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--widths", type=int, nargs="+", default=[100, 300, 1000])
    parser.add_argument("--at-once", type=int, nargs="+", default=[5, 10, 20])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    arguments = parser.parse_args()
    jax.config.update("jax_num_cpu_devices", len(os.sched_getaffinity(0)))
    print(f"{jax.device_count()} x {jax.devices()[0].device_kind}, JAX {jax.__version__}.\n")
    names = {f"K = {k}": k for k in arguments.at_once}
    rows = []
    for width in arguments.widths:
        model = MLP((width,) * DEPTH, CLASSES)
        trains = {PLAIN: one_by_one(make_update(model, cross_entropy, optax.sgd))}
        trains |= {n: late_kernels(model, cross_entropy, at_once=k) for n, k in names.items()}
        contenders = {name: contender(width, train) for name, train in trains.items()}
        times = interleaved(contenders, repeats=arguments.repeats, seconds=arguments.seconds)
        rate = MEMBERS * UPDATES / times.median(PLAIN)
        ratios = [f"{times.ratio(name, PLAIN):.2f}" for name in names]
        rows.append([str(width), f"{rate:,.0f}", *ratios])
    print(markdown(["W", PLAIN, *names], rows))


def contender(width: int, train: Train) -> Callable[[int], float]:
    """Seconds of so many blocks of ``UPDATES`` updates of the ensemble by ``train``."""
    stream = fixed_stream(UPDATES * BATCH)
    advance = project(width, stream, train=train)
    return timed(lambda state: advance(state, 1), fresh_ensemble(width, MEMBERS, stream))


if __name__ == "__main__":
    main()
