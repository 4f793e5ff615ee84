"""The whole main job; ``--config=experiments/configs/paper.py:quick``, ``:smoke`` or ``:paper``."""

from ml_collections import ConfigDict

from experiments.configs import base


def get_config(preset: str = "quick") -> ConfigDict:
    return base.paper(preset)
