"""Runs that are stopped, again and again, and end as if nothing had happened."""

import os
import random
import signal
import time
from pathlib import Path

import pytest

from tests.commands import SMOKE, Started, run_command
from tests.experiments.same_results import assert_same

FIG09 = (
    "--config=fig09:smoke",
    "--config.online.conditions=('tanh standard 2','tanh normalized 2')",
    "--config.online.updates=1600",
    "--config.online.points=8",
    "--config.checkpoint_seconds=0",
)


# Pre-training, model selection and both methods of section 5, as small as they can be.
METHODS = (
    SMOKE,
    "--config.stages=('online','selection','section5')",
    "--config.online.conditions=('tanh denoising 2',)",
    "--config.selection.conditions=('tanh normalized',)",
    "--config.section5.conditions="
    "('tanh standard 2 optimizer=hessian_diagonal','tanh standard 2 optimizer=gradient_variance')",
    "--config.checkpoint_seconds=0",
)
# (file or folder of checkpoints, the step in it that has to be reached), one for each start.
STOPPED_AT = {
    FIG09: [
        ("config.json", 0),
        ("checkpoints/online/tanh-2", 200),
        ("checkpoints/online/tanh-2", 800),
    ],
    METHODS: [
        ("checkpoints/online/tanh-2-pretraining/layer-2", 0),
        ("checkpoints/selection/tanh-1", 10),
        ("checkpoints/section5/tanh-2-hessian_diagonal", 10),
        ("checkpoints/section5/tanh-2-gradient_variance", 10),
    ],
}
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing stopped."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    done = run_command("experiments.launch", *FIG09, f"--workdir={folder}")
    assert done.returncode == 0, done.stderr
    return folder


def stop_at(
    path: Path,
    step: int,
    flags: tuple[str, ...],
    folder: Path,
    *,
    signum: int,
    seconds: float,
    cores: int | None = None,
) -> None:
    """Starts the run on so many cores, all if None, and sends ``signum`` ``seconds`` after."""
    with Started("experiments.launch", *flags, f"--workdir={folder}") as process:
        os.sched_setaffinity(process.pid, sorted(os.sched_getaffinity(0))[:cores])
        while not reached(path, step) and process.is_running():
            time.sleep(0.01)
        time.sleep(seconds)
        assert process.is_running(), "the run ended before it could be stopped"
        os.kill(process.pid, signum)
        ended = process.end(60)
    stopped = [line for line in ended.stderr.splitlines() if "stopped " in line]
    assert "Traceback" not in ended.stderr
    if signum == signal.SIGKILL:
        assert (ended.returncode, stopped) == (-signum, [])
    else:
        assert ended.returncode == 128 + signum
        assert stopped == ended.stderr.splitlines()[-1:]
        assert stopped[0].endswith("; the same command goes on")


def reached(path: Path, step: int) -> bool:
    """Whether the file is there, or a checkpoint of that step or a later one in the folder."""
    return path.is_file() or any(int(file.stem) >= step for file in path.glob("[0-9]*.npz"))


def test_an_unusual_environment_changes_no_bit(uninterrupted, tmp_path):
    folder = tmp_path / "größe und\N{NO-BREAK SPACE}raum"
    unusual = {
        "JAX_ENABLE_X64": "1",
        "JAX_DEBUG_NANS": "1",
        "LANG": "C",
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "HOME": "/proc/cannot-be-made",
        "JAX_COMPILATION_CACHE_DIR": "",  # as a user has it: programs are kept in the folder
    }
    done = run_command("experiments.launch", *FIG09, f"--workdir={folder}", env=unusual)
    assert done.returncode == 0, done.stderr
    assert_same(folder, uninterrupted)


def test_a_run_killed_on_another_number_of_cores_ends_with_the_values_but_for_rounding(
    uninterrupted, tmp_path
):
    resume(FIG09, tmp_path, cores=(1, None, 1))
    assert_same(tmp_path, uninterrupted, rtol=1e-5, atol=1e-6)


def test_killed_pretraining_selection_and_section_5_end_with_the_same_values(tmp_path):
    whole = tmp_path / "whole"
    done = run_command("experiments.launch", *METHODS, f"--workdir={whole}")
    assert done.returncode == 0, done.stderr
    resume(METHODS, tmp_path / "killed")
    assert_same(tmp_path / "killed", whole)


def resume(
    flags: tuple[str, ...], folder: Path, *, cores: tuple[int | None, ...] = (None,)
) -> None:
    """A run stopped again and again, at random moments, and then left to end."""
    moments = random.Random(1)
    for number, (place, step) in enumerate(STOPPED_AT[flags]):
        stop_at(
            folder / place,
            step,
            flags,
            folder,
            signum=SIGNALS[number % len(SIGNALS)],
            seconds=moments.uniform(0, 0.2),
            cores=cores[number % len(cores)],
        )
    done = run_command("experiments.launch", *flags, f"--workdir={folder}")
    assert done.returncode == 0, done.stderr


def test_report_rebuilds_everything_from_the_results(uninterrupted, tmp_path):
    folder = uninterrupted
    (tmp_path / "results.nc").write_bytes((folder / "results.nc").read_bytes())
    done = run_command("experiments.report", f"--workdir={tmp_path}")
    assert done.returncode == 0, done.stderr
    for name in ("index.html", "claims.json", "summary.md", "figures/fig09.svg"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()
