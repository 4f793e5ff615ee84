"""Checks a whole config before anything is measured or written."""

from collections.abc import Iterable

import numpy as np
from ml_collections import ConfigDict

from experiments.configs import presets
from experiments.configs.base import ONLINE, SET_STAGES, TRAINED, paper
from experiments.data.registry import DATA_SETS, FINITE
from experiments.errors import ConfigError, at_least, choose
from experiments.field_types import check_types
from experiments.footprint import check_memory
from experiments.measurements.trained import conditions
from experiments.networks import DENOISING, check_activation, check_depth, check_scheme
from experiments.stages import STAGES
from experiments.training import SPACINGS
from glorot_jax import dotted, initialization
from glorot_jax.losses import LOSSES
from glorot_jax.training.optimizers import OPTIMIZERS

SMALLEST, LARGEST = (float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max))
FINITE_STAGES = tuple(stage for stage in SET_STAGES if stage != ONLINE)


def validate(config: ConfigDict) -> None:
    """Refuses a config that can't be run.

    Raises:
      ConfigError: one line that names the first bad field, its value and what is allowed.
    """
    check_types(config, paper("smoke"))
    choose(config.preset, presets(config.name), field="config.preset")
    _some(config.stages, field="config.stages")
    for stage in config.stages:
        choose(stage, STAGES, field="config.stages")
        if config.stages.count(stage) > 1:
            raise ConfigError(f"config.stages: {stage} is named twice")
    at_least(config.seed, 0, field="config.seed")
    at_least(config.checkpoint_seconds, 0, field="config.checkpoint_seconds")
    low, high = config.pixel_range
    if not low < high:
        raise ConfigError(f"config.pixel_range: {low}, {high} is not an increasing pair")
    _validate_custom(config)
    _positive(config.examples, ("count",), prefix="config.examples")
    for name in config.examples.sets:
        choose(name, FINITE_STAGES, field="config.examples.sets")
    _positive(config.surface, ("nets", "examples", "reach"), prefix="config.surface")
    at_least(config.surface.grid, 2, field="config.surface.grid")
    _validate_initial(config.initial)
    for name in TRAINED:
        _validate_training(config[name], prefix=f"config.{name}")
    _validate_data_sets(config)
    _validate_baseline(config.baseline)
    check_memory(config)


def _validate_custom(config: ConfigDict) -> None:
    for path in config.custom_initializers:
        check_scheme(path, field="config.custom_initializers")
    for path in config.custom_activations:
        check_activation(path, field="config.custom_activations")


def _validate_data_sets(config: ConfigDict) -> None:
    """No two stages make the same group."""
    trained_by: dict[str, str] = {}
    for name in SET_STAGES:
        dataset = config[name].dataset
        if name in config.stages and dataset in trained_by:
            raise ConfigError(
                f"config.{name}.dataset: {dataset} is what config.{trained_by[dataset]} trains on; "
                "leave one of them out of config.stages"
            )
        if name in config.stages:
            trained_by[dataset] = name


