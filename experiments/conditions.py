"""Conditions by name: what a network is made of, as it is written in a config.

A condition is ``"activation initializer"``, then, where they aren't 5, sgd, equal and the part's
loss: ``depth optimizer=... shape=... loss=...``. An activation or initialiser is a name of ours or
a dotted path to one's own, ``my_package.my_module:my_init``.
"""

from collections.abc import Iterable
from typing import NamedTuple

from experiments.errors import ConfigError, choose
from experiments.results.schema import PAPER_DEPTH, USUAL, condition_name
from glorot_jax import activations, initialization
from glorot_jax.losses import LOSSES
from glorot_jax.training.optimizers import OPTIMIZERS

DENOISING = "denoising"
# Width of each layer, from the first to the last, as a multiple of the config's.
SHAPES = {"equal": (1.0, 1.0), "growing": (0.5, 1.5), "shrinking": (1.5, 0.5)}
OPTIONS: dict[str, Iterable[str]] = {"optimizer": OPTIMIZERS, "shape": SHAPES, "loss": LOSSES}


class Condition(NamedTuple):
    """One row of the paper's comparison."""

    activation: str
    initializer: str
    depth: int = PAPER_DEPTH
    optimizer: str = USUAL["optimizer"]
    shape: str = USUAL["shape"]
    loss: str = USUAL["loss"]

    @property
    def label(self) -> str:
        """See ``results.condition_name``."""
        return condition_name(*self)

    def widths(self, width: int) -> tuple[int, ...]:
        """Units of each hidden layer where layers of equal size would have ``width``."""
        first, last = SHAPES[self.shape]
        steps = max(self.depth - 1, 1)
        factors = [first + (last - first) * layer / steps for layer in range(self.depth)]
        return tuple(max(1, round(width * factor)) for factor in factors)


def parse(text: str, *, field: str, loss: str = USUAL["loss"]) -> Condition:
    """The condition that ``text`` names; ``field`` is where the config says it.

    Raises:
      ConfigError: it is written wrongly, or names something that there isn't.
    """
    words = text.split()
    options = dict(word.partition("=")[::2] for word in words if "=" in word)
    plain = [word for word in words if "=" not in word]
    if len(plain) not in (2, 3):
        raise ConfigError(
            f'{field}: "{text}" is not "activation initializer", with a depth and '
            f"{', '.join(f'{name}=' for name in OPTIONS)} after it where wanted"
        )
    depth = plain[2] if len(plain) == 3 else str(PAPER_DEPTH)
    if not depth.isdecimal() or int(depth) < 1:
        raise ConfigError(f'{field}: depth {depth} in "{text}" is not a positive integer')
    for name, value in options.items():
        choose(name, OPTIONS, field=f'{field}: "{text}"')
        choose(value, OPTIONS[name], field=f"{field}: {name}")
    return Condition(
        check_activation(plain[0], field=field),
        check_initializer(plain[1], field=field),
        int(depth),
        **{"loss": loss, **options},
    )


def check_activation(name: str, *, field: str) -> str:
    """``name`` if it names an activation, ours or a dotted path.

    Raises:
      ConfigError: it doesn't, or what the path leads to can't be used.
    """
    try:
        activations.resolve(name)
    except ValueError as error:
        raise ConfigError(f"{field}: activation {error}") from error
    return name


def check_initializer(name: str, *, field: str) -> str:
    """``name`` if it names a way for a network to start: ours, a dotted path, or pre-training.

    Raises:
      ConfigError: it doesn't, or what the path leads to can't be used.
    """
    if name != DENOISING:
        try:
            initialization.start(name)
        except ValueError as error:
            raise ConfigError(f"{field}: initializer {error}") from error
    return name
