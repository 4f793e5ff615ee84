"""About how much memory a run takes, before anything is allocated."""

import os
from collections.abc import Iterator
from itertools import pairwise

import jax
from ml_collections import ConfigDict

from experiments.configs.base import TRAINED
from experiments.errors import ConfigError
from experiments.measurements.trained import conditions, learning_rates

PIXELS, CLASSES = 1024, 10  # of an example, and about as many classes as every set has
FLOAT = 4  # bytes
COPIES = 3  # of a network: itself, its gradient, and what XLA moves it through
GIB = 2**30


def check_memory(config: ConfigDict) -> None:
    """Refuses a run that needs more memory than a computer without an accelerator has.

    Raises:
      ConfigError: one line with the stage and the estimate.
    """
    if jax.default_backend() != "cpu":
        return
    there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for stage, size in _sizes(config):
        if stage in config.stages and size > there:
            raise ConfigError(
                f"config.{stage}: its networks, examples and measurements take about "
                f"{size / GIB:,.0f} GiB of memory; there are {there / GIB:.0f}"
            )


def _sizes(config: ConfigDict) -> Iterator[tuple[str, int]]:
    surface, initial = config.surface, config.initial
    yield "surface", 2 * FLOAT * surface.nets * surface.grid**2 * max(1, surface.examples // 100)
    networks = len(initial.activations) * len(initial.initializers) * initial.seeds
    width = initial.width
    of_one = _network((width,) * initial.depth) + FLOAT * width * width * initial.jacobian_examples
    yield "initial", networks * of_one + initial.examples * FLOAT * width * initial.depth
    yield from ((name, _of_training(config[name])) for name in TRAINED)
    yield "baseline", _of_baseline(config.baseline)


def _of_training(settings: ConfigDict) -> int:
    held_out = settings.validation_examples + settings.test_examples + settings.block_size
    total = FLOAT * PIXELS * held_out
    for network in conditions(settings, field="conditions"):
        members = settings.seeds * len(learning_rates(settings, network))
        widths = tuple(settings.widths) or network.widths(settings.width)
        history = FLOAT * (settings.points + 1) * len(widths) * (settings.bins + 20)
        total += members * (COPIES * _network(widths) + history)
    return total


def _of_baseline(settings: ConfigDict) -> int:
    names = ("training", "selection", "validation", "test")
    examples = sum(settings[f"{name}_examples"] for name in names)
    return FLOAT * PIXELS * examples + settings.seeds * COPIES * _network((settings.width,) * 5)


def _network(widths: tuple[int, ...]) -> int:
    sizes = (PIXELS, *widths, CLASSES)
    return FLOAT * sum(a * b for a, b in pairwise(sizes))
