"""Runs that are killed, again and again, and end as if nothing had happened."""

import random
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from experiments.results import schema
from tests.commands import ROOT, SMOKE, command, run_command

FIG09 = (
    "--config=fig09:smoke",
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
KILLED_AT = {
    FIG09: [*("config.json", "checkpoints/shapeset/tanh-5/2", "checkpoints/shapeset/tanh-5/5")],
    METHODS: [
        "checkpoints/shapeset/tanh-2-pretraining/layer-2/1",
        "checkpoints/selection/tanh-1/2",
        "checkpoints/section5/tanh-2-hessian_diagonal/2",
        "checkpoints/section5/tanh-2-gradient_variance/2",
    ],
}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing stopped."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    done = run_command("experiments.launch", *FIG09, f"--workdir={folder}")
    assert done.returncode == 0, done.stderr
    return folder


def kill_after(milestone: Path, seconds: float, flags: tuple[str, ...], folder: Path) -> None:
    """Starts the run and kills it ``seconds`` after ``milestone`` is there."""
    process = subprocess.Popen(
        command("experiments.launch", *flags, f"--workdir={folder}"),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not milestone.exists() and process.poll() is None:
        time.sleep(0.01)
    time.sleep(seconds)
    assert process.poll() is None, "the run ended before it could be killed"
    process.kill()
    process.wait()


def test_a_killed_run_ends_with_the_same_values(uninterrupted, tmp_path):
    assert_resumes(FIG09, uninterrupted, tmp_path)


def test_killed_pretraining_selection_and_section_5_end_with_the_same_values(tmp_path):
    whole = tmp_path / "whole"
    done = run_command("experiments.launch", *METHODS, f"--workdir={whole}")
    assert done.returncode == 0, done.stderr
    assert_resumes(METHODS, whole, tmp_path / "killed")


def assert_resumes(flags: tuple[str, ...], uninterrupted: Path, folder: Path) -> None:
    """A run killed again and again, at random moments, ends as the one that nothing stopped."""
    moments = random.Random(1)
    for milestone in KILLED_AT[flags]:
        kill_after(folder / milestone, moments.uniform(0, 0.2), flags, folder)
    done = run_command("experiments.launch", *flags, f"--workdir={folder}")
    assert done.returncode == 0, done.stderr
    resumed, whole = (schema.load(f / "results.nc") for f in (folder, uninterrupted))
    assert set(resumed.children) == set(whole.children)
    for group, measured in schema.groups(whole).items():
        for name, variable in measured.variables.items():
            again = resumed[group][name].values
            np.testing.assert_array_equal(again, variable.values, err_msg=f"{group}/{name}")


def test_report_rebuilds_everything_from_the_results(uninterrupted, tmp_path):
    folder = uninterrupted
    (tmp_path / "results.nc").write_bytes((folder / "results.nc").read_bytes())
    done = run_command("experiments.report", f"--workdir={tmp_path}")
    assert done.returncode == 0, done.stderr
    for name in ("index.html", "claims.json", "summary.md", "figures/fig09.svg"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()
