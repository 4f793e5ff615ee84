"""A command started as two processes on this machine, of two host devices each."""

import os
import socket
import subprocess
from collections.abc import Sequence

from tests.commands import ROOT, command


def start(module: str, *arguments: str) -> list[subprocess.Popen[str]]:
    """Process 0 and process 1 of ``python -m module arguments``."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    together = ("--distributed", f"--coordinator_address={address}", "--num_processes=2")
    return [
        subprocess.Popen(
            command(module, *arguments, *together, f"--process_id={number}"),
            cwd=ROOT,
            env={**os.environ, "JAX_NUM_CPU_DEVICES": "2"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]


def end(started: Sequence[subprocess.Popen[str]]) -> list[subprocess.CompletedProcess[str]]:
    """How each ended; none outlives this call."""
    try:
        said = [process.communicate(timeout=300) for process in started]
    finally:
        for process in started:
            process.kill()
    return [
        subprocess.CompletedProcess(process.args, process.returncode, *each)
        for process, each in zip(started, said, strict=True)
    ]
