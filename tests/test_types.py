"""What a user's own strict type checker says of a program that uses the library."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MISTAKES = """
import glorot_jax as gj
gj.calibrate(lambda p, x: x, {}, 0, 0, mode="backwards")
gj.diagnos
"""


def _check(path, cache):
    # By what pip would have installed: py.typed says that the annotations count.
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={cache}"]
    return subprocess.run(
        [*command, "--follow-imports=silent", str(path)],
        cwd=path.parent,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
    )


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("mypy")


def test_a_program_that_uses_the_library_is_well_typed(cache, tmp_path):
    program = tmp_path / "consumer.py"
    program.write_text((ROOT / "tests" / "consumer.py").read_text(encoding="utf-8"))
    done = _check(program, cache)
    assert done.returncode == 0, done.stdout + done.stderr


def test_mistakes_are_found(cache, tmp_path):
    program = tmp_path / "mistaken.py"
    program.write_text(MISTAKES)
    done = _check(program, cache)
    assert done.returncode == 1
    assert '"mode"' in done.stdout
    assert '"diagnos"' in done.stdout
