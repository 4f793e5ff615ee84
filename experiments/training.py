"""Training an ensemble with progress and checkpoints, so that a killed run goes on."""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.checkpoint import Checkpoints
from experiments.progress import progress
from glorot_jax.training import loop
from glorot_jax.training.ensemble import Ensemble


class Schedule(NamedTuple):
    """When a run is measured: ``blocks`` [points + 1] between the measurements, 0 before the first.

    A block is ``updates_per_block`` updates.
    """

    blocks: np.ndarray
    updates_per_block: int

    @property
    def updates(self) -> np.ndarray:
        """Updates done at each measurement, [points + 1]."""
        return np.cumsum(self.blocks) * self.updates_per_block


def schedule(*, updates: int, points: int, block_size: int, batch_size: int) -> Schedule:
    """``points`` measurements spread evenly over ``updates``, after one at the start."""
    per_block = block_size // batch_size
    ends = np.round(np.linspace(0, updates // per_block, points + 1)).astype(np.int64)
    return Schedule(np.diff(ends, prepend=0), per_block)


def train(
    title: str,
    advance: loop.Advance,
    ensemble: Ensemble,
    *,
    members: int,
    arrays: Any,
    sets: Any,
    schedule: Schedule,
    folder: Path,
    seconds_between: float,
) -> tuple[Ensemble, dict[str, np.ndarray]]:
    """Trains ``ensemble`` through ``schedule``; found checkpoints in ``folder`` are gone on from.

    Returns the ensemble at the end and everything measured, name -> [points + 1, members, ...]:
    the first ``members`` rows, which are the real ones.
    """
    blocks = schedule.blocks
    _, shapes = jax.eval_shape(advance, ensemble, arrays, sets, jnp.asarray(0))
    history = jax.tree.map(lambda leaf: np.zeros((len(blocks), *leaf.shape), leaf.dtype), shapes)
    saved = Checkpoints(folder, seconds_between=seconds_between)
    done, (ensemble, history) = saved.restore((ensemble, history)) or (0, (ensemble, history))
    history = jax.tree.map(np.array, history)
    updates = blocks * schedule.updates_per_block * members
    full_title = f"{title}, {members} members"
    with progress(full_title, int(updates.sum()), "updates", done=int(updates[:done].sum())) as bar:
        for point, state, measured in loop.run(
            advance, ensemble, arrays=arrays, sets=sets, blocks=blocks, done=done
        ):
            ensemble = state
            for name, values in measured.items():
                history[name][point - 1] = values
            saved.save(point, (state, history), last=point == len(blocks))
            bar.advance(int(updates[point - 1]))
    saved.close()
    return ensemble, {name: values[:, :members] for name, values in history.items()}
