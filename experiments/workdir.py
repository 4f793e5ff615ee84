"""The folder of one run: which config it belongs to, and what is already done in it."""

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import xarray as xr
from ml_collections import ConfigDict

from experiments import checksums, interrupts
from experiments.checkpoint import Place
from experiments.errors import ConfigError
from experiments.results import schema
from glorot_jax import processes
from glorot_jax.files import (
    DamagedFile,
    first_line,
    read_sealed,
    sweep,
    write_netcdf,
    write_text,
)

CONFIG = "config.json"
RESULTS = "results.nc"
PROGRAMS = "checkpoints/programs"  # compiled ones, kept by JAX
CONFIG_HASH = "config_sha256"
_FILES = ("lock", "seconds", "finished", "programs.sha256")  # in checkpoints
_SUFFIXES = (".nc", ".npz", ".json", ".html", ".md", ".png", ".svg")


class Workdir:
    """A folder for one run of one config; ``opened`` makes it.

    Of several processes the first alone looks into it; all call ``claim`` and ``stage``.

    Attributes:
      path: the folder.
      checkpoints: the folder in it for all that a run which goes on needs.
      measured: whether this start has measured anything.
      groups: the results of the stages so far, by name; in the first process.
    """

    def __init__(self, path: Path, config: ConfigDict):
        self.path = path
        self.checkpoints = path / "checkpoints"
        self.measured = False
        self.groups: dict[str, xr.Dataset] = {}
        self.config_hash = hashlib.sha256(_canonical(_plain(config)).encode()).hexdigest()
        self._seconds_between = config.checkpoint_seconds
        self._made_by: dict[str, str] = {}
        self._started = time.monotonic()
        self._spent_before = 0.0
        self._locked: int | None = None  # the file of the lock, in the process that has it

    def place(self, stage: str) -> Place:
        """Where ``stage`` has its checkpoints."""
        return Place(
            self.checkpoints / stage,
            {"config": self.config_hash, "stage": stage},
            self._seconds_between,
        )

    def claim(self, group: str, *, stage: str) -> str:
        """``group``, which ``stage`` is about to measure.

        Raises:
          ConfigError: another stage makes the group of that name.
        """
        other = self._made_by.setdefault(group, stage)
        if other != stage:
            raise ConfigError(
                f"config.stages: {stage} and {other} both measure {group}, one of them in place of "
                "its own data set; leave one of them out"
            )
        return group

    def stage(self, stage: str, measure: Callable[[], tuple[str, xr.Dataset]]) -> None:
        """Adds to ``groups``: read if an earlier start finished the stage, else measured and saved.

        ``measure()`` returns the group's name and the group, in every process.

        Raises:
          ConfigError: the file belongs to a run of another config.
          ResultsError: the file has changed since it was written.
        """
        path = self.checkpoints / f"{stage}.nc"
        there = processes.first(path.exists)
        interrupts.doing(f"{'reading' if there else 'measuring'} {stage}")
        if not there:
            name, made = measure()
            self.measured = True
            processes.first(lambda: self._keep(schema.build({name: made}, {}), path))
        for name in processes.first(lambda: self._read(path)):
            self.claim(name, stage=stage)

    def _keep(self, measured: xr.DataTree, path: Path) -> None:
        self.write(measured, path)
        self.note_time()
        self.note_programs()

    def _read(self, path: Path) -> list[str]:
        found = schema.groups(self._load(path))
        self.groups |= found
        return list(found)

    def write(self, results: xr.DataTree, path: Path) -> None:
        """Writes ``results`` as this run's."""
        results = results.copy()
        results.attrs[CONFIG_HASH] = self.config_hash
        write_netcdf(results, path)

    def finish(self, report: Iterable[Path]) -> None:
        """Notes that ``report``, the files made of ``results.nc`` as it is now, is written."""
        checksums.note(self._finished, [self.path / RESULTS, *report], root=self.path)

    def finished(self) -> bool:
        """Whether ``finish`` was called, and all is as it was then."""
        return checksums.unchanged(self._finished, root=self.path)

    def seconds(self) -> float:
        """Seconds that this run has taken, in all its starts."""
        return self._spent_before + time.monotonic() - self._started

    def note_time(self) -> None:
        """Keeps ``seconds`` for the next start."""
        write_text(self._clock, f"{self.seconds():.1f}", sealed=True)

    def note_programs(self) -> None:
        """Keeps what the compiled programs are: JAX runs whatever it finds in its files."""
        checksums.note(self._sums, self._programs(), root=self.path)

    def tidy(self) -> None:
        """Leaves the folder as one that can be gone on with."""
        if self._locked is not None:
            sweep(self.path)
            self.note_time()

    def open(self, config: ConfigDict) -> None:
        """Makes the folder, if it isn't there, and takes it for this run alone.

        Raises:
          ConfigError, ResultsError: as ``opened``.
        """
        try:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            self._locked = _lock(self)
            died = bool(os.pread(self._locked, 1, 0))
            os.ftruncate(self._locked, 0)
            os.pwrite(self._locked, str(os.getpid()).encode(), 0)
            self._prepare(config, died=died)
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def leave(self) -> None:
        """Notes that the run ended in its own way."""
        if self._locked is not None:
            self.note_time()
            self.note_programs()
            os.ftruncate(self._locked, 0)

    def close(self) -> None:
        """Lets others take the folder."""
        if self._locked is not None:
            os.close(self._locked)

    def _prepare(self, config: ConfigDict, *, died: bool) -> None:
        """Checks that the folder is this run's before anything is changed in it."""
        _check_places(self.path, config.get("stages", ()))
        _check_config(self.path, _plain(config), self._load)
        self._spent_before = self._seconds_before()
        sweep(self.path)
        if died:
            self._drop_last_program()
        self._drop_changed_programs()

    def _load(self, path: Path) -> xr.DataTree:
        try:
            found = schema.load(path)
        except schema.ResultsError as error:
            raise schema.ResultsError(f"{error}; remove it to make it again") from error
        if found.attrs.get(CONFIG_HASH) != self.config_hash:
            raise ConfigError(
                f"workdir: {path} belongs to a run of another config; name another folder"
            )
        return found

    def _seconds_before(self) -> float:
        if not self._clock.exists():
            return 0.0
        try:
            return float(read_sealed(self._clock))
        except (DamagedFile, OSError) as error:
            raise ConfigError(
                f"workdir: {self._clock} is damaged ({first_line(error)}); remove it, "
                "and the time of earlier starts isn't counted"
            ) from error

    def _programs(self) -> list[Path]:
        return [path for path in (self.path / PROGRAMS).rglob("*") if path.is_file()]

    def _drop_last_program(self) -> None:
        # JAX doesn't write these atomically, and would warn of half of one at every start.
        programs = self._programs()
        if programs:
            max(programs, key=lambda path: path.stat().st_mtime).unlink()

    def _drop_changed_programs(self) -> None:
        # With zstandard one flipped bit of a program can go unseen until it computes other numbers.
        for name, sha256 in checksums.noted(self._sums).items():
            program = self.path / name
            if program.is_file() and checksums.sha256(program) != sha256:
                program.unlink()

    @property
    def _finished(self) -> Path:
        return self.checkpoints / "finished"

    @property
    def _sums(self) -> Path:
        return self.checkpoints / "programs.sha256"

    @property
    def _clock(self) -> Path:
        return self.checkpoints / "seconds"


