"""Configs by name: what ``--config`` takes, and a list of it."""

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from experiments.configs import full_width, long
from experiments.configs.base import PRESETS, WHOLE
from experiments.errors import ConfigError, choose
from experiments.exhibits import EXHIBITS

FOLDER = Path(__file__).parent
# Those that are a file of their own, each with its presets.
FILES: Mapping[str, ModuleType] = {"full_width": full_width, "long": long}


def presets(name: str) -> Mapping[str, str]:
    """The presets that the config called ``name`` has, each with what it is."""
    return FILES[name].PRESETS if name in FILES else PRESETS


def path(text: str) -> str:
    """``text``, a short form ``name:preset`` or already ``file.py:argument``, as the latter.

    Without a preset the config's own is taken.

    Raises:
      ConfigError: there is no such file, config or preset.
    """
    name, colon, preset = text.partition(":")
    if name.endswith(".py"):
        if not Path(name).is_file():
            raise ConfigError(f"config: {name} is not a file; --list shows the configs by name")
        return text
    choose(name, (WHOLE, *FILES, *EXHIBITS), field="config")
    if colon:
        choose(preset, presets(name), field="preset")
    if name in FILES:
        return f"{FOLDER / name}.py{colon}{preset}"
    return f"{FOLDER / 'figure'}.py:{name},{preset}"


def listing() -> str:
    """Every config and preset, a line each."""
    configs = {
        WHOLE: "the whole paper: every figure, table and sentence that fits the preset",
        **{name: str(module.__doc__).splitlines()[0] for name, module in FILES.items()},
        **{key: exhibit.title for key, exhibit in EXHIBITS.items()},
    }
    lines = {
        "Configs, as --config=name:preset:": configs,
        "Presets:": PRESETS,
        "Presets of long:": long.PRESETS,
    }
    return "\n".join(
        line
        for title, entries in lines.items()
        for line in (title, *(f"  {name:<14} {what}" for name, what in entries.items()))
    )
