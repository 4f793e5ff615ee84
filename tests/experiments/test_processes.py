"""One run in two processes of two devices each: the results of one process, whoever is killed."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from experiments.results import schema
from glorot_jax.processes import LOST
from tests.commands import ROOT, command

FLAGS = (
    "--config=fig09:smoke",
    "--config.online.updates=200",
    "--config.online.points=2",
    "--config.online.seeds=3",
    "--config.online.width=8",
    "--config.checkpoint_seconds=0",
)
SECONDS = 240


def start(folder: Path, *, devices: int, flags: Sequence[str] = ()) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command("experiments.launch", *FLAGS, f"--workdir={folder}", *flags),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "JAX_NUM_CPU_DEVICES": str(devices)},
    )


def start_two(folder: Path) -> list[subprocess.Popen[str]]:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    shared = ("--distributed", f"--coordinator_address=localhost:{port}", "--num_processes=2")
    return [
        start(folder, devices=2, flags=(*shared, f"--process_id={number}")) for number in (0, 1)
    ]


def ended(process: subprocess.Popen[str]) -> tuple[str, str]:
    try:
        out, err = process.communicate(timeout=SECONDS)
    finally:
        process.kill()
    assert process.returncode == 0, err
    return out, err


def assert_close(folder: Path, other: Path) -> None:
    found, expected = (schema.groups(schema.load(f / "results.nc")) for f in (folder, other))
    assert set(found) == set(expected)
    for group, measured in expected.items():
        for name, variable in measured.variables.items():
            there = found[group][name].values
            if np.issubdtype(there.dtype, np.floating):
                np.testing.assert_allclose(
                    there, variable.values, rtol=1e-6, atol=1e-7, err_msg=name
                )
            else:
                np.testing.assert_array_equal(there, variable.values, err_msg=name)


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Path:
    """The run in one process of four devices."""
    folder = tmp_path_factory.mktemp("alone")
    ended(start(folder, devices=4))
    return folder


@pytest.fixture(scope="module")
def bereft(tmp_path_factory) -> tuple[Path, int, str]:
    """The run in two processes, of which the second is killed: folder, and how the first ended."""
    folder = tmp_path_factory.mktemp("bereft")
    first, second = start_two(folder)
    try:
        deadline = time.monotonic() + SECONDS
        while not list((folder / "checkpoints").rglob("[0-9]*.npz")):
            assert first.poll() is None
            assert second.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        second.send_signal(signal.SIGKILL)
        _, err = first.communicate(timeout=SECONDS)
    finally:
        first.kill()
        second.kill()
        second.communicate()
    return folder, first.returncode, err


def test_who_is_left_ends_with_one_line(bereft):
    _, status, err = bereft
    assert status == LOST
    assert "Traceback" not in err
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert errors == err.splitlines()[-1:]
    assert errors[0].startswith("error: process 0 of 2: another process of this run is gone")
    assert errors[0].endswith("the same command in all of them goes on")


def test_both_go_on_and_one_alone_does_too(bereft, alone, tmp_path):
    folder = bereft[0]
    assert not (folder / "results.nc").exists()
    by_one = shutil.copytree(folder, tmp_path / "by one")
    processes = start_two(folder)
    (out, err), (silent, also_silent) = map(ended, processes)
    assert out == f"page: {folder / 'index.html'}\n"
    assert "goes on from" in err
    assert (silent, also_silent) == ("", "")
    assert_close(folder, alone)
    assert "goes on from" in ended(start(by_one, devices=3))[1]
    assert_close(by_one, alone)
