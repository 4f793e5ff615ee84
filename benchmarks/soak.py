"""Stops a small run of every stage again and again, and compares its end with one never stopped.

    python -m benchmarks.soak --interrupts=100

Every stage, the imports before them and the page after them are stopped four times in turn: by
SIGINT and by SIGTERM, which have to be answered in one line and with status 130 or 143, by SIGKILL,
all three at a random moment, and by SIGKILL once more in the middle of writing a file. Now and then
a second launch is tried while the first one runs; it has to be refused. Results, claims
and figures have to be those of the run that nothing stopped, bit for bit, and no other file may be
left. Prints a table of what each start did, and one of how often each stage was struck.

With --vary_devices each start has one device or two, a core each. A sum over two cores is done in
another order than over one: then results have to agree within 1e-4 of their largest value.
"""

import argparse
import itertools
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from experiments.results import schema
from experiments.workdir import PROGRAMS, RESULTS
from glorot_jax.files import read_sealed

ROOT = Path(__file__).parents[1]
NETWORKS = "('tanh standard 2','tanh normalized 2')"
# Every stage and every kind of checkpoint, each long enough to be struck while it trains.
STAGES = (
    *("examples", "surface", "initial", "online", "mnist"),
    *("selection", "section5", "costs", "baseline"),
)
CONFIG = (
    "--config=paper:smoke",
    f"--config.stages={STAGES}",
    "--config.checkpoint_seconds=0",
    "--config.examples.sets=()",
    "--config.initial.activations=('tanh',)",
    "--config.initial.initializers=('standard','normalized')",
    "--config.online.conditions=('tanh standard 2','tanh normalized 2','tanh denoising 2')",
    "--config.online.updates=800",
    "--config.online.pretraining.updates=400",
    "--config.mnist.dataset=digits",
    f"--config.mnist.conditions={NETWORKS}",
    "--config.mnist.updates=4000",
    "--config.selection.conditions=('tanh normalized',)",
    "--config.selection.updates=800",
    "--config.section5.conditions=('tanh standard 2 optimizer=hessian_diagonal',"
    "'tanh standard 2 optimizer=gradient_variance')",
    "--config.section5.updates=600",
    "--config.costs.conditions=('tanh standard 2 loss=quadratic','tanh standard 2')",
    "--config.costs.updates=800",
    "--config.baseline.updates=4000",
)
# Compiled programs are kept from the first run on, down to the smallest, wherever a folder lies.
ENVIRONMENT = {
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    "JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES": "none",
}
STARTING, PAGE = "starting", "page"
PHASES = (STARTING, *STAGES, PAGE)
POLITE = (signal.SIGINT, signal.SIGTERM)
WRITING = "SIGKILL, writing"
WAYS = (*(signal.Signals(one).name for one in (*POLITE, signal.SIGKILL)), WRITING)
PATIENCE = 600.0  # seconds that a start may take
# Lines on stderr that a run may say; those of progress begin with the time.
SAID = re.compile(
    r"\d\d:\d\d:\d\d |.*; the same command goes on$|.*: goes on from |nothing to do: "
)


class Folder(NamedTuple):
    """A run's folder, as it looks from outside."""

    path: Path

    def phase(self) -> str:
        """The first stage that isn't finished."""
        finished = (self.path / f"checkpoints/{stage}.nc" for stage in STAGES)
        return next(
            (stage for stage, path in zip(STAGES, finished, strict=True) if not path.exists()), PAGE
        )

    def holder(self) -> int:
        """The process that runs here or ran last; 0 if there was none."""
        try:
            return int((self.path / "checkpoints/lock").read_text() or 0)
        except FileNotFoundError:
            return 0

    def unfinished(self) -> list[Path]:
        """The files that are being written."""
        kept = self.path / "checkpoints"
        folders = [self.path, self.path / "figures", kept]
        folders += [each for stage in STAGES for each in (kept / stage).glob("**")]
        return [path for folder in folders for path in folder.glob(".partial-*")]

    def files(self) -> set[str]:
        """All that is in it, but for JAX's programs; checkpoints without their updates."""
        names = (str(path.relative_to(self.path)) for path in self.path.rglob("*"))
        return {
            re.sub(r"/\d+\.npz$", "/N.npz", name) for name in names if not name.startswith(PROGRAMS)
        }


class Start(NamedTuple):
    """One start of the run: how it was ended, where, and what it said."""

    way: str
    phase: str
    devices: int
    seconds: float
    status: int
    lines: list[str]

    def fault(self, left: list[Path]) -> str:
        """What is wrong with how it ended, ``left`` unfinished; "" if nothing is."""
        odd = [line for line in self.lines if not SAID.match(line)]
        if odd:
            return f"said: {odd[0]}"
        wanted = 0 if not self.way else -signal.SIGKILL
        if self.way in {one.name for one in POLITE}:
            wanted = 128 + signal.Signals[self.way]
            stopped = [line for line in self.lines if "stopped " in line]
            if stopped != self.lines[-1:]:
                return "not one last line"
        if self.status != wanted:
            return f"status {self.status}"
        # A start that ends before it looks into the folder leaves what an earlier one left there.
        looked = wanted >= 0 and self.phase != STARTING
        return f"{left[0].name} is left" if left and looked else ""


