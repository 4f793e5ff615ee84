"""``fig09`` alone; ``--config=experiments/configs/fig09.py:quick``."""

from ml_collections import ConfigDict

from experiments.configs import base


def get_config(preset: str = "quick") -> ConfigDict:
    return base.figure("fig09", preset)
