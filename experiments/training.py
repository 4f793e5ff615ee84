"""Training an ensemble with progress and checkpoints, so that a stopped run goes on."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments import interrupts
from experiments.checkpoint import Checkpoints, Place
from experiments.progress import progress, spaced
from glorot_jax.training import ensemble as ensembles
from glorot_jax.training import loop
from glorot_jax.training.ensemble import Ensemble
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
    advance: loop.Advance,
    ensemble: Ensemble,
    *,
    seeds: Sequence[int],
    mesh: jax.sharding.Mesh,
    arrays: PyTree,
    sets: PyTree,
    schedule: Schedule,
    checkpoints: Place,
) -> tuple[Ensemble, dict[str, np.ndarray]]:
    """Trains ``ensemble``, members of ``seeds`` on ``mesh``, through ``schedule``.

    A checkpoint found at its place is gone on from, whatever the devices it was made on. A signal
    that asks to stop is obeyed as soon as a checkpoint is saved; see ``interrupts``.

    Returns the ensemble at the end and everything measured, name -> [points + 1, members, ...].

    Raises:
      CheckpointError: a checkpoint can't be written, has changed, or belongs to another run.
    """
    interrupts.doing(f"compiling {title}")
    saved, total = Checkpoints(checkpoints), int(schedule.updates[-1])
    empty = _empty_history(advance, ensemble, arrays, sets, len(schedule.blocks), len(seeds))
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
        # Nothing is trained or measured: the next call finds the program compiled.
        ensemble, _ = advance(start.ensemble, arrays, sets, jnp.asarray(0), jnp.asarray(False))
        bar.say("")
        interrupts.doing(f"training {title}")
        with interrupts.saving_first() as asked_to_stop:
            for state in _states(
                advance, start._replace(ensemble=ensemble), arrays, sets, schedule.blocks
            ):
                updates, stopping = schedule.updates_at(state.done), asked_to_stop()
                bar.reach(updates)
                at_end = state.done.points == len(schedule.blocks)
                saved.save(updates, partial(unpadded, state), last=stopping or at_end)
                if stopping:
                    where = f"at {spaced(updates)} of {spaced(total)} updates"
                    interrupts.stop(where, of=title)
    interrupts.doing(f"going on after {title}")
    return state.ensemble, state.history


def _empty_history(
    advance: loop.Advance,
    ensemble: Ensemble,
    arrays: PyTree,
    sets: PyTree,
    points: int,
    members: int,
) -> dict[str, np.ndarray]:
    _, shapes = jax.eval_shape(advance, ensemble, arrays, sets, jnp.asarray(0), jnp.asarray(True))
    return {
        name: np.zeros((points, members, *leaf.shape[1:]), leaf.dtype)
        for name, leaf in shapes.items()
    }


def _states(
    advance: loop.Advance, start: State, arrays: PyTree, sets: PyTree, blocks: np.ndarray
) -> Iterator[State]:
    """The states on the way from ``start``, one at least every ``SECONDS`` or block."""
    history, pace = start.history, _Pace()
    for done, ensemble, measured in loop.run(
        advance,
        start.ensemble,
        arrays=arrays,
        sets=sets,
        blocks=blocks,
        done=start.done,
        most=pace.most,
    ):
        jax.block_until_ready(ensemble)
        pace.passed()
        if measured is not None:
            for name, values in measured.items():
                history[name][done.points - 1] = values[: history[name].shape[1]]
        yield State(ensemble, history, done)


class _Pace:
    """How many blocks may pass until signals are looked at again: what takes about ``SECONDS``."""

    def __init__(self) -> None:
        self._most, self._started = 1, 0.0

    def most(self) -> int:
        self._started = time.monotonic()
        return self._most

    def passed(self) -> None:
        seconds = time.monotonic() - self._started
        if seconds < SECONDS / 2:
            self._most *= 2
        elif seconds > SECONDS:
            self._most = max(1, self._most // 2)
