"""Bring your own: initialisers and activations by dotted path, in every stage."""

from ml_collections import ConfigDict

from experiments.configs.base import TRAINED

BESIDE = "tanh"  # the unit that an initialiser of one's own is tried with
STARTS = ("standard", "normalized")  # how an activation of one's own starts


def with_own(config: ConfigDict) -> ConfigDict:
    """``config`` with its ``own_initializers`` and ``own_activations`` in every stage."""
    initializers, activations = config.own_initializers, config.own_activations
    added = (
        *(f"{BESIDE} {initializer}" for initializer in initializers),
        *(f"{activation} {start}" for activation in activations for start in STARTS),
    )
    widened = ConfigDict(config)
    widened.initial.activations = (*config.initial.activations, *activations)
    widened.initial.initializers = (*config.initial.initializers, *initializers)
    for name in TRAINED:
        widened[name].conditions = (*config[name].conditions, *added)
    return widened
