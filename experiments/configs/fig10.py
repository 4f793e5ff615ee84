"""``fig10`` alone; ``--config=experiments/configs/fig10.py:quick``."""

from ml_collections import ConfigDict

from experiments.configs import base


def get_config(preset: str = "quick") -> ConfigDict:
    return base.figure("fig10", preset)
