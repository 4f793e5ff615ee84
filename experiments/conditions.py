"""Conditions by name: what a network is made of, as it is written in a config.

A condition is ``"activation initializer depth"``; the depth may be left out for 5.
"""

from typing import NamedTuple

from experiments.errors import ConfigError, choose
from glorot_jax.activations import ACTIVATIONS
from glorot_jax.initializers import INITIALIZERS

PAPER_DEPTH = 5


class Condition(NamedTuple):
    """One row of the paper's comparison."""

    activation: str
    initializer: str
    depth: int

    @property
    def label(self) -> str:
        """The paper's name: the unit, N for normalized, and the depth where it isn't 5."""
        suffix = {"standard": "", "normalized": " N"}.get(self.initializer, f" {self.initializer}")
        depth = "" if self.depth == PAPER_DEPTH else f" {self.depth}"
        return f"{self.activation.capitalize()}{suffix}{depth}"


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
