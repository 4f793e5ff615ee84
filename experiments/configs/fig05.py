"""``fig05`` alone; ``--config=experiments/configs/fig05.py:quick``."""

from ml_collections import ConfigDict

from experiments.configs import base


def get_config(preset: str = "quick") -> ConfigDict:
    return base.figure("fig05", preset)
