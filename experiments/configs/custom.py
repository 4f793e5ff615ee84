"""Bring your own: initialisers and activations by dotted path, in every stage."""

from ml_collections import ConfigDict

from experiments.configs.base import TRAINED

BESIDE = "tanh"  # the unit that an initialiser of one's own is tried with
SCHEMES = ("standard", "normalized")  # how nets with an activation of one's own are initialised


def with_custom(config: ConfigDict) -> ConfigDict:
    """``config`` with its ``custom_initializers`` and ``custom_activations`` in every stage."""
    initializers, activations = config.custom_initializers, config.custom_activations
    added = (
        *(f"{BESIDE} {initializer}" for initializer in initializers),
        *(f"{activation} {scheme}" for activation in activations for scheme in SCHEMES),
    )
    widened = ConfigDict(config)
    widened.initial.activations = (*config.initial.activations, *activations)
    widened.initial.initializers = (*config.initial.initializers, *initializers)
    for name in TRAINED:
        widened[name].conditions = (*config[name].conditions, *added)
    return widened
