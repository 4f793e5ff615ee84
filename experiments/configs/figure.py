"""The whole paper, or one figure, table or study alone.

--config=paper:quick      --config=experiments/configs/figure.py:paper,quick
--config=fig03:smoke      --config=experiments/configs/figure.py:fig03,smoke
"""

from ml_collections import ConfigDict

from experiments.configs import base


def get_config(argument: str = "paper,quick") -> ConfigDict:
    """The config called ``"name,preset"``, or ``"name"`` at ``quick``.

    Raises:
      ConfigError: there is no such name or preset.
    """
    name, _, preset = argument.partition(",")
    return base.named(name, preset or "quick")
