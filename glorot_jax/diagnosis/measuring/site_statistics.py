"""What is measured at each site, as one pure function of (params, x, y)."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from glorot_jax.activations import SATURATED_SLOPE, Activation
from glorot_jax.diagnosis.tracing.plan import Site
from glorot_jax.diagnosis.tracing.sites import Signals, Traced
from glorot_jax.dotted import reason
from glorot_jax.losses import Loss, cross_entropy
from glorot_jax.probes.activations import QUANTILES
from glorot_jax.probes.histogram import histogram
from glorot_jax.probes.quantile import quantile

HISTOGRAM_REACH = 4.0  # standard deviations on either side of the mean


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
    return _each_site(_one_step, traced, params, x, y, loss)


def site_details(
    traced: Traced, params: Any, x: Any, y: jax.Array, /, *, loss: Loss = cross_entropy, bins: int
) -> Mapping[str, jax.Array]:
    """``site_statistics``, and from the same pass what a report draws and holds against theory.

    z_example, s_example, f_example, ds_example: [rows, n], mean squares of each example's z, s,
      f(s) and dC/ds; f is the elementwise function that follows, else all NaN.
    f_mean: [rows], of f(s).
    s_histogram, ds_histogram: [rows, bins], fractions in equal bins of mean +- 4 std.
    kernel_mean_square, bias_mean_square: [rows]; 0 without a bias.
    s_unit_spread, ds_unit_spread: [rows], standard deviation over units of a unit's mean square,
      relative to its mean: what the draw of one unit's weights changes.
    """
    return _each_site(partial(_one_step_in_detail, bins=bins), traced, params, x, y, loss)


OneStep = Callable[[Site, int, "Values"], dict[str, jax.Array]]


class Values(NamedTuple):
    """What a site saw at one step."""

    z: jax.Array
    s: jax.Array
    ds: jax.Array
    kernel: Any  # an array; None while its steps are being separated
    bias: jax.Array | None


def _each_site(
    measure: OneStep, traced: Traced, params: Any, x: Any, y: jax.Array, loss: Loss
) -> Mapping[str, jax.Array]:
    traced.check(params, x)
    check_costs(loss, traced.logits, y)

    def total_cost(taps: tuple[jax.Array, ...]) -> tuple[jax.Array, Signals]:
        found = traced.run(params, x, taps)
        return jnp.sum(loss(found.logits, y)), found

    ds, found = jax.grad(total_cost, has_aux=True)(traced.taps())
    sites = []
    seen = zip(found.z, found.s, ds, found.kernels, found.biases, strict=True)
    for site, values in zip(traced.sites, seen, strict=True):
        one_step = partial(measure, site, traced.logits.shape[0])
        measured = each_step(one_step, site.kernel_varies, Values(*values))
        flat = len(site.steps)
        sites.append(jax.tree.map(lambda a, flat=flat: a.reshape(-1, *a.shape[flat:]), measured))
    order = jnp.array(traced.row_order())
    return jax.tree.map(lambda *values: jnp.concatenate(values)[order], *sites)


def check_costs(loss: Loss, logits: jax.ShapeDtypeStruct, y: Any) -> None:
    """Refuses labels y, or a loss, that don't give one cost for each example.

    Raises:
      ValueError: they don't.
    """
    n = logits.shape[0]
    if jnp.shape(y)[:1] != (n,):
        raise ValueError(f"y: {list(jnp.shape(y))} is not one label for each of {n} examples")
    try:
        costs = jax.eval_shape(loss, logits, y)
    except Exception as error:  # whatever the user's function raises
        raise ValueError(
            f"loss: fails for logits {list(logits.shape)} ({reason(error)})"
        ) from error
    if not isinstance(costs, jax.ShapeDtypeStruct) or costs.shape != (n,):
        found = [leaf.shape for leaf in jax.tree.leaves(costs)]
        shapes = ", ".join(str(list(shape)) for shape in found) or "nothing"
        raise ValueError(f"loss: returns {shapes}, not one cost for each of {n}")


def each_step(measure: Callable[[Values], Any], varies: tuple[bool, ...], values: Values) -> Any:
    """``measure`` at each step of the scans around, one after the other to save memory."""
    if not varies:
        return measure(values)
    if varies[0]:
        return jax.lax.map(lambda step: each_step(measure, varies[1:], step), values)
    kernel = values.kernel
    return jax.lax.map(
        lambda step: each_step(measure, varies[1:], step._replace(kernel=kernel)),
        values._replace(kernel=None),
    )


def _one_step(site: Site, n: int, values: Values) -> dict[str, jax.Array]:
    z, s, ds, kernel, _ = values
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


def _one_step_in_detail(site: Site, n: int, values: Values, *, bins: int) -> dict[str, jax.Array]:
    z, s, ds, kernel, bias = values
    f = jnp.full(s.shape, jnp.nan) if site.activation is None else site.activation(s)
    return {
        **_one_step(site, n, values),
        "z_example": _by_example(z, site.z_axis, n),
        "s_example": _by_example(s, site.s_axis, n),
        "f_example": _by_example(f, site.s_axis, n),
        "ds_example": _by_example(ds, site.s_axis, n),
        "f_mean": jnp.mean(_float32(f)),
        "s_histogram": _shape_of(s, bins),
        "ds_histogram": _shape_of(ds, bins),
        "kernel_mean_square": jnp.mean(jnp.square(_float32(kernel))),
        "bias_mean_square": _mean_square(bias),
        "s_unit_spread": _unit_spread(s, site.s_axis),
        "ds_unit_spread": _unit_spread(ds, site.s_axis),
    }


def _by_example(values: jax.Array, axis: int | None, n: int) -> jax.Array:
    """The mean square of each example's values, [n]."""
    if axis is None or not jnp.issubdtype(values.dtype, jnp.inexact):
        return jnp.full(n, jnp.nan)
    examples = jnp.moveaxis(_float32(values), axis, 0).reshape(n, -1)
    return jnp.mean(jnp.square(examples), axis=1)


