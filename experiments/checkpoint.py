"""Checkpoints of a training run, so that a killed run goes on and ends with the same numbers."""

import time
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

from glorot_jax.files import first_line

KEPT = 2


class CheckpointError(ValueError):
    """A checkpoint that can't be written or read, with the reason in one line."""


class Checkpoints:
    """The checkpoints of one program in ``folder``; a step is a number of evaluation points."""

    def __init__(self, folder: Path, *, seconds_between: float):
        self._folder = folder
        self._seconds_between = seconds_between
        self._last_save = time.monotonic()
        self._manager = ocp.CheckpointManager(
            folder.absolute(),
            options=ocp.CheckpointManagerOptions(
                max_to_keep=KEPT, enable_async_checkpointing=False
            ),
        )

    def restore(self, like: Any) -> tuple[int, Any] | None:
        """(step, state) of the newest checkpoint, or None if there is none.

        ``like`` is a state of the same structure; shapes, types and placement are taken from it.

        Raises:
          CheckpointError: the files are damaged or belong to another state.
        """
        step = self._manager.latest_step()
        if step is None:
            return None
        abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
        try:
            return step, self._manager.restore(step, args=ocp.args.StandardRestore(abstract))
        except Exception as error:  # orbax and tensorstore raise many kinds
            raise CheckpointError(
                f"checkpoint: {self._folder / str(step)} can't be read "
                f"({first_line(error)}); remove that folder to go back to the one before"
            ) from error

    def save(self, step: int, state: Any, *, last: bool) -> None:
        """Saves if enough time has passed since the last save, and always if ``last``.

        Raises:
          CheckpointError: the folder can't be written or the disk is full; earlier ones remain.
        """
        now = time.monotonic()
        if not last and now - self._last_save < self._seconds_between:
            return
        try:
            self._manager.save(step, args=ocp.args.StandardSave(state))
            self._manager.wait_until_finished()
        except Exception as error:  # orbax and tensorstore raise many kinds
            raise CheckpointError(
                f"checkpoint: {self._folder / str(step)} can't be written ({first_line(error)})"
            ) from error
        self._last_save = time.monotonic()

    def close(self) -> None:
        self._manager.close()
