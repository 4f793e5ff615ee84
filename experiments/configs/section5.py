"""``section5`` alone; ``--config=experiments/configs/section5.py:quick``."""

from ml_collections import ConfigDict

from experiments.configs import base


def get_config(preset: str = "quick") -> ConfigDict:
    return base.figure("section5", preset)
