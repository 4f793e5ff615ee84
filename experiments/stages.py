"""The stages of a run: what each measures, from a config and a key."""

from collections.abc import Callable, Mapping

import jax
import xarray as xr
from ml_collections import ConfigDict

from experiments.parts import examples, initial, surface, trained
from experiments.progress import progress
from experiments.workdir import Workdir
from glorot_jax.data import shapeset, tfds_sets
from glorot_jax.data.stream import Task

Named = tuple[str, xr.Dataset]


def _examples(config: ConfigDict, key: jax.Array, folder: Workdir) -> Named:
    del folder
    return "examples", examples.measure(config, key=key)


def _surface(config: ConfigDict, key: jax.Array, folder: Workdir) -> Named:
    del folder
    return "surface", surface.measure(config, key=key)


def _initial(config: ConfigDict, key: jax.Array, folder: Workdir) -> Named:
    del folder
    settings = config.initial
    at_once = len(settings.initializers) * settings.seeds
    total = at_once * len(settings.activations)
    with progress(f"initialisation, {settings.depth} x {settings.width}", total, "networks") as bar:
        return "initial", initial.measure(config, key=key, tick=lambda: bar.advance(at_once))


def _online(config: ConfigDict, key: jax.Array, folder: Workdir) -> Named:
    settings = config.online
    data_key, train_key = jax.random.split(key)
    task = shapeset.task(
        data_key,
        block_size=settings.block_size,
        pixel_range=tuple(config.pixel_range),
        validation=settings.validation_examples,
        test=settings.test_examples,
    )
    return _train(config, settings, task, train_key, folder)


def _finite(config: ConfigDict, key: jax.Array, folder: Workdir) -> Named:
    settings = config.finite
    task = tfds_sets.task(
        settings.dataset,
        block_size=settings.block_size,
        data_dir=config.data_dir or None,
        fallback=settings.fallback or None,
    )
    return _train(config, settings, task, key, folder)


def _train(
    config: ConfigDict, settings: ConfigDict, task: Task, key: jax.Array, folder: Workdir
) -> Named:
    return task.name, trained.measure(
        settings,
        task,
        key=key,
        checkpoints=folder.checkpoints / task.name,
        seconds_between=config.checkpoint_seconds,
    )


STAGES: Mapping[str, Callable[[ConfigDict, jax.Array, Workdir], Named]] = {
    "examples": _examples,
    "surface": _surface,
    "initial": _initial,
    "online": _online,
    "finite": _finite,
}
