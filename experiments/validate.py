"""Checks a whole config before anything is measured or written."""

from collections.abc import Iterable

from ml_collections import ConfigDict

from experiments.conditions import parse
from experiments.configs.base import FIGURE_STAGES, PRESETS
from experiments.errors import ConfigError, at_least, choose
from glorot_jax.activations import ACTIVATIONS
from glorot_jax.data import tfds_sets
from glorot_jax.initializers import INITIALIZERS
from glorot_jax.losses import LOSSES


def validate(config: ConfigDict) -> None:
    """Refuses a config that can't be run.

    Raises:
      ConfigError: one line that names the first bad field, its value and what is allowed.
    """
    choose(config.preset, PRESETS, field="config.preset")
    _some(config.figures, field="config.figures")
    for figure in config.figures:
        choose(figure, FIGURE_STAGES, field="config.figures")
    at_least(config.seed, 0, field="config.seed")
    at_least(config.checkpoint_seconds, 0, field="config.checkpoint_seconds")
    low, high = config.pixel_range
    if not low < high:
        raise ConfigError(f"config.pixel_range: {low}, {high} is not an increasing pair")
    _positive(config.examples, ("count",), prefix="config.examples")
    _positive(config.surface, ("nets", "examples", "reach"), prefix="config.surface")
    at_least(config.surface.grid, 2, field="config.surface.grid")
    _validate_initial(config.initial)
    choose(config.online.dataset, ("shapeset",), field="config.online.dataset")
    choose(config.finite.dataset, tfds_sets.NAMES, field="config.finite.dataset")
    choose(config.finite.fallback, ("", "digits"), field="config.finite.fallback")
    _validate_training(config.online, prefix="config.online")
    _validate_training(config.finite, prefix="config.finite")
    held_out = ("validation_examples", "test_examples")
    _positive(config.online, held_out, prefix="config.online")
    if config.online.probe_examples > config.online.test_examples:
        raise ConfigError(
            f"config.online.probe_examples: {config.online.probe_examples} is more than the "
            f"{config.online.test_examples} of config.online.test_examples"
        )


def _validate_initial(settings: ConfigDict) -> None:
    prefix = "config.initial"
    counts = ("depth", "width", "examples", "seeds", "jacobian_examples", "bins")
    _positive(settings, counts, prefix=prefix)
    for name, allowed in (("activations", ACTIVATIONS), ("initializers", INITIALIZERS)):
        _some(settings[name], field=f"{prefix}.{name}")
        for value in settings[name]:
            choose(value, allowed, field=f"{prefix}.{name}")
    if settings.jacobian_examples > settings.examples:
        raise ConfigError(
            f"{prefix}.jacobian_examples: {settings.jacobian_examples} is more than the "
            f"{settings.examples} of {prefix}.examples"
        )


def _validate_training(settings: ConfigDict, *, prefix: str) -> None:
    counts = (
        "batch_size", "width", "seeds", "block_size", "probe_examples", "bins", "updates", "points"
    )  # fmt: skip
    _positive(settings, counts, prefix=prefix)
    choose(settings.loss, LOSSES, field=f"{prefix}.loss")
    _some(settings.conditions, field=f"{prefix}.conditions")
    conditions = [parse(text, field=f"{prefix}.conditions") for text in settings.conditions]
    if len(set(conditions)) < len(conditions):
        raise ConfigError(f"{prefix}.conditions: {', '.join(settings.conditions)} repeats one")
    for condition in conditions:
        if settings.widths and len(settings.widths) != condition.depth:
            raise ConfigError(
                f"{prefix}.widths: {len(settings.widths)} widths, but {condition.label} "
                f"has depth {condition.depth}; give one width a layer"
            )
    for width in settings.widths:
        at_least(width, 1, field=f"{prefix}.widths")
    _some(settings.learning_rates, field=f"{prefix}.learning_rates")
    for rate in settings.learning_rates:
        if not 0 < rate < float("inf"):
            raise ConfigError(f"{prefix}.learning_rates: {rate} is not a positive number")
    _validate_schedule(settings, prefix=prefix)


def _validate_schedule(settings: ConfigDict, *, prefix: str) -> None:
    if settings.block_size % settings.batch_size:
        raise ConfigError(
            f"{prefix}.batch_size: {settings.batch_size} does not divide {prefix}.block_size, "
            f"{settings.block_size} examples"
        )
    per_block = settings.block_size // settings.batch_size
    if settings.updates % per_block or settings.updates < per_block * settings.points:
        raise ConfigError(
            f"{prefix}.updates: {settings.updates} is not a multiple of {per_block} (one block) "
            f"of at least {per_block * settings.points} (one block for each of "
            f"{settings.points} points)"
        )


def _positive(settings: ConfigDict, names: Iterable[str], *, prefix: str) -> None:
    for name in names:
        if not settings[name] > 0:
            raise ConfigError(f"{prefix}.{name}: {settings[name]} is not a positive number")


def _some(values: tuple, *, field: str) -> None:
    if not values:
        raise ConfigError(f"{field}: empty; name at least one")
