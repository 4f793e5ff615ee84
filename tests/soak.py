"""Interrupts a small run with every stage again and again, and looks at how each start ended.

  python -m tests.soak --interrupts=20

Each start is ended at a random moment: by SIGINT or SIGTERM, which it has to answer in one line and
with status 130 or 143, or by SIGKILL. At the end the results, claims and figures have to be those
of a run that nothing stopped, bit for bit. Prints a table of what each start did.

With --vary_devices each start has one device or two, a core each. A sum over two cores is done in
another order than over one: then results have to agree within 1e-4 of their largest value.
"""

import json
import os
import random
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from absl import app, flags

from experiments.results import schema
from tests.commands import ROOT, SMOKE, command

_INTERRUPTS = flags.DEFINE_integer("interrupts", 20, "How many starts are interrupted.")
_VARY = flags.DEFINE_bool("vary_devices", False, "Whether starts differ in devices.")
_SEED = flags.DEFINE_integer("seed", 0, "Of the random moments and signals.")

# Every kind of stage and of checkpoint, as small as they can be.
CONFIG = (
    SMOKE,
    "--config.stages=('surface','initial','online','mnist','selection','baseline')",
    "--config.mnist.dataset=digits",
    "--config.mnist.conditions=('tanh standard 2',)",
    "--config.initial.activations=('tanh',)",
    "--config.initial.initializers=('normalized',)",
    "--config.online.conditions=('tanh standard 2','tanh normalized 2','tanh denoising 2')",
    "--config.online.updates=2000",
    "--config.selection.conditions=('tanh normalized',)",
    "--config.checkpoint_seconds=1",
)
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
DONE = "nothing to do"


class Start(NamedTuple):
    """One start of the run: how it was ended, and what it said last."""

    signum: int | None
    devices: int
    seconds: float
    status: int
    last_line: str
    stopped_lines: int


def start(
    folder: Path, *, signum: int | None, after: float = 3600, told: bool = False, devices: int = 2
) -> Start:
    """Starts the run and sends ``signum`` after ``after`` seconds, if it is still running then.

    The seconds count from its first line (of progress) if ``told``, else from its start.
    """
    cores = sorted(os.sched_getaffinity(0))[:devices]
    begun = time.monotonic()
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            command("experiments.launch", *CONFIG, f"--workdir={folder}"),
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
        os.sched_setaffinity(process.pid, cores)
        while told and process.poll() is None and not os.fstat(errors.fileno()).st_size:
            time.sleep(0.02)
        try:
            process.wait(after)
            signum = None
        except subprocess.TimeoutExpired:
            process.send_signal(signum or signal.SIGKILL)
            process.wait()
        errors.seek(0)
        lines = errors.read().splitlines()
    stopped = sum("stopped " in line for line in lines)
    last = lines[-1] if lines else ""
    return Start(signum, devices, time.monotonic() - begun, process.returncode, last, stopped)


def fault(made: Start) -> str:
    """What is wrong with how a start ended; "" if nothing is."""
    if made.signum is None:
        return "" if made.status == 0 else f"status {made.status}"
    if made.signum == signal.SIGKILL:
        return "" if made.status == -signal.SIGKILL else f"status {made.status}"
    if made.status != 128 + made.signum:
        return f"status {made.status}"
    return "" if made.stopped_lines == 1 and "stopped " in made.last_line else "not one line"


def differences(folder: Path, whole: Path) -> list[str]:
    """What two finished runs differ in, apart from times."""
    ended, wanted = (schema.groups(schema.load(each / "results.nc")) for each in (folder, whole))
    differing = [
        f"{group} {name}"
        for group, measured in wanted.items()
        for name, variable in measured.variables.items()
        if not same(ended[group][name].values, variable.values)
    ]
    if _VARY.value:
        return differing
    files = ["claims.json", *(f"figures/{path.name}" for path in (whole / "figures").iterdir())]
    return differing + [
        name for name in files if (folder / name).read_bytes() != (whole / name).read_bytes()
    ]


def same(values: np.ndarray, wanted: np.ndarray) -> bool:
    """To the last bit; with --vary_devices, as near as another order of sums is."""
    if wanted.dtype.kind != "f":
        return bool(np.array_equal(values, wanted))
    if not _VARY.value:
        return bool(np.array_equal(values, wanted, equal_nan=True))
    size = np.nanmax(np.abs(wanted), initial=0)
    return bool(np.allclose(values, wanted, rtol=0, atol=1e-4 * size, equal_nan=True))


def main(argv: Sequence[str]) -> None:
    del argv
    moments = random.Random(_SEED.value)
    home = Path(tempfile.mkdtemp(prefix="glorot_jax-soak-"))
    whole, folder = home / "whole", home / "interrupted"
    uninterrupted = start(whole, signum=None)
    if uninterrupted.status:
        raise SystemExit(f"the run that nothing stops failed: {uninterrupted.last_line}")
    print(f"not interrupted: {uninterrupted.seconds:.0f} s")
    print("| start | devices | signal | after | status | last line | fault |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    struck, faults, number = 0, 0, 0
    while struck < _INTERRUPTS.value:
        number += 1
        made = start(
            folder,
            signum=moments.choice(SIGNALS),
            after=moments.uniform(0.1, uninterrupted.seconds / 4),
            told=moments.choice((True, True, False)),
            devices=moments.choice((1, 2)) if _VARY.value else 2,
        )
        struck += made.signum is not None
        wrong = fault(made)
        faults += bool(wrong)
        name = signal.Signals(made.signum).name if made.signum else "none: it ended"
        print(
            f"| {number} | {made.devices} | {name} | {made.seconds:.1f} s | {made.status} | "
            f"{made.last_line} | {wrong} |",
            flush=True,
        )
        if made.signum is None and struck < _INTERRUPTS.value:
            faults += _compare(folder, whole)
            folder = home / f"interrupted-{number}"
    last = start(folder, signum=None)
    faults += bool(fault(last)) + _compare(folder, whole)
    again = start(folder, signum=None)
    faults += DONE not in again.last_line or again.status != 0
    print(f"started again: status {again.status}, {again.last_line}")
    seconds = json.loads((folder / "checkpoints/seconds").read_text())
    print(f"{struck} interrupts, {faults} faults; {seconds:.0f} s in all starts; {home}")
    if faults:
        raise SystemExit(1)


def _compare(folder: Path, whole: Path) -> int:
    differing = differences(folder, whole)
    print(
        f"ended; differs from the run that nothing stopped in: {', '.join(differing) or 'nothing'}"
    )
    return len(differing)


if __name__ == "__main__":
    app.run(main)
