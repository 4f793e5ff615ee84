"""``fashion_mnist`` alone; ``--config=experiments/configs/fashion_mnist.py:quick``."""

from ml_collections import ConfigDict

from experiments.configs import base


def get_config(preset: str = "quick") -> ConfigDict:
    return base.figure("fashion_mnist", preset)
