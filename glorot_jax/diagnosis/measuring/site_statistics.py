"""What is measured at each site, as one pure function of (params, x, y)."""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from glorot_jax.activations import SATURATED_SLOPE
from glorot_jax.diagnosis.arrays import Array, each, namespace, stacked
from glorot_jax.diagnosis.measuring.checks import check_costs
from glorot_jax.diagnosis.measuring.fingerprints import SIZE, fingerprint
from glorot_jax.diagnosis.measuring.moments import (
    all_nan,
    centre,
    constant_features,
    cosine,
    directions,
    example_mean_squares,
    example_norms,
    features,
    mean_square,
    norm,
    position_cosine,
    quantiles,
    sample,
    shape_of,
    size_of_centre,
    std,
    unit_noise,
    unit_squares,
)
from glorot_jax.diagnosis.measuring.wide import Wide, is_complex, is_inexact, magnitude
from glorot_jax.diagnosis.tracing.convolutions import in_standard_layout
from glorot_jax.diagnosis.tracing.layout import Site, each_step, slope_of
from glorot_jax.diagnosis.tracing.sites import Signals, Traced
from glorot_jax.losses import cross_entropy
from glorot_jax.probes.activations import QUANTILES
from glorot_jax.typing import Loss, PyTree


def site_statistics(
    traced: Traced, params: PyTree, x: PyTree, y: PyTree, /, *, loss: Loss = cross_entropy
) -> Mapping[str, jax.Array]:
    """Statistics of every row of ``traced.rows()``: one a site, and one a step inside a scan.

    ``x`` [n, ..] and labels ``y`` [n] are examples. Pure, for ``jit`` and for ``vmap`` over seeds.
    Where nothing is to be measured (the input of an embedding, the slope of what isn't an
    elementwise function, a branch not taken) a value is NaN. Returns arrays whose first axis is
    the row, all float32:
      z_mean, z_std, z_mean_square, s_mean, s_std, s_mean_square: [rows], over all values of the
        site's input z and pre-activation s; the mean square of s is q.
      z_quantile, s_quantile: [rows, 3], the 2nd, 50th and 98th percentile; of more than 8192
        values, by so many of them (``moments.quantiles`` has the error).
      z_cosine, s_cosine: [rows], mean cosine between the values of two examples.
      saturated: [rows], fraction of s where the slope f'(s) of what follows is below 5% of the
        slope at 0, falling functions turned over; 0 where the slope at 0 is 0, as JAX says of
        relu.
      dead: [rows], fraction of units whose slope is 0 for every example, and at every position
        and time step that has the same kernel.
      ds_std, ds_mean_square, ds_norm: [rows], of dC/ds, C each example's own cost.
      dw_std, dw_norm: [rows], of dC/dw of the mean cost through this site and step alone: a
        parameter's gradient is the sum over its rows. dw_ratio: dw_norm over kernel_norm.
      kernel_std, kernel_norm: [rows]. gain: [rows], n Var[W] with n the fan-in; an embedding's n is
        the number of its rows, of which it adds up one.

    Raises:
      ValueError: params or x aren't as traced, or ``loss`` of the outputs and y isn't [n].
    """
    return _each_site(_one_step, traced, params, x, y, loss)


def full_site_statistics(
    traced: Traced,
    params: PyTree,
    x: PyTree,
    y: PyTree,
    /,
    *,
    loss: Loss = cross_entropy,
    bins: int,
) -> Mapping[str, jax.Array]:
    """``site_statistics``, and from the same pass what a report draws and holds against theory.

    z_example, s_example, ds_example: [rows, n], mean squares of each example's z, s and dC/ds.
    z_used: [rows, n], of each example's z, each value counted as often as the kernel sees it.
    ds_example_norm: [rows, n], the norm of each example's dC/ds.
    sensitivity: [rows], mean over the examples of norm(s) norm(dC/ds).
    z_constant: [rows], share of the features of z that are the same for every example, and not 0.
    z_position_cosine, s_position_cosine: [rows], mean cosine between two positions of one example.
    z_fingerprint, f_fingerprint: [rows, 6], of z and of f(s), by which ``input_sources`` tells
      whose f(s) a z is; f is the elementwise function that follows, else all NaN.
    s_histogram, ds_histogram: [rows, bins], fractions in equal bins of mean +- 4 std.
    kernel_mean_square, bias_mean_square: [rows]; 0 without a bias.
    s_unit_noise, f_unit_noise: [rows], standard error over the units of the mean square of s and of
      f(s), relative to it: what the draw of their weights changes.
    """
    return _each_site(partial(_one_step_in_full, bins=bins), traced, params, x, y, loss)


