"""What scales each site's kernel: a parameter, and the steps of it; found by trying."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import permutations
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from glorot_jax.diagnosis.tracing.layout import Site, Unreached, step_indices
from glorot_jax.diagnosis.tracing.programs import compiled_once
from glorot_jax.diagnosis.tracing.sites import Traced
from glorot_jax.typing import PyTree


@dataclass(frozen=True)
class Scaled:
    """Where the scale of a site's kernel is: a leaf, and its axes that are the steps of scans."""

    leaf: int
    axes: tuple[int, ...]


def find_scales(traced: Traced, params: PyTree, x: PyTree) -> list[Scaled | str]:
    """What scales each site's kernel, or why nothing does."""
    look = compiled_once(lambda params, x: traced.run(params, x).kernels)
    kernels = jax.device_get(look(params, x))
    leaves, structure = jax.tree.flatten(params)
    tried: dict[Scaled, Any] = {}

    def scales(index: int, where: Scaled) -> bool:
        """Whether scaling the steps of a leaf scales this site's kernel alike."""
        lengths = [leaves[where.leaf].shape[axis] for axis in where.axes]
        factors = np.random.default_rng(where.leaf).uniform(1.25, 2, lengths)
        if where not in tried:
            changed = list(leaves)
            changed[where.leaf] = multiplied(leaves[where.leaf], factors, where.axes)
            tried[where] = jax.device_get(look(jax.tree.unflatten(structure, changed), x))
        return _is_multiple(kernels[index], tried[where][index], factors)

    return [
        _where(site, traced, kernels[index], leaves, partial(scales, index))
        for index, site in enumerate(traced.sites)
    ]


def _where(
    site: Site,
    traced: Traced,
    kernel: np.ndarray,
    leaves: Sequence[jax.Array],
    scales: Callable[[Scaled], bool],
) -> Scaled | str:
    if np.isnan(np.asarray(kernel, np.result_type(kernel, np.float32))).all():
        return "is in a branch that isn't taken"
    lengths = [n for n, varies in zip(site.steps, site.kernel_varies, strict=True) if varies]
    for leaf in _leaves_of(site, [name for name, _ in traced.inputs[: len(leaves)]]):
        shape = leaves[leaf].shape
        if jnp.issubdtype(leaves[leaf].dtype, jnp.inexact):
            for axes in permutations(range(len(shape)), len(lengths)):
                where = Scaled(leaf, axes)
                if [shape[axis] for axis in axes] == lengths and scales(where):
                    return where
    return "is computed in such a way that scaling no parameter scales it"


def _leaves_of(site: Site, names: Sequence[str]) -> list[int]:
    for name in (site.name, re.sub(r" #\d+$", "", site.name)):
        for parts in ([name], name.split("+")):
            if set(parts) <= set(names):
                return [names.index(part) for part in parts]
    return []


@partial(jax.jit, static_argnames="axes")
def multiplied(leaf: jax.Array, factors: jax.Array, axes: tuple[int, ...]) -> jax.Array:
    """``leaf`` in its own type, ``factors`` along ``axes`` of it."""
    precise = jnp.finfo(leaf.dtype).bits > 32 or jnp.issubdtype(leaf.dtype, jnp.complexfloating)
    wide = leaf.dtype if precise else jnp.float32
    along = factors.astype(wide).transpose(np.argsort(axes))
    shape = [size if axis in axes else 1 for axis, size in enumerate(leaf.shape)]
    return (leaf.astype(wide) * along.reshape(shape)).astype(leaf.dtype)


def _is_multiple(kernel: np.ndarray, scaled: np.ndarray, factors: np.ndarray) -> bool:
    """Whether each step's kernel was multiplied by its factor, as far as it was seen."""
    before, after = (
        np.asarray(a, np.result_type(a, np.float64)).reshape(factors.size, -1)
        for a in (kernel, scaled)
    )
    seen = np.isfinite(before).all(axis=1)
    before, after, wanted = before[seen], after[seen], factors.reshape(-1, 1)[seen]
    # Rounded to 8 bits, or not the same at all.
    return bool((np.abs(after - wanted * before) <= 0.02 * np.abs(before).max()).all())


@dataclass(frozen=True)
class Group:
    """Rows whose kernels have one scale in common: a leaf, or one step of it along ``axes``."""

    where: Scaled
    step: tuple[int, ...]
    rows: tuple[int, ...]
    label: str


def find_groups(
    traced: Traced, kernels: Sequence[Scaled | str]
) -> tuple[list[Group], list[Unreached]]:
    """Groups in the order of their first rows; what can't be scaled and why."""
    axes: dict[int, tuple[int, ...]] = {}
    for where in kernels:
        if isinstance(where, Scaled):
            # Uses that don't agree on the steps can only be scaled together.
            agreed = axes.setdefault(where.leaf, where.axes) == where.axes
            axes[where.leaf] = where.axes if agreed else ()
    rows: dict[tuple[Scaled, tuple[int, ...]], list[int]] = {}
    skipped: dict[str, str] = {}
    for row, (index, count) in enumerate(traced.layout.places):
        site, where = traced.sites[index], kernels[index]
        if isinstance(where, str):
            skipped[site.name] = where
            continue
        where = replace(where, axes=axes[where.leaf])
        step = step_indices(site)[count]
        own = tuple(i for i, varies in zip(step, site.kernel_varies, strict=True) if varies)
        rows.setdefault((where, own if where.axes else ()), []).append(row)
    groups = [
        Group(where, step, tuple(mine), traced.rows()[mine[0]].label)
        for (where, step), mine in rows.items()
    ]
    return groups, [Unreached(name, why) for name, why in skipped.items()]
