"""The instrument where JAX_ENABLE_X64 is set, as some libraries do when they are imported."""

import os
import subprocess
import sys


def test_all_of_it_runs_and_is_right():
    done = subprocess.run(
        [sys.executable, "-m", "tests.diagnosis.double_precision"],
        env={**os.environ, "JAX_ENABLE_X64": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
