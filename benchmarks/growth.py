"""What an update of a member costs with more members, more units and more layers.

    python -m benchmarks.growth --figure growth.png

Each curve changes one of the three and leaves the others at 8 members of 5 x 100. Linear: as many
times longer as there are times more parameters, which holds for members by themselves.
"""

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass, replace

import jax
from matplotlib.figure import Figure

from benchmarks.jax_updates import (
    BATCH,
    CLASSES,
    DEPTH,
    INPUTS,
    fixed_stream,
    fresh_ensemble,
    project,
    timed,
)
from benchmarks.timing import Times, interleaved, markdown

UPDATES = 20  # in a block


@dataclass(frozen=True)
class Size:
    """An ensemble of ``members`` nets of ``depth`` layers of ``width`` units."""

    members: int = 8
    width: int = 100
    depth: int = DEPTH

    @property
    def parameters(self) -> int:
        """Of one member, weights and biases."""
        fans_in = [INPUTS, *[self.width] * self.depth]
        fans_out = [*[self.width] * self.depth, CLASSES]
        return sum((n + 1) * m for n, m in zip(fans_in, fans_out, strict=True))


CURVES = {"members": (4, 16, 64), "width": (100, 300, 1000), "depth": (5, 20, 100)}


def main() -> None:
    arguments = _arguments()
    jax.config.update("jax_num_cpu_devices", len(os.sched_getaffinity(0)))
    print(f"{jax.device_count()} x {jax.devices()[0].device_kind}, JAX {jax.__version__}.")
    curves = {
        axis: [replace(Size(), **{axis: value}) for value in values]
        for axis, values in CURVES.items()
    }
    contenders = {str(size): contender(size) for sizes in curves.values() for size in sizes}
    times = interleaved(contenders, repeats=arguments.repeats, seconds=arguments.seconds)
    for axis, sizes in curves.items():
        print(f"\n{markdown(_header(axis), rows(axis, sizes, times))}")
    if arguments.figure:
        draw(curves, times).savefig(arguments.figure, dpi=150)


def contender(size: Size) -> Callable[[int], float]:
    """Seconds of so many blocks of ``UPDATES`` updates of the ensemble."""
    stream = fixed_stream(UPDATES * BATCH)
    advance = project(size.width, stream, depth=size.depth)
    ensemble = fresh_ensemble(size.width, size.members, stream, depth=size.depth)
    return timed(lambda state: advance(state, 1), ensemble)


def microseconds(size: Size, times: Times) -> float:
    """An update of one member, medians over rounds."""
    return 1e6 * times.median(str(size)) / (UPDATES * size.members)


def rows(axis: str, sizes: list[Size], times: Times) -> list[list[str]]:
    """A line for each size: its rate, and its cost beside linear growth from the first."""
    first = sizes[0]
    return [
        [
            str(getattr(size, axis)),
            f"{size.parameters:,}",
            f"{1e6 / microseconds(size, times):,.0f}",
            f"{microseconds(size, times):.0f}",
            f"{_over_linear(first, size, times):.2f}",
        ]
        for size in sizes
    ]


def _over_linear(first: Size, size: Size, times: Times) -> float:
    grown = microseconds(size, times) / microseconds(first, times)
    return grown * first.parameters / size.parameters


def _header(axis: str) -> list[str]:
    rate = ["members x updates/s", "microseconds an update of a member"]
    return [axis, "parameters of a member", *rate, "over linear"]


def draw(curves: dict[str, list[Size]], times: Times) -> Figure:
    """A panel for each of the three: microseconds, and the line that is linear from the first."""
    figure = Figure(figsize=(9.6, 3.4), layout="constrained")
    for axes, (axis, sizes) in zip(figure.subplots(1, len(curves)), curves.items(), strict=True):
        values = [getattr(size, axis) for size in sizes]
        cost = [microseconds(size, times) for size in sizes]
        linear = [cost[0] * size.parameters / sizes[0].parameters for size in sizes]
        axes.loglog(values, linear, "--", color="0.5", label="linear in parameters")
        axes.loglog(values, cost, marker="o", label="measured")
        axes.set(xlabel=axis, ylim=(0.5 * min(cost + linear), 2 * max(cost + linear)))
        axes.set_xticks(values, [str(value) for value in values])
        axes.minorticks_off()
    figure.axes[0].set_ylabel("microseconds an update of a member")
    figure.axes[0].legend()
    return figure


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5, help="rounds; medians are reported")
    parser.add_argument("--seconds", type=float, default=2.0, help="per size and round")
    parser.add_argument("--figure", help="file to draw the curves into")
    return parser.parse_args()


if __name__ == "__main__":
    main()
