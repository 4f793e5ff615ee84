"""``phase`` alone; ``--config=experiments/configs/phase.py:quick``."""

from ml_collections import ConfigDict

from experiments.configs import base


def get_config(preset: str = "quick") -> ConfigDict:
    return base.figure("phase", preset)
