"""How results were made, as far as their attributes say it."""

import json
from typing import Any

import xarray as xr

from experiments.provenance import CHANGED

MEANINGLESS = "smoke"  # the preset that proves only that everything runs


def config(results: xr.DataTree) -> dict[str, Any]:
    """The config as it was; {} where it is missing or can't be read."""
    return _mapping(results.attrs.get("config"))


def name(results: xr.DataTree) -> str:
    """The name of the config, "" where nothing says it."""
    return str(config(results).get("name", ""))


def preset(results: xr.DataTree) -> str:
    """The preset, "" where nothing says it."""
    return str(results.attrs.get("preset", ""))


def heading(results: xr.DataTree) -> str:
    """The config as a command names it, ``paper:quick``, or as much of it as is known."""
    return ":".join(word for word in (name(results), preset(results)) if word)


def is_smoke(results: xr.DataTree) -> bool:
    """Whether these results prove only that everything runs."""
    return preset(results) == MEANINGLESS


def changed(results: xr.DataTree) -> list[tuple[str, Any]]:
    """Settings that are not those of the config's name and preset, with their values.

    [] too where the results, of an older run or of a config of one's own, don't say.
    """
    try:
        fields = json.loads(results.attrs.get(CHANGED, "[]"))
    except (TypeError, ValueError):
        return []
    known = fields if isinstance(fields, list) else []
    return [(str(field), _setting(config(results), str(field))) for field in known]


def _setting(settings: Any, field: str) -> Any:
    for word in field.split("."):
        settings = settings.get(word) if isinstance(settings, dict) else None
    return settings


def provenance(results: xr.DataTree) -> list[tuple[str, str]]:
    """What is known of how the results were made, as (name, value) in a fixed order."""
    attrs = results.attrs
    known = versions(results)
    seconds = attrs.get("wall_time_s")
    entries = [
        ("config", heading(results)),
        ("finished", attrs.get("finished")),
        ("device", attrs.get("device")),
        ("wall time", None if seconds is None else _duration(float(seconds))),
        ("revision", str(attrs.get("git_revision") or "")[:12]),
        ("versions", ", ".join(f"{n} {known[n]}" for n in ("jax", "flax") if n in known)),
    ]
    return [(entry, str(value)) for entry, value in entries if value]


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def versions(results: xr.DataTree) -> dict[str, str]:
    """The versions in the attributes; nothing where they are missing or can't be read."""
    known = _mapping(results.attrs.get("versions"))
    return {str(package): str(version) for package, version in known.items()}


def _mapping(text: Any) -> dict[str, Any]:
    try:
        known = json.loads(text)
    except (TypeError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def pretty_config(results: xr.DataTree) -> str:
    """The config as indented JSON; as it stands where it isn't JSON; "" where it is missing."""
    text = results.attrs.get("config")
    if not text:
        return ""
    try:
        return json.dumps(json.loads(str(text)), indent=1, ensure_ascii=False)
    except ValueError:
        return str(text)
