"""A part per data set trained on (Figs. 2-4, 9-12 and Table 1): the whole grid as ensembles."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from ml_collections import ConfigDict

from experiments.checkpoint import Checkpoints
from experiments.conditions import Condition, parse
from experiments.progress import progress
from glorot_jax.activations import ACTIVATIONS
from glorot_jax.data.stream import Task
from glorot_jax.initializers import INITIALIZERS
from glorot_jax.losses import LOSSES
from glorot_jax.network import MLP
from glorot_jax.probes import QUANTILES
from glorot_jax.probes.activations import ACTIVATION_RANGE
from glorot_jax.results import labelled
from glorot_jax.training import ensemble as ensembles
from glorot_jax.training import loop
from glorot_jax.training.update import make_update

GRID = ("condition", "learning_rate", "seed")
OF_EVERY_MEMBER = ("validation_error", "test_error", "test_cost")


class Program(NamedTuple):
    """Conditions that differ only in what one compiled program can hold: the initialiser."""

    activation: str
    depth: int
    conditions: tuple[Condition, ...]

    @property
    def name(self) -> str:
        return f"{self.activation}-{self.depth}"


def programs(conditions: Sequence[Condition]) -> list[Program]:
    """Conditions grouped by what makes another program: activation and depth."""
    kinds = dict.fromkeys((c.activation, c.depth) for c in conditions)
    return [
        Program(*kind, tuple(c for c in conditions if (c.activation, c.depth) == kind))
        for kind in kinds
    ]


def schedule(settings: ConfigDict) -> np.ndarray:
    """Blocks between evaluation points, [points + 1]; the first point is at initialisation."""
    total = settings.updates * settings.batch_size // settings.block_size
    ends = np.round(np.linspace(0, total, settings.points + 1)).astype(np.int64)
    return np.diff(ends, prepend=0)


def measure(
    settings: ConfigDict, task: Task, *, key: jax.Array, checkpoints: Path, seconds_between: float
) -> xr.Dataset:
    """Trains every condition x learning rate x seed of ``settings`` on ``task``.

    Checkpoints go to ``checkpoints/<program>``; a program found there goes on where it stopped.
    """
    conditions = [parse(text, field="conditions") for text in settings.conditions]
    # The stand-in for a finite set can be smaller than the set that the config asks for.
    sets = loop.held_out(task, probe_examples=min(settings.probe_examples, len(task.test.y)))
    histories: dict[Condition, dict[str, np.ndarray]] = {}
    for program in programs(conditions):
        history = _train(
            program,
            settings,
            task,
            sets,
            key=key,
            folder=checkpoints / program.name,
            seconds_between=seconds_between,
        )
        histories |= dict(zip(program.conditions, history, strict=True))
    return _dataset([histories[c] for c in conditions], conditions, settings, task, sets)


def _variants(program: Program, settings: ConfigDict) -> list[ensembles.Variant]:
    made = {name: INITIALIZERS[name]() for name in {c.initializer for c in program.conditions}}
    # Seed first, so that members which share a stream sit side by side on a device.
    return [
        ensembles.Variant(seed, rate, made[condition.initializer])
        for seed in range(settings.seeds)
        for condition in program.conditions
        for rate in settings.learning_rates
    ]


def _build(
    program: Program,
    variants: list[ensembles.Variant],
    settings: ConfigDict,
    task: Task,
    key: jax.Array,
) -> tuple[ensembles.Ensemble, loop.Advance]:
    """The fresh ensemble of ``program`` and the compiled program that trains it."""
    model = MLP(
        tuple(settings.widths) or (settings.width,) * program.depth,
        len(task.class_names),
        ACTIVATIONS[program.activation],
    )
    loss, mesh = LOSSES[settings.loss], ensembles.member_mesh()
    ensemble = ensembles.create(
        variants,
        model=model,
        inputs=task.test.x.shape[1],
        make_optimizer=optax.sgd,
        stream=task.train,
        key=key,
        mesh=mesh,
    )
    advance = ensembles.make_advance(
        update=make_update(model, loss, optax.sgd),
        probe=loop.make_probe(model, loss, bins=settings.bins),
        stream=task.train,
        batch_size=settings.batch_size,
        mesh=mesh,
    )
    return ensemble, advance


def _train(
    program: Program,
    settings: ConfigDict,
    task: Task,
    sets: loop.HeldOut,
    *,
    key: jax.Array,
    folder: Path,
    seconds_between: float,
) -> list[dict[str, np.ndarray]]:
    """One history a condition: name -> [learning_rate, seed, point, ...]."""
    variants = _variants(program, settings)
    ensemble, advance = _build(program, variants, settings, task, key)
    blocks, arrays = schedule(settings), task.train.arrays
    _, shapes = jax.eval_shape(advance, ensemble, arrays, sets, jnp.asarray(0))
    history = jax.tree.map(lambda leaf: np.zeros((len(blocks), *leaf.shape), leaf.dtype), shapes)
    saved = Checkpoints(folder, seconds_between=seconds_between)
    done, (ensemble, history) = saved.restore((ensemble, history)) or (0, (ensemble, history))
    history = jax.tree.map(np.array, history)
    updates = blocks * settings.block_size // settings.batch_size * len(variants)
    title = f"{task.name} {program.name}, {len(variants)} members"
    with progress(title, int(updates.sum()), "updates", done=int(updates[:done].sum())) as bar:
        for point, state, measured in loop.run(
            advance, ensemble, arrays=arrays, sets=sets, blocks=blocks, done=done
        ):
            for name, values in measured.items():
                history[name][point - 1] = values
            saved.save(point, (state, history), last=point == len(blocks))
            bar.advance(int(updates[point - 1]))
    saved.close()
    return _by_condition(history, program, settings)


def _by_condition(
    history: dict[str, np.ndarray], program: Program, settings: ConfigDict
) -> list[dict[str, np.ndarray]]:
    grid = (settings.seeds, len(program.conditions), len(settings.learning_rates))
    members = int(np.prod(grid))

    def regrid(values: np.ndarray) -> np.ndarray:
        values = values[:, :members].reshape(len(values), *grid, *values.shape[2:])
        return np.moveaxis(values, (2, 3, 1, 0), (0, 1, 2, 3))

    gridded = {name: regrid(values) for name, values in history.items()}
    return [
        {name: values[index] for name, values in gridded.items()}
        for index in range(len(program.conditions))
    ]


def select(validation_error: np.ndarray, diverged: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Model selection: the learning rate of least mean validation error at the end of training.

    Args:
      validation_error: [condition, learning_rate, seed].
      diverged: the same shape; a rate at which any seed diverged is never chosen.

    Returns:
      selection error [condition, learning_rate], NaN where a seed diverged, and the index of the
      chosen rate [condition], -1 where there is none.
    """
    error = np.where(diverged.any(axis=2), np.nan, validation_error.mean(axis=2))
    best = np.argmin(np.where(np.isnan(error), np.inf, error), axis=1)
    return error, np.where(np.isnan(error).all(axis=1), -1, best)


