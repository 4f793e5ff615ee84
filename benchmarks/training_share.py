"""How much of a training update is the drawing of Shapeset images.

    python -m benchmarks.training_share --widths 300 1000

Times the project's training program on freshly drawn blocks against the same program on one block
that is never drawn again. Members of one seed share their example stream; the dearest case is as
many seeds as members, and the experiments have three to six members a seed.
"""

import argparse
import itertools
import os

import jax

from benchmarks.jax_updates import BATCH, fixed_stream, fresh_ensemble, project, timed
from benchmarks.timing import interleaved, markdown, share
from glorot_jax.data import shapeset
from glorot_jax.data.stream import Stream

DRAWN, FIXED = "drawn", "fixed"


def main() -> None:
    arguments = _arguments()
    jax.config.update("jax_num_cpu_devices", os.cpu_count() or 1)
    device = jax.devices()[0]
    print(
        f"{jax.device_count()} x {device.device_kind} ({device.platform}), JAX {jax.__version__}."
    )
    rows = []
    for width, seeds in itertools.product(arguments.widths, arguments.seeds):
        streams = {
            DRAWN: shapeset.stream(block_size=arguments.block),
            FIXED: fixed_stream(arguments.block),
        }
        times = interleaved(
            {name: contender(width, arguments.members, seeds, s) for name, s in streams.items()},
            repeats=arguments.repeats,
            seconds=arguments.seconds,
        )
        done = arguments.members * arguments.block / BATCH
        rates = [f"{done / times.median(name):,.0f}" for name in (DRAWN, FIXED)]
        rows.append([str(width), str(seeds), *rates, f"{share(times, DRAWN, FIXED):.1%}"])
    header = ["W", "seeds", "members x updates/s", "with a fixed block", "share of drawing"]
    print(f"\n### Shapeset inside training, {arguments.members} members\n")
    print(markdown(header, rows))


def contender(width: int, members: int, seeds: int, stream: Stream):
    """The project's program on blocks of ``stream``, for ``benchmarks.timing``."""
    advance = project(width, stream)
    ensemble = fresh_ensemble(width, members, stream, seeds=seeds)
    return timed(lambda ensemble: advance(ensemble, 1), ensemble)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--widths", type=int, nargs="+", default=[300, 1000])
    parser.add_argument("--members", type=int, default=8)
    parser.add_argument("--seeds", type=int, nargs="+", default=[8, 2])
    parser.add_argument("--block", type=int, default=1000, help="examples in a block")
    parser.add_argument("--repeats", type=int, default=7, help="rounds; medians are reported")
    parser.add_argument("--seconds", type=float, default=3.0, help="per contender and round")
    return parser.parse_args()


if __name__ == "__main__":
    main()
