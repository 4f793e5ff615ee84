"""``selection`` alone; ``--config=experiments/configs/selection.py:quick``."""

from ml_collections import ConfigDict

from experiments.configs import base


def get_config(preset: str = "quick") -> ConfigDict:
    return base.figure("selection", preset)
