"""``table1`` alone; ``--config=experiments/configs/table1.py:quick``."""

from ml_collections import ConfigDict

from experiments.configs import base


def get_config(preset: str = "quick") -> ConfigDict:
    return base.figure("table1", preset)
