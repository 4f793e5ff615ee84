"""What is measured at each site, as one pure function of (params, x, y)."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from glorot_jax.activations import SATURATED_SLOPE, Activation
from glorot_jax.diagnosis.plan import Site
from glorot_jax.diagnosis.sites import Signals, Traced
from glorot_jax.losses import Loss, cross_entropy
from glorot_jax.probes.quantile import quantile

QUANTILES = (0.02, 0.5, 0.98)


def site_statistics(
    traced: Traced, params: Any, x: Any, y: jax.Array, /, *, loss: Loss = cross_entropy
) -> Mapping[str, jax.Array]:
    """Statistics of every row of ``traced.rows()``: one a site, and one a step inside a scan.

    ``x`` [n, ..] and labels ``y`` [n] are examples. Pure, for ``jit`` and for ``vmap`` over seeds.
    Where nothing is to be measured (the input of an embedding, the slope of what isn't an
    elementwise function, a branch not taken) a value is NaN. Returns arrays whose first axis is
    the row, all float32:
      z_mean, z_std, z_mean_square, s_mean, s_std, s_mean_square: [rows], over all values of the
        site's input z and pre-activation s; the mean square of s is q.
      z_quantile, s_quantile: [rows, 3], the 2nd, 50th and 98th percentile.
      z_cosine, s_cosine: [rows], mean cosine between the values of two examples.
      saturated: [rows], fraction of s where the slope f'(s) of what follows is below 5% of the
        slope at 0; always 0 where the slope at 0 is 0, as JAX says of relu.
      dead: [rows], fraction of units whose slope is 0 for every example; a unit at another
        position, in an image or a text, is another unit.
      ds_std, ds_mean_square, ds_norm: [rows], of dC/ds, C each example's own cost.
      dw_std, dw_norm: [rows], of dC/dw of the mean cost through this site and step alone: a
        parameter's gradient is the sum over its rows. dw_ratio: dw_norm over kernel_norm.
      kernel_std, kernel_norm: [rows]. gain: [rows], n Var[W] with n the fan-in; an embedding's n is
        the number of its rows, of which it adds up one.

    Raises:
      ValueError: params or x aren't as traced, or ``loss`` of the logits and y isn't [n].
    """

    traced.check(params, x)
    _check_costs(loss, traced.logits, y)

    def total_cost(taps: tuple[jax.Array, ...]) -> tuple[jax.Array, Signals]:
        found = traced.run(params, x, taps)
        return jnp.sum(loss(found.logits, y)), found

    ds, found = jax.grad(total_cost, has_aux=True)(traced.taps())
    sites = []
    for site, *values in zip(traced.sites, found.z, found.s, ds, found.kernels, strict=True):
        one_step = partial(_one_step, site, traced.logits.shape[0])
        measured = _each_step(one_step, site.kernel_varies, *values)
        flat = len(site.steps)
        sites.append(jax.tree.map(lambda a, flat=flat: a.reshape(-1, *a.shape[flat:]), measured))
    order = jnp.array(traced.row_order())
    return jax.tree.map(lambda *values: jnp.concatenate(values)[order], *sites)


def _check_costs(loss: Loss, logits: jax.ShapeDtypeStruct, y: jax.Array) -> None:
    n = logits.shape[0]
    if y.shape[:1] != (n,):
        raise ValueError(f"y: {list(y.shape)} is not one label for each of {n} examples")
    costs = jax.eval_shape(loss, logits, y)
    if costs.shape != (n,):
        raise ValueError(f"loss: returns {list(costs.shape)}, not one cost for each of {n}")


def _each_step(
    measure: Callable[..., dict[str, jax.Array]],
    varies: tuple[bool, ...],
    z: Any,
    s: Any,
    ds: Any,
    kernel: Any,
) -> dict[str, jax.Array]:
    """``measure`` at each step of the scans around, one after the other to save memory."""
    if not varies:
        return measure(z, s, ds, kernel)

    def one(step: Any) -> dict[str, jax.Array]:
        return _each_step(measure, varies[1:], *step)

    if varies[0]:
        return jax.lax.map(one, (z, s, ds, kernel))
    return jax.lax.map(lambda step: one((*step, kernel)), (z, s, ds))


def _one_step(
    site: Site, n: int, z: jax.Array, s: jax.Array, ds: jax.Array, kernel: jax.Array
) -> dict[str, jax.Array]:
    (dw,) = jax.vjp(partial(site.contract, z), kernel)[1](ds)
    # A branch that wasn't taken has no gradient rather than a gradient of 0.
    taken = ~jnp.isnan(s).all()
    ds, dw, kernel = (_float32(a) for a in (ds, dw / n, kernel))
    ds, dw = (jnp.where(taken, a, jnp.nan) for a in (ds, dw))
    kernel_norm = _norm(kernel)
    return {
        **_distribution("z", z, site.z_axis),
        **_distribution("s", s, site.s_axis),
        **_slope_fractions(site, s),
        "ds_std": jnp.std(ds),
        "ds_mean_square": jnp.mean(jnp.square(ds)),
        "ds_norm": _norm(ds),
        "dw_std": jnp.std(dw),
        "dw_norm": _norm(dw),
        "dw_ratio": _norm(dw) / kernel_norm,
        "kernel_std": jnp.std(kernel),
        "kernel_norm": kernel_norm,
        "gain": site.fan_in * jnp.var(kernel),
    }


def _distribution(name: str, values: jax.Array, axis: int | None) -> dict[str, jax.Array]:
    if not jnp.issubdtype(values.dtype, jnp.inexact):
        values = jnp.full(values.shape, jnp.nan)
    values = _float32(values)
    return {
        f"{name}_mean": jnp.mean(values),
        f"{name}_std": jnp.std(values),
        f"{name}_mean_square": jnp.mean(jnp.square(values)),
        f"{name}_quantile": quantile(values, QUANTILES),
        f"{name}_cosine": _cosine(values, axis),
    }


def _cosine(values: jax.Array, axis: int | None) -> jax.Array:
    """Mean cosine between two examples, over all pairs of examples that aren't 0."""
    if axis is None:
        return jnp.array(jnp.nan)
    examples = jnp.moveaxis(values, axis, 0).reshape(values.shape[axis], -1)
    norms = jnp.linalg.norm(examples, axis=1, keepdims=True)
    directions = jnp.where(norms == 0, 0, examples / jnp.where(norms == 0, 1, norms))
    count = jnp.sum(_float32(norms != 0))
    own = jnp.sum(jnp.square(directions))
    return (jnp.sum(jnp.square(jnp.sum(directions, axis=0))) - own) / (count * (count - 1))


def _slope_fractions(site: Site, s: jax.Array) -> dict[str, jax.Array]:
    """Fractions of saturated values and of dead units."""
    unknown = jnp.array(jnp.nan)
    if site.activation is None:
        return {"saturated": unknown, "dead": unknown}
    slope = _slope(site.activation, s)
    full = _slope(site.activation, jnp.zeros_like(s))
    saturated = jnp.mean(_float32(slope < SATURATED_SLOPE * full))
    dead = unknown if site.s_axis is None else jnp.mean(_float32((slope == 0).all(site.s_axis)))
    taken = ~jnp.isnan(s).all()
    return {
        "saturated": jnp.where(taken, saturated, unknown),
        "dead": jnp.where(taken, dead, unknown),
    }


def _slope(activation: Activation, s: jax.Array) -> jax.Array:
    # Backwards, because a custom_vjp has no other derivative.
    z, backward = jax.vjp(activation, s)
    return backward(jnp.ones_like(z))[0]


def _norm(values: jax.Array) -> jax.Array:
    return jnp.linalg.norm(values.reshape(-1))


def _float32(values: jax.Array) -> jax.Array:
    return values.astype(jnp.float32)
