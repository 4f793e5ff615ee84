"""Sizes of every site's signal in the first updates of nets of one width."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from glorot_jax.diagnosis.measuring.examination import join_floats, mean_cost, split_floats
from glorot_jax.diagnosis.tracing.landmarks import MASKED
from glorot_jax.diagnosis.tracing.layout import Site, each_step, flat_steps
from glorot_jax.diagnosis.tracing.programs import compiled_once
from glorot_jax.diagnosis.tracing.scores import Scores
from glorot_jax.diagnosis.tracing.sites import Signals, Traced
from glorot_jax.typing import ApplyFn, InitFn, Loss, PyTree


class CoordinateRow(NamedTuple):
    """A site at one step of its scans, by its fans; or attention's scores, by their number.

    ``feeds_scores``: whether it makes queries or keys.
    """

    label: str
    fan_in: int = 0
    fan_out: int = 0
    scores: int = 0
    feeds_scores: bool = False


@dataclass(frozen=True)
class Learner:
    """A traced model with all that trains it; ``scores`` are exposed by ``traced``."""

    traced: Traced
    scores: tuple[Scores, ...]
    init: InitFn[Any]
    apply_fn: ApplyFn[Any]
    loss: Loss
    optimizer: optax.GradientTransformation

    def rows(self) -> tuple[CoordinateRow, ...]:
        """Sites in the order of the program, then scores; the outputs follow."""
        feeding = {name for one in self.scores for name in one.feeding}
        sites = [
            CoordinateRow(a.label, a.fan_in, a.fan_out, feeds_scores=a.name in feeding)
            for a in self.traced.rows()
        ]
        scores = [
            CoordinateRow(label, scores=prod(one.value.shape))
            for one in self.scores
            for label in one.labels
        ]
        return (*sites, *scores)


class _Shown(NamedTuple):
    """One forward pass: ``scores``, one array [steps, ..] of each of the learner's."""

    signals: Signals
    scores: tuple[jax.Array, ...]


def coordinates(
    learner: Learner, x: PyTree, y: PyTree, keys: jax.Array, /, *, steps: int
) -> dict[str, np.ndarray]:
    """How large signals are in ``steps`` updates on (x, y), of one net a key, in one program.

    Returns, with R the number of ``learner.rows()`` and one more for the outputs as a whole:
      ``s_std`` [keys, steps + 1, R + 1]: over all units and examples, at the start and after
        each update; of scores over those that no mask hides.
      ``change_std`` [keys, steps, R + 1]: of s less s at the start.
      ``update_std`` [keys, steps, sites]: of (W - W at the start) z, with z as it was at the start.
        That is what the site's own update does; the rest of its change comes from below.
      ``z_rms`` [keys, sites]: the root mean square of z at the start, NaN where z are indices.
      ``response`` [keys]: as ``_response``.
    """

    def one(key: jax.Array) -> dict[str, jax.Array]:
        return _trained(learner, learner.init(key), x, y, steps)

    program = compiled_once(jax.vmap(one))
    return {name: np.asarray(values) for name, values in program(keys).items()}


def _trained(
    learner: Learner, params: PyTree, x: PyTree, y: PyTree, steps: int
) -> dict[str, jax.Array]:
    traced, optimizer = learner.traced, learner.optimizer
    cost = mean_cost(learner.apply_fn, learner.loss)
    floats, rest = split_floats(params)

    # Jitted, so that each is traced once though it is used twice.
    @jax.jit
    def run(floats: PyTree) -> _Shown:
        return _run(learner, join_floats(floats, rest), x)

    @jax.jit
    def gradient(floats: PyTree) -> PyTree:
        made = jax.grad(lambda f: cost(join_floats(f, rest), x, y))(floats)
        return jax.tree.map(jnp.conj, made)  # the direction of ascent, where values are complex

    @jax.jit
    def measured(now: _Shown) -> dict[str, jax.Array]:
        return _sizes(learner, start, now)

    def update(carry: Any, _: None) -> Any:
        floats, state = carry
        updates, state = optimizer.update(gradient(floats), state, floats)
        floats = optax.apply_updates(floats, updates)
        return (floats, state), measured(run(floats))

    start = run(floats)
    _, sizes = jax.lax.scan(update, (floats, optimizer.init(floats)), None, length=steps)
    first = measured(start)["s_std"]
    return {
        **sizes,
        "s_std": jnp.concatenate([first[None], sizes["s_std"]]),
        "z_rms": traced.layout.to_rows(
            [_rms(flat_steps(*pair)) for pair in zip(traced.sites, start.signals.z, strict=True)]
        ),
        "response": _response(optimizer, floats, gradient(floats)),
    }


