"""``fig02`` alone; ``--config=experiments/configs/fig02.py:quick``."""

from ml_collections import ConfigDict

from experiments.configs import base


def get_config(preset: str = "quick") -> ConfigDict:
    return base.figure("fig02", preset)
