"""The commands as a user starts them, each in a process of its own."""

import multiprocessing
import os
import runpy
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
SMOKE = "--config=paper:smoke"
SECONDS = 300
# Imported once for all: what takes a command three seconds before it begins. No flags in it.
IMPORTED = (
    "experiments.configs.custom",
    "experiments.running",
    "experiments.validate",
    "glorot_jax.diagnosis.reporting.diagnosing",
    "glorot_jax.diagnosis.reporting.figure",
)
_forked = multiprocessing.get_context("forkserver")
_forked.set_forkserver_preload(list(IMPORTED))


def command(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


def run_command(
    module: str, *arguments: str, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs ``command``; without an ``env`` of its own in a process that has its imports done."""
    if env is None:
        with Started(module, *arguments) as process:
            return process.end()
    return subprocess.run(
        command(module, *arguments),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env={**os.environ, **env},
    )


class Started:
    """``command`` in a process that has its imports done; a context, after which it is gone."""

    def __init__(self, module: str, *arguments: str) -> None:
        self.command = command(module, *arguments)
        self._folder = TemporaryDirectory()
        self._files = [Path(self._folder.name) / name for name in ("stdout", "stderr")]
        self._process = _forked.Process(target=_as_main, args=(module, arguments, self._files))

    def __enter__(self) -> "Started":
        self._process.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.kill()
        self._process.join()
        self._folder.cleanup()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def is_running(self) -> bool:
        return self._process.is_alive()

    def end(self, seconds: float = SECONDS) -> subprocess.CompletedProcess[str]:
        """What it printed and how it ended."""
        self._process.join(seconds)
        code = self._process.exitcode
        assert code is not None, f"{self.command} takes more than {seconds} seconds"
        texts = [file.read_text(encoding="utf-8") for file in self._files]
        return subprocess.CompletedProcess(self.command, code, *texts)


def _as_main(module: str, arguments: tuple[str, ...], files: list[Path]) -> None:
    for stream, file in zip((sys.stdout, sys.stderr), files, strict=True):
        with file.open("wb") as opened:
            os.dup2(opened.fileno(), stream.fileno())
    os.chdir(ROOT)
    sys.argv = ["", *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def assert_fails_in_one_line(done: subprocess.CompletedProcess[str], *words: str) -> None:
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode == 2, done.stderr
    assert len(errors) == 1
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in errors[0]
