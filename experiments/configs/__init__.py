"""Configs by name: what ``--config`` takes, and a list of it."""

from pathlib import Path

from experiments.configs import full_width
from experiments.configs.base import PRESETS, WHOLE
from experiments.errors import ConfigError, choose
from experiments.exhibits import EXHIBITS

FOLDER = Path(__file__).parent
FULL_WIDTH = "full_width"


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
    choose(name, (WHOLE, FULL_WIDTH, *EXHIBITS), field="config")
    if colon:
        choose(preset, PRESETS, field="preset")
    if name == FULL_WIDTH:
        return f"{FOLDER / name}.py{colon}{preset}"
    return f"{FOLDER / 'figure'}.py:{name},{preset}"


def listing() -> str:
    """Every config and preset, a line each."""
    configs = {
        WHOLE: "the whole paper: every figure, table and sentence that fits the preset",
        FULL_WIDTH: str(full_width.__doc__).splitlines()[0],
        **{key: exhibit.title for key, exhibit in EXHIBITS.items()},
    }
    lines = {"Configs, as --config=name:preset:": configs, "Presets:": PRESETS}
    return "\n".join(
        line
        for title, entries in lines.items()
        for line in (title, *(f"  {name:<14} {what}" for name, what in entries.items()))
    )