def _run(learner: Learner, params: PyTree, x: PyTree) -> _Shown:
    traced, scores = learner.traced, learner.scores
    zeros = {one.key: one.zeros() for one in scores}
    signals, seen = traced.expose(params, x, traced.perturbations(), zeros)
    flat = [seen[one.key].reshape(prod(one.steps), *one.value.shape) for one in scores]
    return _Shown(signals, tuple(flat))


def _sizes(learner: Learner, start: _Shown, now: _Shown) -> dict[str, jax.Array]:
    traced = learner.traced
    pair = start.signals, now.signals
    sites = [_at_site(site, k, *pair) for k, site in enumerate(traced.sites)]
    rows: Mapping[str, jax.Array] = traced.layout.to_rows(sites)
    before, after = (_joined(one.outputs) for one in pair)
    rest = [
        _of_scores(one.axis + 1, *values)
        for one, *values in zip(learner.scores, start.scores, now.scores, strict=True)
    ]
    rest.append({"s_std": _std(after), "change_std": _std(after - before)})
    return {
        name: jnp.concatenate([values, *(one[name] for one in rest if name in one)])
        for name, values in rows.items()
    }


def _of_scores(axis: int, start: jax.Array, now: jax.Array) -> dict[str, jax.Array]:
    """Of [steps, ..], where no mask, a very low number, hides them at the start."""
    start, now = (a.astype(jnp.float32) for a in (start, now))
    seen = start - jnp.max(start, axis=axis, keepdims=True) > MASKED
    axes = tuple(range(1, start.ndim))
    changed = jnp.where(seen, now, 0.0) - jnp.where(seen, start, 0.0)
    return {
        "s_std": jnp.std(now, axis=axes, where=seen),
        "change_std": jnp.std(changed, axis=axes, where=seen),
    }


def _at_site(site: Site, k: int, start: Signals, now: Signals) -> dict[str, jax.Array]:
    """[steps of the site] by name."""

    def contracted(kernel: jax.Array, z: jax.Array, *others: jax.Array) -> jax.Array:
        return site.contract(z, kernel, *others)

    moved = now.kernels[k] - start.kernels[k]
    own = each_step(site, contracted, moved, start.z[k], *start.others[k])
    s = flat_steps(site, now.s[k])
    change = s - flat_steps(site, start.s[k])
    return {"s_std": _std(s), "change_std": _std(change), "update_std": _std(own)}


def _joined(outputs: PyTree) -> jax.Array:
    """[1, values] of all outputs of a float type."""
    leaves = [a for a in jax.tree.leaves(outputs) if jnp.issubdtype(a.dtype, jnp.inexact)]
    widest = jnp.result_type(*(a.dtype for a in leaves))
    return jnp.concatenate([a.astype(widest).reshape(1, -1) for a in leaves], axis=1)


def _std(values: jax.Array) -> jax.Array:
    """[steps, ..] to [steps]."""
    wide = _wide(values)
    away = wide - jnp.mean(wide, axis=1, keepdims=True)
    return jnp.sqrt(jnp.mean(jnp.square(jnp.abs(away)), axis=1))


def _rms(values: jax.Array) -> jax.Array:
    if not jnp.issubdtype(values.dtype, jnp.inexact):
        return jnp.full(len(values), jnp.nan)
    return jnp.sqrt(jnp.mean(jnp.square(jnp.abs(_wide(values))), axis=1))


def _wide(values: jax.Array) -> jax.Array:
    dtype = jnp.promote_types(values.dtype, jnp.float32)
    return values.astype(dtype).reshape(len(values), -1)


def _response(
    optimizer: optax.GradientTransformation, floats: PyTree, gradient: PyTree
) -> jax.Array:
    """What doubling the gradient adds to the first update, over what the gradient itself adds.

    1 where updates are in proportion to gradients, with weight decay too; 0 where only the
    direction or the signs of a gradient count, as with Adam.
    """

    def first(scale: jax.Array) -> PyTree:
        scaled = jax.tree.map(lambda g: g * scale.astype(g.dtype), gradient)
        return optimizer.update(scaled, optimizer.init(floats), floats)[0]

    firsts = jax.tree.leaves(jax.vmap(first)(jnp.arange(3.0)))
    squares = [jnp.sum(jnp.square(jnp.abs(jnp.diff(a, axis=0))).reshape(2, -1), 1) for a in firsts]
    once, twice = jnp.sqrt(jnp.sum(jnp.stack([a.astype(jnp.float32) for a in squares]), axis=0))
    return twice / once
