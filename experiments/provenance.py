"""Where results come from: config and what was changed in it, versions, device, revision, time."""

import json
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

from experiments import configs
from experiments.configs.custom import with_custom
from experiments.errors import ConfigError

PACKAGES = ("glorot_jax", "jax", "jaxlib", "flax", "optax", "numpy", "xarray")

CHANGED = "changed_from_preset"
# Where data lies, how often it is saved and how it is compiled change no result.
NO_SETTING = ("data_dir", "checkpoint_seconds", "compile_fast")


def provenance(config: ConfigDict, *, wall_time_s: float) -> dict[str, object]:
    """Attributes of a results file; ``wall_time_s`` is summed over its starts."""
    versions = {name: metadata.version(name) for name in PACKAGES}
    devices = jax.devices()
    changed = changed_from_preset(config)
    return {
        "config": config.to_json(),
        "preset": config.preset,
        **({} if changed is None else {CHANGED: json.dumps(changed)}),
        "versions": json.dumps({"python": platform.python_version(), **versions}),
        "device": f"{len(devices)} x {devices[0].device_kind} ({platform.machine()})",
        "git_revision": _git_revision(),
        "wall_time_s": round(wall_time_s, 1),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def changed_from_preset(config: ConfigDict) -> list[str] | None:
    """Fields in which a run's config differs from the one of its name and preset.

    None if there is no config of that name and preset, as where the file is one's own.

    >>> changed_from_preset(configs.named("fig03", "quick"))
    []
    """
    try:
        plain = configs.named(config.name, config.preset)
    except ConfigError:
        return None
    for field in ("custom_initializers", "custom_activations"):
        plain[field] = config[field]
    there, here = (_fields(json.loads(one.to_json())) for one in (with_custom(plain), config))
    changed = [field for field in here if here[field] != there.get(field)]
    custom = [field for field in here if field.startswith("custom_") and here[field]]
    return [field for field in [*custom, *changed] if field not in NO_SETTING]


def _fields(settings: Mapping[str, Any], prefix: str = "") -> dict[str, object]:
    """Every setting by its dotted name, as JSON holds it."""
    flat: dict[str, object] = {}
    for name, value in settings.items():
        # A mapping that a user fills, as that of rates by network, is one setting.
        room = isinstance(value, dict) and value and all(key.isidentifier() for key in value)
        flat |= _fields(value, f"{prefix}{name}.") if room else {f"{prefix}{name}": value}
    return flat


def _git_revision() -> str:
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    try:
        described = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return described.stdout.strip()