@partial(
    jax.tree_util.register_dataclass, data_fields=("values", "overall"), meta_fields=("sites",)
)
@dataclass(frozen=True)
class Statistics:
    """What ``site_statistics`` measures, as a pytree that leaves a jitted function.

    ``values``: arrays by the name of a statistic, [site] or [site, quantile], after the axes that
    vmap and scan put before. ``sites``: their labels, the same for every measurement of a model.
    ``overall``: numbers of the whole net by name, as ``gj.watch`` measures them.
    """

    values: Mapping[str, Any]
    sites: tuple[str, ...]
    overall: Mapping[str, Any] = field(default_factory=dict)


class Values(NamedTuple):
    """What a site saw at one step."""

    kernel: Array
    z: Array
    s: Array
    ds: Array
    bias: Array | None
    others: tuple[Array, ...]


class Slopes(NamedTuple):
    """Of each value of s, bools in its shape; None where no elementwise function follows.

    ``saturated``: whether the slope f'(s) is below 5% of that at 0. ``moving``: whether it isn't 0.
    """

    saturated: Array | None
    moving: Array | None


class Made(NamedTuple):
    """What JAX alone can make of the values of a step: what is left of it is reductions.

    ``gradient``: dC/dw of the summed cost. ``f``: f(s), None where nothing elementwise follows.
    """

    gradient: Array
    f: Array | None
    slopes: Slopes


HOST_THREADS = 4  # each holds a few arrays in the size of a site's signal
Shown = dict[str, Any]  # arrays, or small trees of them
Groups = Sequence[Shown]
OneStep = Callable[[Site, int, Values, Made], Shown]


def _each_site(
    measure: OneStep, traced: Traced, params: PyTree, x: PyTree, y: PyTree, loss: Loss
) -> Mapping[str, jax.Array]:
    traced.check(params, x)
    check_costs(loss, traced.outputs, y, traced.n)

    def total_cost(perturbations: tuple[jax.Array, ...]) -> tuple[jax.Array, Signals]:
        signals = traced.run(params, x, perturbations)
        return jnp.sum(loss(signals.outputs, y)), signals

    ds, signals = jax.grad(total_cost, has_aux=True)(traced.perturbations())
    return _of_signals(measure, traced, signals, ds)


def statistics_of_pass(
    traced: Traced, signals: Signals, ds: Sequence[jax.Array]
) -> Mapping[str, jax.Array]:
    """``site_statistics`` of a pass that was already made: its ``signals`` and dC/ds."""
    return _of_signals(_one_step, traced, signals, ds)


def at_each_site(
    traced: Traced, signals: Signals, ds: Sequence[jax.Array], bins: int
) -> tuple[Groups, list[jax.Array]]:
    """Of a pass that was already made, its ``signals`` and dC/ds: what is shown of each site.

    Returns what ``as_rows`` takes, and of each site dC/dW of the summed cost [steps, ..kernel].
    """
    measure = partial(_one_step_with_gradient, bins=bins)
    groups = _groups(measure, traced, signals, ds)
    found: dict[int, jax.Array] = {}
    for alike, shown in zip(traced.layout.alike, groups, strict=True):
        gradients = shown.pop("kernel_gradient")
        found |= {index: gradients[place] for place, index in enumerate(alike)}
    return groups, [found[index] for index in range(len(traced.sites))]


def made_at_each_site(traced: Traced, signals: Signals, ds: Sequence[jax.Array]) -> list[Made]:
    """Of each site what ``on_host`` needs besides its values, [steps, ..]."""

    def made(site: Site, kernel: jax.Array, *rest: Any) -> Made:
        return make(site, Values(kernel, *rest))

    return [
        each_step(site, partial(made, site), kernel, *rest)
        for site, kernel, *rest in zip(traced.sites, *_values(signals, ds), strict=True)
    ]


