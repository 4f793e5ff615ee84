"""What the paper's full grid takes on 8, 64 and 256 chips: bytes, time, checkpoints.

    python -m benchmarks.scale

Five networks, depths 1 to 5, four data sets, three learning rates, five seeds, 1000 units, 5
million updates. Calculated from one measured rate; docs/scale.md has the tables and what they
assume.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import pairwise
from math import prod

import jax
import jax.numpy as jnp

from benchmarks.timing import markdown
from experiments.configs import base
from experiments.data.registry import SHAPESET
from experiments.measurements.trained import conditions, learning_rates, programs
from glorot_jax.data.stream import Batch
from glorot_jax.losses import cross_entropy
from glorot_jax.network import MLP, init
from glorot_jax.training import loop

FLOAT, GB = 4, 1e9
SEEDS = 5
TRAFFIC = 3  # an update reads every weight twice and writes it once
COPIES = 3  # of a member in memory: itself, its gradient, and what XLA moves it through
CHIPS_OF_A_JOB = 8  # a v5e host, or a node of GPUs
COUNTS = (8, 64, 256)
# benchmarks/README.md: members x updates/s of 5 x 1000 on one H200, with 8 members.
MEASURED_ON, MEASURED = "H200", 16_282


@dataclass(frozen=True)
class DataSet:
    """Pixels of an example, classes, training examples that each chip holds."""

    name: str
    inputs: int
    classes: int
    training: int


@dataclass(frozen=True)
class Chip:
    """Bandwidth in GB/s and size in GB of its memory, by its maker."""

    name: str
    bandwidth: float
    memory: float


@dataclass(frozen=True)
class Job:
    """One launch: the networks of one unit, depth and data set, which are one program."""

    data: DataSet
    depth: int
    members: int
    parameters: int
    updates: int
    points: int

    @property
    def update_bytes(self) -> int:
        """Moved by an update of a member, at the least."""
        return TRAFFIC * FLOAT * self.parameters

    @property
    def checkpoint_bytes(self) -> int:
        """Of its last checkpoint: members, and what was measured on the way."""
        measured = (self.points + 1) * _measured(self.depth, self.data.classes)
        return self.members * FLOAT * (self.parameters + measured)

    def chip_bytes(self, chips: int) -> int:
        """In the memory of each of ``chips``."""
        examples = self.data.training + 3 * 10_000  # validation, test and a block
        return FLOAT * (
            COPIES * self.parameters * -(-self.members // chips) + examples * self.data.inputs
        )

    def seconds(self, chip: Chip, chips: int) -> float:
        """On ``chips``, which the members are dealt to."""
        return -(-self.members // chips) * self.updates / rate(chip, self.update_bytes)


SETS = (
    DataSet(SHAPESET, 1024, 9, 0),
    DataSet("mnist", 784, 10, 50_000),
    DataSet("cifar10", 3072, 10, 40_000),
    DataSet("small_imagenet", 1369, 10, 90_000),
)
CHIPS = (Chip("TPU v5e", 819, 16), Chip("H100 SXM", 3350, 80), Chip("H200", 4800, 141))


def rate(chip: Chip, update_bytes: float) -> float:
    """Members x updates/s of one chip: the share of its bandwidth that the measured one reached."""
    measured_on = next(one for one in CHIPS if one.name == MEASURED_ON)
    network = parameters((1000,) * 5, SETS[0])
    share = MEASURED * TRAFFIC * FLOAT * network / (measured_on.bandwidth * GB)
    return share * chip.bandwidth * GB / update_bytes


def parameters(widths: Sequence[int], data: DataSet) -> int:
    """Of a network."""
    return sum((n + 1) * m for n, m in pairwise((data.inputs, *widths, data.classes)))


def jobs() -> list[Job]:
    """All of the grid, from the config that a launch of them has."""
    settings = base.named("selection", "paper").selection
    settings.seeds = SEEDS
    return [
        Job(
            data,
            len(program.model.widths),
            SEEDS * sum(len(learning_rates(settings, one)) for one in program.conditions),
            parameters(program.model.widths, data),
            settings.updates,
            settings.points,
        )
        for data in SETS
        for program in programs(
            conditions(settings, field="conditions"), settings, classes=data.classes
        )
    ]


def makespan(seconds: Sequence[float], slots: int) -> float:
    """When the last of the jobs ends, on ``slots`` at once, the longest begun first."""
    ends = [0.0] * slots
    for one in sorted(seconds, reverse=True):
        heapq.heapreplace(ends, ends[0] + one)
    return max(ends)


@cache
def _measured(depth: int, classes: int) -> int:
    """Numbers that are measured of a member at a point."""
    model = MLP((1000,) * depth, classes)
    batch = Batch(jnp.zeros((300, 1024)), jnp.zeros(300, jnp.int32))
    probe = loop.make_probe(model, cross_entropy, bins=base.paper("paper").online.bins)
    start = partial(init, model, inputs=1024)

    def measure(key: jax.Array) -> object:
        return probe(start(key), loop.HeldOut(batch, batch, batch))

    shapes = jax.eval_shape(measure, jax.random.key(0))
    return sum(prod(leaf.shape) for leaf in jax.tree.leaves(shapes))


def time_table() -> str:
    """A row for each kind and number of chips."""
    grid, rows = jobs(), []
    for chip in CHIPS:
        seconds = [job.seconds(chip, CHIPS_OF_A_JOB) for job in grid]
        least = sum(job.members * job.updates / rate(chip, job.update_bytes) for job in grid)
        for count in COUNTS:
            ends = makespan(seconds, count // CHIPS_OF_A_JOB)
            rows.append(
                [
                    f"{count} x {chip.name}",
                    f"{rate(chip, max(job.update_bytes for job in grid)):,.0f}",
                    f"{count // CHIPS_OF_A_JOB}",
                    f"{ends / 3600:,.1f}",
                    f"{count * ends / 3600:,.0f}",
                    f"{least / (count * ends):.0%}",
                ]
            )
    header = ["chips", "updates/s of the widest net, a chip", "jobs at once", "hours"]
    return markdown([*header, "chip-hours", "of which real members"], rows)


def byte_table() -> str:
    """What there is of it, by unit of memory or disk."""
    grid = jobs()
    largest = max(grid, key=lambda job: job.members * job.parameters)
    fullest = max(job.chip_bytes(CHIPS_OF_A_JOB) for job in grid)
    moved = sum(job.members * job.updates * job.update_bytes for job in grid)
    rows = [
        ["networks", f"{sum(job.members for job in grid):,}"],
        ["jobs, each one program", f"{len(grid)}"],
        ["members of a job", f"{min(j.members for j in grid)} or {max(j.members for j in grid)}"],
        ["parameters of a network", f"{_span([job.parameters / 1e6 for job in grid])} million"],
        ["members x updates", f"{sum(job.members * job.updates for job in grid):,}"],
        ["moved between a chip and its memory", f"{moved / 1e15:,.0f} PB"],
        ["memory of a chip, at most", f"{fullest / GB:.1f} GB"],
        ["a checkpoint, at most", f"{largest.checkpoint_bytes / GB:.2f} GB"],
        ["of it what was measured", f"{_measured_share(largest):.0%}"],
        ["checkpoints of all jobs, two each", f"{_disk(grid) / GB:.0f} GB"],
        ["written a second at checkpoint_seconds=600", f"{largest.checkpoint_bytes / 6e8:.1f} MB"],
    ]
    return markdown(["what", "how much"], rows)


def _span(values: Sequence[float]) -> str:
    return f"{min(values):.1f} to {max(values):.1f}"


def _measured_share(job: Job) -> float:
    return 1 - job.members * FLOAT * job.parameters / job.checkpoint_bytes


def _disk(grid: Sequence[Job]) -> int:
    return 2 * sum(job.checkpoint_bytes for job in grid)


def main() -> None:
    print(byte_table(), time_table(), sep="\n\n")


if __name__ == "__main__":
    main()