def _shape_of(values: jax.Array, bins: int) -> jax.Array:
    values = _float32(values)
    mean, reach = jnp.mean(values), HISTOGRAM_REACH * jnp.std(values)
    return histogram(values, mean - reach, mean + reach, bins)


def _mean_square(bias: jax.Array | None) -> jax.Array:
    return jnp.zeros(()) if bias is None else jnp.mean(jnp.square(_float32(bias)))


def _unit_spread(values: jax.Array, axis: int | None) -> jax.Array:
    if axis is None:
        return jnp.array(jnp.nan)
    # Over the largest first: the squares of squares of a small signal are too small for float32.
    values = _float32(values)
    units = jnp.mean(jnp.square(values / jnp.max(jnp.abs(values))), axis=axis)
    return jnp.std(units) / jnp.mean(units)


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
    slope = slope_of(site.activation, s)
    full = slope_of(site.activation, jnp.zeros_like(s))
    saturated = jnp.mean(_float32(slope < SATURATED_SLOPE * full))
    dead = unknown if site.s_axis is None else jnp.mean(_float32((slope == 0).all(site.s_axis)))
    taken = ~jnp.isnan(s).all()
    return {
        "saturated": jnp.where(taken, saturated, unknown),
        "dead": jnp.where(taken, dead, unknown),
    }


def slope_of(activation: Activation, s: jax.Array) -> jax.Array:
    """f'(s), taken backwards, because a custom_vjp has no other derivative."""
    z, backward = jax.vjp(activation, s)
    return backward(jnp.ones_like(z))[0]


def _norm(values: jax.Array) -> jax.Array:
    return jnp.linalg.norm(values.reshape(-1))


def _float32(values: jax.Array) -> jax.Array:
    return values.astype(jnp.float32)