def on_host(
    traced: Traced, signals: Signals, ds: Sequence[Array], made: Sequence[Made], bins: int
) -> Groups:
    """What ``at_each_site`` shows, of arrays on the host and by NumPy, sites side by side."""

    def shown(site: Site, made: Made, kernel: Array, *rest: Any) -> Shown:
        def one_step(kernel: Array, made: Made, *rest: Any) -> Shown:
            return _one_step_in_full(site, traced.n, Values(kernel, *rest), made, bins=bins)

        in_steps = jax.tree.map(lambda a: a.reshape(*site.steps, *a.shape[1:]), made)
        with np.errstate(all="ignore"):
            return each_step(site, one_step, kernel, in_steps, *rest)

    with ThreadPoolExecutor(min(os.cpu_count() or 1, HOST_THREADS)) as pool:
        by_site = list(pool.map(shown, traced.sites, made, *_values(signals, ds)))
    return [stacked([by_site[index] for index in alike]) for alike in traced.layout.alike]


def as_rows(traced: Traced, groups: Groups) -> Mapping[str, Array]:
    """``full_site_statistics`` of what was shown, all of it.

    ``groups``: for each of ``traced.layout.alike`` arrays [sites, steps, ..] by name.
    """

    def one_site(site: Site, shown: Shown) -> Shown:
        return with_dead(site, each(_finished, shown))

    return _ordered(
        traced,
        [
            each(partial(one_site, traced.sites[alike[0]]), shown)
            for alike, shown in zip(traced.layout.alike, groups, strict=True)
        ],
    )


def _values(signals: Signals, ds: Sequence[Array]) -> tuple[Sequence[Any], ...]:
    """By site: kernels, and the other fields of ``Values`` in their order."""
    return signals.kernels, signals.z, signals.s, ds, signals.biases, signals.others


def _of_signals(
    measure: OneStep, traced: Traced, signals: Signals, ds: Sequence[jax.Array]
) -> Mapping[str, jax.Array]:
    # Finished step by step: a kernel's gradient is held for no longer than that.
    return _ordered(traced, _groups(measure, traced, signals, ds, finish=True))


def _groups(
    measure: OneStep,
    traced: Traced,
    signals: Signals,
    ds: Sequence[jax.Array],
    *,
    finish: bool = False,
) -> list[Shown]:
    n = traced.n
    values = list(zip(*_values(signals, ds), strict=True))
    groups = []
    for alike in traced.layout.alike:
        site = traced.sites[alike[0]]

        def one_site(mine: tuple[Any, ...], site: Site = site) -> PyTree:
            def one_step(kernel: jax.Array, *rest: Any) -> Shown:
                seen = Values(kernel, *rest)
                shown = measure(site, n, seen, make(site, seen))
                return _finished(shown) if finish else shown

            measured = each_step(site, one_step, *mine)
            return with_dead(site, measured) if finish else measured

        # One body for all that are alike: what is compiled grows with their kinds.
        together = stacked([values[index] for index in alike])
        # A barrier, so that the same numbers come out whatever program this is a part of.
        groups.append(jax.lax.map(one_site, jax.lax.optimization_barrier(together)))
    return groups


def _ordered(traced: Traced, groups: Sequence[Shown]) -> Mapping[str, Array]:
    """Groups as rows, with quantiles in the place of samples."""
    rows = dict(traced.layout.groups_to_rows(groups))
    # One sort for all that there is to be ordered.
    names = ("z_quantile", "s_quantile")
    xp = namespace(rows[names[0]])
    ordered = quantiles(xp.concatenate([rows[name] for name in names]), QUANTILES)
    return rows | dict(zip(names, xp.split(ordered, 2), strict=True))


def _finished(shown: Shown) -> Shown:
    """One step, with statistics in the place of what they are made of; ``alive`` stays."""
    made = finished_forwards(shown)
    dw = Wide(made.pop("dw"))
    made.pop("ds_centre")
    made |= {"dw_std": std(dw), "dw_norm": norm(dw)}
    made["dw_ratio"] = made["dw_norm"] / made["kernel_norm"]
    if "z_feature_mean" in made:
        of_features = made.pop("z_feature_mean"), made.pop("z_feature_std")
        made["z_constant"] = constant_features(*of_features)
        for name in ("s", "f"):
            made[f"{name}_unit_noise"] = unit_noise(made.pop(f"{name}_units"))
    return made


