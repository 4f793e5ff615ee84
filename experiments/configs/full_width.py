"""The paper's width on two CPU cores, in about 90 minutes.

  --config=full_width

The networks of Figs. 2-4 and 6-12 and Table 1, 5 layers of 1000 units; what is short is the
training, 20 000 of the paper's 5 million updates.
"""

from ml_collections import ConfigDict

from experiments.configs import base

PRESETS = base.PRESETS
STAGES = ("examples", "surface", "initial", "online", "mnist", "cifar10", "small_imagenet")


def get_config(preset: str = "paper") -> ConfigDict:
    config = base.paper(preset)
    config.name = "full_width"
    config.stages = STAGES
    config.initial.seeds = 10
    config.initial.jacobian_examples = 1
    for name in STAGES[3:]:
        settings = config[name]
        settings.seeds = 2
        settings.block_size = 1000
        settings.validation_examples = 2000
        settings.test_examples = 5000
        settings.learning_rates = (0.03,)
        settings.updates, settings.points = 3000, 3
        settings.pretraining.updates, settings.pretraining.points = 5000, 5
        if name != "online":
            settings.download = name == "mnist"
    config.online.learning_rates = (0.01, 0.03)
    config.online.updates, config.online.points = 20_000, 10
    return config
