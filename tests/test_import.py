"""Importing the library starts nothing, and loads little."""

import subprocess
import sys

import pytest

import glorot_jax

SLOW = ("xarray", "pandas", "scipy", "matplotlib", "jinja2", "h5netcdf", "absl.app")


def _run(code):
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout.split()


def test_no_backend_is_started():
    """A program may still choose its platform and devices after the import."""
    code = (
        "import glorot_jax; glorot_jax.diagnose; "
        "import jax; jax.config.update('jax_num_cpu_devices', 3); print(jax.device_count())"
    )
    assert _run(code) == ["3"]


def test_what_takes_long_is_imported_when_it_is_used():
    code = (
        "import sys, jax, flax.linen; before = set(sys.modules); import glorot_jax; "
        f"print(*(name for name in {SLOW!r} if name in set(sys.modules) - before))"
    )
    assert _run(code) == []


@pytest.mark.parametrize("name", glorot_jax.__all__)
def test_every_public_name_is_there(name):
    assert name in dir(glorot_jax)
    assert getattr(glorot_jax, name).__module__.startswith("glorot_jax.")


def test_a_name_that_is_not_there_is_said():
    with pytest.raises(AttributeError, match=r"^module 'glorot_jax' has no attribute 'diagnos'$"):
        glorot_jax.diagnos  # noqa: B018
