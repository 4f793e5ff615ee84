"""Starts ``benchmarks.torch_updates`` in a process of its own and asks it to time things."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import numpy as np

from benchmarks.jax_updates import BATCH, LEARNING_RATE


class TorchWorker:
    """PyTorch beside JAX: another process, so that neither library's threads disturb the other.

    Use as a context manager. ``names`` are its contenders.
    """

    def __init__(self, arrays: dict[str, np.ndarray], scratch: Path, *, device: str, threads: int):
        self._scratch = scratch
        np.savez(scratch / "arrays.npz", **arrays)
        command = [sys.executable, "-m", "benchmarks.torch_updates", f"--device={device}"]
        command += [f"--arrays={scratch / 'arrays.npz'}", f"--threads={threads}"]
        command += [f"--batch={BATCH}", f"--rate={LEARNING_RATE}"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        hello = self._answer()
        self.names: list[str] = hello["names"]
        self.version = " ".join(["PyTorch", hello["torch"], hello["card"]]).strip()

    def __enter__(self) -> "TorchWorker":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.stdin.close()
        self._process.wait()

    def contender(self, name: str) -> Callable[[int], float]:
        """A contender for ``benchmarks.timing``."""
        return lambda calls: self._ask(name=name, calls=calls)["seconds"]

    def first_block(self, name: str) -> dict[str, np.ndarray]:
        """Runs ``name`` once; its parameters then, named and laid out as this project's."""
        path = self._scratch / "params.npz"
        self._ask(name=name, calls=1, save=str(path))
        with np.load(path) as file:
            arrays = dict(file)
        found = {}
        order = sorted({int(name.split(".")[0]) for name in arrays})  # 0, 2, ..., the output last
        for layer, index in enumerate(order, start=1):
            name = "output" if index == order[-1] else f"hidden_{layer:02d}"
            found[f"{name}/kernel"] = arrays[f"{index}.weight"].transpose(0, 2, 1)
            found[f"{name}/bias"] = arrays[f"{index}.bias"]
        return found

    def _ask(self, **request: object) -> dict:
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict:
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the PyTorch process has died; its message is above")
        return json.loads(line)
