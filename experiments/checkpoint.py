"""Checkpoints of a training run, so that a stopped run goes on and ends with the same numbers.

A checkpoint is one file of named arrays: written atomically, sealed with its checksum, and holding
the identity of the run that it belongs to.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from glorot_jax import processes
from glorot_jax.files import check_seal, first_line, seal, write_atomically

KEPT = 2
_IDENTITY = "identity"
_SHOWN = 80  # characters of a value in an error's line


class CheckpointError(ValueError):
    """A checkpoint that can't be used or written, with the reason in one line."""


@dataclass(frozen=True)
class Place:
    """Where a run's checkpoints lie, and whose they are.

    Attributes:
      folder: it needn't be there yet.
      identity: names what is trained, down to the members; values that JSON knows.
      seconds_between: two saves, where nothing else asks for one.
    """

    folder: Path
    identity: Mapping[str, Any]
    seconds_between: float

    def about(self, **identity: Any) -> "Place":
        """This place, with more to its identity."""
        return replace(self, identity={**self.identity, **identity})

    def inside(self, name: str, **identity: Any) -> "Place":
        """The folder ``name`` in this one, for what is trained there."""
        program = "/".join([*self.identity.get("program", "").split("/"), name]).lstrip("/")
        return replace(self.about(**identity, program=program), folder=self.folder / name)


def write(path: Path, arrays: Mapping[str, np.ndarray], *, identity: Mapping[str, Any]) -> None:
    """Writes named arrays and whose they are to ``path``, an .npz file.

    Raises:
      CheckpointError: the folder can't be written or the disk is full; an older file remains.
    """

    def save(temporary: Path) -> None:
        entries: dict[str, Any] = {_IDENTITY: np.array(json.dumps(identity)), **arrays}
        np.savez(temporary, **entries)
        seal(temporary)

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, save)
    except OSError as error:
        raise CheckpointError(
            f"checkpoint: {path} can't be written ({error.strerror or error})"
        ) from error


def read(path: Path, *, identity: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The arrays that ``write`` wrote.

    Raises:
      CheckpointError: the file has changed since, or belongs to another run.
    """
    try:
        check_seal(path)
        with path.open("rb") as opened, np.load(opened) as saved:
            arrays = dict(saved)
        known = json.loads(str(arrays.pop(_IDENTITY)))
    except Exception as error:  # numpy, zipfile and zlib raise many kinds
        raise CheckpointError(
            f"checkpoint: {path} can't be read ({first_line(error)}); "
            "remove it to go back to what was before it"
        ) from error
    wanted = json.loads(json.dumps(identity))
    for field in [*wanted, *(field for field in known if field not in wanted)]:
        if known.get(field) != wanted.get(field):
            there, now = (_shortened(each.get(field, "absent")) for each in (known, wanted))
            raise CheckpointError(
                f"checkpoint: {path} belongs to another run: {field} was {there} there and is "
                f"{now} now; remove it or name another folder"
            )
    return arrays


def _shortened(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}.."


class Checkpoints:
    """The checkpoints of one program; a step counts what is done, such as updates.

    Of several processes the first reads and writes; all call ``restore`` and ``save``.
    """

    def __init__(self, place: Place):
        self._place = place
        self._last_save = time.monotonic()

    def restore(self, like: Callable[[], Any]) -> tuple[int, Any] | None:
        """(step, state) of the newest checkpoint, or None if there is none.

        ``like()`` is a state of the same structure, shapes and types.

        Raises:
          CheckpointError: the file has changed since, or belongs to another run.
        """
        newest = processes.first(self._newest)
        if newest is None:
            return None
        step, arrays = newest
        return step, _unflatten(arrays, like(), self._path(step))

    def due(self) -> bool:
        """Whether enough time has passed since the last save."""
        return time.monotonic() - self._last_save >= self._place.seconds_between

    def save(self, step: int, state: Any) -> None:
        """Saves ``state``, whose arrays every process has whole.

        Raises:
          CheckpointError: the folder can't be written or the disk is full; earlier ones remain.
        """
        processes.first(lambda: self._write(step, state))
        self._last_save = time.monotonic()

    def _newest(self) -> tuple[int, dict[str, np.ndarray]] | None:
        steps = self._steps()
        if not steps:
            return None
        return steps[-1], read(self._path(steps[-1]), identity=self._place.identity)

    def _write(self, step: int, state: Any) -> None:
        write(self._path(step), _flatten(state), identity=self._place.identity)
        for old in self._steps()[:-KEPT]:
            self._path(old).unlink(missing_ok=True)

    def _path(self, step: int) -> Path:
        return self._place.folder / f"{step}.npz"

    def _steps(self) -> list[int]:
        found = self._place.folder.glob("*.npz")
        return sorted(int(path.stem) for path in found if path.stem.isdecimal())


def _flatten(state: Any) -> dict[str, np.ndarray]:
    """Every leaf by its path, a typed key as the numbers in it."""
    leaves, _ = jax.tree.flatten_with_path(state)
    return {
        jax.tree_util.keystr(path): np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf)
        for path, leaf in leaves
    }


def _unflatten(arrays: Mapping[str, np.ndarray], like: Any, path: Path) -> Any:
    wanted = _flatten(like)
    for name in [*wanted, *arrays]:
        there, now = (_described(each.get(name)) for each in (arrays, wanted))
        if there != now:
            raise CheckpointError(
                f"checkpoint: {path} belongs to another run: {name} is {there} there and {now} "
                "now; remove it or name another folder"
            )
    leaves, structure = jax.tree.flatten(like)
    restored = [
        jax.random.wrap_key_data(jnp.asarray(arrays[name]), impl=jax.random.key_impl(leaf))
        if _is_key(leaf)
        else arrays[name]
        for name, leaf in zip(wanted, leaves, strict=True)
    ]
    return jax.tree.unflatten(structure, restored)


def _described(values: np.ndarray | None) -> str:
    return "absent" if values is None else f"{values.dtype}{list(values.shape)}"


def _is_key(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
