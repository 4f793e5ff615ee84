"""``fig08`` alone; ``--config=experiments/configs/fig08.py:quick``."""

from ml_collections import ConfigDict

from experiments.configs import base


def get_config(preset: str = "quick") -> ConfigDict:
    return base.figure("fig08", preset)