def _dataset(
    histories: list[dict[str, np.ndarray]],
    conditions: list[Condition],
    settings: ConfigDict,
    task: Task,
    sets: loop.HeldOut,
) -> xr.Dataset:
    updates = np.cumsum(schedule(settings)) * settings.block_size // settings.batch_size
    rates = np.asarray(settings.learning_rates, np.float32)
    finite: np.ndarray = np.stack([history["finite"] for history in histories])
    selection_error, chosen = select(
        np.stack([history["validation_error"][..., -1] for history in histories]),
        np.logical_not(finite.all(axis=3)),
    )
    chosen_rate = np.where(chosen >= 0, rates[chosen], np.nan)
    first_seen = np.where(finite.all(axis=3), np.nan, updates[np.argmin(finite, axis=3)])
    variables: dict[str, tuple[tuple[str, ...], Any]] = {
        "diverged_at": (GRID, first_seen),
        "selection_error": (GRID[:2], selection_error),
        "chosen_learning_rate": (GRID[:1], chosen_rate),
    }
    for name in OF_EVERY_MEMBER:
        variables[name] = ((*GRID, "update"), np.stack([history[name] for history in histories]))
    final = np.stack([variables["test_error"][1][c, i, :, -1] for c, i in enumerate(chosen)])
    variables["final_test_error"] = (
        ("condition", "seed"),
        np.where(chosen[:, None] >= 0, final, np.nan),
    )
    variables |= _probe_variables(histories, chosen)
    coords = {
        "condition": [c.label for c in conditions],
        "activation": ("condition", [c.activation for c in conditions]),
        "initializer": ("condition", [c.initializer for c in conditions]),
        "depth": ("condition", [c.depth for c in conditions]),
        "learning_rate": rates,
        "seed": np.arange(settings.seeds),
        "update": updates,
        "layer": np.arange(1, max(c.depth for c in conditions) + 1),
        "quantile": list(QUANTILES),
        "activation_bin_edge": (
            "edge",
            np.linspace(*ACTIVATION_RANGE, settings.bins + 1, dtype=np.float32),
        ),
    }
    attrs = {
        "origin": task.origin,
        "class_names": list(task.class_names),
        "inputs": task.test.x.shape[1],
        "classes": len(task.class_names),
        "batch_size": settings.batch_size,
        "width": settings.width,
        "loss": settings.loss,
        "validation_examples": len(task.validation.y),
        "test_examples": len(task.test.y),
        "probe_examples": len(sets.probe.y),
    }
    data = {name: labelled(name, dims, values) for name, (dims, values) in variables.items()}
    return xr.Dataset(data, coords, attrs)


def _probe_variables(
    histories: list[dict[str, np.ndarray]], chosen: np.ndarray
) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
    """What the probes saw in the members at the chosen rate; NaN above a condition's depth."""
    groups = ("activation_", "backprop_", "weight_gradient_")
    names = [name for name in histories[0] if name.startswith(groups)]
    depth = max(history[names[0]].shape[3] for history in histories)
    found = {}
    for name in names:
        rows = []
        for history, index in zip(histories, chosen, strict=True):
            values = history[name][index]
            missing = [(0, 0)] * values.ndim
            missing[2] = (0, depth - values.shape[2])
            padded = np.pad(values, missing, constant_values=np.nan)
            rows.append(padded if index >= 0 else np.full_like(padded, np.nan))
        last = {"quantile": ("quantile",), "histogram": ("bin",)}.get(name.rsplit("_", 1)[-1], ())
        found[name] = (("condition", "seed", "update", "layer", *last), np.stack(rows))
    return found
