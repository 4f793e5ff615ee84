"""The flags ``--config``, which takes a config's short name, and ``--list``."""

import sys
from typing import Any

from absl import flags
from ml_collections import ConfigDict, config_flags

from experiments import configs


class _ByName(flags.ArgumentParser):
    """A parser of config files that takes ``name:preset`` too."""

    def __init__(self, of_files: flags.ArgumentParser):
        super().__init__()
        self._of_files = of_files

    def parse(self, argument: str) -> ConfigDict:
        path = configs.path(argument)
        try:
            return self._of_files.parse(path)
        except SystemExit as error:
            raise ValueError(f"config: {path} exits ({error})") from error


class _List(flags.BooleanFlag):
    """A flag that prints all configs and ends the program, as absl's own ``--help`` does."""

    def __init__(self) -> None:
        super().__init__("list", False, "Print configs and presets with a line each.")

    def parse(self, argument: Any) -> None:
        if self._parse(argument):
            print(configs.listing())
            sys.exit(0)


def define() -> flags.FlagHolder[ConfigDict]:
    """Defines ``--config`` and ``--list``; the value of the first, overrides and all."""
    holder = config_flags.DEFINE_config_file(
        "config", None, "Config, as name:preset or file.py:argument; see --list."
    )
    flag = flags.FLAGS["config"]
    flag.parser = _ByName(flag.parser)
    flags.DEFINE_flag(_List())
    return holder
