"""The stages of a run: what each measures, from a config and a key."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

import jax
import xarray as xr
from ml_collections import ConfigDict

from experiments.configs.base import SET_STAGES, TRAINED
from experiments.data import registry
from experiments.data.errors import DataMissing
from experiments.data.registry import SHAPESET
from experiments.measurements import baseline, examples, initial, surface, trained
from experiments.progress import progress
from experiments.workdir import Workdir
from glorot_jax.data import shapeset
from glorot_jax.data.stream import Task

Named = tuple[str, xr.Dataset]
Stage = Callable[[ConfigDict, jax.Array, Workdir], Named]


def _examples(config: ConfigDict, key: jax.Array, folder: Workdir) -> Named:
    del folder
    others = []
    for name in config.examples.sets:
        fallback = config[name].fallback or None
        # What isn't there yet isn't fetched for the sake of a few pictures.
        with suppress(DataMissing):
            others.append(
                _finite_task(config, name, block_size=1, download=False, fallback=fallback)
            )
    return "examples", examples.measure(config, others, key=key)


def _surface(config: ConfigDict, key: jax.Array, folder: Workdir) -> Named:
    del folder
    return "surface", surface.measure(config, key=key)


def _initial(config: ConfigDict, key: jax.Array, folder: Workdir) -> Named:
    del folder
    settings = config.initial
    task = None
    if settings.dataset != SHAPESET:
        task = _finite_task(config, settings.dataset, block_size=1)
    at_once = len(settings.initializers) * settings.seeds
    total = at_once * len(settings.activations)
    with progress(f"initialisation, {settings.depth} x {settings.width}", total, "networks") as bar:
        return "initial", initial.measure(
            settings,
            initial.monitored(settings, task, key, tuple(config.pixel_range)),
            key=key,
            tick=lambda: bar.advance(at_once),
        )


def _trained(name: str, config: ConfigDict, key: jax.Array, folder: Workdir) -> Named:
    """``config.<name>``: a group called as its data set, or as the study."""
    settings = config[name]
    if settings.dataset == SHAPESET:
        task = shapeset.task(
            key,
            block_size=settings.block_size,
            pixel_range=tuple(config.pixel_range),
            validation=settings.validation_examples,
            test=settings.test_examples,
        )
    else:
        task = _finite_task(
            config,
            settings.dataset,
            block_size=settings.block_size,
            download=settings.download,
            fallback=settings.fallback or None,
        )
    group = folder.claim(task.name if name in SET_STAGES else name, stage=name)
    return group, trained.measure(
        settings,
        task,
        key=key,
        checkpoints=folder.place(name),
    )


def _finite_task(
    config: ConfigDict,
    name: str,
    *,
    block_size: int,
    download: bool = True,
    fallback: str | None = None,
) -> Task:
    return registry.task(
        name,
        block_size=block_size,
        data_dir=config.data_dir or None,
        download=download,
        fallback=fallback,
    )


def _baseline(config: ConfigDict, key: jax.Array, folder: Workdir) -> Named:
    return "baseline", baseline.measure(
        config.baseline,
        pixel_range=tuple(config.pixel_range),
        key=key,
        checkpoints=folder.place("baseline"),
    )


STAGES: Mapping[str, Stage] = {
    "examples": _examples,
    "surface": _surface,
    "initial": _initial,
    **{name: partial(_trained, name) for name in TRAINED},
    "baseline": _baseline,
}
