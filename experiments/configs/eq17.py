"""``eq17`` alone; ``--config=experiments/configs/eq17.py:quick``."""

from ml_collections import ConfigDict

from experiments.configs import base


def get_config(preset: str = "quick") -> ConfigDict:
    return base.figure("eq17", preset)
