"""Importing the library starts nothing."""

import subprocess
import sys


def test_no_backend_is_started():
    """A program may still choose its platform and devices after the import."""
    code = (
        "import glorot_jax, jax; jax.config.update('jax_num_cpu_devices', 3); "
        "print(jax.device_count())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.strip() == "3"