def finished_forwards(shown: Shown) -> Shown:
    """What ``forwards`` shows, means and cosines in the place of what they are made of."""
    made = dict(shown)
    for name in ("z", "s"):
        made[f"{name}_mean"] = size_of_centre(made.pop(f"{name}_centre"))
        made[f"{name}_cosine"] = cosine(made.pop(f"{name}_directions"))
    return made


def with_dead(site: Site, measured: Shown) -> Shown:
    """``measured`` at each step, with the share of dead units in the place of ``alive``."""
    rest = {name: values for name, values in measured.items() if name != "alive"}
    xp = namespace(rest["s_mean"])
    return rest | {"dead": _dead(site, measured["alive"], ~xp.isnan(rest["s_mean"]))}


def _dead(site: Site, alive: Array, taken: Array) -> Array:
    """Of bools [steps, units], the fraction of units alive at no step that has their kernel."""
    xp = namespace(alive)
    if not alive.shape[1]:
        return xp.full(len(alive), np.nan, np.float32)
    shared = tuple(axis for axis, varies in enumerate(site.kernel_varies) if not varies)
    steps = alive.reshape(*site.steps, -1)
    dead = ~xp.broadcast_to(steps.any(shared, keepdims=True), steps.shape)
    return xp.where(taken, xp.mean(dead.astype(np.float32), axis=-1).reshape(-1), np.nan).astype(
        np.float32
    )


def make(site: Site, values: Values) -> Made:
    """What reductions alone can't show of one step."""
    kernel, z, s, ds, _, others = values
    f = site.activation
    gradient = weight_gradient(site, z, kernel, others, ds)
    return Made(gradient, None if f is None else f(s), slopes(site, s))


def weight_gradient(
    site: Site, z: jax.Array, kernel: jax.Array, others: Sequence[jax.Array], ds: jax.Array
) -> jax.Array:
    """dC/dw of the summed cost, by one step."""

    def back(ds: jax.Array) -> Any:
        return jax.vjp(lambda kernel: site.contract(z, kernel, *others), kernel)[1](ds)

    (dw,) = in_standard_layout(back)(ds)
    return dw


def slopes(site: Site, s: jax.Array) -> Slopes:
    """Of the elementwise function that follows."""
    if site.activation is None:
        return Slopes(None, None)
    slope, full = (_real(slope_of(site.activation, at)) for at in (s, jnp.zeros_like(s)))
    return Slopes(jnp.sign(full) * slope < SATURATED_SLOPE * jnp.abs(full), slope != 0)


def _real(slope: jax.Array) -> jax.Array:
    """A slope of its own sign where it has one."""
    return magnitude(slope) if is_complex(slope) else slope.astype(jnp.float32)


def _one_step(site: Site, n: int, values: Values, made: Made) -> Shown:
    of_signals = Wide(values.z), Wide(values.s), Wide(values.ds)
    return _of_wide(site, n, *of_signals, values.kernel, made)


def _of_wide(site: Site, n: int, z: Wide, s: Wide, ds: Wide, kernel: Array, made: Made) -> Shown:
    # A branch that wasn't taken has no gradient rather than a gradient of 0.
    known = site.differentiable & ~all_nan(s)
    backwards = {"ds_centre": centre(ds), **sizes(ds), "dw": made.gradient / n}
    return {
        **forwards(site, z, s, Wide(kernel), made.slopes),
        **{name: _where(known, value) for name, value in backwards.items()},
    }


def _where(known: Array, values: Array) -> Array:
    """``values`` in their own type, NaN unless ``known``."""
    return namespace(values).where(known, values, np.array(np.nan).astype(values.dtype))


def sizes(ds: Array | Wide) -> dict[str, Array]:
    """Of dC/ds."""
    return {"ds_std": std(ds), "ds_mean_square": mean_square(ds), "ds_norm": norm(ds)}


def forwards(site: Site, z: Wide, s: Wide, kernel: Wide, slopes: Slopes) -> Shown:
    """What one step shows without a gradient, unfinished: centres, directions, samples."""
    kernel_std = std(kernel)
    return {
        **_distribution("z", z, site.z_axis),
        **_distribution("s", s, site.s_axis),
        **_of_slopes(site, s, slopes),
        "kernel_std": kernel_std,
        "kernel_norm": norm(kernel),
        "gain": site.fan_in * kernel.xp.square(kernel_std),
    }


