"""``fig12`` alone; ``--config=experiments/configs/fig12.py:quick``."""

from ml_collections import ConfigDict

from experiments.configs import base


def get_config(preset: str = "quick") -> ConfigDict:
    return base.figure("fig12", preset)
