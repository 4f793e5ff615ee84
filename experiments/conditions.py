"""Conditions by name: what a network is made of, as it is written in a config.

A condition is ``"activation initializer depth"``; the depth may be left out for 5.
"""

from typing import NamedTuple

from experiments.errors import ConfigError, choose
from glorot_jax.activations import ACTIVATIONS
from glorot_jax.initializers import INITIALIZERS
from glorot_jax.results import PAPER_DEPTH, condition_name


class Condition(NamedTuple):
    """One row of the paper's comparison."""

    activation: str
    initializer: str
    depth: int

    @property
    def label(self) -> str:
        """See ``results.condition_name``."""
        return condition_name(*self)


def parse(text: str, *, field: str) -> Condition:
    """The condition that ``text`` names; ``field`` is where the config says it.

    Raises:
      ConfigError: an unknown activation or initialiser, or a depth that isn't a positive integer.
    """
    words = text.split()
    if len(words) not in (2, 3):
        raise ConfigError(
            f'{field}: "{text}" is not "activation initializer" or "activation initializer depth"'
        )
    depth = words[2] if len(words) == 3 else str(PAPER_DEPTH)
    if not depth.isdecimal() or int(depth) < 1:
        raise ConfigError(f'{field}: depth {depth} in "{text}" is not a positive integer')
    return Condition(
        choose(words[0], ACTIVATIONS, field=f"{field}: activation"),
        choose(words[1], INITIALIZERS, field=f"{field}: initializer"),
        int(depth),
    )