def _validate_initial(settings: ConfigDict) -> None:
    prefix = "config.initial"
    counts = (
        "depth", "width", "examples", "seeds", "jacobian_examples", "mean_examples", "bins"
    )  # fmt: skip
    _positive(settings, counts, prefix=prefix)
    choose(settings.dataset, DATA_SETS, field=f"{prefix}.dataset")
    for name, check in (("activations", check_activation), ("initializers", check_scheme)):
        _some(settings[name], field=f"{prefix}.{name}")
        for value in settings[name]:
            if value == DENOISING:
                raise ConfigError(f"{prefix}.{name}: {value} is trained, not drawn")
            check(value, field=f"{prefix}.{name}")
    check_depth(settings.depth, field=f"{prefix}.depth")
    _validate_seeds(settings.initializers, settings.seeds, field=f"{prefix}.initializers")
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
    held_out = ("validation_examples", "test_examples")
    _positive(settings, held_out, prefix=prefix)
    if settings.probe_examples > settings.test_examples:
        raise ConfigError(
            f"{prefix}.probe_examples: {settings.probe_examples} is more than the "
            f"{settings.test_examples} of {prefix}.test_examples"
        )
    choose(settings.dataset, DATA_SETS, field=f"{prefix}.dataset")
    choose(settings.fallback, ("", *FINITE), field=f"{prefix}.fallback")
    choose(settings.loss, LOSSES, field=f"{prefix}.loss")
    _some(settings.conditions, field=f"{prefix}.conditions")
    for depth in settings.depths:
        check_depth(depth, field=f"{prefix}.depths")
    named = conditions(settings, field=f"{prefix}.conditions")
    if len(set(named)) < len(named):
        raise ConfigError(f"{prefix}.conditions: {', '.join(settings.conditions)} repeats one")
    names = [condition.name for condition in named]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(
                f"{prefix}.conditions: two networks of {', '.join(settings.conditions)} would both "
                f"be called {name!r}; rename one's function"
            )
    schemes = [condition.scheme for condition in named]
    _validate_seeds(schemes, settings.seeds, field=f"{prefix}.conditions")
    for condition in named:
        if settings.widths and len(settings.widths) != condition.depth:
            raise ConfigError(
                f"{prefix}.widths: {len(settings.widths)} widths, but {condition.name} "
                f"has depth {condition.depth}; give one width a layer"
            )
    for width in settings.widths:
        at_least(width, 1, field=f"{prefix}.widths")
    _validate_rates(settings.learning_rates, field=f"{prefix}.learning_rates")
    for optimizer, rates in settings.optimizer_learning_rates.items():
        field = f"{prefix}.optimizer_learning_rates"
        choose(optimizer, OPTIMIZERS, field=field)
        _validate_rates(rates, field=f"{field}.{optimizer}")
    for text, rates in settings.network_learning_rates.items():
        field = f"{prefix}.network_learning_rates"
        choose(text, [condition.text for condition in named], field=field)
        _validate_rates(rates, field=f"{field}.{text}")
    choose(settings.spacing, SPACINGS, field=f"{prefix}.spacing")
    _validate_schedule(settings, prefix=prefix)
    if any(condition.scheme == DENOISING for condition in named):
        _validate_pretraining(settings, prefix=prefix)


def _validate_rates(rates: tuple[float, ...], *, field: str) -> None:
    _some(rates, field=field)
    for rate in rates:
        if not SMALLEST <= rate <= LARGEST:
            raise ConfigError(f"{field}: {rate} is not a positive number of float32")


def _validate_seeds(schemes: Iterable[str], seeds: int, *, field: str) -> None:
    """Seeds are taken for independent: a scheme that ignores its key has one."""
    for scheme in schemes:
        if seeds > 1 and dotted.is_path(scheme) and not initialization.depends_on_key(scheme):
            raise ConfigError(
                f"{field}: {scheme} draws the same kernels from every key, and {seeds} seeds would "
                "be taken for independent; let it use its key, or set seeds to 1"
            )


def _validate_pretraining(settings: ConfigDict, *, prefix: str) -> None:
    pretraining = settings.pretraining
    prefix = f"{prefix}.pretraining"
    _positive(pretraining, ("updates", "points"), prefix=prefix)
    _validate_rates((pretraining.learning_rate,), field=f"{prefix}.learning_rate")
    if not 0 <= pretraining.corruption < 1:
        raise ConfigError(f"{prefix}.corruption: {pretraining.corruption} is not in [0, 1)")
    whole = ConfigDict({**pretraining, "batch_size": settings.batch_size})
    whole.block_size = settings.block_size
    _validate_schedule(whole, prefix=prefix)


def _validate_baseline(settings: ConfigDict) -> None:
    prefix = "config.baseline"
    counts = (
        "training_examples", "selection_examples", "validation_examples", "test_examples",
        "seeds", "width", "updates", "points", "batch_size", "block_size",
    )  # fmt: skip
    _positive(settings, counts, prefix=prefix)
    for name in ("svm_c", "svm_gamma", "learning_rates"):
        _validate_rates(settings[name], field=f"{prefix}.{name}")
    if settings.block_size > settings.training_examples:
        raise ConfigError(
            f"{prefix}.block_size: {settings.block_size} is more than the "
            f"{settings.training_examples} of {prefix}.training_examples"
        )
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