def launched(folder: Folder, cores: int = 2, errors: int = subprocess.PIPE) -> subprocess.Popen:
    """A start of the run in ``folder``."""
    process = subprocess.Popen(
        [sys.executable, "-m", "experiments.launch", *CONFIG, f"--workdir={folder.path}"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=errors,
        env={**os.environ, **ENVIRONMENT},
        text=True,
    )
    os.sched_setaffinity(process.pid, sorted(os.sched_getaffinity(0))[:cores])
    return process


def start(folder: Folder, *, way: str, phase: str, after: float, devices: int = 2) -> Start:
    """Starts the run and strikes ``after`` seconds of ``phase``, or when a file is then written.

    ``way`` and ``phase`` of what is returned are "" if it ended before it could be struck.
    """
    begun = time.monotonic()
    with tempfile.TemporaryFile("w+") as errors:
        process = launched(folder, devices, errors.fileno())
        struck = ""
        if way and reached(process, folder, phase):
            moment = time.monotonic() + after
            while process.poll() is None and time.monotonic() < moment:
                time.sleep(0.005)
            if way == WRITING:
                while process.poll() is None and not folder.unfinished():
                    time.sleep(0.0003)
            if process.poll() is None:
                struck = STARTING if folder.holder() != process.pid else folder.phase()
                process.send_signal(signal.Signals[way.split(",")[0]])
        process.wait(PATIENCE)
        errors.seek(0)
        lines = errors.read().splitlines()
    ended = struck and process.returncode == 0 and way != WRITING
    way, struck = ("", "") if ended else (way if struck else "", struck)
    return Start(way, struck, devices, time.monotonic() - begun, process.returncode, lines)


def reached(process: subprocess.Popen, folder: Folder, phase: str) -> bool:
    """Waits until the run is in ``phase``; False if it ends before."""
    while process.poll() is None:
        if phase == STARTING:
            return True
        if folder.holder() == process.pid and PHASES.index(folder.phase()) >= PHASES.index(phase):
            return True
        time.sleep(0.005)
    return False


def refused(folder: Folder) -> str:
    """What is wrong with how a second launch ends while a first one runs; "" if nothing is."""
    first = launched(folder)
    reached(first, folder, folder.phase())
    second = launched(folder)
    _, said = second.communicate(timeout=PATIENCE)
    first.send_signal(signal.SIGTERM)
    _, lines = first.communicate(timeout=PATIENCE)
    print(f"a second launch: status {second.returncode}, {said.strip()}")
    if second.returncode != 2 or not re.fullmatch(r"error: .* is in use by .*\n", said):
        return "a second launch isn't refused in one line"
    ended = Start("SIGTERM", "", 2, 0, first.returncode, lines.splitlines())
    return "" if first.returncode == 0 else ended.fault(folder.unfinished())


def differences(folder: Folder, whole: Folder, *, vary_devices: bool) -> list[str]:
    """What two finished runs differ in, apart from times."""
    ended, wanted = (schema.groups(schema.load(each.path / RESULTS)) for each in (folder, whole))
    found = [
        f"{group} {name}"
        for group, measured in wanted.items()
        for name, variable in measured.variables.items()
        if not same(ended[group][name].values, variable.values, exactly=not vary_devices)
    ]
    found += [f"file {name}" for name in sorted(folder.files() ^ whole.files())]
    if vary_devices:
        return found
    figures = (whole.path / "figures").iterdir()
    names = ["claims.json", *(f"figures/{path.name}" for path in figures)]
    return found + [
        name
        for name in names
        if (folder.path / name).read_bytes() != (whole.path / name).read_bytes()
    ]


def same(values: np.ndarray, wanted: np.ndarray, *, exactly: bool) -> bool:
    """To the last bit, or as near as another order of sums is."""
    if wanted.dtype.kind != "f":
        return bool(np.array_equal(values, wanted))
    if exactly:
        return bool(np.array_equal(values, wanted, equal_nan=True))
    size = np.nanmax(np.abs(wanted), initial=0)
    return bool(np.allclose(values, wanted, rtol=0, atol=1e-4 * size, equal_nan=True))


def timed(folder: Folder) -> tuple[dict[str, float], Start]:
    """Seconds that each phase of a run takes which nothing stops."""
    begun = time.monotonic()
    process = launched(folder)
    ends: dict[str, float] = {}
    reached(process, folder, STAGES[0])
    ends[STARTING] = time.monotonic()
    while process.poll() is None:
        for stage in STAGES[: PHASES.index(folder.phase()) - 1]:
            ends.setdefault(stage, time.monotonic())
        time.sleep(0.01)
    ends[PAGE] = time.monotonic()
    times = [begun, *(ends[phase] for phase in PHASES)]
    spans = [after - before for before, after in itertools.pairwise(times)]
    _, errors = process.communicate()
    lines = errors.splitlines()
    made = Start("", "", 2, ends[PAGE] - begun, process.returncode, lines)
    return dict(zip(PHASES, spans, strict=True)), made


def fresh(folder: Folder, whole: Folder) -> Folder:
    """``folder``, empty but for the programs that ``whole`` has compiled."""
    shutil.copytree(whole.path / PROGRAMS, folder.path / PROGRAMS)
    return folder


def plan(moments: random.Random) -> Iterator[tuple[str, str]]:
    """(phase, way) of one pass through the run: every phase in every way."""
    for phase in PHASES:
        yield from ((phase, way) for way in moments.sample(WAYS, len(WAYS)))


def row(number: int, made: Start, wrong: str) -> str:
    cells = (
        *(number, made.devices, made.phase, made.way or "none: it ended"),
        *(f"{made.seconds:.1f} s", made.status, made.lines[-1] if made.lines else "", wrong),
    )
    return f"| {' | '.join(map(str, cells))} |"


def passed(
    folder: Folder,
    seconds: Mapping[str, float],
    most: int,
    struck: Counter,
    moments: random.Random,
    *,
    vary_devices: bool,
) -> int:
    """Strikes one run at most ``most`` times, in every phase and way; the number of faults."""
    faults, already = 0, struck.total()
    for number, (phase, way) in enumerate(plan(moments)):
        if struck.total() - already == most:
            break
        if PHASES.index(folder.phase()) > PHASES.index(phase) > 0:
            continue  # an earlier start was past it before it could be struck
        made = start(
            folder,
            way=way,
            phase=phase,
            after=moments.uniform(0, seconds[phase]),
            devices=moments.choice((1, 2)) if vary_devices else 2,
        )
        wrong = made.fault(folder.unfinished())
        faults += bool(wrong)
        if made.way:
            struck[made.phase, made.way] += 1
        print(row(number + 1, made, wrong), flush=True)
        if (folder.path / "checkpoints/finished").exists():
            break
    return faults


def summary(struck: Counter) -> str:
    """How often each phase was struck in each way."""
    lines = [f"| struck in | {' | '.join(WAYS)} |", f"| --- |{' ---: |' * len(WAYS)}"]
    for phase in PHASES:
        counts = " | ".join(str(struck[phase, way]) for way in WAYS)
        lines.append(f"| {phase} | {counts} |")
    totals = (sum(struck[phase, way] for phase in PHASES) for way in WAYS)
    return "\n".join([*lines, f"| all | {' | '.join(map(str, totals))} |"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--interrupts", type=int, default=100, help="how many")
    parser.add_argument("--seed", type=int, default=0, help="of the random moments")
    parser.add_argument("--vary_devices", action="store_true", help="one device or two a start")
    options = parser.parse_args()
    moments = random.Random(options.seed)
    home = Path(tempfile.mkdtemp(prefix="glorot_jax-soak-"))
    compiled, whole = Folder(home / "compiled"), Folder(home / "whole")
    _, first = timed(compiled)
    seconds, uninterrupted = timed(fresh(whole, compiled))
    if first.status or uninterrupted.status:
        lines = first.lines if first.status else uninterrupted.lines
        raise SystemExit(f"the run that nothing stops failed: {lines[-1:]}")
    spans = ", ".join(f"{phase} {span:.1f} s" for phase, span in seconds.items())
    print(
        f"not interrupted: {first.seconds:.0f} s, compiled {uninterrupted.seconds:.0f} s: {spans}"
    )
    struck: Counter = Counter()
    faults = 0
    for number in itertools.count(1):
        folder = fresh(Folder(home / f"interrupted-{number}"), whole)
        print(f"\nRun {number}\n")
        print("| start | devices | struck in | by | after | status | last line | fault |")
        print("| ---: | ---: | --- | --- | ---: | ---: | --- | --- |")
        left = options.interrupts - struck.total()
        vary = options.vary_devices
        faults += passed(folder, seconds, left, struck, moments, vary_devices=vary)
        print()
        if not (folder.path / "checkpoints/finished").exists():
            wrong = refused(folder)
            faults += bool(wrong)
        last = start(folder, way="", phase="", after=0)
        differing = differences(folder, whole, vary_devices=vary)
        print(f"ended; differs from the run never stopped in: {', '.join(differing) or 'nothing'}")
        again = start(folder, way="", phase="", after=0)
        print(f"started again: status {again.status}, {again.lines[-1]}", flush=True)
        faults += bool(last.fault(folder.unfinished())) + len(differing)
        faults += again.status != 0 or not again.lines[-1].startswith("nothing to do")
        if struck.total() >= options.interrupts:
            break
    print(f"\n{summary(struck)}\n")
    clocks = (path / "checkpoints/seconds" for path in home.glob("interrupted-*"))
    taken = sum(float(read_sealed(clock)) for clock in clocks)
    print(f"{struck.total()} interrupts in {number} runs, {faults} faults; {taken:.0f} s; {home}")
    if faults:
        raise SystemExit(1)
    shutil.rmtree(home)


if __name__ == "__main__":
    main()