def _one_step_with_gradient(site: Site, n: int, values: Values, made: Made, *, bins: int) -> Shown:
    shown = _one_step_in_full(site, n, values, made, bins=bins)
    return {**shown, "kernel_gradient": made.gradient}


def _one_step_in_full(site: Site, n: int, values: Values, made: Made, *, bins: int) -> Shown:
    z, s, ds, bias = Wide(values.z), Wide(values.s), Wide(values.ds), values.bias
    f = None if made.f is None else Wide(made.f)
    feature_mean, feature_std = features(z)
    s_norm, ds_norm = (example_norms(a, site.s_axis, n) for a in (s, ds))
    xp = s.xp
    return {
        **_of_wide(site, n, z, s, ds, values.kernel, made),
        "z_example": example_mean_squares(z, site.z_axis, n),
        "z_used": example_mean_squares(_as_used(site, z), site.z_axis, n),
        "s_example": example_mean_squares(s, site.s_axis, n),
        "ds_example": example_mean_squares(ds, site.s_axis, n),
        "ds_example_norm": ds_norm,
        "sensitivity": xp.mean(s_norm * ds_norm),
        "z_feature_mean": feature_mean,
        "z_feature_std": feature_std,
        "z_position_cosine": position_cosine(z, site.z_axis),
        "s_position_cosine": position_cosine(s, site.s_axis),
        "z_fingerprint": fingerprint(z),
        "f_fingerprint": xp.full(SIZE, np.nan, np.float32) if f is None else fingerprint(f),
        "s_histogram": shape_of(s, bins),
        "ds_histogram": shape_of(ds, bins),
        "kernel_mean_square": mean_square(values.kernel),
        "bias_mean_square": xp.zeros((), np.float32) if bias is None else mean_square(bias),
        "s_units": unit_squares(s, site.unit_axes),
        "f_units": unit_squares(s, None) if f is None else unit_squares(f, site.unit_axes),
    }


def _as_used(site: Site, z: Wide) -> Wide:
    """``z`` so weighted that its mean square is that of the values that the kernel sees."""
    if not any(site.uses):
        return z
    weighted = z.values
    for axis, shares in enumerate(site.uses):
        if shares:
            weights = np.sqrt(np.array(shares) / np.mean(shares))
            along = [axis == other for other in range(weighted.ndim)]
            shaped = weights.reshape(np.where(along, weighted.shape, 1))
            weighted = weighted * shaped.astype(weighted.dtype)
    return Wide(weighted)


def _distribution(name: str, values: Wide, axis: int | None) -> Shown:
    if not is_inexact(values.values):
        values = Wide(values.xp.full(values.values.shape, np.nan, np.float32))
    return {
        f"{name}_centre": centre(values),
        f"{name}_std": std(values),
        f"{name}_mean_square": mean_square(values),
        f"{name}_quantile": sample(values),
        f"{name}_directions": directions(values, axis),
    }


def _of_slopes(site: Site, s: Wide, slopes: Slopes) -> dict[str, Array]:
    """The fraction of saturated values; of each unit, [units], whether f'(s) isn't always 0.

    No units where that can't be told.
    """
    xp = s.xp
    unknown, nobody = xp.asarray(np.nan, np.float32), xp.zeros(0, bool)
    if slopes.saturated is None or slopes.moving is None:
        return {"saturated": unknown, "alive": nobody}
    taken = ~all_nan(s)
    saturated = xp.where(taken, xp.mean(slopes.saturated.astype(np.float32)), unknown)
    if site.unit_axes is None and site.s_axis is None:
        return {"saturated": saturated, "alive": nobody}
    ndim = s.values.ndim
    units = _all_but(site.s_axis, ndim) if site.unit_axes is None else site.unit_axes
    rest = tuple(axis for axis in range(ndim) if axis not in units)
    moves = xp.max(slopes.moving.astype(np.float32), axis=rest)
    return {"saturated": saturated, "alive": ((moves > 0) & taken).reshape(-1)}


def _all_but(axis: int | None, ndim: int) -> tuple[int, ...]:
    return tuple(other for other in range(ndim) if other != axis)
