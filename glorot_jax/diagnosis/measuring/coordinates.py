"""Sizes of every site's signal in the first updates of nets of one width."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from glorot_jax.diagnosis.measuring.examination import join_floats, mean_cost, split_floats
from glorot_jax.diagnosis.tracing.layout import Site, each_step, flat_steps
from glorot_jax.diagnosis.tracing.programs import compiled_once
from glorot_jax.diagnosis.tracing.sites import Signals, Traced
from glorot_jax.typing import ApplyFn, InitFn, Loss, PyTree


@dataclass(frozen=True)
class Learner:
    """A traced model with all that trains it."""

    traced: Traced
    init: InitFn[Any]
    apply_fn: ApplyFn[Any]
    loss: Loss
    optimizer: optax.GradientTransformation


def coordinates(
    learner: Learner, x: PyTree, y: PyTree, keys: jax.Array, /, *, steps: int
) -> dict[str, np.ndarray]:
    """How large signals are in ``steps`` updates on (x, y), of one net a key, in one program.

    Returns, with R the rows of ``traced.rows()`` and one more for the outputs as a whole:
      ``s_std`` [keys, steps + 1, R + 1]: over all units and examples, at the start and after
        each update. ``change_std`` [keys, steps, R + 1]: of s less s at the start.
      ``update_std`` [keys, steps, R]: of (W - W at the start) z, with z as it was at the start.
        That is what the site's own update does; the rest of its change comes from below.
      ``z_rms`` [keys, R]: the root mean square of z at the start, NaN where z are indices.
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
    start = traced.run(params, x)

    def gradient(floats: PyTree) -> PyTree:
        made = jax.grad(lambda f: cost(join_floats(f, rest), x, y))(floats)
        return jax.tree.map(jnp.conj, made)  # the direction of ascent, where values are complex

    def update(carry: Any, _: None) -> Any:
        floats, state = carry
        updates, state = optimizer.update(gradient(floats), state, floats)
        floats = optax.apply_updates(floats, updates)
        return (floats, state), _sizes(traced, start, traced.run(join_floats(floats, rest), x))

    state = optimizer.init(floats)
    _, measured = jax.lax.scan(update, (floats, state), None, length=steps)
    first = _sizes(traced, start, start)["s_std"]
    return {
        **measured,
        "s_std": jnp.concatenate([first[None], measured["s_std"]]),
        "z_rms": traced.layout.to_rows(
            [_rms(flat_steps(site, z)) for site, z in zip(traced.sites, start.z, strict=True)]
        ),
        "response": _response(optimizer, floats, gradient(floats)),
    }


def _sizes(traced: Traced, start: Signals, now: Signals) -> dict[str, jax.Array]:
    sites = [_at_site(site, k, start, now) for k, site in enumerate(traced.sites)]
    rows: Mapping[str, jax.Array] = traced.layout.to_rows(sites)
    before, after = _joined(start.outputs), _joined(now.outputs)
    outputs = {"s_std": _std(after), "change_std": _std(after - before)}
    return {
        name: jnp.concatenate([values, outputs[name]]) if name in outputs else values
        for name, values in rows.items()
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
    return jnp.std(_wide(values), axis=1)


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

    def first(scale: float) -> PyTree:
        scaled = jax.tree.map(lambda g: g * jnp.asarray(scale, g.dtype), gradient)
        return optimizer.update(scaled, optimizer.init(floats), floats)[0]

    none, once, twice = map(first, (0.0, 1.0, 2.0))
    return _distance(twice, once) / _distance(once, none)


def _distance(one: PyTree, other: PyTree) -> jax.Array:
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    squares = [jnp.sum(jnp.square(jnp.abs(a - b)).astype(jnp.float32)) for a, b in pairs]
    return jnp.sqrt(jnp.sum(jnp.stack(squares)))
