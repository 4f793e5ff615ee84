"""A run in two processes: as in one, and when one of the two is killed."""

import shutil
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from ml_collections import ConfigDict

from experiments import launch
from experiments.configs import base
from glorot_jax.processes import LOST
from tests import two_processes
from tests.commands import SMOKE
from tests.experiments.same_results import assert_same

# A set that is read, pre-training, and training after it: two programs.
SETTINGS = {
    "stages": ("mnist",),
    "checkpoint_seconds": 0.0,
    "mnist.dataset": "digits",
    "mnist.fallback": "",
    "mnist.conditions": ("tanh denoising 1", "tanh normalized 1"),
    "mnist.updates": 400,
}
FLAGS = [SMOKE, *(f"--config.{name}={value}" for name, value in SETTINGS.items())]
# Pre-training is over; the network has been trained for a few of its 400 updates.
BEGUN = "checkpoints/mnist/tanh-1"
ROUNDING = {"rtol": 1e-6, "atol": 1e-6}


class Runs(NamedTuple):
    """How two processes ended of which the second was killed, and how when started again."""

    killed: list
    again: list
    folder: Path
    as_killed: Path


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Runs:
    folder, as_killed = tmp_path_factory.mktemp("two"), tmp_path_factory.mktemp("killed")
    arguments = ("experiments.launch", *FLAGS, f"--workdir={folder}")
    started = two_processes.start(*arguments)
    while started[1].poll() is None and not list((folder / BEGUN).glob("[1-9]*.npz")):
        time.sleep(0.01)
    started[1].kill()
    killed = two_processes.end(started)
    shutil.copytree(folder, as_killed, dirs_exist_ok=True)
    return Runs(killed, two_processes.end(two_processes.start(*arguments)), folder, as_killed)


@pytest.fixture(scope="module")
def in_one_process(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("one")
    run_here(folder)
    return folder


def run_here(folder: Path) -> None:
    config = ConfigDict(base.paper("smoke"))
    config.update_from_flattened_dict(SETTINGS)
    launch.run(config, str(folder))


def test_where_one_is_killed_the_other_ends_in_one_line(runs):
    survivor, victim = runs.killed
    assert victim.returncode == -9
    assert survivor.returncode == LOST
    last = survivor.stderr.splitlines()[-1]
    assert last.startswith("error: process 0 of 2: another process of this run is gone (")
    assert last.endswith("; the same command in all of them goes on")
    assert survivor.stderr.count("error: ") == 1
    assert "Traceback" not in survivor.stderr
    assert "stack trace" not in survivor.stderr


def test_started_again_both_go_on_to_the_end(runs):
    first, second = runs.again
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert first.stdout == f"page: {runs.folder / 'index.html'}\n"
    assert "mnist tanh-1: goes on from " in first.stderr
    assert (second.stdout, second.stderr) == ("", "")
    assert not list(runs.folder.rglob(".partial-*"))


def test_two_processes_measure_what_one_does(runs, in_one_process):
    assert_same(runs.folder, in_one_process, **ROUNDING)


def test_one_process_goes_on_with_the_checkpoint_of_two(runs, in_one_process):
    steps = [int(file.stem) for file in (runs.as_killed / BEGUN).glob("*.npz")]
    assert 0 < max(steps) < SETTINGS["mnist.updates"]
    run_here(runs.as_killed)
    assert_same(runs.as_killed, in_one_process, **ROUNDING)
