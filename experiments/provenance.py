"""Where results come from: versions, device, revision, time."""

import json
import platform
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import jax
from ml_collections import ConfigDict

PACKAGES = ("glorot_jax", "jax", "jaxlib", "flax", "optax", "numpy", "xarray")


def provenance(config: ConfigDict, *, wall_time_s: float) -> dict[str, object]:
    """Attributes of a results file; ``wall_time_s`` is summed over its starts."""
    versions = {name: metadata.version(name) for name in PACKAGES}
    devices = jax.devices()
    return {
        "config": config.to_json(),
        "preset": config.preset,
        "versions": json.dumps({"python": platform.python_version(), **versions}),
        "device": f"{len(devices)} x {devices[0].device_kind} ({platform.machine()})",
        "git_revision": _git_revision(),
        "wall_time_s": round(wall_time_s, 1),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _git_revision() -> str:
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    try:
        described = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return described.stdout.strip()
