"""Models to diagnose: a sick one and its cure, for docs/diagnose.md and to try the command on."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax

import glorot_jax as gj
from glorot_jax.activations import ACTIVATIONS
from glorot_jax.data import shapeset
from glorot_jax.initializers import INITIALIZERS
from glorot_jax.network import MLP, init, logits

CLASSES = len(shapeset.CLASS_NAMES)
EXAMPLES = 300
WIDTHS = (200,) * 30


def deep_tanh() -> gj.Model:
    """Thirty layers of 200 tanh units with the standard initialisation, on Shapeset."""
    return _mlp("tanh", "standard")


def deep_tanh_normalized() -> gj.Model:
    """The same with the normalized initialisation."""
    return _mlp("tanh", "normalized")


def deep_relu() -> gj.Model:
    """The same of relu units with the standard initialisation."""
    return _mlp("relu", "standard")


def _mlp(activation: str, initializer: str) -> gj.Model:
    batch = shapeset.sample(jax.random.key(0), EXAMPLES)
    net = MLP(WIDTHS, CLASSES, ACTIVATIONS[activation], INITIALIZERS[initializer]())
    start: Callable[[jax.Array], Any] = partial(init, net, inputs=batch.x.shape[1])
    return gj.Model(partial(logits, net), start, batch.x, batch.y)
