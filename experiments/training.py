"""Training an ensemble with progress and checkpoints, so that a stopped run goes on."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import jax
import numpy as np

from experiments import interrupts
from experiments.checkpoint import Checkpoints, Place
from experiments.progress import progress, spaced
from glorot_jax import processes
from glorot_jax.training import ensemble as ensembles
from glorot_jax.training import loop
from glorot_jax.training.ensemble import Advance, Ensemble
from glorot_jax.typing import PyTree

SECONDS = 1.0  # between two looks at whether a signal came, where a block takes less


@dataclass(frozen=True)
class Schedule:
    """When a run is measured: ``blocks`` [points + 1] between the measurements, 0 before the first.

    A block is ``updates_per_block`` updates.
    """

    blocks: np.ndarray
    updates_per_block: int

    @property
    def updates(self) -> np.ndarray:
        """Updates done at each measurement, [points + 1]."""
        return np.cumsum(self.blocks) * self.updates_per_block

    def updates_at(self, done: loop.Done) -> int:
        """Updates done when training is as far as ``done``."""
        return int(self.blocks[: done.points].sum() + done.blocks) * self.updates_per_block


EARLY = 0.1  # of the run, which gets half of the points where they are denser at the start


def _even(blocks: int, points: int) -> np.ndarray:
    return np.linspace(0, blocks, points + 1)


def _early(blocks: int, points: int) -> np.ndarray:
    first = points // 2
    geometric = np.geomspace(1, max(1.0, EARLY * blocks), first)
    linear = np.linspace(EARLY * blocks, blocks, points - first + 1)[1:]
    # Where blocks are too few for the geometric start every one of them is measured.
    return np.maximum(np.concatenate([[0], geometric, linear]), np.arange(points + 1))


# Where along a run of ``blocks`` its points lie, [points + 1] from 0 to blocks.
SPACINGS: Mapping[str, Callable[[int, int], np.ndarray]] = MappingProxyType(
    {"even": _even, "early": _early}
)


def schedule(
    *, updates: int, points: int, block_size: int, batch_size: int, spacing: str = "even"
) -> Schedule:
    """``points`` measurements in ``updates``, after one at the start.

    ``spacing`` is "even", or "early": half of the points in the first tenth of the run, each later
    than the one before by the same factor, and the others evenly after that.
    """
    per_block = block_size // batch_size
    ends = np.floor(SPACINGS[spacing](updates // per_block, points) + 0.5).astype(np.int64)
    return Schedule(np.diff(ends, prepend=0), per_block)


class State(NamedTuple):
    """What a checkpoint holds: ``history`` is name -> [points + 1, members, ...], filled so far."""

    ensemble: Ensemble
    history: dict[str, np.ndarray]
    done: loop.Done


def train(
    title: str,
    advance: Advance,
    ensemble: Ensemble,
    *,
    seeds: Sequence[int],
    mesh: jax.sharding.Mesh,
    arrays: PyTree,
    sets: PyTree,
    schedule: Schedule,
    checkpoints: Place,
    compiled: Callable[[], object] | None = None,
) -> tuple[Ensemble, dict[str, np.ndarray]]:
    """Trains ``ensemble``, members of ``seeds`` on ``mesh``, through ``schedule``.

    A checkpoint found at its place is gone on from, whatever the devices and processes it was made
    on. A signal that asks to stop, in any of the processes, is obeyed as soon as a checkpoint is
    saved; see ``interrupts``. ``compiled`` is called where something else compiles the programs,
    and returns when it has.

    Returns the ensemble at the end and everything measured, name -> [points + 1, members, ...], in
    every process.

    Raises:
      CheckpointError: a checkpoint can't be written, has changed, or belongs to another run.
    """
    interrupts.doing(f"compiling {title}")
    saved, total = Checkpoints(checkpoints), int(schedule.updates[-1])
    arrays, sets = (ensembles.on_every_device(each, mesh) for each in (arrays, sets))
    empty = _empty_history(advance, ensemble, sets, len(schedule.blocks), len(seeds))
    start = State(ensemble, empty, loop.Done())

    def unpadded(state: State) -> State:
        return state._replace(ensemble=ensembles.without_padding(state.ensemble, seeds, mesh=mesh))

    restored = saved.restore(lambda: unpadded(start))
    if restored is not None:
        _, (ensemble, history, done) = restored
        ensemble = ensembles.place(ensemble, seeds, mesh=mesh)
        start = State(ensemble, history, loop.Done(*map(int, done)))
    if start.done.points == len(schedule.blocks):
        return start.ensemble, start.history
    first = schedule.updates_at(start.done)
    with progress(f"{title}, {len(seeds)} members", total, "updates", done=first) as bar:
        if restored is not None:
            bar.note(f"{title}: goes on from {spaced(first)} of {spaced(total)} updates")
        bar.say("compiling")
        if compiled is None:
            advance.compile(start.ensemble, arrays, sets)
        else:
            compiled()
        bar.say("")
        interrupts.doing(f"training {title}")
        pace = _Pace()
        with interrupts.saving_first() as asked_to_stop:
            for state in _states(advance, start, arrays, sets, schedule.blocks, pace):
                updates = schedule.updates_at(state.done)
                bar.reach(updates)
                # Signals and clocks differ between processes; what follows has to be the same.
                every = processes.agree([asked_to_stop(), saved.due(), pace.blocks])
                signum, (_, due, pace.blocks) = int(every[:, 0].max()), every[0].tolist()
                if signum or due or state.done.points == len(schedule.blocks):
                    saved.save(updates, unpadded(state))
                if signum:
                    where = f"at {spaced(updates)} of {spaced(total)} updates"
                    interrupts.stop(where, of=title, signum=signum)
    interrupts.doing(f"going on after {title}")
    return state.ensemble, state.history


def _empty_history(
    advance: Advance, ensemble: Ensemble, sets: PyTree, points: int, members: int
) -> dict[str, np.ndarray]:
    shapes = jax.eval_shape(advance.measure, ensemble.members.params, sets)
    return {
        name: np.zeros((points, members, *leaf.shape[1:]), leaf.dtype)
        for name, leaf in shapes.items()
    }


def _states(
    advance: Advance,
    start: State,
    arrays: PyTree,
    sets: PyTree,
    blocks: np.ndarray,
    pace: "_Pace",
) -> Iterator[State]:
    """The states on the way from ``start``, one at least every ``SECONDS`` or block."""
    history = start.history
    for done, ensemble, measured in loop.run(
        advance,
        start.ensemble,
        arrays=arrays,
        sets=sets,
        blocks=blocks,
        done=start.done,
        most=pace.start,
    ):
        jax.block_until_ready(ensemble)
        pace.passed()
        if measured is not None:
            for name, values in processes.on_host(measured).items():
                history[name][done.points - 1] = values[: history[name].shape[1]]
        yield State(ensemble, history, done)


class _Pace:
    """How many ``blocks`` may pass until signals are looked at: what takes about ``SECONDS``."""

    def __init__(self) -> None:
        self.blocks, self._started = 1, 0.0

    def start(self) -> int:
        self._started = time.monotonic()
        return self.blocks

    def passed(self) -> None:
        seconds = time.monotonic() - self._started
        if seconds < SECONDS / 2:
            self.blocks *= 2
        elif seconds > SECONDS:
            self.blocks = max(1, self.blocks // 2)