@contextmanager
def opened(path: Path | str, config: ConfigDict) -> Iterator[Workdir]:
    """The folder ``path`` for a run of ``config`` alone, made if it isn't there.

    Raises:
      ConfigError: the folder can't be made or written, is in use, or holds a run of another config.
      ResultsError: its ``results.nc`` has changed since it was written.
    """
    folder = Workdir(Path(path), config)
    try:
        processes.first(lambda: folder.open(config))
        stopped: SystemExit | None = None
        try:
            with interrupts.tidying(folder.tidy):
                yield folder
        except SystemExit as stop:  # asked to, with all saved
            stopped = stop
        folder.leave()
        if stopped:
            raise stopped
    finally:
        folder.close()


def _lock(folder: Workdir) -> int:
    """An open file that no other process has locked; the system unlocks it when this one dies."""
    lock = os.open(folder.checkpoints / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        process = os.pread(lock, 20, 0).decode(errors="replace") or "unknown"
        os.close(lock)
        raise ConfigError(
            f"workdir: {folder.path} is in use by another run (process {process}); "
            "wait for it or name another folder"
        ) from None
    except OSError:
        pass  # a file system without locks, as some network drives are
    return lock


def _unwritable(path: Path | str, error: OSError) -> ConfigError:
    reason = error.strerror or error
    return ConfigError(f"workdir: {path} can't be written ({reason}); name another folder")


def _check_places(path: Path, stages: Iterable[str]) -> None:
    """Refuses a folder where the run has a file, and the other way round."""
    checkpoints = path / "checkpoints"
    folders = [path / "figures", path / PROGRAMS, *(checkpoints / stage for stage in stages)]
    files = [checkpoints / name for name in _FILES]
    files += [each for each in path.rglob("*") if each.suffix in _SUFFIXES]
    wrong = [(each, "a folder, not a file") for each in files if each.is_dir()]
    wrong += [(each, "not a folder") for each in folders if each.exists() and not each.is_dir()]
    for each, what in wrong:
        raise ConfigError(f"workdir: {each} is {what}; remove it or name another folder")


def _check_config(path: Path, wanted: dict, load: Callable[[Path], object]) -> None:
    known = path / CONFIG
    if known.exists():
        try:
            there = json.loads(known.read_text(encoding="utf-8"))
        except (ValueError, RecursionError, OSError) as error:
            raise ConfigError(
                f"workdir: {known} is damaged ({first_line(error)}); remove it"
            ) from error
        if not isinstance(there, dict):
            raise ConfigError(f"workdir: {known} is damaged (it holds no config); remove it")
        _refuse_another(there, wanted, path)
    # Read before anything is written; where the config is gone, the files say whose they are.
    results = [path / RESULTS] if (path / RESULTS).exists() else []
    for file in results if known.exists() else [*results, *(path / "checkpoints").glob("*.nc")]:
        load(file)
    if not known.exists():
        write_text(known, json.dumps(wanted, indent=2))


MOST_NAMED = 3  # fields in which two configs differ


def check_same_everywhere(config: ConfigDict) -> None:
    """Refuses processes of one run that were started with different configs.

    Raises:
      ConfigError: in all of them; it names the fields.
    """
    first, *others = processes.from_all(_plain(config))
    for number, other in enumerate(others, start=1):
        if changed := _changed(
            first, other, f"{{}} is {{}} in process 0 and {{}} in process {number}"
        ):
            raise ConfigError(f"config: {changed}; give all processes the same flags")


def _refuse_another(known: dict, wanted: dict, path: Path) -> None:
    if changed := _changed(known, wanted, "{} was {} there and is {} now"):
        raise ConfigError(
            f"workdir: {path} holds a run of another config: {changed}; name another folder"
        )


def _changed(known: dict, wanted: dict, saying: str) -> str:
    """The fields in which two configs differ, each as ``saying`` has it; empty if none."""
    known, wanted = _flat(known), _flat(wanted)
    changed = [
        saying.format(field, known.get(field, "absent"), wanted.get(field, "absent"))
        for field in [*known, *(field for field in wanted if field not in known)]
        if known.get(field) != wanted.get(field)
    ]
    more = len(changed) - MOST_NAMED
    rest = [f"and {more} more fields"] if more > 0 else []
    return "; ".join([*changed[:MOST_NAMED], *rest])


def _flat(config: dict, prefix: str = "config") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in config.items():
        field = f"{prefix}.{name}"
        flat |= _flat(value, field) if value and isinstance(value, dict) else {field: value}
    return flat


def _plain(config: ConfigDict) -> dict[str, Any]:
    return json.loads(config.to_json())


def _canonical(config: dict) -> str:
    return json.dumps(config, sort_keys=True)
